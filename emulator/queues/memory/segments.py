"""An append-only log in numbered files: what the journal is written to. It knows bytes, not what they mean.

A segment is `journal-00000001.log`: a header (magic, version of the format, number), then frames. A frame is a marker,
the length of its payload, a checksum over both, and the payload. What a write has begun when the process is killed is
the torn end of the newest segment; a damaged frame in the middle costs that frame, because the next marker whose
checksum fits is where reading goes on. Damaged bytes are kept in a file of their own, `damaged-...`, and the segment is
written anew without them.

A write is one system call and is in the kernel when `append` returns: the end of the process, whatever its cause, does
not undo it. `sync` puts it on the disk, against a loss of power.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from zlib import crc32

from emulator.base.errors import EmulatorError
from emulator.base.words import count, reason

FORMAT: Final = 1
"""The version of the format that this emulator writes, and the newest that it reads."""

_MAGIC: Final = b"emulator-journal"
_HEADER: Final = struct.Struct("<16sII")
_MARKER: Final = b"\xc1\x9dJR"  # msgpack has no 0xc1
_FRAME: Final = struct.Struct("<4sII")
_OWNER_ONLY: Final = 0o600


@dataclass(slots=True)
class Damage:
    """Bytes of a segment, from `start` to `end`, that hold no whole frame. `is_tail`: nothing comes after them, as
    when a write was cut short."""

    start: int
    end: int
    is_tail: bool


@dataclass(slots=True)
class Segment:
    """A file of the log. `size` is in bytes."""

    number: int
    path: Path
    size: int = 0
    payloads: list[bytes] = field(default_factory=list)
    """What was in it when the log was opened, until somebody has taken it."""


class Log:
    """The segments in `directory`, oldest first, locked for this process. The last one is appended to.

    Raises EmulatorError when another process has it, when a newer emulator wrote it, or when the directory cannot be
    made, read or written. `reports` says what was damaged.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.reports: list[str] = []
        self.segments: list[Segment] = []
        self.size = 0
        """The bytes of all segments together."""
        self._file = -1
        self._lock = -1
        try:
            self._open()
        except OSError as error:
            self.close()
            raise EmulatorError(
                f"messages cannot be kept in {directory}: {reason(error)}",
                hint="Give --persist-to a directory that this user can write to.",
            ) from None
        except EmulatorError:
            self.close()
            raise

    @property
    def head(self) -> Segment:
        """The segment that is appended to."""
        return self.segments[-1]

    def append(self, payloads: Iterable[bytes]) -> int:
        """Write frames, all or none. Returns how many bytes they take. Raises OSError, with the file as it was."""
        frames = bytearray()
        for payload in payloads:
            frames += _frame(payload)
        try:
            written = os.write(self._file, frames)
            while written < len(frames):
                written += os.write(self._file, memoryview(frames)[written:])
        except OSError:
            os.ftruncate(self._file, self.head.size)
            raise
        self.head.size += len(frames)
        self.size += len(frames)
        return len(frames)

    def rotate(self, payloads: Iterable[bytes]) -> None:
        """Begin a new segment with `payloads`. Raises OSError, with the old one still in use."""
        number = self.head.number + 1 if self.segments else 1
        segment = Segment(number, self.directory / f"journal-{number:08}.log")
        content = _HEADER.pack(_MAGIC, FORMAT, number) + b"".join(map(_frame, payloads))
        file = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, _OWNER_ONLY)
        try:
            written = 0
            while written < len(content):
                written += os.write(file, memoryview(content)[written:])
            if self._file >= 0:
                os.fdatasync(self._file)
        except OSError:
            os.close(file)
            segment.path.unlink(missing_ok=True)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        segment.size = len(content)
        self.size += segment.size
        self.segments.append(segment)

    def drop_oldest(self) -> None:
        """Delete the oldest segment, once what was written since is on the disk. Raises OSError."""
        os.fdatasync(self._file)
        self.segments[0].path.unlink(missing_ok=True)
        self.size -= self.segments.pop(0).size

    def sync(self) -> None:
        """Put what was appended on the disk. May be called on another thread. Raises OSError."""
        file = os.dup(self._file)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)

    def close(self) -> None:
        """Sync, and let others have the directory."""
        if self._file >= 0:
            try:
                os.fdatasync(self._file)
            finally:
                os.close(self._file)
                self._file = -1
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _open(self) -> None:
        if not self.directory.is_dir():
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            self.directory.mkdir(0o700)
        self._lock_directory()
        paths = sorted(self.directory.glob("journal-*.log"))
        for path in paths:
            self._read(path)
        if self.segments:
            self._file = os.open(self.head.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        else:
            self.rotate(())

    def _lock_directory(self) -> None:
        self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise EmulatorError(
                f"{self.directory} is in use by another emulator (process {holder})",
                hint="Stop that one, or give --persist-to another directory.",
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        number = int(path.stem.removeprefix("journal-"))
        start = _HEADER.size
        if len(content) < start or content[: len(_MAGIC)] != _MAGIC:
            start = 0
        else:
            version = _HEADER.unpack_from(content)[1]
            if version > FORMAT:
                raise EmulatorError(
                    f"{path} was written by a newer emulator, in format {version}; this one reads format {FORMAT}",
                    hint="Use that emulator, or give --persist-to another directory.",
                )
        payloads: list[bytes] = []
        damages: list[Damage] = []
        for found in scan(content, start):
            if isinstance(found, Damage):
                damages.append(found)
            else:
                payloads.append(found)
        if damages or start == 0:
            for damage in damages:
                self._set_aside(path, content, damage)
            content = _HEADER.pack(_MAGIC, FORMAT, number) + b"".join(map(_frame, payloads))
            self._replace(path, content)
        self.segments.append(Segment(number, path, len(content), payloads))
        self.size += len(content)

    def _set_aside(self, path: Path, content: bytes, damage: Damage) -> None:
        kept = self.directory / f"damaged-{path.stem}-{damage.start}.bin"
        attempt = 1
        while kept.exists():
            attempt += 1
            kept = self.directory / f"damaged-{path.stem}-{damage.start}-{attempt}.bin"
        file = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
        with os.fdopen(file, "wb") as aside:
            aside.write(content[damage.start : damage.end])
        size = damage.end - damage.start
        what = "ends with a record that is not whole" if damage.is_tail else "is damaged"
        self.reports.append(
            f"{path} {what} at byte {damage.start:,}: {count(size, 'byte')} could not be read "
            f"and {'is' if size == 1 else 'are'} kept in {kept.name}; all the rest was"
        )

    def _replace(self, path: Path, content: bytes) -> None:
        draft = path.with_suffix(".draft")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _OWNER_ONLY)
        with os.fdopen(file, "wb") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        draft.replace(path)


def scan(content: bytes, start: int) -> Iterator[bytes | Damage]:
    """The payloads of a segment's whole frames from `start` on, and where there are bytes that are none."""
    position = start
    while position < len(content):
        payload = _payload_at(content, position)
        if payload is not None:
            yield payload
            position += _FRAME.size + len(payload)
            continue
        found = content.find(_MARKER, position + 1)
        while found >= 0 and _payload_at(content, found) is None:
            found = content.find(_MARKER, found + 1)
        end = len(content) if found < 0 else found
        yield Damage(position, end, is_tail=found < 0)
        position = end


def _payload_at(content: bytes, position: int) -> bytes | None:
    if len(content) - position < _FRAME.size:
        return None
    marker, length, checksum = _FRAME.unpack_from(content, position)
    start = position + _FRAME.size
    if marker != _MARKER or length > len(content) - start:
        return None
    payload = content[start : start + length]
    return payload if _checksum(payload) == checksum else None


def _frame(payload: bytes) -> bytes:
    return _FRAME.pack(_MARKER, len(payload), _checksum(payload)) + payload


def _checksum(payload: bytes) -> int:
    return crc32(payload, crc32(len(payload).to_bytes(4, "little")))
