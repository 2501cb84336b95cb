"""Connections that become WebSockets, on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from emulator.server.app import App
from emulator.server.http import HttpServer
from emulator.server.listen import listen
from emulator_runtime.hosting import Closing, End, Item, Lost

HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Chat:
    """An application that answers with a WebSocket, if it is asked for one at `/chat`."""

    def __init__(self) -> None:
        self.end, self._far = End.pair()
        self.heard: asyncio.Queue[Item] = asyncio.Queue()
        self.end.receive(self.heard.put_nowait)
        self.is_over = asyncio.Event()
        self.extensions: list[Any] = []

    def tunnels_websocket(self, _scope: Any, _target: bytes) -> bool:
        return False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.extensions.append(scope.get("extensions"))
        if scope["path"] != "/chat":
            await send({"type": "http.response.start", "status": 426, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"no"})
            return
        headers = [(b"x-a", b"1"), (b"upgrade", b"h2c"), (b"sec-websocket-accept", b"another")]
        await send({"type": "emulator.websocket", "headers": headers, "end": self._far})
        self.is_over.set()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._frames = StreamReader()

    async def ask(self, head: bytes) -> tuple[bytes, list[bytes]]:
        """The first line of the answer, and its headers."""
        self.writer.write(head)
        first, *lines = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).strip().split(b"\r\n")
        return first, lines

    def send(self, opcode: Opcode, data: bytes) -> None:
        self.writer.write(Frame(opcode, data).serialize(mask=True))

    async def frame(self) -> tuple[Opcode, bytes]:
        parsing = Frame.parse(self._frames.read_exact, mask=False)
        while True:
            try:
                next(parsing)
            except StopIteration as parsed:
                return parsed.value.opcode, bytes(parsed.value.data)
            data = await asyncio.wait_for(self.reader.read(65_536), 10)
            assert data
            self._frames.feed_data(data)

    async def is_at_end(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 10) == b""


@asynccontextmanager
async def served(chat: Chat) -> AsyncIterator[tuple[Client, HttpServer]]:
    sockets = listen("127.0.0.1", 0)
    server = HttpServer(cast("App", chat), sockets)
    await server.start()
    client = Client(*await asyncio.open_connection(*sockets[0].getsockname()))
    try:
        yield client, server
    finally:
        client.writer.close()
        await server.stop(1.0)
        for each in sockets:
            each.close()


async def heard(chat: Chat) -> Item:
    return await asyncio.wait_for(chat.heard.get(), 10)


async def test_a_websocket_both_ways() -> None:
    chat = Chat()
    async with served(chat) as (client, _):
        chat.end.send("early")
        first, headers = await client.ask(HANDSHAKE % b"/chat")
        assert first == b"HTTP/1.1 101 Switching Protocols"
        assert headers == [
            b"connection: Upgrade",
            b"upgrade: websocket",
            b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            b"x-a: 1",
        ]
        assert await client.frame() == (Opcode.TEXT, b"early")
        client.send(Opcode.BINARY, b"x" * 100_000)
        assert await heard(chat) == b"x" * 100_000
        chat.end.send(b"y" * 100_000)
        assert await client.frame() == (Opcode.BINARY, b"y" * 100_000)
        client.send(Opcode.PING, b"there?")
        assert await client.frame() == (Opcode.PONG, b"there?")
        client.send(Opcode.CLOSE, (4000).to_bytes(2, "big") + b"why")
        assert await heard(chat) == Closing(4000, "why")
        chat.end.send("the rest")
        chat.end.send(Closing(1000, ""))
        assert await client.frame() == (Opcode.TEXT, b"the rest")
        assert await client.frame() == (Opcode.CLOSE, (1000).to_bytes(2, "big"))
        assert await client.is_at_end()
        await chat.is_over.wait()
        assert chat.heard.empty()


async def test_a_client_that_vanishes() -> None:
    chat = Chat()
    async with served(chat) as (client, _):
        await client.ask(HANDSHAKE % b"/chat")
        client.writer.close()
        assert await heard(chat) == Lost()
        await chat.is_over.wait()
        chat.end.send("ignored")


async def test_a_client_that_breaks_a_rule() -> None:
    chat = Chat()
    async with served(chat) as (client, _):
        await client.ask(HANDSHAKE % b"/chat")
        client.writer.write(b"\x83\x00")
        opcode, data = await client.frame()
        assert (opcode, data[:2]) == (Opcode.CLOSE, (1002).to_bytes(2, "big"))
        assert await client.is_at_end()
        lost = await heard(chat)
        assert isinstance(lost, Lost)
        assert "statusCode = 1002" in lost.error
        await chat.is_over.wait()


async def test_a_worker_that_breaks_off() -> None:
    chat = Chat()
    async with served(chat) as (client, _):
        await client.ask(HANDSHAKE % b"/chat")
        chat.end.send(Lost())
        assert await client.is_at_end()
        await chat.is_over.wait()


async def test_a_server_that_stops_says_so() -> None:
    chat = Chat()
    async with served(chat) as (client, server):
        await client.ask(HANDSHAKE % b"/chat")
        stopping = asyncio.create_task(server.stop(5.0))
        assert await client.frame() == (Opcode.CLOSE, (1001).to_bytes(2, "big"))
        assert await client.is_at_end()
        assert await heard(chat) == Lost()
        await stopping


async def test_a_connection_that_did_not_become_one_is_as_any_other() -> None:
    chat = Chat()
    async with served(chat) as (client, _):
        for _ in range(2):
            first, _ = await client.ask(HANDSHAKE % b"/other")
            assert first == b"HTTP/1.1 426 Upgrade Required"
            assert await client.reader.readexactly(2) == b"no"
        first, _ = await client.ask(b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert first == b"HTTP/1.1 426 Upgrade Required"
        assert await client.reader.readexactly(2) == b"no"
        first, _ = await client.ask(HANDSHAKE % b"/chat")
        assert first == b"HTTP/1.1 101 Switching Protocols"
        upgradable: dict[str, Any] = {"emulator.websocket": {}}
        assert chat.extensions == [upgradable, upgradable, None, upgradable]
        client.send(Opcode.TEXT, b"hello")
        assert await heard(chat) == "hello"


async def test_a_client_that_has_gone_before_the_answer() -> None:
    chat = Chat()
    may_answer = asyncio.Event()

    class Slow(Chat):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            may_answer.set()
            await receive()
            await receive()
            await chat(scope, receive, send)

    async with served(Slow()) as (client, _):
        client.writer.write(HANDSHAKE % b"/chat")
        await may_answer.wait()
        client.writer.close()
        assert await heard(chat) == Lost()
        await chat.is_over.wait()
