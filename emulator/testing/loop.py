"""An event loop on which time is virtual.

`loop.time()` stands still while there is work to do, and jumps to the next timer when there is none. So
`asyncio.sleep`, timeouts and the queues' timers all follow one clock, and nobody has to wait for it. Real input and
output still work: while a socket or a thread is being waited for, time waits too.
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
"""The time when a test begins: 2027-01-15 08:00:00 UTC."""

IDLE_CONNECTION_SECONDS: Final = 0.25
"""How long (in real time) open connections, for which worker code may or may not be waiting, hold up a jump of time
after the last activity."""

HANG_SECONDS: Final = 60.0
"""How long (in real time) to wait for a thread, or for a request that is running, before giving up."""


MOST_TURNS: Final = 500_000
"""How many turns of the loop without outside input count as endless; a few seconds."""

CANCEL_SECONDS: Final = 1.0
"""How long tasks that are cancelled at the end may take to clean up."""


class StuckError(Exception):
    """What the code waits for can never happen: no timer is set, and nothing comes from outside."""


class EndlessError(Exception):
    """The code would run for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that is run only by `complete` and `advance_to`.

    `is_busy_outside` says whether something is running on the network, as far as its owner knows; time waits for it.
    `is_accounted_for` says whether a file descriptor is one of those that the owner knows about, so that it being open
    means nothing. `recurring` returns timers that are set again whenever they end: alone, they are nothing to wait for.
    """

    def __init__(
        self,
        is_busy_outside: Callable[[], object] = bool,
        is_accounted_for: Callable[[int], bool] = lambda _descriptor: False,
        recurring: Callable[[], Collection[asyncio.TimerHandle]] = tuple,
    ) -> None:
        self._recurring = recurring
        self._virtual_time = EPOCH
        self._limit = EPOCH
        self._threads = 0
        self._turns = 0
        self._counts_per_instant = False
        self._interruption: Exception | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._most_timers = 64
        self._is_busy_outside = is_busy_outside
        self._files = _Selector(self, is_accounted_for)
        super().__init__(self._files)
        self._files.hold_for_good()
        # Timers this close to now are due. The default is finer than a float can resolve for times in this century.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """The virtual time, in seconds since the epoch."""
        return self._virtual_time

    def complete(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end, moving time as far as it waits. Raises StuckError if nothing can end it any more, and
        EndlessError if it never ends."""
        task = self.create_task(main)
        task.add_done_callback(self._complete)
        is_stuck = False
        try:
            self._run(float("inf"), per_instant=False)
        finally:
            if not task.done():
                is_stuck = True
                task.cancel()
                self._run(self._virtual_time, per_instant=False)
        if is_stuck:
            raise StuckError
        return task.result()

    def advance_to(self, when: float) -> None:
        """Run everything that is due up to `when`, in order, and set the time to `when`. Raises EndlessError if more
        and more becomes due at one moment."""
        self._run(when, per_instant=True)
        self._virtual_time = max(self._virtual_time, when)

    def interrupt(self, error: Exception) -> None:
        """Stop running, and raise `error` from the method that runs the loop."""
        self._interruption = error
        self.stop()

    def finish(self) -> None:
        """Cancel the tasks that are still running, join the threads, and close the loop."""
        if self.is_closed():
            return
        tasks = _cancel_all(self)
        try:
            self.complete(_end(self, tasks))
            self._threads += 1  # the thread that joins the others
            self.complete(self.shutdown_default_executor())
        finally:
            self.close()

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As usual, and `next_timer` knows about it."""
        timer = super().call_at(when, callback, *args, context=context)
        self._timers.append(timer)
        if len(self._timers) >= self._most_timers:
            self._forget_old_timers()
        return timer

    def next_timer(self, leave_out: Collection[asyncio.TimerHandle] = ()) -> float | None:
        """When the next timer is due, except those in `leave_out`; None if there is none."""
        self._forget_old_timers()
        return min((timer.when() for timer in self._timers if timer not in leave_out), default=None)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """As usual, and time waits for the thread."""
        self._threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def real_wait(self) -> float:
        """How long to wait for something from outside, in seconds of real time, before time jumps."""
        if self._threads or self._is_busy_outside() or self._files.is_sending:
            return HANG_SECONDS
        return IDLE_CONNECTION_SECONDS if self._files.may_receive else 0.0

    def turn(self) -> None:
        """Note that there was something to run once more."""
        self._turns += 1
        if self._turns > MOST_TURNS:
            self.interrupt(EndlessError())

    def heard(self) -> None:
        """Note that something came from outside."""
        self._turns = 0

    def jump(self, seconds: float | None) -> None:
        """There is nothing to do for `seconds` (None: until something comes from outside): jump there, or stop
        running."""
        if seconds is None or self._virtual_time + seconds > self._limit or self._waits_for_nothing():
            self.stop()
        else:
            self._virtual_time += seconds
            if self._counts_per_instant:
                self._turns = 0

    def _waits_for_nothing(self) -> bool:
        """Whether time would only move from one recurring timer to the next."""
        recurring = self._recurring() if self._limit == float("inf") else ()
        return bool(recurring) and self.next_timer(recurring) is None

    def _run(self, limit: float, *, per_instant: bool) -> None:
        self._limit = limit
        self._turns = 0
        self._counts_per_instant = per_instant
        self.run_forever()
        error, self._interruption = self._interruption, None
        if error is not None:
            raise error

    def _forget_old_timers(self) -> None:
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > self._virtual_time]
        self._most_timers = 64 + 2 * len(self._timers)

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
        """Unknown: code that runs by itself in real time is not waited for."""
        return None

    def finish(self) -> None:
        """Cancel the tasks that are still running, join the threads, and close the loop."""
        if self.is_closed():
            return
        tasks = _cancel_all(self)
        try:
            self.run_until_complete(_end(self, tasks))
            self.run_until_complete(self.shutdown_default_executor())
        finally:
            self.close()


class LoopClock:
    """The queues' clock, on a loop whose time is in seconds since the epoch. `timers` are the ones that it has set."""

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


async def _end(loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[Any]]) -> None:
    """Give cancelled tasks and unfinished generators time to clean up."""
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
    await loop.shutdown_asyncgens()


class _Selector(selectors.DefaultSelector):
    """Makes time jump when the loop would wait."""

    def __init__(self, loop: VirtualLoop, is_accounted_for: Callable[[int], bool]) -> None:
        super().__init__()
        self._loop = loop
        self._is_accounted_for = is_accounted_for
        self._own: set[int] = set()
        self._is_quiet = False

    def hold_for_good(self) -> None:
        """The files that are registered by now belong to the loop itself, and are not connections."""
        self._own |= {key.fd for key in self.get_map().values()}

    @property
    def is_sending(self) -> bool:
        """Whether a connection is being opened, or waits for room to write."""
        return any(key.events & selectors.EVENT_WRITE for key in self.get_map().values())

    @property
    def may_receive(self) -> bool:
        """Whether there are connections from which something may still come."""
        return not self._is_quiet and len(self.get_map()) > len(self._own)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        if self._is_accounted_for(key.fd):
            self._own.add(key.fd)
        else:
            self._is_quiet = False
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._own.discard(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self._is_quiet = False
        return super().modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events:
            self._hear(events)
            return events
        if timeout is not None and timeout <= 0:
            self._loop.turn()
            return events
        wait = self._loop.real_wait()
        if wait:
            events = super().select(wait)
            if events:
                self._hear(events)
                return events
            self._is_quiet = True
        self._loop.jump(timeout)
        return []

    def _hear(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        self._loop.heard()
        if any(key.fd not in self._own for key, _ in events):
            self._is_quiet = False
