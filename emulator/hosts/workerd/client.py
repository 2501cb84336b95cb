"""Sends HTTP requests to workerd, over kept-alive connections on a Unix socket.

Every request to a JavaScript worker runs through this module, so it does little more than necessary: it writes the head
of a request as it was received, and passes on an answer that arrives in one piece in one piece.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final, cast

import httptools

from emulator.base.words import reason
from emulator_runtime.hosting import RawHeaders, as_bytes, close_source

IDLE_SECONDS: Final = 4.0
"""How long an idle connection is kept, which is less than the five seconds after which workerd closes it."""

FRESH_SECONDS: Final = 0.05
"""How long, in real time, a connection may have been idle if it is used for a request that must not run twice. workerd
closes a connection after five seconds, and all of them at once if a handler has blocked it for that long."""

_REPEATABLE: Final = (b"GET ", b"HEAD ", b"OPTIONS ")
"""The beginnings of the heads of requests that may be sent again if it is not known whether workerd has read them."""

_BUFFERED_BYTES: Final = 262_144
_MOST_IDLE: Final = 256
_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

_REPLACED: Final = _HOP_BY_HOP | {b"accept-encoding"}
"""Headers of a request that the worker does not get as the client sent them."""


class ConnectionLostError(Exception):
    """The connection to workerd ended before the end of the answer."""


class UploadBrokenError(Exception):
    """The body of a request broke off before its end, because its sender has gone away."""


class WorkerdAnswer:
    """The head of an answer, and its body: bytes if it is complete, else a stream."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: RawHeaders, body: bytes | AnswerStream) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    async def read(self) -> bytes:
        """The whole body. Raises ConnectionLostError if the connection is lost."""
        if isinstance(self.body, bytes):
            return self.body
        return b"".join([chunk async for chunk in self.body])

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces. Raises ConnectionLostError if the connection is lost."""
        if isinstance(self.body, bytes):
            yield self.body
        else:
            async for chunk in self.body:
                yield chunk


class AnswerStream:
    """The rest of an answer's body. Closing it early closes the connection, which tells workerd that the client has
    gone away."""

    __slots__ = ("__weakref__", "_buffered", "_chunks", "_connection", "_lost", "_on_end", "_waiting")

    def __init__(self, connection: _Connection, chunks: list[bytes]) -> None:
        self._on_end: Callable[[bool], None] | None = None
        self._connection: _Connection | None = connection
        self._chunks = deque(chunks)
        self._buffered = sum(map(len, chunks))
        self._lost = False
        self._waiting: asyncio.Future[None] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._lost:
                raise ConnectionLostError("the answer broke off: workerd closed the connection")
            if self._connection is None:
                raise StopAsyncIteration
            self._waiting = self._connection.loop.create_future()
            await self._waiting
        chunk = self._chunks.popleft()
        self._buffered -= len(chunk)
        if self._connection is not None and self._buffered < _BUFFERED_BYTES // 2:
            self._connection.resume_reading()
        return chunk

    async def aclose(self) -> None:
        self._abandon()

    def __del__(self) -> None:
        self._abandon()

    def when_ended(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` when the answer has ended, or now if it has, with whether it broke off."""
        if self._connection is None:
            callback(self._lost)
        else:
            self._on_end = callback

    def add(self, chunk: bytes) -> bool:
        """Add a part of the body. Returns whether the sender should pause."""
        self._chunks.append(chunk)
        self._buffered += len(chunk)
        self._wake()
        return self._buffered > _BUFFERED_BYTES

    def end(self, *, lost: bool, wanted: bool = True) -> None:
        """End the body, because it is complete, the connection was lost, or it is not needed."""
        self._connection = None
        self._lost = lost
        self._wake()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(lost and wanted)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _abandon(self) -> None:
        connection = self._connection
        if connection is not None:
            self.end(lost=True, wanted=False)
            connection.abandon()


class WorkerdClient:
    """Sends requests to the Unix socket at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed = False
        self._idle: list[_Connection] = []
        self._sweeping: asyncio.TimerHandle | None = None

    async def send(self, head: bytes, body: bytes = b"", *, is_head: bool = False) -> WorkerdAnswer:
        """Send a request whose `head` ends with the empty line, and return the answer when its head has arrived.

        workerd may close an idle connection just when it is used again; it is then unknown whether workerd has read the
        request. A GET, HEAD or OPTIONS request is sent again. Any other request could run twice, so it only uses a
        connection that was in use a moment ago, and is sent again only if no part of it was written.

        Cancelling this closes the connection. Raises ConnectionLostError if there is no answer.
        """
        data = head + body if body else head
        is_repeatable = head.startswith(_REPEATABLE)
        while True:
            connection = self._take_idle() if is_repeatable else self._take_fresh()
            reused = connection is not None
            if connection is None:
                connection = await self._connect()
            try:
                return await connection.exchange(data, is_head)
            except ConnectionLostError:
                if not reused or connection.has_read or self.closed:
                    raise
                if not is_repeatable and connection.has_written:
                    raise

    async def send_stream(
        self, head: bytes, source: AsyncIterator[bytes], *, chunked: bool, is_head: bool = False
    ) -> WorkerdAnswer:
        """Like `send`, with a body that is streamed. Raises UploadBrokenError when that breaks off."""
        connection = await self._connect()
        uploading = asyncio.ensure_future(connection.upload(head, source, chunked=chunked))
        connection.uploading = uploading
        try:
            return await connection.exchange(b"", is_head)
        except BaseException as error:
            uploading.cancel()
            if isinstance(error, ConnectionLostError) and connection.broken_by is not None:
                raise UploadBrokenError from connection.broken_by
            raise

    def close(self) -> None:
        """Close the idle connections, and the others after their answers."""
        self.closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def put_back(self, connection: _Connection) -> None:
        """Keep a connection whose answer is complete."""
        if self.closed or len(self._idle) >= _MOST_IDLE:
            connection.close()
            return
        loop = connection.loop
        connection.idle_since = loop.time()
        connection.used_at = monotonic()  # in tests, the loop's time stands still
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = loop.call_later(IDLE_SECONDS, self._sweep, loop)

    def forget(self, connection: _Connection) -> None:
        """Forget a connection that was lost."""
        with suppress(ValueError):
            self._idle.remove(connection)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close connections that have been idle for too long. The connection used last is used first, so the oldest are
        in front."""
        self._sweeping = None
        oldest = loop.time() - IDLE_SECONDS
        kept = [connection for connection in self._idle if connection.idle_since > oldest]
        for connection in self._idle:
            if connection.idle_since <= oldest:
                connection.close()
        self._idle = kept
        if kept:
            self._sweeping = loop.call_at(kept[0].idle_since + IDLE_SECONDS, self._sweep, loop)

    def _take_idle(self) -> _Connection | None:
        return self._idle.pop() if self._idle else None

    def _take_fresh(self) -> _Connection | None:
        """The connection that was used last, unless that was too long ago."""
        if not self._idle:
            return None
        return self._idle.pop() if monotonic() - self._idle[-1].used_at < FRESH_SECONDS else None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_unix_connection(lambda: _Connection(self, loop), str(self.path))
        except OSError as error:
            raise ConnectionLostError(f"workerd cannot be reached: {reason(error)}") from None
        return connection


class _Connection(asyncio.Protocol):
    """One connection, with one exchange at a time. The methods without a docstring are called by asyncio and
    httptools."""

    def __init__(self, client: WorkerdClient, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.idle_since = self.used_at = 0.0
        self.has_read = False
        self.has_written = False
        self.uploading: asyncio.Future[None] | None = None
        self.broken_by: Exception | None = None
        """What the source of the body raised."""
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answered: asyncio.Future[WorkerdAnswer] | None = None
        self._stream: AnswerStream | None = None
        self._headers: RawHeaders = []
        self._chunks: list[bytes] = []
        self._is_head = False
        self._has_head = False
        self._complete = False
        self._reusable = False
        self._lost = False
        self._paused = False

    async def exchange(self, data: bytes, is_head: bool) -> WorkerdAnswer:
        """Send a request and return its answer. Cancelling this closes the connection. Without `data`, the request is
        sent by `upload`."""
        assert self._transport is not None
        self.has_read = self.has_written = False
        if self._lost or self._transport.is_closing():
            raise ConnectionLostError("workerd closed the connection")
        answered: asyncio.Future[WorkerdAnswer] = self.loop.create_future()
        self._answered = answered
        self._is_head = is_head
        self._has_head = self._complete = self._reusable = False
        self.has_written = True
        if data:
            self._transport.write(data)
        try:
            return await answered
        except asyncio.CancelledError:
            if answered.cancelled():
                self.abandon()
            raise

    async def upload(self, head: bytes, source: AsyncIterator[bytes], *, chunked: bool) -> None:
        """Send a request with a body that is streamed. An exception in its source closes the connection.

        It is written past the transport, which would drop an answer that has come when it can write no more: workerd
        answers and closes the connection when a worker does not read the body.
        """
        assert self._transport is not None
        send, writing = self.loop.sock_sendall, _second_socket(self._transport)
        try:
            with suppress(OSError):
                await send(writing, head)
                while (piece := await self._next_piece(source)) is not None:
                    await send(writing, b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                if chunked and self.broken_by is None:
                    await send(writing, b"0\r\n\r\n")
        finally:
            writing.close()
            await close_source(source)

    async def _next_piece(self, source: AsyncIterator[bytes]) -> bytes | None:
        """More of a body; None at its end, or when it has broken off, in which case the exchange is over."""
        try:
            async for chunk in source:
                if chunk:
                    return as_bytes(chunk)
        except Exception as error:
            self.broken_by = error
            self.abandon()
        return None

    def abandon(self) -> None:
        """End an exchange whose answer is not needed any more."""
        if not self._complete and self._transport is not None:
            self._stream = None
            self._transport.abort()

    def close(self) -> None:
        """Close the connection, which is idle."""
        if self._transport is not None:
            self._transport.close()

    def resume_reading(self) -> None:
        """Continue reading the answer."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.has_read = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            assert self._transport is not None
            self._transport.abort()
            return
        if self._has_head:
            self._progress()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._lost = True
        self._client.forget(self)
        if self.uploading is not None:
            self.uploading.cancel()
        answered = self._answered
        if answered is not None and not answered.done():
            answered.set_exception(ConnectionLostError("workerd closed the connection before it had answered"))
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.end(lost=not self._complete)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name not in _HOP_BY_HOP:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self._headers = []
            return
        self._has_head = True
        if self._is_head:  # the parser does not know, and waits for a body
            self._complete = True

    def on_body(self, body: bytes) -> None:
        stream = self._stream
        if stream is None:
            self._chunks.append(body)
        elif stream.add(body) and not self._paused:
            assert self._transport is not None
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._has_head:
            self._complete = True
            self._reusable = self._parser.should_keep_alive() and not self._is_head

    def _progress(self) -> None:
        """Pass on the data that has arrived."""
        answered, self._answered = self._answered, None
        if answered is not None and not answered.done():
            headers, self._headers = self._headers, []
            chunks, self._chunks = self._chunks, []
            body: bytes | AnswerStream
            if self._complete:
                body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            else:
                body = self._stream = AnswerStream(self, chunks)
            answered.set_result(WorkerdAnswer(self._parser.get_status_code(), headers, body))
        if self._complete:
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.end(lost=False)
            self._exchange_ended()

    def _exchange_ended(self) -> None:
        uploading, self.uploading = self.uploading, None
        is_uploading = uploading is not None and not uploading.done()
        if uploading is not None and is_uploading:
            uploading.cancel()
        if self._reusable and not is_uploading and not self._lost:
            self.resume_reading()  # its last byte may have been one too many
            self._client.put_back(self)
        else:
            self.close()


def _second_socket(transport: asyncio.Transport) -> socket.socket:
    """Another way to the connection of a transport, which does not know of it."""
    second = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    second.setblocking(False)
    return second


def request_head(method: str, url: str, headers: RawHeaders, *extra: tuple[bytes, bytes]) -> bytes:
    """The head of a request with a URL in its first line and `extra` headers, without those about the connection that
    it arrived on, and without `accept-encoding`."""
    parts = [f"{method} {url} HTTP/1.1\r\n".encode("latin-1", "replace")]
    parts += [b"%b: %b\r\n" % header for header in headers if header[0] not in _REPLACED]
    parts += [b"%b: %b\r\n" % header for header in extra]
    parts.append(b"\r\n")
    return b"".join(parts)
