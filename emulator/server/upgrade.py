"""Makes a WebSocket of a connection whose request a worker has answered with one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from websockets.utils import accept_key

from emulator.wire.websocket import Frames
from emulator_runtime.hosting import Closing, Lost, find_header

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    from emulator.server.asgi import ASGIApp, Receive, Scope, Send
    from emulator_runtime.hosting import End, Item, RawHeaders

_OWN_HEADERS: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"keep-alive",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers of an answer that say what this server itself says."""


def make_upgradable(protocol: HttpToolsProtocol) -> None:
    """Let the application of a connection, which asks for a WebSocket, answer with one: it sends a message of the type
    `emulator.websocket`, with `headers` and the `end` of a pipe, and goes on when that is closed."""
    scope = cast("dict[str, Any]", protocol.scope)
    scope["extensions"] = {"emulator.websocket": {}}
    if not isinstance(protocol.app, _Upgradable):
        protocol.app = _Upgradable(protocol)


class _Upgradable:
    def __init__(self, protocol: HttpToolsProtocol) -> None:
        self._protocol = protocol
        self._app = cast("ASGIApp", protocol.app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_or_upgrade(message: Any) -> None:
            if message["type"] == "emulator.websocket":
                await self._upgrade(scope, message["headers"], message["end"])
            else:
                await send(message)

        await self._app(scope, receive, send_or_upgrade)

    async def _upgrade(self, scope: Scope, headers: RawHeaders, end: End) -> None:
        protocol = self._protocol
        transport = protocol.transport
        if transport.is_closing():
            end.send(Lost())
            return
        connection = _Connection(end, transport, protocol.connections)
        protocol.connections.discard(protocol)
        protocol.flow.resume_reading()
        transport.set_protocol(connection)
        transport.write(_head(scope, headers))
        end.receive(connection.say)
        try:
            await connection.closed
        finally:
            protocol.cycle.disconnected = True  # for uvicorn the exchange is over


class _Connection(asyncio.Protocol):
    """A connection that has become a WebSocket, and the end that a worker's messages come out of."""

    def __init__(self, end: End, transport: asyncio.Transport, connections: set[Any]) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._end = end
        self._transport = transport
        self._frames = Frames(client=False)
        self._connections = connections
        connections.add(self)

    def say(self, item: Item) -> None:
        """Tell the client."""
        data = self._frames.write(item)
        if data and not self._transport.is_closing():
            self._transport.write(data)
        if isinstance(item, Lost):
            self._transport.close()
        else:
            self._close_if_over()

    def data_received(self, data: bytes) -> None:
        self._frames.receive(data, self._transport.write, self._end)
        self._close_if_over()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        self._connections.discard(self)
        if not (self._frames.closed_in and self._frames.closed_out):
            self._end.send(Lost())
        if not self.closed.done():
            self.closed.set_result(None)

    def shutdown(self) -> None:
        """End it: the server stops."""
        self.say(Closing(1001, ""))
        self._transport.close()

    def _close_if_over(self) -> None:
        if self._frames.closed_in and self._frames.closed_out:
            self._transport.close()


def _head(scope: Scope, headers: RawHeaders) -> bytes:
    key = (find_header(scope["headers"], b"sec-websocket-key") or b"").decode("latin-1")
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"connection: Upgrade",
        b"upgrade: websocket",
        b"sec-websocket-accept: " + accept_key(key).encode(),
        *(name + b": " + value for name, value in headers if name not in _OWN_HEADERS),
    ]
    return b"\r\n".join((*lines, b"", b""))
