"""`request.js_object.signal`, which tells that the client has gone away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from emulator_runtime.incoming import IncomingRequest
from emulator_runtime.invocation import Invocation, Scope, current
from emulator_runtime.js.abort import AbortSignal, client_gone
from emulator_runtime.pyodide.ffi import JsException
from emulator_runtime.workers import Request
from tests.runtime.asgi_calls import http_scope, incoming


class Client:
    """A client that is there until it leaves."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.request = IncomingRequest(http_scope(), self.receive)

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}


@contextmanager
def invoked(*, has_request_signal: bool = True, warnings: list[str] | None = None) -> Iterator[None]:
    async def outbound(_request: Any) -> Any: ...

    on_warning = (warnings if warnings is not None else []).append
    scope = Scope("app", None, outbound, on_warning, has_request_signal=has_request_signal)
    token = current.set(Invocation(scope, None))
    try:
        yield
    finally:
        current.reset(token)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_signal_is_aborted_when_the_client_goes_away() -> None:
    client = Client()
    heard: list[Any] = []
    with invoked():
        signal = client.request.js_object.signal
    signal.addEventListener("abort", heard.append)
    await turns()
    assert not signal.aborted
    assert heard == []
    client.left.set()
    await turns()
    assert signal.aborted
    assert [(event.type, event.target) for event in heard] == [("abort", signal)]
    assert isinstance(signal.reason, JsException)
    assert (signal.reason.name, signal.reason.message) == ("AbortError", "The client has disconnected")
    with pytest.raises(JsException, match="The client has disconnected"):
        signal.throwIfAborted()


async def test_without_the_compatibility_flag_the_signal_is_never_aborted() -> None:
    client = Client()
    with invoked(has_request_signal=False):
        signal = client.request.js_object.signal
    client.left.set()
    await turns()
    assert not signal.aborted
    assert not client.request.has_signal


async def test_every_view_of_a_request_has_one_signal() -> None:
    client = Client()
    with invoked():
        signal = client.request.js_object.signal
        assert client.request.js_object.signal is signal
        assert client.request.js_object.js_object.signal is signal
        assert client.request.js_object.clone().signal is signal
    client.request.ended(client_has_gone=False)


async def test_the_end_of_an_answer_is_not_taken_for_a_client_that_has_gone() -> None:
    client = Client()
    with invoked():
        signal = client.request.js_object.signal
    await turns()
    client.left.set()  # what a server says of every exchange that is over
    client.request.ended(client_has_gone=False)
    await turns()
    assert not signal.aborted


async def test_a_server_that_knows_that_the_client_has_gone_aborts_the_signal() -> None:
    client = Client()
    with invoked():
        signal = client.request.js_object.signal
    client.request.ended(client_has_gone=True)
    assert signal.aborted
    client.request.ended(client_has_gone=True)


async def test_the_signal_takes_nothing_of_the_body() -> None:
    request = incoming(b"one ", b"two")
    with invoked():
        signal = request.js_object.signal
    await turns()
    assert await request.text() == "one two"
    await turns()
    assert signal.aborted


def test_the_signal_of_a_request_that_a_worker_made_is_never_aborted() -> None:
    assert not Request("https://example.com/").js_object.signal.aborted


async def test_a_listener_that_raises_is_told_of_and_the_others_are_called() -> None:
    errors: list[BaseException] = []
    heard: list[str] = []
    signal = AbortSignal(errors.append)

    def broken(_event: Any) -> None:
        raise ValueError("at once")

    async def broken_later(_event: Any) -> None:
        raise ValueError("later")

    async def listen(_event: Any) -> None:
        heard.append("coroutine")

    signal.addEventListener("abort", broken)
    signal.addEventListener("abort", broken_later)
    signal.addEventListener("abort", listen)
    signal.addEventListener("click", lambda _event: heard.append("click"))
    signal.onabort = lambda _event: heard.append("onabort")
    signal.abort(client_gone())
    signal.abort(client_gone())
    await turns()
    assert heard == ["onabort", "coroutine"]
    assert [str(error) for error in errors] == ["at once", "later"]


def test_a_listener_is_called_once_and_not_after_it_was_removed() -> None:
    heard: list[str] = []
    signal = AbortSignal()

    def listen(_event: Any) -> None:
        heard.append("listened")

    def other(_event: Any) -> None:
        heard.append("other")

    for listener in (listen, listen, other):
        signal.addEventListener("abort", listener)
    signal.removeEventListener("abort", other)
    signal.abort(client_gone())
    assert heard == ["listened"]
