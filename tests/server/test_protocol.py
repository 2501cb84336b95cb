"""The short way of an answer that is complete, and connections that are idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from emulator.server.asgi import ANSWER
from emulator.server.protocol import SMALL_BYTES, HttpProtocol
from emulator_runtime.hosting import Response
from emulator_runtime.http import send_response
from tests.server.connection import served


class Answering:
    """An application that answers by itself, with what `make` returns, and notes whether it took the short way."""

    def __init__(self, make: Callable[[], Response]) -> None:
        self._make = make
        self.was_short: list[bool] = []
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_answer.set()
        self.protocol: HttpProtocol

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.protocol = send.__self__._protocol
        self.asked.set()
        await self.may_answer.wait()

        def answer(*whole: Any) -> bool:
            self.was_short.append(scope[ANSWER](*whole))
            return self.was_short[-1]

        await send_response(self._make(), send, head=scope["method"] == "HEAD", answer=answer)


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("size", [0, 5, SMALL_BYTES, 10 * SMALL_BYTES])
async def test_a_complete_answer_is_sent_at_once_with_its_headers(size: int) -> None:
    app = Answering(lambda: Response("x" * size, headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")]))
    async with served(app) as (reader, writer):
        writer.write(GET + GET)
        for _ in range(2):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert head.count(b"set-cookie: ") == 2
            assert b"content-length: %d\r\n" % size in head
            assert await asyncio.wait_for(reader.readexactly(size), 10) == b"x" * size
    assert app.was_short == [True, True]


@pytest.mark.parametrize(
    ("request_text", "response"),
    [
        (LAST, lambda: Response("ok")),
        (b"GET / HTTP/1.0\r\n\r\n", lambda: Response("ok")),
        (GET, lambda: Response("ok", headers={"connection": "close"})),
    ],
)
async def test_an_answer_that_ends_the_connection_goes_the_usual_way(
    request_text: bytes, response: Callable[[], Response]
) -> None:
    app = Answering(response)
    async with served(app) as (reader, writer):
        writer.write(request_text)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert b"connection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nok")
    assert app.was_short == [False]


async def test_a_length_that_is_not_true_breaks_the_connection() -> None:
    app = Answering(lambda: Response("too long", headers={"content-length": "3"}))
    async with served(app) as (reader, writer):
        writer.write(GET)
        assert not (await asyncio.wait_for(reader.read(), 10)).endswith(b"too long")
    assert app.was_short == []


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_an_answer_without_a_body_ends(status: int) -> None:
    async with served(Answering(lambda: Response(None, status=status))) as (reader, writer):
        writer.write(GET + LAST)
        answers = await asyncio.wait_for(reader.read(), 10)
        assert answers.count(b"HTTP/1.1 %d " % status) == 2


async def test_the_head_alone_answers_head() -> None:
    async with served(Answering(lambda: Response("four"))) as (reader, writer):
        writer.write(GET.replace(b"GET", b"HEAD") + GET)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert b"content-length: 4\r\n" in head
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 200")


async def test_an_idle_connection_is_closed_and_one_that_is_in_use_is_not() -> None:
    app = Answering(lambda: Response("ok"))
    async with served(app) as (reader, writer):
        app.may_answer.clear()
        writer.write(GET)
        await asyncio.wait_for(app.asked.wait(), 10)
        protocol = app.protocol
        protocol.timeout_keep_alive_handler()
        assert not protocol.transport.is_closing()
        protocol.timeout_keep_alive = 0
        app.may_answer.set()
        assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"ok")


@pytest.mark.parametrize(
    ("messages", "answer"),
    [
        ([], b"HTTP/1.1 500 "),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}], b"HTTP/1.1 200 "),
    ],
)
async def test_an_application_that_does_not_answer_to_the_end_leaves_no_client_waiting(
    messages: list[dict[str, Any]], answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def returns_early(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    async with served(returns_early) as (reader, writer):
        writer.write(GET)
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(answer)
    assert "returned without a complete answer" in caplog.text


async def test_only_short_lines_of_headers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[tuple[bytes, bytes], bytes] = {}
    monkeypatch.setattr("emulator.server.protocol._lines", kept)
    app = Answering(lambda: Response("ok", headers={"x-short": "a", "x-long": "a" * 1000}))
    async with served(app) as (reader, writer):
        writer.write(GET)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert b"x-long: " + b"a" * 1000 in head
    assert app.was_short == [True]
    names = {name for name, _ in kept}
    assert b"x-short" in names
    assert b"x-long" not in names
