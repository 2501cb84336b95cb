"""Streams of bytes: the type of `request.body` and `response.body`, and the pipe that `TransformStream` uses.

A `ReadableStream` wraps an async iterator of bytes and can be consumed once, by one consumer: `async for`, a reader, or
a body method such as `text()`. Nothing is read ahead, so a slow consumer slows its source down.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, Self

from emulator_runtime.buffers import JsBuffer, bytes_of

_LOCKED = "This ReadableStream is currently locked to a reader."


class _FrozenBuffer(JsBuffer, bytes):
    """Bytes with the methods that code for production calls on JavaScript buffers. They cannot be changed."""

    __slots__ = ()

    @property
    def byteLength(self) -> int:
        return len(self)

    def to_bytes(self) -> bytes:
        return bytes(self)

    def to_py(self, **_options: Any) -> memoryview:
        return memoryview(self)

    def to_memoryview(self) -> memoryview:
        return memoryview(self)

    def to_string(self, encoding: str = "utf-8") -> str:
        return self.decode(encoding)

    def slice(self, start: int = 0, end: int | None = None) -> Self:
        """A copy of a part; negative indexes count from the end."""
        return type(self)(self[start:end])


class BodyBuffer(_FrozenBuffer):
    """A whole body: `bytes` with the methods of JavaScript's `ArrayBuffer`."""

    __slots__ = ()


class Chunk(_FrozenBuffer):
    """A chunk of a stream: `bytes` with the methods of JavaScript's `Uint8Array` that do not change it."""

    __slots__ = ()

    byteOffset = 0

    @property
    def length(self) -> int:
        return len(self)

    @property
    def buffer(self) -> BodyBuffer:
        return BodyBuffer(self)

    subarray = _FrozenBuffer.slice


class ReadResult:
    """The result of a reader's `read()`: `value` is a chunk, or None if `done` is true."""

    __slots__ = ("done", "value")

    def __init__(self, value: Chunk | None, done: bool) -> None:
        self.value = value
        self.done = done

    def __repr__(self) -> str:
        return f"<ReadResult done={self.done} value={self.value!r}>"


class ReadableStream:
    """A stream of bytes that can be consumed once.

    `source` is bytes, or an async iterable of bytes. If the source has an `aclose()`, cancelling the stream calls it.
    If its iterator has a `length`, that is the number of bytes.
    """

    __slots__ = ("_bytes", "_disturbed", "_iterator", "_locked")

    def __init__(self, source: bytes | AsyncIterable[bytes]) -> None:
        self._locked = False
        self._disturbed = False
        self._bytes: bytes | None = None
        self._iterator: AsyncIterator[bytes] | None = None
        if isinstance(source, bytes):
            self._bytes = source
        else:
            self._iterator = source.__aiter__()

    @classmethod
    def new(cls, source: Any = None, *_strategy: Any, **callbacks: Any) -> ReadableStream:
        """Call `ReadableStream.new({"start": ..., "pull": ..., "cancel": ...})`. The callbacks get a controller with
        `enqueue(chunk)`, `close()` and `error(exception)`, and may be coroutine functions."""
        return cls(_Callbacks({**(source or {}), **callbacks}))

    @property
    def locked(self) -> bool:
        """Whether the stream is locked to a reader."""
        return self._locked

    @property
    def disturbed(self) -> bool:
        """Whether the stream has been read from or cancelled."""
        return self._disturbed

    @property
    def size(self) -> int | None:
        """The number of bytes, if the whole stream is in memory and has not been read from; else None."""
        return None if self._bytes is None or self._disturbed else len(self._bytes)

    @property
    def length(self) -> int | None:
        """How many bytes the whole stream has, if that is known beforehand; None if it has been read from."""
        if self._bytes is not None or self._disturbed:
            return self.size
        return getattr(self._iterator, "length", None)

    def getReader(self, *_options: Any, **_keywords: Any) -> ReadableStreamReader:
        """The only consumer from now on. Raises `TypeError` if the stream is already locked to a reader."""
        return ReadableStreamReader(self)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return _Chunks(self.getReader())

    def take(self) -> bytes | AsyncIterator[bytes]:
        """The content, for a consumer of all of it: bytes if it is in memory, else the source, which the consumer
        iterates and, if it has an `aclose()`, closes. The stream counts as used from now on. Raises `TypeError` if it
        is locked to a reader."""
        if self._locked:
            raise TypeError(_LOCKED)
        self._locked = self._disturbed = True
        if self._bytes is not None:
            return self._bytes
        assert self._iterator is not None
        return self._iterator

    async def next(self) -> bytes | None:
        """The next non-empty chunk, or None at the end; for the reader, which has the lock."""
        self._disturbed = True
        if self._bytes is not None:
            content, self._bytes = self._bytes, b""
            return content or None
        if self._iterator is None:
            return None
        async for chunk in self._iterator:
            if chunk:
                return as_bytes(chunk)
        self._iterator = None
        return None

    async def cancel(self, _reason: Any = None) -> None:
        """Stop reading: the rest is not needed. Closes the source if it has an `aclose()`."""
        if self._locked:
            raise TypeError(_LOCKED)
        await self.discard()

    async def discard(self) -> None:
        """`cancel()` without the check for a reader; for the reader itself, and for discarding an unwanted body."""
        self._disturbed = True
        self._bytes = b""
        iterator, self._iterator = self._iterator, None
        await close_source(iterator)

    def tee(self) -> tuple[ReadableStream, ReadableStream]:
        """Two streams with the same content. What one has read and the other has not is kept in memory."""
        source = self.take()
        if isinstance(source, bytes):
            return ReadableStream(source), ReadableStream(source)
        shared = _Tee(source)
        return ReadableStream(shared.branches[0]), ReadableStream(shared.branches[1])

    def unlock(self) -> None:
        """Release the lock, so that there can be another consumer."""
        self._locked = False

    def lock(self) -> None:
        if self._locked:
            raise TypeError(_LOCKED)
        self._locked = True


class ReadableStreamReader:
    """Reads a stream chunk by chunk; the result of `getReader()`."""

    __slots__ = ("_stream",)

    def __init__(self, stream: ReadableStream) -> None:
        stream.lock()
        self._stream: ReadableStream | None = stream

    def _held(self) -> ReadableStream:
        if self._stream is None:
            raise TypeError("This ReadableStream reader has been released.")
        return self._stream

    async def read(self) -> ReadResult:
        chunk = await self._held().next()
        return ReadResult(None, True) if chunk is None else ReadResult(Chunk(chunk), False)

    async def cancel(self, _reason: Any = None) -> None:
        await self._held().discard()

    def releaseLock(self) -> None:
        if self._stream is not None:
            self._stream.unlock()
            self._stream = None


class _Chunks:
    """`async for chunk in stream`."""

    __slots__ = ("_reader",)

    def __init__(self, reader: ReadableStreamReader) -> None:
        self._reader = reader

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        result = await self._reader.read()
        if result.value is None:
            raise StopAsyncIteration
        return result.value

    async def aclose(self) -> None:
        await self._reader.cancel()


def as_bytes(chunk: Any) -> bytes:
    """A chunk of a stream as bytes. Raises `TypeError` for any other type, such as str."""
    if isinstance(chunk, bytes):
        return chunk
    content = bytes_of(chunk)
    if content is None:
        raise TypeError(f"a chunk of a streamed body must be bytes, not {type(chunk).__name__}")
    return content


async def close_source(source: object) -> None:
    """Call the `aclose()` of a stream's source, if it has one."""
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()


async def read_all(source: bytes | AsyncIterator[bytes]) -> bytes:
    """The whole content that `ReadableStream.take()` returned, as one bytes object."""
    if isinstance(source, bytes):
        return source
    return b"".join([as_bytes(chunk) async for chunk in source])


class _Tee:
    """Reads one source for two branches."""

    __slots__ = ("_lock", "_source", "branches")

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self._lock = asyncio.Lock()
        self.branches = (_Branch(self), _Branch(self))

    async def advance(self, branch: _Branch) -> None:
        """Read until `branch` has something to return."""
        async with self._lock:
            if branch.pending:
                return  # the other branch has read more meanwhile
            end: Exception | None = None
            chunk = b""
            try:
                chunk = as_bytes(await self._source.__anext__())
            except StopAsyncIteration as error:
                end = error
            except Exception as error:  # both branches fail as their source did
                end = error
            for each in self.branches:
                if not each.closed:
                    each.pending.append(chunk if end is None else end)

    async def close(self) -> None:
        if all(branch.closed for branch in self.branches):
            await close_source(self._source)


class _Branch:
    """One half of a tee."""

    __slots__ = ("_tee", "closed", "pending")

    def __init__(self, tee: _Tee) -> None:
        self._tee = tee
        self.pending: deque[bytes | Exception] = deque()
        self.closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self.pending:
            await self._tee.advance(self)
        item = self.pending[0]
        if isinstance(item, StopAsyncIteration):
            raise StopAsyncIteration  # stays in the queue, so that later reads find the end again
        if isinstance(item, Exception):
            raise item
        self.pending.popleft()
        return item

    async def aclose(self) -> None:
        self.closed = True
        self.pending.clear()
        await self._tee.close()


class Pipe:
    """Carries chunks from a writer to a reader, one at a time: `write()` returns once the reader has taken the chunk.

    `on_cancel` is called when the reader goes away.
    """

    __slots__ = ("_cancelled", "_chunks", "_ended", "_failure", "_on_cancel", "_wakeups")

    def __init__(self, on_cancel: Callable[[], None] | None = None) -> None:
        self._on_cancel = on_cancel
        self._chunks: deque[bytes] = deque()
        self._wakeups: list[asyncio.Future[None]] = []
        self._failure: BaseException | None = None
        self._ended = False
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether the reader has gone away."""
        return self._cancelled

    async def _changed(self) -> None:
        wakeup = asyncio.get_running_loop().create_future()
        self._wakeups.append(wakeup)
        await wakeup

    def _wake(self) -> None:
        wakeups, self._wakeups = self._wakeups, []
        for wakeup in wakeups:
            if not wakeup.done():
                wakeup.set_result(None)

    async def write(self, chunk: bytes) -> None:
        """Pass a chunk to the reader. Raises `OSError` if the reader has gone away, `TypeError` after `close()`."""
        if self._ended:
            raise TypeError("This WritableStream has been closed.")
        if chunk:
            self._chunks.append(chunk)
            self._wake()
        while self._chunks and not self._cancelled:
            await self._changed()
        if self._cancelled:
            await asyncio.sleep(0)  # so that code which catches the error and writes on does not stop everything else
            raise OSError("the reader of this stream has gone away")

    def close(self) -> None:
        """End the stream after the chunks that have been written."""
        self._ended = True
        self._wake()

    def fail(self, failure: BaseException) -> None:
        """Let the reader raise `failure` after the chunks that have been written."""
        self._failure = failure
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._failure is not None:
                raise self._failure
            if self._ended or self._cancelled:
                raise StopAsyncIteration
            await self._changed()
        chunk = self._chunks.popleft()
        self._wake()
        return chunk

    async def aclose(self) -> None:
        self._cancelled = True
        self._chunks.clear()
        self._wake()
        if self._on_cancel is not None:
            self._on_cancel()


class _Callbacks:
    """The source of `ReadableStream.new(...)`, and the controller that its callbacks get."""

    __slots__ = ("_callbacks", "_chunks", "_ended", "_failure", "_started")

    def __init__(self, callbacks: dict[str, Any]) -> None:
        self._callbacks = callbacks
        self._chunks: deque[bytes] = deque()
        self._failure: BaseException | None = None
        self._ended = False
        self._started = False

    def enqueue(self, chunk: Any) -> None:
        self._chunks.append(as_bytes(chunk))

    def close(self) -> None:
        self._ended = True

    def error(self, failure: Any = None) -> None:
        self._failure = failure if isinstance(failure, BaseException) else OSError(str(failure))

    async def _call(self, name: str, *arguments: Any) -> None:
        callback = self._callbacks.get(name)
        if callback is None:
            return
        result = callback(*arguments)
        if hasattr(result, "__await__"):
            await result

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._started:
            self._started = True
            await self._call("start", self)
        while not self._chunks:
            if self._failure is not None:
                raise self._failure
            if self._ended or "pull" not in self._callbacks:
                raise StopAsyncIteration
            await self._call("pull", self)
            if not self._chunks:
                await asyncio.sleep(0)  # a `pull` that neither waits nor enqueues must not keep all else from running
        return self._chunks.popleft()

    async def aclose(self) -> None:
        self._chunks.clear()
        self._ended = True
        await self._call("cancel", None)


class WritableStreamWriter:
    """Writes into the `writable` side of a `TransformStream`."""

    __slots__ = ("_pipe",)

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    async def write(self, chunk: Any) -> None:
        """Pass a chunk of bytes to the reader. Returns once the reader has taken it."""
        await self._pipe.write(as_bytes(chunk))

    async def close(self) -> None:
        self._pipe.close()

    async def abort(self, reason: Any = None) -> None:
        """End the stream with an error: the reader raises `reason`."""
        self._pipe.fail(
            reason if isinstance(reason, BaseException) else OSError(str(reason or "the stream was aborted"))
        )

    def releaseLock(self) -> None:
        """Has no effect: a writer has no lock here."""


class WritableStream:
    """The `writable` side of a `TransformStream`."""

    __slots__ = ("_pipe",)

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def getWriter(self) -> WritableStreamWriter:
        return WritableStreamWriter(self._pipe)

    async def close(self) -> None:
        self._pipe.close()


class TransformStream:
    """An identity transform: what is written to `writable` can be read from `readable`. Python workers use it to
    stream."""

    __slots__ = ("readable", "writable")

    def __init__(self) -> None:
        pipe = Pipe()
        self.readable = ReadableStream(pipe)
        self.writable = WritableStream(pipe)

    @classmethod
    def new(cls) -> Self:
        return cls()
