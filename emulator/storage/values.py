"""Values that are in a database if they are small, and files if they are large."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple, Self

from emulator.storage.files import Files


class FilePart(NamedTuple):
    """The bytes of a file from `start` up to `end`."""

    file: str
    start: int
    end: int


class ValueFiles:
    """The files of a kind's large values. Those that are being read stay until they have been."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._read: Counter[str] = Counter()
        self._unwanted: set[str] = set()

    async def receive(self, pieces: AsyncIterator[bytes], inline_bytes: int) -> tuple[bytes | None, str | None]:
        """Take in a value: the bytes of one that has at most `inline_bytes`, or the file of a larger one."""
        first = b""
        async for piece in pieces:
            first += piece
            if len(first) > inline_bytes:
                break
        if len(first) <= inline_bytes:
            return first, None
        return None, await self._files.write(_chain(first, pieces))

    def remove(self, files: Iterable[str]) -> None:
        """Remove files, those that are being read once they have been."""
        for file in files:
            if self._read[file]:
                self._unwanted.add(file)
            else:
                self._files.delete([file])

    def hold(self, files: Iterable[str]) -> None:
        """Let files stay until `release`."""
        self._read.update(files)

    def release(self, files: Iterable[str]) -> None:
        """The end of `hold`."""
        for file in files:
            self._read[file] -= 1
            if not self._read[file]:
                del self._read[file]
                if file in self._unwanted:
                    self._unwanted.discard(file)
                    self._files.delete([file])

    async def read(self, part: FilePart) -> AsyncIterator[bytes]:
        """A part of a file that is held."""
        return await self._files.read(part.file, part.start, part.end)


class Value:
    """A value that is read: an async iterator of bytes, which can be closed. Its files stay until it is gone, whatever
    happens to what it belongs to. `length` is how many bytes it has."""

    def __init__(self, files: ValueFiles, length: int, value: bytes, parts: Sequence[FilePart] = ()) -> None:
        self.length = length
        self._files = files
        self._value = value
        self._parts = list(reversed(parts))
        self._held = [part.file for part in parts]
        self._open: AsyncIterator[bytes] | None = None
        files.hold(self._held)

    def take_whole(self) -> bytes | None:
        """All of it, if it is in memory; None if it has to be read."""
        if self._parts:
            return None
        value, self._value = self._value, b""
        return value

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._value:
            value, self._value = self._value, b""
            return value
        while True:
            if self._open is not None:
                async for piece in self._open:
                    return piece
                self._open = None
            if not self._parts:
                self._release()
                raise StopAsyncIteration
            self._open = await self._files.read(self._parts.pop())

    async def aclose(self) -> None:
        """Read no more of it."""
        self._value = b""
        self._parts.clear()
        opened, self._open = self._open, None
        close = getattr(opened, "aclose", None)
        if close is not None:
            await close()
        self._release()

    def __del__(self) -> None:
        # A worker may look at what a value belongs to, and leave the value alone.
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        self._files.release(held)


async def whole(value: bytes) -> AsyncIterator[bytes]:
    """A value that is there already, as `receive` takes it."""
    if value:
        yield value


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
