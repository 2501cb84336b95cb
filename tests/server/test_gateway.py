"""The gateway: what a client gets for each way in which a worker answers, or fails to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from emulator.base.bus import Bus
from emulator.base.failure import Failure
from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded
from emulator.server.events import RequestFinished
from emulator.server.gateway import CLIENT_CLOSED_REQUEST, AnswerBrokenError, Gateway
from emulator_runtime.hosting import Request, Response

Fetch = Callable[[Request], Awaitable[Response]]
FAILURE = Failure("ValueError", "no", (), "Traceback (most recent call last):\nValueError: no")


class Exchange:
    """One request to a worker whose `fetch` handler is given, and what was sent and published for it."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        accept: str = "*/*",
        method: str = "GET",
        client: str = "127.0.0.1",
        raise_errors: bool = False,
        origin: str = "",
    ) -> None:
        bus = Bus()
        self.finished: list[RequestFinished] = []
        bus.subscribe(RequestFinished, self.finished.append)
        self.sent: list[dict[str, Any]] = []
        self.leaving = asyncio.Event()
        self.has_body = asyncio.Event()
        host = SimpleNamespace(
            config=SimpleNamespace(name="shop", origin=origin), invoke=lambda _entry, trigger: fetch(trigger.request)
        )
        self.gateway = Gateway(cast("Any", host), bus, raise_errors=raise_errors, timer=lambda: 0.0)
        headers = [(b"host", b"localhost"), (b"accept", accept.encode())]
        self.scope = {"type": "http", "method": method, "path": "/a", "query_string": b"", "headers": headers}
        self.scope["client"] = (client, 50_000)
        self._has_sent_body = False

    async def run(self) -> None:
        await self.gateway(self.scope, self._receive, cast("Any", self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self._has_sent_body:
            self._has_sent_body = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.leaving.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if message.get("body"):
            self.has_body.set()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def content_type(self) -> bytes:
        return cast("bytes", dict(self.sent[0]["headers"])[b"content-type"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


def raising(error: Exception, cause: Exception | None = None) -> Fetch:
    async def fetch(_request: Request) -> Response:
        raise error from cause

    return fetch


async def test_an_answer_is_sent_and_reported_with_its_query() -> None:
    async def fetch(request: Request) -> Response:
        return Response(request.url, status=201)

    exchange = Exchange(fetch)
    exchange.scope["query_string"] = b"b=%20c"
    await exchange.run()
    assert (exchange.status, exchange.body) == (201, b"http://localhost/a?b=%20c")
    assert exchange.finished == [RequestFinished("shop", "GET", "/a?b=%20c", 201, 0.0)]


async def test_the_answer_to_a_head_request_has_no_body() -> None:
    async def fetch(_request: Request) -> Response:
        return Response("hello")

    exchange = Exchange(fetch, method="HEAD")
    await exchange.run()
    assert (exchange.status, exchange.body) == (200, b"")
    assert dict(exchange.sent[0]["headers"])[b"content-length"] == b"5"


async def test_a_worker_without_a_fetch_handler_says_so() -> None:
    exchange = Exchange(raising(HandlerMissing("worker shop has no fetch handler, it has queue")))
    await exchange.run()
    assert (exchange.status, exchange.body) == (500, b"worker shop has no fetch handler, it has queue\n")


@pytest.mark.parametrize(
    ("error", "heading"),
    [
        (NotLoaded(FAILURE), b"The worker's code failed to load"),
        (HandlerError(FAILURE), b"The worker raised an exception"),
    ],
)
async def test_a_failure_is_text_for_programs_and_a_page_for_browsers(error: Exception, heading: bytes) -> None:
    exchange = Exchange(raising(error))
    await exchange.run()
    assert (exchange.status, exchange.body) == (500, heading + b"\n\n" + FAILURE.text.encode() + b"\n")
    page = Exchange(raising(error), accept="text/html,*/*;q=0.8")
    await page.run()
    assert (page.status, page.content_type) == (500, b"text/html;charset=UTF-8")
    assert b"ValueError" in page.body


async def test_another_machine_gets_the_error_without_code() -> None:
    exchange = Exchange(raising(HandlerError(FAILURE)), accept="text/html", client="192.0.2.7")
    await exchange.run()
    assert (exchange.status, exchange.body) == (500, b"The worker raised an exception\n\nValueError: no\n")


async def test_a_test_gets_the_exception_of_its_worker() -> None:
    cause = ValueError("no")
    exchange = Exchange(raising(HandlerError(FAILURE), cause), raise_errors=True)
    with pytest.raises(ValueError, match="no") as caught:
        await exchange.run()
    assert caught.value is cause
    assert exchange.sent == []


async def test_an_answer_that_breaks_off_is_reported_and_breaks_the_connection() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        raise ZeroDivisionError

    async def fetch(_request: Request) -> Response:
        return Response(chunks())

    exchange = Exchange(fetch)
    with pytest.raises(AnswerBrokenError):
        await exchange.run()
    assert exchange.body == b"first"
    assert [event.status for event in exchange.finished] == [200]


async def test_a_client_that_leaves_a_stream_ends_it_with_status_499() -> None:
    ended = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def fetch(_request: Request) -> Response:
        return Response(chunks())

    exchange = Exchange(fetch)
    running = asyncio.ensure_future(exchange.run())
    await exchange.has_body.wait()
    exchange.leaving.set()
    await running
    await asyncio.wait_for(ended.wait(), 10)
    assert [event.status for event in exchange.finished] == [CLIENT_CLOSED_REQUEST]
