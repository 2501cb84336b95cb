"""The HTTP server on a real socket: what it refuses before an application sees it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emulator.server.protocol import MAX_HEAD_BYTES
from tests.server.connection import served


class Echo:
    """An application that answers with the length of the body."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        content = b"%d" % len(body)
        headers = [(b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


class SlowEcho(Echo):
    """One that answers when it may, and notes how that went."""

    def __init__(self) -> None:
        super().__init__()
        self.was_asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.was_asked.set()
        await self.may_answer.wait()
        try:
            await super().__call__(scope, receive, send)
        except Exception as error:
            self.sent.set_exception(error)
        else:
            self.sent.set_result(None)


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The status line of the next answer, and its body."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    lines = head.lower().split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
    return head.split(b"\r\n")[0], await asyncio.wait_for(reader.readexactly(length), 10)


def head(size: int) -> bytes:
    """A request head of `size` bytes, in headers of 1,000."""
    begin, end = b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"\r\n"
    lines = []
    left = size - len(begin) - len(end)
    while left:
        length = min(left, 1_000) if not 0 < left - 1_000 < 20 else 980
        lines.append(b"X-H: " + b"x" * (length - 7) + b"\r\n")
        left -= length
    return begin + b"".join(lines) + end


async def test_a_head_within_the_limit_is_served() -> None:
    async with served(Echo()) as (reader, writer):
        for _ in range(3):
            writer.write(head(MAX_HEAD_BYTES))
            assert await answer(reader) == (b"HTTP/1.1 200 OK", b"0")


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES + 1, MAX_HEAD_BYTES + 100, 200_000])
async def test_a_head_over_the_limit_is_refused_before_the_worker_sees_it(size: int) -> None:
    app = Echo()
    async with served(app) as (reader, writer):
        writer.write(head(size))
        status, body = await answer(reader)
        assert status == b"HTTP/1.1 431 Request Header Fields Too Large"
        assert body == b"The head of the request is over the limit of 65,536 bytes.\n"
        assert await reader.read() == b""
    assert app.asked == 0


async def test_a_long_head_is_refused_on_a_connection_that_was_used_before() -> None:
    async with served(Echo()) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody")
        assert await answer(reader) == (b"HTTP/1.1 200 OK", b"4")
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-One: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n")
        status, _ = await answer(reader)
        assert status == b"HTTP/1.1 431 Request Header Fields Too Large"


async def test_an_answer_that_comes_after_the_refusal_of_a_later_request_is_dropped() -> None:
    app = SlowEcho()
    async with served(app) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await app.was_asked.wait()
        writer.write(head(MAX_HEAD_BYTES + 1))
        status, _ = await answer(reader)
        assert status == b"HTTP/1.1 431 Request Header Fields Too Large"
        app.may_answer.set()
        assert await reader.read() == b""
        await app.sent


async def test_many_requests_that_come_at_once_are_served() -> None:
    async with served(Echo()) as (reader, writer):
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        writer.write(request * 4_000)
        for _ in range(4_000):
            assert await answer(reader) == (b"HTTP/1.1 200 OK", b"0")


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1\r\nX-Endless: ", b"GET /"])
async def test_a_head_without_an_end_is_refused_once_it_is_too_long(line: bytes) -> None:
    async with served(Echo()) as (reader, writer):
        writer.write(line)
        for _ in range(20):
            writer.write(b"x" * 32_768)
        status, _ = await answer(reader)
        assert status == b"HTTP/1.1 431 Request Header Fields Too Large"


async def test_a_request_behind_a_large_body_is_served() -> None:
    async with served(Echo()) as (reader, writer):
        post = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
        start = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        writer.write(post + start)
        assert await answer(reader) == (b"HTTP/1.1 200 OK", b"300000")
        writer.write(b"\r\n")
        assert await answer(reader) == (b"HTTP/1.1 200 OK", b"0")
