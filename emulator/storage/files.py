"""Large values: files that are written once, or pieces of memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from os import urandom
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from emulator.base.errors import EmulatorError
from emulator.base.words import reason, shown_path

PIECE_BYTES: Final = 256 * 1024
"""How much of a file is read at once."""


class Files(Protocol):
    """Values by names that are made for them. A value never changes; whoever knows its name keeps that elsewhere."""

    async def write(self, pieces: AsyncIterator[bytes]) -> str:
        """Keep a new value, and return its name. Nothing is left of it if this raises."""

    async def read(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes of a value from `start` up to `end`, in pieces. Raises EmulatorError if they are not there."""

    def delete(self, names: Iterable[str]) -> None:
        """Remove values. Those that are being read can be read to their end."""

    def contents(self) -> dict[str, bytes]:
        """All values by their names, in memory."""

    def replace(self, contents: Mapping[str, bytes]) -> None:
        """Keep these values, and no others."""


class FilesInMemory:
    """Values in memory."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    async def write(self, pieces: AsyncIterator[bytes]) -> str:
        """See Files."""
        value = b"".join([piece async for piece in pieces])
        name = urandom(16).hex()
        self._values[name] = value
        return name

    async def read(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """See Files."""
        value = self._values.get(name)
        if value is None or len(value) < end:
            raise EmulatorError(f"the value {name} is lost")
        return _pieces(memoryview(value)[start:end])

    def delete(self, names: Iterable[str]) -> None:
        """See Files."""
        for name in names:
            self._values.pop(name, None)

    def contents(self) -> dict[str, bytes]:
        """See Files."""
        return dict(self._values)

    def replace(self, contents: Mapping[str, bytes]) -> None:
        """See Files."""
        self._values = dict(contents)


async def _pieces(value: memoryview) -> AsyncIterator[bytes]:
    for start in range(0, len(value), PIECE_BYTES):
        yield bytes(value[start : start + PIECE_BYTES])


class FilesInDirectory:
    """Values as files in a directory, which is made for the first one. Files are read and written on other threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def write(self, pieces: AsyncIterator[bytes]) -> str:
        """See Files."""
        name = urandom(16).hex()
        path = self._path(name)
        try:
            with _telling_of(path):
                file = await asyncio.to_thread(_create, path)
            try:
                async for piece in pieces:
                    with _telling_of(path):
                        await asyncio.to_thread(file.write, piece)
            finally:
                with _telling_of(path):
                    file.close()
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
        return name

    async def read(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """See Files."""
        return file_pieces(self._path(name), start, end)

    def delete(self, names: Iterable[str]) -> None:
        """See Files."""
        for name in names:
            with suppress(OSError):
                self._path(name).unlink()

    def contents(self) -> dict[str, bytes]:
        """See Files."""
        return {path.name: path.read_bytes() for path in self._directory.glob("??/*")}

    def replace(self, contents: Mapping[str, bytes]) -> None:
        """See Files."""
        self.delete({path.name for path in self._directory.glob("??/*")} - contents.keys())
        for name, value in contents.items():
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value)

    def keep_only(self, names: Container[str]) -> None:
        """Remove the values with other names, which a process has left that was killed while it wrote."""
        self.delete([path.name for path in self._directory.glob("??/*") if path.name not in names])

    def _path(self, name: str) -> Path:
        return self._directory / name[:2] / name


@contextmanager
def _telling_of(path: Path) -> Iterator[None]:
    """Errors of the file are told in words. Those of whoever brings the pieces are his."""
    try:
        yield
    except OSError as error:
        raise EmulatorError(f"{shown_path(path)} cannot be written: {reason(error)}") from None


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def file_pieces(path: Path, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
    """The bytes of a file from `start` up to `end`, or to its own, in pieces. Raises EmulatorError if it cannot be
    read, and while it is read if it is shorter."""
    try:
        file = path.open("rb")
        file.seek(start)
        size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise EmulatorError(f"{shown_path(path)} cannot be read: {reason(error)}") from None
    return _read(file, (size if end is None else end) - start)


async def _read(file: BinaryIO, left: int) -> AsyncIterator[bytes]:
    with file:
        while left:
            piece = await asyncio.to_thread(file.read, min(left, PIECE_BYTES))
            if not piece:
                raise EmulatorError(f"{file.name} is cut off")
            left -= len(piece)
            yield piece
