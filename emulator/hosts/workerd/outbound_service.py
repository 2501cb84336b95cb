"""Answers the `fetch()` of a JavaScript worker instead of the network, as tests need it.

workerd sends each request, with its whole URL, to a Unix socket. The function that carries out the `fetch()` of Python
workers answers it. Bodies are kept in memory.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from emulator.hosts.outbound import Outbound
from emulator.hosts.workerd.incoming_connection import BACKLOG, BodyStream, Headers, IncomingConnection
from emulator_runtime.hosting import Request

_BETWEEN_HOPS: Final = frozenset({b"connection", b"content-length", b"host", b"transfer-encoding"})


class OutboundService:
    """Answers requests with `outbound`. If that raises, the `fetch()` fails as if the connection was lost."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._connections: set[IncomingConnection] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, path: Path) -> None:
        """Listen on the Unix socket `path`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(
            lambda: IncomingConnection(self._requested, self._connections), str(path), backlog=BACKLOG
        )

    def close(self) -> None:
        """Stop listening, and close all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._answering:
            task.cancel()
        for connection in list(self._connections):
            connection.close()

    def _requested(self, connection: IncomingConnection, url: str, headers: Headers, body: bytes | BodyStream) -> None:
        method = connection.parser.get_method().decode("latin-1")
        kept = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in headers
            if name.lower() not in _BETWEEN_HOPS
        ]
        request = Request(url, method=method, headers=kept, body=body or None)
        task = asyncio.ensure_future(self._answer(connection, request))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, connection: IncomingConnection, request: Request) -> None:
        try:
            response = await self._outbound(request)
            body = b"" if request.method == "HEAD" else await response.bytes()
        except Exception:  # whoever made `outbound` has told of it
            connection.close()
            return
        lines = [f"HTTP/1.1 {response.status} {response.status_text}"]
        lines += [
            f"{name}: {value}"
            for name, value in response.headers.items()
            if name.lower().encode("latin-1") not in _BETWEEN_HOPS
        ]
        if response.status not in {204, 304}:
            lines.append(f"content-length: {len(body)}")
        connection.transport.write("\r\n".join((*lines, "", "")).encode("latin-1") + body)
