"""Lets a connection that asks for a WebSocket through to the process that runs the worker: bytes in, bytes out.

The worker decides: it answers with a WebSocket, or as to any request. Nobody here reads what goes back and forth after
that.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Final, cast

from uvicorn.protocols.utils import is_ssl

from emulator.server.app import App
from emulator.server.asgi import Scope
from emulator.server.gateway import Gateway
from emulator_runtime.hosting import request_from_scope

_UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class WebSocketTunnel(asyncio.Protocol):
    """The client's side. uvicorn makes one when a request asks for a WebSocket, and hands it the head of that."""

    def __init__(self, config: Any, server_state: Any, app_state: Any = None) -> None:  # noqa: ARG002 - uvicorn's
        self._app: App = config.app
        self._connections: set[Any] = server_state.connections
        self._client: asyncio.Transport | None = None
        self._worker: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._connections.discard(self)
        if self._worker is not None:
            self._worker.close()
        elif self._connecting is not None:
            self._connecting.cancel()

    def data_received(self, data: bytes) -> None:
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect(data))
        elif self._worker is None:
            self._early += data
        else:
            self._worker.write(data)

    def pause_writing(self) -> None:
        if self._worker is not None:
            self._worker.pause_reading()

    def resume_writing(self) -> None:
        if self._worker is not None:
            self._worker.resume_reading()

    def shutdown(self) -> None:
        """End it: the server stops."""
        if self._client is not None:
            self._client.close()

    async def _connect(self, head: bytes) -> None:
        assert self._client is not None
        started = perf_counter()
        scope = _scope(head, "https" if is_ssl(self._client) else "http")
        gateway = self._app.gateway(scope)
        seen: Scope = scope
        if gateway.host.config.origin:
            from emulator.server.origin import seen_at

            seen = seen_at(gateway.host.config.origin, scope)
        request = request_from_scope(seen, _nothing)
        tunnel = gateway.host.tunnel(request)
        if tunnel is None:
            self._client.write(_UNAVAILABLE)
            self._client.close()
            return
        side = _WorkerSide(self._client, gateway, scope, started)
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: side, str(tunnel.path))
        except OSError:
            side.connection_lost(None)
            return
        self._worker = side.transport
        self._worker.write(tunnel.head + self._early)


class _WorkerSide(asyncio.Protocol):
    """The side of the process that runs the worker."""

    transport: asyncio.Transport

    def __init__(self, client: asyncio.Transport, gateway: Gateway, scope: dict[str, Any], started: float) -> None:
        self._client = client
        self._gateway = gateway
        self._scope = scope
        self._started = started
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._status:
            status = data[9:12]
            self._status = int(status) if status.isdigit() else 502
        self._client.write(data)

    def pause_writing(self) -> None:
        self._client.pause_reading()

    def resume_writing(self) -> None:
        self._client.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        self._client.close()
        self._gateway.report(self._scope, self._status or 502, perf_counter() - self._started)


def _scope(head: bytes, scheme: str) -> dict[str, Any]:
    """The ASGI scope of a request, from its head as uvicorn has put it together again."""
    first, *lines = head.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
    _, target, _ = first.split(b" ", 2)
    path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "method": "GET",
        "scheme": scheme,
        "http_version": "1.1",
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "headers": [(name, value) for name, _, value in (line.partition(b": ") for line in lines)],
    }


async def _nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}
