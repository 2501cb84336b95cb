"""An append-only log in numbered files, to which the journal is written. It stores bytes without knowing their meaning.

A segment, such as `journal-00000001.log`, is a header followed by frames. A frame is a marker, the length of its
payload, a checksum over both, and the payload. If the process is killed during a write, the newest segment ends with an
incomplete frame. A damaged frame in the middle costs only that frame, because reading continues at the next marker with
a matching checksum. Damaged bytes are moved to a separate file, `damaged-...`, and the segment is rewritten without
them.

Every loss is reported. Segments are numbered without gaps. The header of a segment seals the one before it, with the
number of its frames and bytes and a checksum over them. The file `lock` lists the segments and, after a regular end,
seals the newest one. Only the end of the newest segment of a killed process cannot be checked: a write that was never
made and one that was cut off look the same.

A write is one system call, and is in the kernel when `append` returns, so the end of the process, whatever its cause,
does not undo it. `sync` writes it to the disk, in case of a loss of power.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from emulator.base.errors import EmulatorError
from emulator.base.words import count, reason

FORMAT: Final = 2
"""The version of the format that this emulator writes, and the newest that it reads."""

_MAGIC: Final = b"emulator-journal"
_HEADER: Final = struct.Struct("<16sIIQIII")
"""Magic, version, number, the seal of the segment before it (bytes, frames, checksum), and a checksum over all
these."""
_CHECKED: Final = _HEADER.size - 4
_MARKER: Final = b"\xc1\x9dJR"  # msgpack has no 0xc1
_FRAME: Final = struct.Struct("<4sII")
_OWNER_ONLY: Final = 0o600
_NAME: Final = re.compile(r"journal-([0-9]{8,9})\.log")
_OURS: Final = re.compile(r"lock|bindings|damaged-.*\.bin|journal-[0-9]{8,9}\.draft")
_REGULAR: Final = os.O_CLOEXEC | os.O_NOFOLLOW
_MOST_STRANGERS: Final = 3


class Seal(NamedTuple):
    """The content of a segment: the number of bytes and frames, and a checksum over the heads of its frames."""

    size: int = 0
    frames: int = 0
    checksum: int = 0

    def extended(self, frame: bytes) -> Seal:
        """The seal with one more frame."""
        return Seal(self.size + len(frame), self.frames + 1, crc32(frame[: _FRAME.size], self.checksum))


EMPTY: Final = Seal()


class Damage(msgspec.Struct):
    """Bytes of a segment, from `start` to `end`, that do not contain a complete frame. `is_tail` says that nothing
    follows them, as if a write was cut off."""

    start: int
    end: int
    is_tail: bool


class Segment(msgspec.Struct):
    """A file of the log. `size` is in bytes, including the header; `seal` describes its frames."""

    number: int
    path: Path
    size: int = 0
    seal: Seal = EMPTY
    payloads: list[bytes] = msgspec.field(default_factory=list)
    """Its payloads when the log was opened, until they are taken."""


class _State(msgspec.Struct, omit_defaults=True):
    """The content of the file `lock`: the process that has the log, the segments from `oldest` to `newest`, the ranges
    of numbers `missing` among them that have been reported, and after a regular end the `seal` of the newest."""

    process: int = 0
    oldest: int = 0
    newest: int = 0
    missing: list[tuple[int, int]] = []
    seal: Seal | None = None


class _Read(NamedTuple):
    """A segment as it was found. `before` is the seal of its predecessor, or None if the header is damaged."""

    segment: Segment
    before: Seal | None
    is_empty: bool


class Log:
    """The segments in `directory`, oldest first, locked for this process. New frames are appended to the last one.

    Raises EmulatorError if another process has the log, a newer emulator wrote it, or the directory cannot be created,
    read or written. `reports` says what was damaged or missing, and what is wrong with the directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.reports: list[str] = []
        self.segments: list[Segment] = []
        self.size = 0
        """The total size of all segments in bytes."""
        self._file = -1
        self._lock = -1
        self._state = _State()
        try:
            self._open()
        except OSError as error:
            with suppress(OSError):
                self.close()
            raise EmulatorError(
                f"messages cannot be kept in {directory}: {reason(error)}",
                hint="Give --persist-to a directory that this user can write to.",
            ) from None
        except EmulatorError:
            with suppress(OSError):
                self.close()
            raise

    @property
    def head(self) -> Segment:
        """The segment that new frames are appended to."""
        return self.segments[-1]

    def append(self, payloads: Iterable[bytes]) -> int:
        """Write frames, all or none. Returns how many bytes they take. Raises OSError, and then leaves the file
        unchanged."""
        frames = bytearray()
        seal = self.head.seal
        for payload in payloads:
            frame = _frame(payload)
            seal = seal.extended(frame)
            frames += frame
        try:
            _write(self._file, frames)
        except OSError:
            os.ftruncate(self._file, self.head.size)
            raise
        self.head.size += len(frames)
        self.head.seal = seal
        self.size += len(frames)
        return len(frames)

    def rotate(self, payloads: Iterable[bytes]) -> None:
        """Begin a new segment with `payloads`. Raises OSError, and then keeps using the old one."""
        number = self.head.number + 1 if self.segments else max(1, self._state.newest + 1)
        segment = Segment(number, self.directory / f"journal-{number:08}.log")
        content = bytearray(_header(number, self.head.seal if self.segments else EMPTY))
        for payload in payloads:
            frame = _frame(payload)
            segment.seal = segment.seal.extended(frame)
            content += frame
        segment.size = len(content)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _REGULAR
        file = os.open(segment.path, flags, _OWNER_ONLY)
        try:
            _write(file, content)
            if self._file >= 0:
                os.fdatasync(self._file)
            self._sync_directory()
            self._tell(newest=number)
        except OSError:
            os.close(file)
            segment.path.unlink(missing_ok=True)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        self.size += segment.size
        self.segments.append(segment)

    def drop_oldest(self) -> None:
        """Delete the oldest segment, after everything written since is on the disk. Raises OSError."""
        os.fdatasync(self._file)
        self._tell(oldest=self.segments[1].number)
        os.fdatasync(self._lock)  # otherwise, after a loss of power, the segment that is deleted now would be missed
        self.segments[0].path.unlink(missing_ok=True)
        self._sync_directory()
        self.size -= self.segments.pop(0).size

    def sync(self) -> None:
        """Sync what was appended to the disk. May be called on another thread. Raises OSError."""
        file = os.dup(self._file)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)

    def close(self) -> None:
        """Sync, seal the newest segment, and unlock the directory. Raises OSError."""
        try:
            if self._file >= 0:
                os.fdatasync(self._file)
                self._tell(seal=self.head.seal)
        finally:
            for file in (self._file, self._lock):
                if file >= 0:
                    os.close(file)
            self._file = self._lock = -1

    def _open(self) -> None:
        if not self.directory.is_dir():
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            self.directory.mkdir(0o700)
        if self.directory.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            self.reports.append(f"other users can write to {self.directory}, so they can change or delete messages")
        told = self._lock_directory()
        found = [read for path, number in self._paths() if (read := self._read(path, number)) is not None]
        self.segments = [each.segment for each in found]
        self.size = sum(segment.size for segment in self.segments)
        self._report_missing(told)
        self._check_seals(found, told)
        if self.segments:
            self._tell(oldest=self.segments[0].number, newest=self.head.number)
            self._file = os.open(self.head.path, os.O_WRONLY | os.O_APPEND | _REGULAR)
        else:
            self.rotate(())
            self._tell(oldest=self.head.number)

    def _lock_directory(self) -> _State:
        """Lock the directory. Returns the content of the lock file that the last process has left."""
        self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | _REGULAR, _OWNER_ONLY)
        content = os.pread(self._lock, 1_000_000, 0)
        try:
            told = msgspec.json.decode(content, type=_State) if content else _State()
        except (msgspec.MsgspecError, UnicodeDecodeError):
            told = _State()
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmulatorError(
                f"{self.directory} is in use by another emulator (process {told.process or 'unknown'})",
                hint="Stop that one, or give --persist-to another directory.",
            ) from None
        self._state = _State(os.getpid(), told.oldest, told.newest, list(told.missing))
        self._tell()
        return told

    def _tell(self, *, oldest: int | None = None, newest: int | None = None, seal: Seal | None = None) -> None:
        """Write the list of segments to the lock file. Raises OSError."""
        state = self._state
        state.oldest = state.oldest if oldest is None else oldest
        state.newest = state.newest if newest is None else newest
        state.missing = [(low, high) for low, high in state.missing if high >= state.oldest]
        state.seal = seal
        content = msgspec.json.encode(state)
        # Padded with blanks instead of truncated: a partial write is not valid JSON, and is ignored.
        os.pwrite(self._lock, content.ljust(os.fstat(self._lock).st_size), 0)
        os.ftruncate(self._lock, len(content))

    def _sync_directory(self) -> None:
        file = os.open(self.directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def _paths(self) -> list[tuple[Path, int]]:
        """The files that are segments, by number. Other files are reported and left alone."""
        found: list[tuple[Path, int]] = []
        strangers: list[str] = []
        with os.scandir(self.directory) as entries:
            for entry in entries:
                match = _NAME.fullmatch(entry.name)
                if match and entry.is_file(follow_symlinks=False):
                    found.append((Path(entry.path), int(match[1])))
                elif not _OURS.fullmatch(entry.name):
                    strangers.append(entry.name)
        if strangers:
            shown = ", ".join(repr(name) for name in sorted(strangers)[:_MOST_STRANGERS])
            more = f" and {len(strangers) - _MOST_STRANGERS} more" if len(strangers) > _MOST_STRANGERS else ""
            self.reports.append(
                f"{self.directory} contains files that do not belong to the journal and are ignored: {shown}{more}"
            )
        return sorted(found, key=lambda each: each[1])

    def _read(self, path: Path, number: int) -> _Read | None:
        """Read a segment and repair its file. None if it is another segment under a wrong name, which is renamed."""
        content = _content(path)
        header = _read_header(content, path)
        if header is not None and header.number != number:
            self._put_away(path, header.number)
            return None
        before = None if header is None else header.before
        payloads: list[bytes] = []
        damages: list[Damage] = []
        seal = EMPTY
        for found in scan(content, 0 if before is None else _HEADER.size):
            if isinstance(found, Damage):
                damages.append(found)
            else:
                payloads.append(found)
                seal = seal.extended(_frame(found))
        size = len(content)
        if damages or before is None:
            are_kept = [self._set_aside(path, content, damage) for damage in damages]
            mended = _header(number, before or EMPTY) + b"".join(map(_frame, payloads))
            if all(are_kept) and self._replace(path, mended):
                size = len(mended)
        return _Read(Segment(number, path, size, seal, payloads), before, is_empty=not content)

    def _put_away(self, path: Path, number: int) -> None:
        kept = path.with_name(f"damaged-{path.stem}-copy-of-{number}.bin")
        path.replace(kept)
        self.reports.append(
            f"{path} is segment {number:,} under another name: it was skipped, and is now called {kept.name}"
        )

    def _report_missing(self, told: _State) -> None:
        """Report which segments are missing."""
        there = [segment.number for segment in self.segments]
        if told.newest > (there[-1] if there else 0):
            there.append(told.newest + 1)
        missing: list[tuple[int, int]] = []
        expected = told.oldest or (there[0] if there else 0)
        for number in there:
            if number > expected:
                missing.append((expected, number - 1))
            expected = max(expected, number + 1)
        self._state.missing = missing
        for low, high in missing:
            if (low, high) not in told.missing:
                what = f"segment {low:,} is" if low == high else f"segments {low:,} to {high:,} are"
                self.reports.append(f"{what} missing from {self.directory}; messages that were only there are lost")

    def _check_seals(self, found: Sequence[_Read], told: _State) -> None:
        """Report if a segment contains less than when it was sealed."""
        seals = {each.segment.number - 1: each.before for each in found if each.before is not None}
        if told.seal is not None and found and found[-1].segment.number == told.newest:
            seals[told.newest] = told.seal
        for each in found:
            segment, expected = each.segment, seals.get(each.segment.number)
            if expected is None and each.is_empty and segment.number <= told.newest:
                self.reports.append(f"{segment.path} is empty: its records are lost")
            if expected is None or expected in (segment.seal, EMPTY):
                continue
            lost = expected.frames - segment.seal.frames
            if lost > 0:
                left = f"{segment.seal.size:,} of {expected.size:,} bytes are left"
                self.reports.append(f"{segment.path} has lost {lost:,} of {expected.frames:,} records: {left}")
            else:
                self.reports.append(f"{segment.path} was changed: its checksum does not match")
            self._seal_anew(segment)

    def _seal_anew(self, segment: Segment) -> None:
        """Update the seal in the next segment's header, so that a loss is reported only once."""
        for later in self.segments:
            if later.number == segment.number + 1:
                content = _header(later.number, segment.seal) + b"".join(map(_frame, later.payloads))
                self._replace(later.path, content)

    def _set_aside(self, path: Path, content: bytes, damage: Damage) -> bool:
        """Copy damaged bytes to a separate file. Returns whether that succeeded."""
        damaged = content[damage.start : damage.end]
        kept = self.directory / f"damaged-{path.stem}-{damage.start}-{crc32(damaged):08x}.bin"
        size = len(damaged)
        what = "ends with an incomplete record" if damage.is_tail else "is damaged"
        text = f"{path} {what} at byte {damage.start:,}: {count(size, 'byte')} could not be read"
        try:
            if not (kept.is_file() and kept.stat().st_size == size):
                _write_anew(kept, damaged)
        except OSError as error:
            self.reports.append(f"{text}, and cannot be copied ({reason(error)}): the file stays as it is")
            return False
        self.reports.append(
            f"{text} and {'is' if size == 1 else 'are'} kept in {kept.name}; everything else was recovered"
        )
        return True

    def _replace(self, path: Path, content: bytes) -> bool:
        """Rewrite a segment. Returns False, and leaves it unchanged, if that is not possible (the disk is full, for
        example)."""
        draft = path.with_suffix(".draft")
        try:
            _write_anew(draft, content)
            draft.replace(path)
            self._sync_directory()
        except OSError:
            return False
        return True


def scan(content: bytes, start: int) -> Iterator[bytes | Damage]:
    """The payloads of a segment's complete frames from `start` on, and the places of damaged bytes."""
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


def _header(number: int, before: Seal) -> bytes:
    head = _HEADER.pack(_MAGIC, FORMAT, number, *before, 0)[:_CHECKED]
    return head + crc32(head).to_bytes(4, "little")


class _Header(NamedTuple):
    """The content of a valid header."""

    number: int
    before: Seal


def _read_header(content: bytes, path: Path) -> _Header | None:
    """The header of a segment, or None if it is damaged. Raises EmulatorError for a newer format."""
    if len(content) < _HEADER.size:
        return None
    magic, version, number, size, frames, checksum, check = _HEADER.unpack_from(content)
    if magic != _MAGIC or crc32(content[:_CHECKED]) != check:
        return None
    if version > FORMAT:
        raise EmulatorError(
            f"{path} was written by a newer emulator, in format {version}; this one reads format {FORMAT}",
            hint="Use that emulator, or give --persist-to another directory.",
        )
    return _Header(number, Seal(size, frames, checksum))


def _content(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | _REGULAR), "rb") as file:
        return file.read()


def _write(file: int, content: bytes | bytearray) -> None:
    written = os.write(file, content)
    while written < len(content):
        written += os.write(file, memoryview(content)[written:])


def _write_anew(path: Path, content: bytes) -> None:
    """Write a complete file to the disk, replacing one of the same name. Raises OSError, and then leaves no new
    file."""
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _REGULAR, _OWNER_ONLY)
    try:
        _write(file, content)
        os.fsync(file)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(file)
