"""What happened within a request or a delivery, and what went wrong in it."""

from __future__ import annotations

import linecache
import os
from collections.abc import Sequence
from itertools import groupby

from msgspec.structs import replace

from emulator.base.failure import Frame
from emulator.base.words import count
from emulator.bindings.events import BindingUsed
from emulator.dashboard.story import ActPart, LocalScope, SourceLine, Trouble
from emulator.hosts.events import FetchFinished, HandlerFailed, WorkerOutput
from emulator.log.recorder import Recorded
from emulator.queues.events import MessagesSent
from emulator.queues.message import Cause


def trouble_of(cause: Cause) -> Trouble:
    """What went wrong, with the lines around the worker's own line, and the local variables of its frames."""
    own = [frame for frame in cause.frames if frame.is_user] or cause.frames
    return Trouble(
        error=cause.error,
        traceback=cause.traceback,
        location=cause.location,
        source=_around(own[-1]) if own else (),
        scopes=scopes_of(cause.frames, cause.behind),
    )


def scopes_of(frames: Sequence[Frame], behind: Sequence[Frame]) -> list[LocalScope]:
    """The local variables of the worker's frames, innermost first, and then those of the exceptions behind."""
    return [
        LocalScope(
            function=frame.function,
            location=f"{frame.file}:{frame.line}",
            variables=frame.variables,
            more=frame.more_variables,
            error=frame.error,
        )
        for frame in (*reversed(frames), *behind)
        if frame.is_user and frame.variables
    ]


def together(parts: Sequence[ActPart]) -> list[ActPart]:
    """The parts of an act for a page: lines of output that follow each other are one part, of all their text."""
    joined: list[ActPart] = []
    for (kind, _), group in groupby(parts, lambda part: (part.kind, part.level)):
        same = list(group)
        if kind == "line":
            text = "\n".join(part.text for part in same)
            same = [replace(same[0], text=text, duration=same[-1].at - same[0].at)]
        joined += same
    return joined


def lines_at(location: str, at: float) -> list[SourceLine]:
    """The lines around `file:line`; none if they cannot be read, or the file has changed since then."""
    file, _, line = location.rpartition(":")
    if not line.isdigit() or _changed_at(file) > at:
        return []
    return _around(Frame(file, int(line), "", "", True, linecache.getlines(file)))


def _around(frame: Frame) -> list[SourceLine]:
    return [SourceLine(number, text, number == frame.line) for number, text in frame.context()]


def _changed_at(file: str) -> float:
    try:
        return os.stat(file).st_mtime  # noqa: PTH116 - a path may be anything
    except (OSError, ValueError):
        return 0.0


def part_of(recorded: Recorded, act: str) -> ActPart | None:
    event, at = recorded.event, recorded.at
    if isinstance(event, WorkerOutput):
        return ActPart(kind="line", at=at, text=event.text.rstrip("\n"), level=event.level)
    if isinstance(event, HandlerFailed):
        return ActPart(kind="error", at=at, text=event.failure.summary, level="error")
    if event.act is None or event.act.cause != act:
        return None
    if isinstance(event, BindingUsed):
        failed = f": {event.error}" if event.error else ""
        text = f"{event.kind} {event.name} {event.operation} {event.key}".rstrip() + failed
        level = "error" if event.error else "info"
        return ActPart(kind="binding", at=event.act.began, duration=event.duration, text=text, level=level)
    if isinstance(event, FetchFinished):
        text = f"{event.method} {event.url} {event.status or event.error}"
        level = "info" if 0 < event.status < 400 else "error"
        return ActPart(kind="fetch", at=event.act.began, duration=event.duration, text=text, level=level)
    if isinstance(event, MessagesSent):
        ids = [each.id for each in event.messages]
        text = f"{count(len(ids), 'message')} to {event.queue}"
        return ActPart(
            kind="sent", at=event.act.began, duration=at - event.act.began, text=text, queue=event.queue, messages=ids
        )
    return None
