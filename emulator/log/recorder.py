"""Keeps the newest events of a session, for whoever asks later what happened, and why.

An event is kept as it is. What is found by an id, of an act or of a message, is looked up in an index that is brought
up to date when somebody asks, so that recording costs next to nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from emulator.base.acts import Acts
from emulator.base.bus import Bus, Notice
from emulator.hosts.events import HandlerFailed, WorkerOutput
from emulator.log.table import TABLE
from emulator.queues.events import MessagesDeadLettered, MessagesSent
from emulator.queues.message import QueueMessage, SentMessages
from emulator.server.events import RequestFinished
from emulator.session.running import write_private

MOST_EVENTS: Final = 10_000
"""How many events are kept."""

MOST_BYTES: Final = 64_000_000
"""How many bytes the messages and texts in them may have, about."""

FILE: Final = "events.msgpack"
"""Where a session that keeps its queues keeps its events, too, in its directory."""

_STEP: Final = 256
"""After so many events, it is checked whether there are too many."""

_EVENT_BYTES: Final = 500
"""How many bytes an event takes without what it contains, about."""

_FORMAT: Final = 1


class Recorded(NamedTuple):
    """An event, its running number, which counts from 1 and never comes again in a session, and when it was published,
    in seconds since the epoch."""

    number: int
    at: float
    event: Any


class Recorder:
    """Keeps the newest events that `bus` tells of, with the time by `now`, in seconds since the epoch: at most about
    `most` of them, with `most_bytes` bytes. With `has_acts`, it sees to it that events know what caused them."""

    def __init__(
        self,
        bus: Bus,
        now: Callable[[], float],
        *,
        most: int = MOST_EVENTS,
        most_bytes: int = MOST_BYTES,
        has_acts: bool = True,
    ) -> None:
        self.most = most
        self._most_bytes = most_bytes
        self._now = now
        self._kept: list[tuple[float, Any]] = []
        self._first = 1
        """The number of the oldest event that is kept."""
        self._sizes: list[int] = []
        """The bytes of the oldest events, as far as they have been measured."""
        self._bytes = 0
        self._look_at = _STEP
        self._index: dict[str, list[int]] = {}
        self._indexed = 1
        """The number of the first event that is not in the index."""
        self._stale = 0
        """How many events in the index are no longer kept."""
        self._listeners: list[Callable[[], None]] = []
        if has_acts and bus.acts is None:
            bus.acts = Acts(now, follows=False, is_exported=False)
        for event_type in TABLE:
            bus.subscribe(event_type, self._add)

    @property
    def first(self) -> int:
        """The number of the oldest event that is kept."""
        return self._first

    @property
    def last(self) -> int:
        """The number of the newest event; 0 if there has been none."""
        return self._first + len(self._kept) - 1

    @property
    def since(self) -> float | None:
        """When the oldest event that is kept was published; None if there is none."""
        return self._kept[0][0] if self._kept else None

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each new event. Returns a function that ends that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def after(self, number: int) -> Iterator[Recorded]:
        """The events with higher numbers, oldest first."""
        for place in range(max(number + 1 - self._first, 0), len(self._kept)):
            yield Recorded(self._first + place, *self._kept[place])

    def newest(self, before: int | None = None) -> Iterator[Recorded]:
        """The events, newest first; only those with lower numbers than `before`."""
        end = len(self._kept) if before is None else min(before - self._first, len(self._kept))
        for place in range(end - 1, -1, -1):
            yield Recorded(self._first + place, *self._kept[place])

    def at(self, number: int) -> Recorded | None:
        """The event with this number, if it is kept."""
        place = number - self._first
        return Recorded(number, *self._kept[place]) if 0 <= place < len(self._kept) else None

    def about(self, identifier: str) -> list[Recorded]:
        """The events about a message or an act, by its id, and those that the act caused at once; oldest first."""
        self._bring_up_to_date()
        numbers = self._index.get(identifier, [])
        kept = numbers[bisect_left(numbers, self._first) :]
        return [Recorded(number, *self._kept[number - self._first]) for number in kept]

    def messages(self, prefix: str) -> list[str]:
        """The ids of the messages that begin with `prefix`, those that came last at the end."""
        self._bring_up_to_date()
        found = [key for key in self._index if len(key) == 32 and key.startswith(prefix)]
        return [key for key in found if self._index[key][-1] >= self._first]

    def save(self, path: Path) -> None:
        """Write the events into a file. Raises OSError."""
        rows = [(type(event).__name__, at, _written(event)) for at, event in self._kept]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, msgspec.msgpack.encode((_FORMAT, self._first, rows)))

    def load(self, path: Path) -> None:
        """Continue with the events that an earlier session has written into a file, if there is one that can be read.
        Called before there are any of this one."""
        types = {event_type.__name__: event_type for event_type in TABLE}
        try:
            found, first, rows = msgspec.msgpack.decode(
                path.read_bytes(), type=tuple[int, int, list[tuple[str, float, msgspec.Raw]]]
            )
            if found != _FORMAT or self._kept:
                return
            self._kept = [(at, msgspec.msgpack.decode(event, type=types[name])) for name, at, event in rows]
        except (OSError, msgspec.MsgspecError, KeyError):
            return
        self._first = self._indexed = first
        self._trim()

    def _add(self, event: Any) -> None:
        kept = self._kept
        kept.append((self._now(), event))
        if len(kept) >= self._look_at:
            self._trim()
        for listener in self._listeners:
            listener()

    def _trim(self) -> None:
        """Let go of the oldest events, if there are too many."""
        kept, sizes = self._kept, self._sizes
        # Most events are one of these two, and this is done for each.
        new = [
            _EVENT_BYTES
            if type(event) is RequestFinished
            else len(event.messages[0].body) + 2 * _EVENT_BYTES
            if type(event) is MessagesSent and len(event.messages) == 1
            else _size(event)
            for _, event in kept[len(sizes) :]
        ]
        sizes += new
        self._bytes += sum(new)
        gone = max(len(kept) - self.most, 0)
        self._bytes -= sum(sizes[:gone])
        while self._bytes > self._most_bytes and gone < len(kept) - 1:
            self._bytes -= sizes[gone]
            gone += 1
        if gone:
            del kept[:gone], sizes[:gone]
            self._stale += max(min(self._first + gone, self._indexed) - self._first, 0)
            self._first += gone
        self._look_at = len(kept) + _STEP

    def _bring_up_to_date(self) -> None:
        if self._stale > self.most:
            self._index.clear()
            self._indexed = self._first
        if self._indexed <= self._first:
            self._index.clear()
            self._indexed = self._first
            self._stale = 0
        for number, _, event in self.after(self._indexed - 1):
            for key in _keys(event):
                self._index.setdefault(key, []).append(number)
        self._indexed = self.last + 1


def _keys(event: Any) -> Iterator[str]:
    """The ids by which an event is found: of its messages, its act and the act that caused that."""
    if isinstance(event, MessagesDeadLettered):
        return  # its letters are told of as sent
    messages: Sequence[QueueMessage] = getattr(event, "messages", ())
    yield from dict.fromkeys(message.id for message in messages)
    act = event.act
    if act is not None:
        yield act.id
        if act.cause and not isinstance(event, (HandlerFailed, WorkerOutput, Notice)):
            yield act.cause


def _size(event: Any) -> int:
    """How many bytes an event takes, about."""
    messages: Sequence[QueueMessage] = getattr(event, "messages", ())
    if isinstance(messages, SentMessages):
        return _EVENT_BYTES * (1 + len(messages)) + messages.size
    if messages:
        return _EVENT_BYTES + sum(_EVENT_BYTES + len(message.body) for message in messages)
    if isinstance(event, (WorkerOutput, Notice)):
        return _EVENT_BYTES + len(event.text)
    return 20_000 if isinstance(event, HandlerFailed) else _EVENT_BYTES


def _written(event: Any) -> Any:
    """An event as it is written: frames are kept without the whole files that they are from."""
    if event.act is not None:
        event = msgspec.structs.replace(event, act=event.act.for_others())
    if isinstance(event, MessagesSent):
        event = msgspec.structs.replace(event, messages=list(event.messages))
    failure = getattr(event, "failure", None)
    if failure is None:
        return event
    from dataclasses import replace

    frames = tuple(replace(frame, source=tuple(_few(frame))) for frame in failure.frames)
    return msgspec.structs.replace(event, failure=replace(failure, frames=frames))


def _few(frame: Any) -> list[str]:
    """The lines of a file around that of a frame; empty lines in place of those before, so that numbers stay."""
    context = frame.context()
    return [*([""] * (context[0][0] - 1)), *(text for _, text in context)] if context else []
