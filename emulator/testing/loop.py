"""An event loop on which time is virtual.

`loop.time()` stands still while there is something to do, and jumps to the next timer when there is nothing else. So
`asyncio.sleep`, timeouts and the broker's timers all follow one clock that costs no waiting. Real input and output
still work: while a socket or a thread is being waited for, time waits too.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from time import time
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH: Final = 1_800_000_000.0
"""What time it is when a test begins: 2027-01-15 08:00:00 UTC."""

IDLE_CONNECTION_SECONDS: Final = 0.02
"""How long (in real time) an open connection, which worker code may or may not be waiting for, can hold up a jump."""

HANG_SECONDS: Final = 60.0
"""How long (in real time) nothing may come from a thread, or a request under way, before the wait is given up."""


class StuckError(Exception):
    """What was waited for can never happen: no timer is set, and nothing comes from outside."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that is run by `complete` and `advance_to` only.

    `is_busy_outside` tells whether something is under way on the network, as far as its owner knows; time waits for it.
    """

    def __init__(self, is_busy_outside: Callable[[], object] = bool) -> None:
        self._virtual_time = EPOCH
        self._limit = EPOCH
        self._threads = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._is_busy_outside = is_busy_outside
        self._files = _Selector(self)
        super().__init__(self._files)
        self._own_files = len(self._files.get_map())
        # Timers within this of now are due. The default is finer than what a float can say of a time in this century.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """The virtual time, in seconds since the epoch."""
        return self._virtual_time

    def complete(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end, moving time as far as it waits. Raises StuckError when it can never end."""
        self._limit = float("inf")
        task = self.create_task(main)
        task.add_done_callback(self._complete)
        try:
            self.run_forever()
        finally:
            if not task.done():
                task.cancel()
                self._limit = self._virtual_time
                self.run_forever()
        if task.cancelled():
            raise StuckError
        return task.result()

    def advance_to(self, when: float) -> None:
        """Run all that falls due up to `when`, in order, and let it be `when` then."""
        self._limit = when
        self.run_forever()
        self._virtual_time = max(self._virtual_time, when)

    def finish(self) -> None:
        """Cancel what still runs, join the threads, and close the loop."""
        if self.is_closed():
            return
        tasks = _cancel_all(self)
        try:
            if tasks:
                self.complete(_ended(tasks))
            self.complete(self.shutdown_asyncgens())
            self._threads += 1  # the one that joins the others
            self.complete(self.shutdown_default_executor())
        finally:
            self.close()

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As usual; `next_timer` knows of it."""
        timer = super().call_at(when, callback, *args, context=context)
        self._timers.append(timer)
        return timer

    def next_timer(self, leave_out: Collection[asyncio.TimerHandle] = ()) -> float | None:
        """When the next timer is due, of those that are not in `leave_out`; None when none is set."""
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > self._virtual_time]
        return min((timer.when() for timer in self._timers if timer not in leave_out), default=None)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """As usual; time waits for the thread."""
        self._threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def real_wait(self) -> float:
        """How long to wait for something from outside, in seconds of real time, before time jumps."""
        if self._threads or self._is_busy_outside():
            return HANG_SECONDS
        has_connections = len(self._files.get_map()) > self._own_files
        return IDLE_CONNECTION_SECONDS if has_connections else 0.0

    def jump(self, seconds: float | None) -> None:
        """Nothing is left to do for `seconds` (None: until something comes from outside): be there, or stop running."""
        if seconds is None or self._virtual_time + seconds > self._limit:
            self.stop()
        else:
            self._virtual_time += seconds

    def _complete(self, _task: asyncio.Task[Any]) -> None:
        self.stop()

    def _thread_ended(self, _future: asyncio.Future[Any]) -> None:
        self._threads -= 1


class RealLoop(asyncio.SelectorEventLoop):
    """The same interface in real time, for tests of what virtual time cannot reach."""

    def time(self) -> float:
        return time()

    def complete(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end."""
        return self.run_until_complete(main)

    def advance_to(self, when: float) -> None:
        """Run until it is `when`."""
        self.run_until_complete(asyncio.sleep(max(0.0, when - time())))

    def next_timer(self, leave_out: Collection[asyncio.TimerHandle] = ()) -> float | None:  # noqa: ARG002
        """Unknown: what runs by itself in real time is not waited for."""
        return None

    def finish(self) -> None:
        """Cancel what still runs, join the threads, and close the loop."""
        if self.is_closed():
            return
        tasks = _cancel_all(self)
        try:
            if tasks:
                self.run_until_complete(_ended(tasks))
            self.run_until_complete(self.shutdown_asyncgens())
            self.run_until_complete(self.shutdown_default_executor())
        finally:
            self.close()


class LoopClock:
    """The broker's clock on a loop whose time is in seconds since the epoch. `timers` are those that it has set."""

    def __init__(self, loop: VirtualLoop | RealLoop) -> None:
        self._loop = loop
        self.now = loop.time
        self.timers: set[asyncio.TimerHandle] = set()

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        self.timers = {timer for timer in self.timers if not timer.cancelled() and timer.when() >= self.now()}
        timer = self._loop.call_at(when, callback)
        self.timers.add(timer)
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon(callback)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    return tasks


async def _ended(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks)


class _Selector(selectors.DefaultSelector):
    """Where the loop would wait, time jumps instead."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        wait = self._loop.real_wait()
        if wait:
            events = super().select(wait)
            if events:
                return events
        self._loop.jump(timeout)
        return []
