"""Bodies between workerd and the binding server that come in pieces, in both directions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from emulator.bindings.wiring import Answered, WireRequest, WireResponse, Wiring
from emulator.hosts.workerd.binding_server import BindingServer
from emulator.hosts.workerd.incoming_connection import MAX_WAITING_BYTES

PIECE = b"x" * 65_536


class Peer:
    """A connection as workerd has one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def begin(self, length: int) -> None:
        self.writer.write(b"PUT / HTTP/1.1\r\nX-Emulator-Binding: a/r2/X\r\nContent-Length: %d\r\n\r\n" % length)

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")


class Served:
    """A server with one service that takes streams."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server = BindingServer()
        self.peers: list[Peer] = []

    async def answer_with(self, answer: Any) -> Peer:
        await self.server.connect("a", [("r2", Wiring("X", {}, {"": Answered(answer, True)}))], self.path)
        peer = Peer(*await asyncio.open_unix_connection(str(self.path), limit=2**16))
        self.peers.append(peer)
        return peer


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(tmp_path / "b")
    yield served
    for peer in served.peers:
        peer.writer.close()
    served.server.disconnect("a")


async def test_a_service_reads_a_body_while_it_comes(served: Served) -> None:
    first = asyncio.get_running_loop().create_future()

    async def answer(request: WireRequest) -> WireResponse:
        assert request.pieces is not None
        assert request.body == b""
        pieces = [await anext(request.pieces)]
        first.set_result(pieces[0])
        pieces += [piece async for piece in request.pieces]
        return WireResponse(b"".join(pieces).upper())

    peer = await served.answer_with(answer)
    for _ in range(2):
        first = asyncio.get_running_loop().create_future()
        peer.begin(6)
        peer.writer.write(b"abc")
        assert await first == b"abc"
        peer.writer.write(b"def")
        assert await peer.head() == b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
        assert await peer.reader.readexactly(6) == b"ABCDEF"


async def test_no_more_is_received_than_is_read(served: Served) -> None:
    may_read = asyncio.Event()

    async def answer(request: WireRequest) -> WireResponse:
        assert request.pieces is not None
        await may_read.wait()
        return WireResponse(str(sum([len(piece) async for piece in request.pieces])).encode())

    peer = await served.answer_with(answer)
    peer.begin(len(PIECE) * 160)
    for _ in range(160):
        peer.writer.write(PIECE)
    await turns(200)
    (connection,) = served.server._connections
    assert not connection.transport.is_reading()
    # Most of it is still on the side of the client.
    assert peer.writer.transport.get_write_buffer_size() > len(PIECE) * 160 - MAX_WAITING_BYTES * 8
    may_read.set()
    await peer.head()
    assert await peer.reader.readexactly(8) == b"%d" % (len(PIECE) * 160)


async def test_a_body_that_breaks_off_raises(served: Served) -> None:
    raised: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def answer(request: WireRequest) -> WireResponse:
        assert request.pieces is not None
        try:
            async for _ in request.pieces:
                pass
        except ConnectionError as error:
            raised.set_result(error)
            raise
        return WireResponse()

    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    peer = await served.answer_with(answer)
    peer.begin(100)
    peer.writer.write(b"half")
    peer.writer.close()
    assert str(await raised) == "the body broke off: the connection was lost"
    await asyncio.sleep(0)
    assert not reported


@pytest.mark.parametrize("is_async", [True, False])
async def test_what_a_service_does_not_read_is_passed_over(served: Served, is_async: bool) -> None:
    async def late(_request: WireRequest) -> WireResponse:
        return WireResponse(b"no")

    def now(_request: WireRequest) -> WireResponse:
        return WireResponse(b"no")

    peer = await served.answer_with(late if is_async else now)
    for _ in range(2):
        peer.begin(len(PIECE) * 40)
        for _ in range(40):
            peer.writer.write(PIECE)
        await peer.writer.drain()
        await peer.head()
        assert await peer.reader.readexactly(2) == b"no"


async def test_an_answer_in_pieces_has_its_length_or_is_chunked(served: Served) -> None:
    headers: list[tuple[bytes, bytes]] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b""
        yield b"defg"

    peer = await served.answer_with(lambda _request: WireResponse(pieces=pieces(), headers=headers))
    peer.begin(0)
    assert await peer.head() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert await peer.reader.readuntil(b"0\r\n\r\n") == b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    headers.append((b"Content-Length", b"7"))
    peer.begin(0)
    assert await peer.head() == b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
    assert await peer.reader.readexactly(7) == b"abcdefg"


async def test_an_answer_waits_for_whoever_reads_it_and_is_closed_when_he_leaves(served: Served) -> None:
    given = 0
    closed = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal given
        try:
            while True:
                given += 1
                yield PIECE
        finally:
            closed.set()

    peer = await served.answer_with(lambda _request: WireResponse(pieces=pieces()))
    peer.begin(0)
    await peer.head()
    await turns(500)
    assert given < 100
    peer.writer.transport.abort()
    await asyncio.wait_for(closed.wait(), 2)


async def test_an_answer_that_fails_midway_drops_the_connection(served: Served) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        raise OSError("gone")

    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
    peer = await served.answer_with(lambda _request: WireResponse(pieces=pieces()))
    peer.begin(0)
    await peer.head()
    assert await peer.reader.read() in {b"", b"3\r\nabc\r\n"}
    assert [str(error) for error in reported] == ["gone"]


async def turns(number: int) -> None:
    """Let the loop turn, which would be enough for all to be sent if nobody waited for anybody."""
    for _ in range(number):
        await asyncio.sleep(0)
