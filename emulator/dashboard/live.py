"""Keeps open pages up to date: counts what happens, and tells pages that something has.

Nobody listens on the bus before the first page is open, so a session whose dashboard is never opened pays nothing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from emulator.hosts.events import HandlerFailed, ScheduledFinished, WorkerOutput
from emulator.queues.events import (
    BatchDelivered,
    ConsumerChanged,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesPromoted,
    MessagesSent,
    SendCounted,
)
from emulator.server.events import RequestFinished
from emulator.session.events import ConfigurationChanged, WorkerReloaded

if TYPE_CHECKING:
    from emulator.log.recorder import Recorder
    from emulator.session.session import Session

SLICE_SECONDS: Final = 5
SLICES: Final = 60
"""Five minutes of what is counted, in slices."""

PAUSE_SECONDS: Final = 0.5
"""Pages are told at most this often, however much happens."""

KEEP_ALIVE_SECONDS: Final = 15.0

_NEWS: Final = (
    ConfigurationChanged,
    ConsumerChanged,
    HandlerFailed,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesPromoted,
    ScheduledFinished,
    WorkerOutput,
)


Numbers = defaultdict[tuple[str, ...], int]
"""Numbers of what was counted, each with what it is of, the widest first: `("sent", "my-app-events", "sign-up")` is
what worker sign-up has sent to a queue, and what is "moved" came as a dead letter."""


class Slice(NamedTuple):
    """What happened in SLICE_SECONDS from `number * SLICE_SECONDS` on, in seconds since the epoch."""

    number: int
    counts: Numbers


def _add_request(counts: Numbers, event: RequestFinished) -> None:
    counts["requests", event.worker] += 1
    if event.status >= 500:
        counts["errors", event.worker] += 1


def _add_sent(counts: Numbers, event: SendCounted) -> None:
    name = "moved" if event.source == "dead letter" else "sent"
    counts[name, event.queue, event.source] += event.count


def _add_delivered(counts: Numbers, event: BatchDelivered) -> None:
    settlement, queue = event.settlement, event.queue
    counts["delivered", queue] += len(event.messages)
    counts["acked", queue] += len(settlement.acked)
    counts["retried", queue] += len(settlement.retried)
    counts["dead", queue] += len(settlement.dead)
    counts["errors", queue] += len(settlement.dead) + len(settlement.dropped)


_COUNTED: Final[Mapping[type[Any], Callable[[Numbers, Any], None]]] = {
    RequestFinished: _add_request,
    SendCounted: _add_sent,
    BatchDelivered: _add_delivered,
}


class Pulse:
    """The pages that listen, and the counts of the last five minutes, from `begin` until `close`. What is done for an
    event is little, because there may be tens of thousands of them a second: no more than to count it."""

    def __init__(self, session: Session, recorder: Recorder | None = None) -> None:
        self._session = session
        self._recorder = recorder
        self._slices: deque[Slice] = deque(maxlen=SLICES)
        self._counts: Numbers | None = None
        """Those of the slice that has begun; None where none has."""
        self._news = asyncio.Event()
        """Cleared by pages that wait for something to happen."""
        self._is_closed = False
        self._subscriptions: list[Callable[[], None]] = []
        self.reloads: deque[tuple[float, WorkerReloaded]] = deque(maxlen=50)
        """The last reloads, with the times of them."""
        self.number = 0
        """How often something has happened: a page that was made at this number is up to date while it stays so."""

    def begin(self) -> None:
        """Listen from now on; what is recorded of the time before counts, too."""
        if self._subscriptions:
            return
        for _, at, event in () if self._recorder is None else self._recorder.after(0):
            if isinstance(event, MessagesSent):
                _add_sent(self._at(at), SendCounted(event.queue, event.source, len(event.messages)))
            elif type(event) in _COUNTED:
                _COUNTED[type(event)](self._at(at), event)
            elif isinstance(event, WorkerReloaded):
                self.reloads.append((at, event))
        bus = self._session.bus
        self._subscriptions += [bus.subscribe(kind, self._counting(add)) for kind, add in _COUNTED.items()]
        self._subscriptions.append(bus.subscribe(WorkerReloaded, self._reloaded))
        self._subscriptions += [bus.subscribe(kind, self._happened) for kind in _NEWS]

    def close(self) -> None:
        """End all answers to pages, which otherwise never end."""
        self._is_closed = True
        for unsubscribe in self._subscriptions:
            unsubscribe()
        self._news.set()

    def tell(self) -> None:
        """Tell all pages that something has happened."""
        self.number += 1
        if not self._news.is_set():
            self._news.set()

    def count(self, *what: str, seconds: int = 60) -> int:
        """How often something was counted in the last whole slices, `seconds` long in all; as in `series`."""
        return sum(self.series(*what)[-(seconds // SLICE_SECONDS) :])

    def series(self, *what: str) -> list[int]:
        """The counts of each of the SLICES, the oldest first. `what` is how a count begins: `"sent"`, or with a queue,
        or with a queue and who sent to it."""
        last, length = self._number(self._session.clock.now()), len(what)
        counts = {
            each.number: sum(number for name, number in each.counts.items() if name[:length] == what)
            for each in self._slices
        }
        return [counts.get(number, 0) for number in range(last - SLICES + 1, last + 1)]

    async def events(self) -> AsyncIterator[str]:
        """Server-sent events: `hello` with the number of the moment, then `change` when something has happened."""
        told = self.number
        yield f"retry: 1000\nevent: hello\ndata: {told}\n\n"
        while not self._is_closed:
            if told == self.number:
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield ":\n\n"
                continue
            told = self.number
            yield "event: change\ndata:\n\n"
            await asyncio.sleep(PAUSE_SECONDS)

    def _number(self, at: float) -> int:
        return int(at // SLICE_SECONDS)

    def _at(self, at: float) -> Numbers:
        """The counts of the slice at a time, which is not before that of the last."""
        number = self._number(at)
        if not self._slices or self._slices[-1].number < number:
            self._slices.append(Slice(number, defaultdict(int)))
        return self._slices[-1].counts

    def _begin_slice(self) -> Numbers:
        """The counts of the slice that it is now, until it is over."""
        now = self._session.clock.now()
        self._counts = self._at(now)
        self._session.clock.call_at((self._number(now) + 1) * SLICE_SECONDS, self._end_slice)
        return self._counts

    def _end_slice(self) -> None:
        self._counts = None

    def _counting(self, add: Callable[[Numbers, Any], None]) -> Callable[[Any], None]:
        def happened(event: Any) -> None:
            add(self._counts or self._begin_slice(), event)
            self.tell()

        return happened

    def _happened(self, _event: object) -> None:
        self.tell()

    def _reloaded(self, event: WorkerReloaded) -> None:
        self.reloads.append((self._session.clock.now(), event))
        self.tell()
