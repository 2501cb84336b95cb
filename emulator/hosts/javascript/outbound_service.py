"""Where the `fetch()` of a JavaScript worker goes when something else than the network is to answer it, as in tests.

workerd sends each request, with its whole URL, to a Unix socket. It is answered by the function that carries out the
`fetch()` of Python workers too. Bodies are held in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, cast

import httptools

from emulator.runtime.workers.request import Request
from emulator.runtime.workers.response import Response

Outbound = Callable[[Request], Awaitable[Response]]

_BETWEEN_HOPS: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})


class OutboundService:
    """Answers what workers fetch, by `outbound`. When that raises, the `fetch()` fails as for a lost connection."""

    def __init__(self, outbound: Outbound) -> None:
        self.outbound = outbound
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, path: Path) -> None:
        """Listen on the Unix socket `path`."""
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Connection(self), str(path))

    def close(self) -> None:
        """Stop listening, and drop what is connected."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.close()


class _Connection(asyncio.Protocol):
    """One connection of workerd's. The methods without a doc string are those of asyncio and httptools."""

    def __init__(self, service: OutboundService) -> None:
        self._service = service
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._answering: asyncio.Task[None] | None = None
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._service.connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._service.connections.discard(self)
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()

    def close(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        headers = [(name, value) for name, value in self._headers if name.lower() not in _BETWEEN_HOPS]
        method = self._parser.get_method().decode("latin-1")
        request = Request(self._url.decode("latin-1"), method=method, headers=headers, body=self._body or None)
        self._url, self._headers, self._body = b"", [], b""
        self._answering = asyncio.ensure_future(self._answer(request))

    async def _answer(self, request: Request) -> None:
        assert self._transport is not None
        try:
            response = await self._service.outbound(request)
            body = b"" if request.method == "HEAD" else await response.bytes()
        except Exception:  # whoever made `outbound` has told of it
            self.close()
            return
        lines = [f"HTTP/1.1 {response.status} {response.status_text}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items() if name.lower() not in _BETWEEN_HOPS]
        if response.status not in {204, 304}:
            lines.append(f"content-length: {len(body)}")
        self._transport.write("\r\n".join((*lines, "", "")).encode("latin-1") + body)
