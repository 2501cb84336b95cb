"""Keeps the newest events of a session, for whoever asks later what happened, and why.

An event is kept as it is. What is found by an id, of an act or of a message, is looked up in an index that is brought
up to date when somebody asks, so that recording costs next to nothing. Where more happens than anybody could look at,
ordinary events are kept for a part of the time only.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from emulator.base.acts import Acts
from emulator.base.bus import Bus, Notice
from emulator.base.failure import Frame
from emulator.bindings.events import BindingUsed
from emulator.hosts.events import FetchFinished, HandlerFailed, WorkerOutput
from emulator.log.table import TABLE
from emulator.queues.events import BatchDelivered, MessagesDeadLettered, MessagesForwarded, MessagesSent
from emulator.queues.message import QueueMessage, SentMessages, Verdict
from emulator.server.events import RequestFinished

MOST_EVENTS: Final = 10_000
"""How many events are kept."""

MOST_BYTES: Final = 64_000_000
"""How many bytes the messages and texts in them may have, about."""

ORDINARY_AT_ONCE: Final = 5_000
ORDINARY_A_SECOND: Final = 200
"""How many ordinary events and messages in them are kept of a burst, and of each second if there are more for long."""

_PAUSE_SECONDS: Final = 0.5
"""How long no ordinary events are kept when there are too many."""

_STEP: Final = 256
"""After so many events, it is checked whether there are too many."""

_MOST_GAPS: Final = 100

_EVENT_BYTES: Final = 500
"""How many bytes an event takes without what it contains, about."""

_FAILURE_BYTES: Final = 20_000
"""How many bytes a failure takes without local variables, about."""

_VARIABLE_BYTES: Final = 200
"""How many bytes a local variable takes beside its name and its text, about."""


_Add = Callable[[Any], None]


def _add_failed_request(add: _Add, event: RequestFinished) -> None:
    if event.status >= 500:
        add(event)


def _add_failed_batch(add: _Add, event: BatchDelivered) -> None:
    if len(event.settlement.acked) < len(event.messages):
        add(event)


def _add_warning(add: _Add, event: WorkerOutput) -> None:
    if event.level in ("warning", "error"):
        add(event)


def _add_failed_fetch(add: _Add, event: FetchFinished) -> None:
    if event.error:
        add(event)


_ORDINARY: Final[Mapping[type[Any], Callable[[_Add, Any], None] | None]] = {
    RequestFinished: _add_failed_request,
    BatchDelivered: _add_failed_batch,
    WorkerOutput: _add_warning,
    MessagesSent: None,
    MessagesForwarded: None,
    BindingUsed: None,
    FetchFinished: _add_failed_fetch,
}
"""Events of which there may be too many to keep them all, and what keeps those that are not ordinary nevertheless."""


class Recorded(NamedTuple):
    """An event, its running number, which counts from 1 and never comes again in a session, and when it was published,
    in seconds since the epoch."""

    number: int
    at: float
    event: Any


class Recorder:
    """Keeps the newest events that `bus` tells of, with the time by `now`, in seconds since the epoch: at most about
    `most` of them, with `most_bytes` bytes. It sees to it that events know what caused them.

    With `call_at`, which calls something at a time, it also takes next to no time itself. Of requests that were
    answered, messages that were sent and delivered, operations on bindings and what workers print, it keeps a burst of
    ORDINARY_AT_ONCE, and then those of a part of each second, ORDINARY_A_SECOND. Whatever failed is always kept.
    """

    def __init__(
        self,
        bus: Bus,
        now: Callable[[], float],
        *,
        most: int = MOST_EVENTS,
        most_bytes: int = MOST_BYTES,
        call_at: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self.most = most
        self.most_bytes = most_bytes
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
        self._gaps: deque[tuple[float, float]] = deque(maxlen=_MOST_GAPS)
        """When ordinary events were not kept: from, to."""
        self._bus = bus
        self._call_at = call_at
        self._left = ORDINARY_AT_ONCE
        """How many more ordinary events, and messages in them, are kept before the clock is looked at."""
        self._counted_at = now()
        self._acts = Acts(now, follows=False, is_exported=False) if bus.follower is None else None
        if self._acts is not None:
            bus.follow(self._acts)
        self._ordinary: list[Callable[[], None]] = []
        """Ends the subscriptions to ordinary events."""
        for event_type in TABLE:
            if call_at is None or event_type not in _ORDINARY:
                bus.subscribe(event_type, self._add)
        self._begin()

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

    def has_gap(self, since: float, until: float | None = None) -> bool:
        """Whether ordinary events were not kept between two times, in seconds since the epoch."""
        return any((until is None or begin < until) and end > since for begin, end in self._gaps)

    @property
    def gaps(self) -> Sequence[tuple[float, float]]:
        """When ordinary events were not kept, in seconds since the epoch, from and to."""
        return list(self._gaps)

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

    def restore(self, first: int, events: Sequence[tuple[float, Any]]) -> None:
        """Continue after events of an earlier session, of which the oldest had the number `first`; called before there
        are any of this one."""
        assert not self._kept
        self._kept = list(events)
        self._first = self._indexed = first
        self._trim()

    def _begin(self) -> None:
        """Keep ordinary events from now on."""
        for unsubscribe in self._ordinary:
            unsubscribe()
        if self._bus.acts is None:
            self._bus.acts = self._bus.follower
        if self._call_at is not None:
            self._ordinary = [
                self._bus.subscribe(event_type, self._add_batch if _has_messages(event_type) else self._add_one)
                for event_type in _ORDINARY
            ]

    def _pause(self) -> None:
        """Keep only those of the ordinary events that are not quite ordinary, for a while."""
        assert self._call_at is not None
        for unsubscribe in self._ordinary:
            unsubscribe()
        if self._bus.acts is self._acts:
            self._bus.acts = None
        self._ordinary = [
            self._bus.subscribe(event_type, partial(add_if, self._add))
            for event_type, add_if in _ORDINARY.items()
            if add_if is not None
        ]
        now = self._now()
        self._call_at(now + _PAUSE_SECONDS, partial(self._resume, now))

    def _resume(self, paused_at: float) -> None:
        now = self._now()
        if self._gaps and paused_at - self._gaps[-1][1] < _PAUSE_SECONDS:
            paused_at = self._gaps.pop()[0]
        self._gaps.append((paused_at, now))
        self._count(now)
        self._begin()

    def _check(self) -> None:
        """Pause, unless some time has passed since there were as many ordinary events as this."""
        now = self._now()
        if not self._count(now):
            assert self._call_at is not None
            self._left = sys.maxsize
            self._call_at(now, self._pause)  # not here, where the bus is just telling of an event

    def _count(self, now: float) -> bool:
        """Count how many more ordinary events may be kept. Returns whether it is worth going on."""
        earned = min(int((now - self._counted_at) * ORDINARY_A_SECOND), ORDINARY_AT_ONCE)
        if earned < ORDINARY_A_SECOND * _PAUSE_SECONDS / 2:
            return False
        self._left, self._counted_at = earned, now
        return True

    def _add(self, event: Any) -> None:
        kept = self._kept
        kept.append((self._now(), event))
        if len(kept) >= self._look_at:
            self._trim()

    def _add_one(self, event: Any) -> None:
        self._add(event)
        self._left -= 1
        if self._left < 0:
            self._check()

    def _add_batch(self, event: Any) -> None:
        self._add(event)
        self._left -= 1 + len(event.messages)
        if self._left < 0:
            self._check()

    def _trim(self) -> None:
        """Let go of the oldest events, if there are too many."""
        kept, sizes = self._kept, self._sizes
        new = [_size(event) for _, event in kept[len(sizes) :]]
        sizes += new
        self._bytes += sum(new)
        gone = max(len(kept) - self.most, 0)
        self._bytes -= sum(sizes[:gone])
        while self._bytes > self.most_bytes and gone < len(kept) - 1:
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


def _has_messages(event_type: type[Any]) -> bool:
    return "messages" in event_type.__struct_fields__


def _size(event: Any) -> int:
    """How many bytes an event takes, about."""
    if isinstance(event, RequestFinished):
        return _EVENT_BYTES + (0 if event.asked is None else len(event.asked.headers) + len(event.asked.body))
    messages: Sequence[QueueMessage] = getattr(event, "messages", ())
    if isinstance(messages, SentMessages):
        return _EVENT_BYTES * (1 + len(messages)) + messages.size
    if messages:
        size = _EVENT_BYTES + sum(_EVENT_BYTES + len(message.body) for message in messages)
        return size + _size_of_causes(event.settlement.verdict) if isinstance(event, BatchDelivered) else size
    if isinstance(event, (WorkerOutput, Notice)):
        return _EVENT_BYTES + len(event.text)
    if isinstance(event, HandlerFailed):
        return _FAILURE_BYTES + _size_of_variables((*event.failure.frames, *event.failure.behind))
    return _EVENT_BYTES


def _size_of_causes(verdict: Verdict) -> int:
    if not verdict.causes and verdict.retry_all_cause is None:
        return 0
    different = {id(cause): cause for cause in (*verdict.causes.values(), verdict.retry_all_cause)}.values()
    return sum(
        _FAILURE_BYTES + _size_of_variables((*cause.frames, *cause.behind)) for cause in different if cause is not None
    )


def _size_of_variables(frames: Iterable[Frame]) -> int:
    return sum(_VARIABLE_BYTES + len(name) + len(text) for frame in frames for name, text in frame.variables.items())
