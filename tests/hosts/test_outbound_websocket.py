"""Outgoing WebSockets against a real server on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Response as Refusal

from emulator.hosts.outbound import HttpOutbound
from emulator_runtime.hosting import Closing, End, Item, Lost, Request, Response

Serve = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(handle: Serve, **options: Any) -> AsyncIterator[str]:
    """The address of a server that answers each WebSocket by `handle`."""
    async with serve(handle, "127.0.0.1", 0, compression=None, **options) as running:
        _, port = next(iter(running.sockets)).getsockname()[:2]
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def outbound() -> AsyncIterator[HttpOutbound]:
    made = HttpOutbound()
    try:
        yield made
    finally:
        await made.close()


async def connect(way: HttpOutbound, url: str, **headers: str) -> tuple[Response, End, asyncio.Queue[Item]]:
    response = await way(Request(url, headers={"Upgrade": "websocket", **headers}))
    assert response.status == 101
    assert response.raw_web_socket is not None
    end = response.raw_web_socket.couple()
    heard: asyncio.Queue[Item] = asyncio.Queue()
    end.receive(heard.put_nowait)
    return response, end, heard


async def hear(heard: asyncio.Queue[Item]) -> Item:
    return await asyncio.wait_for(heard.get(), 10)


async def echo(connection: ServerConnection) -> None:
    await connection.send(f"welcome {connection.request.headers['x-name']}" if connection.request else "")
    async for message in connection:
        await connection.send(message)


async def test_messages_both_ways() -> None:
    async with outbound() as way, server(echo, subprotocols=["b"]) as url:
        response, end, heard = await connect(way, url, **{"x-name": "Ada", "sec-websocket-protocol": "a, b"})
        assert response.headers["sec-websocket-protocol"] == "b"
        assert await hear(heard) == "welcome Ada"
        for message in ("text", b"x" * 500_000):
            end.send(message)
            assert await hear(heard) == message
        end.send(Closing(4000, "done"))
        assert await hear(heard) == Closing(4000, "done")


async def test_a_server_that_closes() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(4001, "closed")

    async with outbound() as way, server(leave) as url:
        _, end, heard = await connect(way, url)
        assert await hear(heard) == Closing(4001, "closed")
        end.send(Closing(1000, ""))
        await asyncio.sleep(0)


async def test_a_server_that_vanishes() -> None:
    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with outbound() as way, server(vanish) as url:
        _, _, heard = await connect(way, url)
        assert await hear(heard) == Lost()


async def test_a_server_that_refuses_has_answered() -> None:
    def refuse(connection: ServerConnection, _request: object) -> Refusal:
        return connection.respond(426, "not here")

    async with outbound() as way, server(echo, process_request=refuse) as url:
        response = await way(Request(url, headers={"Upgrade": "websocket"}))
        assert (response.status, response.raw_web_socket, await response.text()) == (426, None, "not here")


async def test_headers_of_another_connection_are_not_passed_on() -> None:
    sent: list[str] = []

    async def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        sent.extend(f"{name}: {value}" for name, value in connection.request.headers.raw_items())
        await connection.send("noted")

    of_another = {"sec-websocket-key": "another", "sec-websocket-version": "12", "sec-websocket-extensions": "x"}
    async with outbound() as way, server(note) as url:
        _, end, heard = await connect(way, url, **of_another, cookie="a=b")
        await hear(heard)
        end.send(Closing(1000, ""))
    names = sorted(each for each in sent if each.lower().startswith(("sec-", "upgrade", "connection", "cookie")))
    assert len([each for each in names if each.startswith("sec-websocket-key: ")]) == 1
    assert [each for each in names if "-key" not in each] == [
        "connection: Upgrade",
        "cookie: a=b",
        "sec-websocket-version: 13",
        "upgrade: websocket",
    ]


async def test_a_server_that_did_not_understand() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with outbound() as way, listening:
        with pytest.raises(OSError, match="the header Sec-WebSocket-Accept is wrong"):
            await way(Request(f"http://127.0.0.1:{port}/", headers={"upgrade": "websocket"}))


async def test_what_is_open_ends_with_the_session() -> None:
    gone = asyncio.Event()

    async def wait(connection: ServerConnection) -> None:
        await connection.wait_closed()
        gone.set()

    async with server(wait) as url:
        async with outbound() as way:
            _, _, heard = await connect(way, url)
        assert await hear(heard) == Lost()
        await asyncio.wait_for(gone.wait(), 10)


async def test_a_server_that_is_not_there() -> None:
    async with outbound() as way:
        with pytest.raises(OSError, match=r"fetch failed: GET http://127\.0\.0\.1:1/"):
            await way(Request("http://127.0.0.1:1/", headers={"upgrade": "websocket"}))
