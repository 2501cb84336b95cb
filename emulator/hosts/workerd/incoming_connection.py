"""A connection from workerd to the emulator: receives requests, one at a time, with their bodies in memory or as they
come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Self, cast

import httptools

Headers = list[tuple[bytes, bytes]]
"""The names and values of headers, unchanged."""

MAX_WAITING_BYTES: Final = 256 * 1024
"""How much of a streamed body may wait to be read before no more is received."""

BACKLOG: Final = 4096
"""How many connections may wait to be accepted while the session is busy: a worker that asks for more at once fails."""


class BodyStream:
    """A body as it comes, to be iterated once. Raises ConnectionError if the rest of it will not come."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._ended = False
        self._broken = False
        self._unwanted = False
        self._paused = False

    def feed(self, piece: bytes) -> None:
        """The next piece has come."""
        if self._unwanted:
            return
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > MAX_WAITING_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def end(self, *, broken: bool = False) -> None:
        """Nothing more comes."""
        self._ended = True
        self._broken = broken
        self._wake()

    def discard(self) -> None:
        """Nobody reads the rest, which is still received, so that the next request can be."""
        self._unwanted = True
        self._pieces.clear()
        self._waiting_bytes = 0
        self._resume()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._broken:
                raise ConnectionError("the body broke off: the connection was lost")
            if self._ended or self._unwanted:
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        piece = self._pieces.popleft()
        self._waiting_bytes -= len(piece)
        if self._waiting_bytes <= MAX_WAITING_BYTES // 2:
            self._resume()
        return piece

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


Requested = Callable[["IncomingConnection", str, Headers, "bytes | BodyStream"], None]


class IncomingConnection(asyncio.Protocol):
    """Calls `requested` with itself, the URL, the headers and the body of every request; the answer is written to
    `transport`. The body is a stream if `takes_stream` says so of the headers. `connections` contains the open ones.
    The methods without a docstring are called by asyncio and httptools."""

    transport: asyncio.Transport

    def __init__(
        self,
        requested: Requested,
        connections: set[IncomingConnection],
        takes_stream: Callable[[Headers], bool] | None = None,
    ) -> None:
        self._requested = requested
        self._connections = connections
        self._takes_stream = takes_stream
        self.parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._stream: BodyStream | None = None
        self._blocked: asyncio.Future[None] | None = None
        self.on_lost: Callable[[], object] | None = None
        """Called if the connection is lost, by whoever is sending an answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._stream is not None:
            self._stream.end(broken=True)
        if self.on_lost is not None:
            self.on_lost()

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()

    def pause_writing(self) -> None:
        self._blocked = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._blocked is not None:
            self._blocked.set_result(None)
            self._blocked = None

    async def drain(self) -> None:
        """Wait until what was written is on its way."""
        if self._blocked is not None:
            await asyncio.shield(self._blocked)

    def close(self) -> None:
        """Drop the connection."""
        self.transport.abort()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._takes_stream is not None and self._takes_stream(self._headers):
            self._stream = BodyStream(self.transport)
            self._request(self._stream)

    def on_body(self, body: bytes) -> None:
        if self._stream is None:
            self._body.append(body)
        else:
            self._stream.feed(body)

    def on_message_complete(self) -> None:
        if self._stream is not None:
            self._stream.end()
            self._stream = None
            return
        body, self._body = self._body, []
        self._request(body[0] if len(body) == 1 else b"".join(body))

    def _request(self, body: bytes | BodyStream) -> None:
        url, self._url = self._url, b""
        headers, self._headers = self._headers, []
        self._requested(self, url.decode("latin-1"), headers, body)
