"""Keeps what a recorder has in files, so that a session that keeps its queues knows what happened before a restart.

A file is a sequence of events, each behind its length. Events are appended about once a second, so a session that is
killed loses the last second. A file that has grown to what a recorder keeps is followed by a new one, and goes when
that has grown as much.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from emulator.base.failure import Frame
from emulator.log.recorder import Recorder
from emulator.log.table import TABLE
from emulator.queues.events import BatchDelivered, MessagesSent
from emulator.queues.message import Cause, Verdict

DIRECTORY: Final = "events"
"""Where the files are, in the directory of what a session keeps."""

_SUFFIX: Final = ".1.events"
"""Of the names of files, with the version of their format. Before it is the number of the first event."""

_SECONDS: Final = 1.0
_AT_ONCE: Final = 500
"""So many events are written before others have their turn."""

_TYPES: Final = {event_type.__name__: event_type for event_type in TABLE}


class EventFiles:
    """Writes what `recorder` has into `directory`. `call_at` calls something at a time by `now`, in seconds since the
    epoch, and `on_error` is told once why nothing can be written."""

    def __init__(
        self,
        recorder: Recorder,
        directory: Path,
        now: Callable[[], float],
        call_at: Callable[[float, Callable[[], None]], object],
        on_error: Callable[[OSError], None],
    ) -> None:
        self._recorder = recorder
        self._directory = directory
        self._now = now
        self._call_at = call_at
        self._on_error = on_error
        self._file = -1
        self._in_file = 0
        self._bytes_in_file = 0
        self._written = 0
        """The number of the last event that is in a file."""
        self._has_failed = False

    def load(self) -> None:
        """Give the recorder the events of the session before. Called before anything has happened."""
        first, events = _read(self._directory, self._recorder.most)
        if events:
            self._recorder.restore(first, events)
        self._written = self._recorder.last

    def begin(self) -> None:
        """Write what happens, from now on. Called on the event loop."""
        self._later(_SECONDS)

    def close(self) -> None:
        """Write what is left."""
        while not self._has_failed and self._written < self._recorder.last:
            self._write()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._has_failed = True

    def _later(self, seconds: float) -> None:
        self._call_at(self._now() + seconds, self._turn)

    def _turn(self) -> None:
        if self._has_failed:
            return
        if self._written < self._recorder.last:
            self._write()
        self._later(_SECONDS if self._written == self._recorder.last else 0.0)

    def _write(self) -> None:
        """Append the next events."""
        recorder = self._recorder
        is_new = self._file < 0 or self._written + 1 < recorder.first  # some have gone before they were written
        frames = bytearray()
        number = 0
        for number, recorded in enumerate(recorder.after(self._written), 1):
            event = msgspec.msgpack.encode((type(recorded.event).__name__, recorded.at, _as_written(recorded.event)))
            frames += len(event).to_bytes(4, "big") + event
            self._written = recorded.number
            if number == _AT_ONCE or len(frames) > _AT_ONCE * 1_000:
                break
        size = len(frames)
        try:
            if is_new or self._in_file >= recorder.most or self._bytes_in_file >= recorder.most_bytes:
                self._open(self._written - number + 1)
            while frames:
                del frames[: os.write(self._file, frames)]
        except OSError as error:
            self._has_failed = True
            self._on_error(error)
            return
        self._in_file += number
        self._bytes_in_file += size

    def _open(self, first: int) -> None:
        """Begin a file, and delete those that nobody needs any more."""
        if self._file >= 0:
            os.close(self._file)
        self._directory.mkdir(parents=True, exist_ok=True)
        files = _files(self._directory)
        for (_, path), (following, _) in pairwise(files):
            if first - following >= self._recorder.most:
                path.unlink(missing_ok=True)
        name = self._directory / f"{first:016d}{_SUFFIX}"
        self._file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._in_file = self._bytes_in_file = 0


def _files(directory: Path) -> list[tuple[int, Path]]:
    """The files, oldest first, each with the number of its first event."""
    found = [(path.name.removesuffix(_SUFFIX), path) for path in directory.glob(f"*{_SUFFIX}")]
    return sorted((int(number), path) for number, path in found if number.isdigit())


def _read(directory: Path, most: int) -> tuple[int, list[tuple[float, Any]]]:
    """The newest events that can be read, at most about `most`, and the number of the first of them."""
    events: list[tuple[float, Any]] = []
    oldest = 0
    for first, path in reversed(_files(directory)):
        try:
            read = list(_events(path.read_bytes()))
        except OSError:
            break
        if events and first + len(read) != oldest:
            break
        events, oldest = read + events, first
        if len(events) >= most:
            break
    gone = max(len(events) - most, 0)
    return oldest + gone, events[gone:]


def _events(content: bytes) -> Iterator[tuple[float, Any]]:
    """The events of a file, up to the first that is not whole or not known."""
    place = 0
    while place + 4 <= len(content):
        end = place + 4 + int.from_bytes(content[place : place + 4], "big")
        if end > len(content):
            return
        try:
            name, at, event = msgspec.msgpack.decode(content[place + 4 : end], type=tuple[str, float, msgspec.Raw])
            yield at, msgspec.msgpack.decode(event, type=_TYPES[name])
        except (msgspec.MsgspecError, KeyError):
            return
        place = end


def _as_written(event: Any) -> Any:
    """An event as it is written: frames are kept without the whole files that they are from."""
    if event.act is not None:
        event = msgspec.structs.replace(event, act=event.act.for_others())
    if isinstance(event, MessagesSent):
        event = msgspec.structs.replace(event, messages=list(event.messages))
    if isinstance(event, BatchDelivered):
        settled = msgspec.structs.replace(event.settlement, verdict=_with_few_lines(event.settlement.verdict))
        return msgspec.structs.replace(event, verdict=_with_few_lines(event.verdict), settlement=settled)
    failure = getattr(event, "failure", None)
    if failure is None:
        return event
    short = replace(failure, frames=_short(failure.frames), behind=_short(failure.behind))
    return msgspec.structs.replace(event, failure=short)


def _with_few_lines(verdict: Verdict) -> Verdict:
    def short(cause: Cause) -> Cause:
        return msgspec.structs.replace(cause, frames=_short(cause.frames), behind=_short(cause.behind))

    of_all = verdict.retry_all_cause
    if not verdict.causes and of_all is None:
        return verdict
    return msgspec.structs.replace(
        verdict,
        causes={identifier: short(cause) for identifier, cause in verdict.causes.items()},
        retry_all_cause=None if of_all is None else short(of_all),
    )


def _short(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    return tuple(replace(frame, source=tuple(_few(frame))) for frame in frames)


def _few(frame: Frame) -> list[str]:
    """The lines of a file around that of a frame; empty lines in place of those before, so that numbers stay."""
    context = frame.context()
    return [*([""] * (context[0][0] - 1)), *(text for _, text in context)] if context else []
