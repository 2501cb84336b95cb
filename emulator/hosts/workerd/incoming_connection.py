"""A connection from workerd to the emulator: receives requests, one at a time, with their bodies in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

Headers = list[tuple[bytes, bytes]]
"""The names and values of headers, unchanged."""

Requested = Callable[["IncomingConnection", str, Headers, bytes], None]


class IncomingConnection(asyncio.Protocol):
    """Calls `requested` with itself, the URL, the headers and the body of every request; the answer is written to
    `transport`. `connections` contains the open ones. The methods without a docstring are called by asyncio and
    httptools."""

    transport: asyncio.Transport

    def __init__(self, requested: Requested, connections: set[IncomingConnection]) -> None:
        self._requested = requested
        self._connections = connections
        self.parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: Headers = []
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()

    def close(self) -> None:
        """Drop the connection."""
        self.transport.abort()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        url, self._url = self._url, b""
        headers, self._headers = self._headers, []
        body, self._body = self._body, []
        self._requested(self, url.decode("latin-1"), headers, body[0] if len(body) == 1 else b"".join(body))
