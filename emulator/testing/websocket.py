"""WebSockets of a test: the same ASGI application as in `emulator dev`, without a network, in virtual time."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import httpx

from emulator.base.errors import EmulatorError
from emulator.hosts.events import HandlerFailed
from emulator.testing.core import Core, on_thread
from emulator.testing.transport import scope_of
from emulator_runtime.hosting import Closing, End, Item, Lost

if TYPE_CHECKING:
    from types import TracebackType


class WebSocketClosed(Exception):  # noqa: N818 - it states what the worker did
    """The worker has closed the WebSocket with this code and reason; 1006 if the connection broke off."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the WebSocket was closed with the code {code}{f': {reason}' if reason else ''}")
        self.code = code
        self.reason = reason


class WebSocketRefused(Exception):  # noqa: N818 - it states what the worker did
    """The worker has answered with something else than a WebSocket: `response`."""

    def __init__(self, response: httpx.Response) -> None:
        text = f": {response.text}" if response.text else ""
        super().__init__(f"the worker answered with the status {response.status_code}{text}")
        self.response = response


class Conversation:
    """A WebSocket between a test and a worker, whose side in the core's loop runs as the test asks for more."""

    def __init__(self, core: Core, request: httpx.Request) -> None:
        self._core = core
        self._request = request
        self._answered = asyncio.Event()
        self._over = asyncio.Event()
        self._items: asyncio.Queue[Item] = asyncio.Queue()
        self._messages: list[Any] = []
        self._failures: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self._end: End | None = None
        self._closed: WebSocketClosed | None = None
        self._has_closed = False
        self._stop_listening: Callable[[], object] = bool
        self.headers = httpx.Headers()

    @property
    def protocol(self) -> str | None:
        """The protocol that the worker has chosen."""
        protocol: str | None = self.headers.get("sec-websocket-protocol")
        return protocol

    def open(self) -> None:
        """Ask for the WebSocket. Raises WebSocketRefused."""
        __tracebackhide__ = True
        core = self._core
        core.check_open()
        scope = scope_of(self._request)
        scope["extensions"] = {"emulator.websocket": {}}
        host = core.app.gateway(scope).host
        if host.tunnels_websockets:
            raise EmulatorError(
                f"websocket() is for workers in Python: {host.config.name} runs in another process",
                hint="Test it under `emulator dev`, with a client of your own.",
            )
        self._stop_listening = core.bus.subscribe(HandlerFailed, self._failed)
        try:
            core.run(self._begin(scope))
            if self._end is None:
                raise WebSocketRefused(self._response())
        except BaseException:
            self.leave()
            raise

    def send(self, message: str | bytes) -> None:
        """Send a text or a binary message, and let the worker hear it."""
        __tracebackhide__ = True
        self._send(message)

    def receive(self) -> str | bytes:
        """The next message, for which time moves as far as the worker waits. Raises WebSocketClosed."""
        __tracebackhide__ = True
        if self._closed is None:
            item = self._core.run(self._items.get(), stuck=self._nothing_comes)
            if isinstance(item, str | bytes):
                return item
            self._hear_end(item)
        assert self._closed is not None
        raise self._closed.with_traceback(None)

    def close(self, code: int, reason: str) -> None:
        """Close, and let the worker hear it. Does nothing the second time."""
        __tracebackhide__ = True
        if not self._has_closed:
            self._has_closed = True
            self._send(Closing(code, reason))

    def leave(self) -> None:
        """End it, whether the worker has closed or not."""
        __tracebackhide__ = True
        self._stop_listening()
        if self._task is not None and not self._core.closed:
            self._core.run(self._finish(), check=False)

    def _send(self, item: Item) -> None:
        __tracebackhide__ = True
        assert self._end is not None
        if self._closed is not None:
            raise self._closed.with_traceback(None)
        self._core.run(_now(self._end.send, item))

    def _hear_end(self, item: Item) -> None:
        assert self._end is not None
        if isinstance(item, Closing):
            self._closed = WebSocketClosed(item.code, item.reason)
            if not self._has_closed:
                self._has_closed = True
                self._core.run(_now(self._end.send, item))
        else:
            self._closed = WebSocketClosed(1006, "")
            self._has_closed = True

    def _failed(self, event: HandlerFailed) -> None:
        self._failures.append(event.failure.text)

    def _nothing_comes(self) -> EmulatorError:
        text = "the worker sends nothing more: it waits for a message, or for something that can never happen"
        return EmulatorError(text, hint="\n".join(self._failures))

    async def _begin(self, scope: dict[str, Any]) -> None:
        self._task = asyncio.create_task(self._core.app(scope, self._receive, self._respond))
        answered = asyncio.ensure_future(self._answered.wait())
        await asyncio.wait((self._task, answered), return_when=asyncio.FIRST_COMPLETED)
        answered.cancel()
        if self._task.done():
            self._task.result()

    async def _finish(self) -> None:
        if self._end is not None and self._closed is None:
            if not self._has_closed:
                self._end.send(Closing(1000, ""))
            while not self._items.empty():
                self._items.get_nowait()
            self._end.send(Lost())
        self._over.set()
        assert self._task is not None
        with suppress(Exception):  # told when it was answered
            await self._task

    async def _receive(self) -> dict[str, Any]:
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _respond(self, message: Any) -> None:
        if message["type"] != "emulator.websocket":
            self._messages.append(message)
            if not message.get("more_body", message["type"] == "http.response.start"):
                self._answered.set()
            return
        self._end = message["end"]
        self.headers = httpx.Headers(message["headers"])
        self._end.receive(self._items.put_nowait)
        self._answered.set()
        await self._over.wait()

    def _response(self) -> httpx.Response:
        start, *rest = self._messages
        content = b"".join(message.get("body", b"") for message in rest)
        return httpx.Response(start["status"], headers=start["headers"], content=content, request=self._request)


async def _now(function: Any, *arguments: Any) -> None:
    function(*arguments)


def request_for(
    client: httpx.Client | httpx.AsyncClient, url: str, headers: Mapping[str, str] | None, protocols: Sequence[str]
) -> httpx.Request:
    """The request for a WebSocket, with the cookies of `client`. `url` is a path, or absolute with any scheme."""
    scheme, separator, rest = url.partition("://")
    address = f"{'https' if scheme in ('wss', 'https') else 'http'}://{rest}" if separator else url
    request = client.build_request("GET", address, headers=headers)
    request.headers["connection"] = "Upgrade"
    request.headers["upgrade"] = "websocket"
    request.headers["sec-websocket-version"] = "13"
    request.headers["sec-websocket-key"] = base64.b64encode(os.urandom(16)).decode()
    if protocols:
        request.headers["sec-websocket-protocol"] = ", ".join(protocols)
    return request


class ClientWebSocket:
    """A WebSocket of `Emulator.websocket`, open in its `with` block."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def __enter__(self) -> Self:
        __tracebackhide__ = True
        self._conversation.open()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._conversation.leave()

    @property
    def headers(self) -> httpx.Headers:
        """The headers of the worker's answer."""
        return self._conversation.headers

    @property
    def protocol(self) -> str | None:
        """The protocol that the worker has chosen."""
        return self._conversation.protocol

    def send(self, message: str | bytes) -> None:
        """Send a text or a binary message, and let the worker hear it. Raises WebSocketClosed if it has closed."""
        __tracebackhide__ = True
        self._conversation.send(message)

    def receive(self) -> str | bytes:
        """The next message, for which time moves as far as the worker waits. Raises WebSocketClosed if it has closed
        instead, and EmulatorError if nothing can come any more."""
        __tracebackhide__ = True
        return self._conversation.receive()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close from the test's side. Messages that the worker still sends can be received."""
        __tracebackhide__ = True
        self._conversation.close(code, reason)


class AsyncClientWebSocket:
    """A WebSocket of `AsyncEmulator.websocket`, open in its `async with` block."""

    def __init__(self, core: Core, conversation: Conversation) -> None:
        self._core = core
        self._conversation = conversation

    async def __aenter__(self) -> Self:
        __tracebackhide__ = True
        await on_thread(self._core.exclusively, self._conversation.open)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        await on_thread(self._core.exclusively, self._conversation.leave)

    @property
    def headers(self) -> httpx.Headers:
        """The headers of the worker's answer."""
        return self._conversation.headers

    @property
    def protocol(self) -> str | None:
        """The protocol that the worker has chosen."""
        return self._conversation.protocol

    async def send(self, message: str | bytes) -> None:
        """Send a text or a binary message, and let the worker hear it. Raises WebSocketClosed if it has closed."""
        __tracebackhide__ = True
        await on_thread(self._core.exclusively, self._conversation.send, message)

    async def receive(self) -> str | bytes:
        """The next message, for which time moves as far as the worker waits. Raises WebSocketClosed if it has closed
        instead, and EmulatorError if nothing can come any more."""
        __tracebackhide__ = True
        message: str | bytes = await on_thread(self._core.exclusively, self._conversation.receive)
        return message

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close from the test's side. Messages that the worker still sends can be received."""
        __tracebackhide__ = True
        await on_thread(self._core.exclusively, self._conversation.close, code, reason)
