"""Keeps open pages up to date: counts what happens, and tells pages that something has.

Nobody listens on the bus before the first page is open, so a session whose dashboard is never opened pays nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
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
    BatchDelivered,
    ConfigurationChanged,
    ConsumerChanged,
    HandlerFailed,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesPromoted,
    MessagesSent,
    RequestFinished,
    ScheduledFinished,
    WorkerOutput,
    WorkerReloaded,
)


class Slice(NamedTuple):
    """What happened in SLICE_SECONDS from `number * SLICE_SECONDS` on, in seconds since the epoch: counts by what was
    counted, such as `requests` or `sent my-app-events`."""

    number: int
    counts: Counter[str]


class Pulse:
    """The pages that listen, and the counts of the last five minutes, from `begin` until `close`."""

    def __init__(self, session: Session, recorder: Recorder | None = None) -> None:
        self._session = session
        self._recorder = recorder
        self._slices: deque[Slice] = deque(maxlen=SLICES)
        self._pages: set[asyncio.Event] = set()
        self._is_closed = False
        self._at: float | None = None
        """When what is counted now has happened; None is now."""
        self._subscriptions: list[Callable[[], None]] = []
        self.reloads: deque[tuple[float, WorkerReloaded]] = deque(maxlen=50)
        """The last reloads, with the times of them."""
        self.number = 0
        """How often something has happened: a page that was made at this number is up to date while it stays so."""

    def begin(self) -> None:
        """Listen from now on; what is recorded of the time before counts, too."""
        if self._subscriptions:
            return
        bus = self._session.bus
        counted: dict[type[Any], Callable[[Any], None]] = {
            RequestFinished: self._request,
            MessagesSent: self._sent,
            BatchDelivered: self._delivered,
            WorkerReloaded: self._reloaded,
        }
        if self._recorder is not None:
            for _, at, event in self._recorder.after(0):
                if type(event) in counted:
                    self._at = at
                    counted[type(event)](event)
            self._at = None
        self._subscriptions += [bus.subscribe(kind, counted.get(kind, self._news)) for kind in _NEWS]

    def close(self) -> None:
        """End all answers to pages, which otherwise never end."""
        self._is_closed = True
        for unsubscribe in self._subscriptions:
            unsubscribe()
        self.tell()

    def tell(self) -> None:
        """Tell all pages that something has happened."""
        self.number += 1
        for page in self._pages:
            page.set()

    def count(self, name: str, seconds: int = 60) -> int:
        """How often something was counted in the last whole slices, `seconds` long in all."""
        return sum(self.series(name)[-(seconds // SLICE_SECONDS) :])

    def series(self, name: str) -> list[int]:
        """The counts of each of the SLICES, the oldest first."""
        last = self._number()
        counts = {each.number: each.counts[name] for each in self._slices}
        return [counts.get(number, 0) for number in range(last - SLICES + 1, last + 1)]

    async def events(self) -> AsyncIterator[str]:
        """Server-sent events: `hello` with the number of the moment, then `change` when something has happened."""
        page = asyncio.Event()
        self._pages.add(page)
        try:
            yield f"retry: 1000\nevent: hello\ndata: {self.number}\n\n"
            while not self._is_closed:
                try:
                    await asyncio.wait_for(page.wait(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield ":\n\n"
                    continue
                if self._is_closed:
                    return
                yield "event: change\ndata:\n\n"
                await asyncio.sleep(PAUSE_SECONDS)
                page.clear()
                if self._is_closed:
                    return
        finally:
            self._pages.discard(page)

    def _time(self) -> float:
        return self._session.clock.now() if self._at is None else self._at

    def _number(self) -> int:
        return int(self._time() // SLICE_SECONDS)

    def _counts(self) -> Counter[str]:
        number = self._number()
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(Slice(number, Counter()))
        return self._slices[-1].counts

    def _news(self, _event: object) -> None:
        self.tell()

    def _request(self, event: RequestFinished) -> None:
        counts = self._counts()
        counts["requests"] += 1
        counts[f"requests {event.worker}"] += 1
        if event.status >= 500:
            counts["errors"] += 1
        self.tell()

    def _sent(self, event: MessagesSent) -> None:
        counts = self._counts()
        if event.source != "dead letter":
            counts["sent"] += len(event.messages)
        counts[f"sent {event.queue}"] += len(event.messages)
        counts[f"sent {event.queue} {event.source}"] += len(event.messages)
        self.tell()

    def _delivered(self, event: BatchDelivered) -> None:
        counts = self._counts()
        settlement = event.settlement
        counts["acked"] += len(settlement.acked)
        counts[f"acked {event.queue}"] += len(settlement.acked)
        counts["retried"] += len(settlement.retried)
        counts[f"retried {event.queue}"] += len(settlement.retried)
        counts[f"dead {event.queue}"] += len(settlement.dead)
        counts[f"delivered {event.queue}"] += len(event.messages)
        counts["errors"] += len(settlement.dead) + len(settlement.dropped)
        self.tell()

    def _reloaded(self, event: WorkerReloaded) -> None:
        self.reloads.append((self._time(), event))
        self.tell()
