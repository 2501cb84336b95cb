"""Time, as all that waits knows it: the wall clock of a running session, or one that a test moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Protocol


class Timer(Protocol):
    """Something that will happen. `cancel` may be called at any time, also afterwards."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Times are in seconds since the epoch."""

    def now(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` at `when`, or soon when that has passed."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call `callback` as soon as what runs now has ended."""


class WallClock:
    """The machine's clock, on the running event loop. When the machine slept or its clock was set, a timer may fire
    early or late; whoever asked for it looks at `now` and asks again."""

    def __init__(self) -> None:
        self.now = time.time

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, when - time.time()), callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(callback)


class _VirtualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """A clock that stands still until it is moved. Callbacks run inside `run_due`, in the order of their times."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._order = count()
        self._timers: list[tuple[float, int, _VirtualTimer]] = []

    def now(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = _VirtualTimer(callback)
        heappush(self._timers, (max(when, self._now), next(self._order), timer))
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.call_at(self._now, callback)

    def next_timer(self) -> float | None:
        """The time of the next callback; None when there is none."""
        while self._timers and self._timers[0][2].callback is None:
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def move_to(self, when: float) -> None:
        """Set the time to `when`. Raises ValueError when that is in the past, or would pass over a callback."""
        due = self.next_timer()
        if when < self._now:
            raise ValueError(f"time does not run backwards: {when} is before {self._now}")
        if due is not None and when > due:
            raise ValueError("run_due() first: a callback is due before that")
        self._now = when

    def run_due(self) -> bool:
        """Run the next callback that is due by now. Returns whether there was one."""
        due = self.next_timer()
        if due is None or due > self._now:
            return False
        callback = heappop(self._timers)[2].callback
        if callback is not None:
            callback()
        return True
