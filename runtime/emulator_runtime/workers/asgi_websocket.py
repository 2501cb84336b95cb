"""Runs an ASGI application on a WebSocket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from emulator_runtime.invocation import require_current
from emulator_runtime.js.event_target import CloseEvent, MessageEvent
from emulator_runtime.js.web_socket import WebSocket, WebSocketPair
from emulator_runtime.pyodide.ffi import JsException, to_js
from emulator_runtime.workers.response import JsResponse

_logger = logging.getLogger("asgi")


def answer_websocket(app: Callable[..., Awaitable[None]], scope: Any) -> JsResponse:
    """The answer to a request with this ASGI scope. The application runs under `waitUntil`."""
    client, server = WebSocketPair.new()
    server.accept()
    server.binaryType = "arraybuffer"
    exchange = _Exchange(server)
    scope.pop("state", None)  # which is the lifespan's
    running = asyncio.ensure_future(app(scope, exchange.receive, exchange.send))
    running.add_done_callback(exchange.ended)
    require_current("asgi.websocket()").context.waitUntil(running)
    return JsResponse.new(None, status=101, webSocket=client)


class _Exchange:
    """A WebSocket as ASGI's `receive` and `send`."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._messages.put_nowait({"type": "websocket.connect"})
        self._has_closed = False
        socket.addEventListener("message", self._hear)
        socket.addEventListener("close", self._hear_close)
        socket.addEventListener("error", self._hear_error)

    async def receive(self) -> dict[str, Any]:
        return await self._messages.get()

    async def send(self, message: Any) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            data, text = message.get("bytes"), message.get("text")
            if data is not None:
                self._socket.send(to_js(bytes(data)))
            if text is not None:
                self._socket.send(text)
        elif kind == "websocket.close":
            self._has_closed = True
            self._socket.close(message.get("code", 1000), message.get("reason") or "")
        elif kind != "websocket.accept":
            _logger.warning("The application sent %s, which is not supported", kind)

    def ended(self, running: asyncio.Future[None]) -> None:
        """The application has ended."""
        if not self._has_closed:
            failed = not running.cancelled() and running.exception() is not None
            try:
                self._socket.close(1011 if failed else 1000, "")
            except JsException:
                _logger.debug("The WebSocket was closed already", exc_info=True)

    def _hear(self, event: MessageEvent) -> None:
        data = event.data
        content = {"text": data} if isinstance(data, str) else {"bytes": data.to_bytes()}
        self._messages.put_nowait({"type": "websocket.receive", **content})

    def _hear_close(self, event: CloseEvent) -> None:
        self._messages.put_nowait({"type": "websocket.disconnect", "code": event.code, "reason": event.reason})

    def _hear_error(self, _event: object) -> None:
        self._messages.put_nowait({"type": "websocket.disconnect", "code": 1006, "reason": ""})
