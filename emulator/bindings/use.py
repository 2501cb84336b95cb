"""The use of data bindings: noted as events and for the lines of requests, and made to fail or to take long by
tests."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from emulator.base.acts import acting
from emulator.bindings.events import BindingUsed
from emulator_runtime.hosting import current

if TYPE_CHECKING:
    from emulator.bindings.kind import Resources


class Faults:
    """Errors and delays that a test wants, by the names of what they are to happen to."""

    def __init__(self) -> None:
        self._errors: dict[str, deque[Exception]] = {}
        self._delays: dict[str, deque[float]] = {}

    def add(self, name: str, number: int, error: Exception) -> None:
        """Let the next `number` operations on `name` fail with `error`."""
        self._errors.setdefault(name, deque()).extend([error] * number)

    def delay(self, name: str, number: int, seconds: float) -> None:
        """Let the next `number` operations of workers on `name` take `seconds` longer."""
        self._delays.setdefault(name, deque()).extend([seconds] * number)

    def happen(self, name: str) -> None:
        """Raise the next error of `name`, if there is one."""
        waiting = self._errors.get(name)
        if waiting:
            raise waiting.popleft()

    def next_delay(self, name: str) -> float:
        """How many seconds longer an operation on `name` is to take."""
        waiting = self._delays.get(name)
        return waiting.popleft() if waiting else 0.0


class Tally:
    """How many operations a request has caused, by the kinds of bindings, and how many seconds they took."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.seconds = 0.0

    def add(self, kind: str, seconds: float) -> None:
        """Count an operation."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.seconds += seconds


class Tallies:
    """The tallies of the requests that are being answered. Those of a Python worker are known by where they run; an
    operation of a JavaScript worker belongs to its request while it answers no other."""

    def __init__(self) -> None:
        self._current: ContextVar[Tally | None] = ContextVar("tally", default=None)
        self._running: dict[str, list[Tally]] = {}
        self.workers: set[str] = set()
        """The workers whose operations are counted."""
        self.held = 0
        """How many operations of other processes are being delayed."""

    def begin(self, worker: str) -> Tally | None:
        """A request of a worker is being answered from now on, here; None if its operations are not counted."""
        if worker not in self.workers:
            return None
        tally = Tally()
        self._running.setdefault(worker, []).append(tally)
        self._current.set(tally)
        return tally

    def end(self, worker: str, tally: Tally) -> None:
        """It is answered."""
        self._running[worker].remove(tally)
        self._current.set(None)

    def find(self, worker: str) -> Tally | None:
        """The tally of the request that an operation of a worker belongs to; None if that is not known."""
        if not _is_outside():
            return self._current.get()
        running = self._running.get(worker, ())
        return running[0] if len(running) == 1 else None

    async def hold(self, seconds: float) -> None:
        """Delay an operation."""
        is_outside = _is_outside()
        self.held += is_outside
        try:
            await asyncio.sleep(seconds)
        finally:
            self.held -= is_outside


def _is_outside() -> bool:
    """Whether an operation comes from worker code in another process."""
    return current.get(None) is None


class Use:
    """The operations of one binding of a worker, or of somebody who has none; see BindingUsed. `target` is the name of
    what the binding leads to."""

    def __init__(
        self, resources: Resources, faults: Faults, kind: str, target: str, *, worker: str = "", name: str = ""
    ) -> None:
        self.bus = resources.bus
        self.tallies = resources.tallies
        self.faults = faults
        self.kind = kind
        self.target = target
        self.worker = worker
        self.name = name or target
        if worker:
            resources.tallies.workers.add(worker)

    def __call__(self, operation: str, key: str, size: int = 0) -> Operation:
        """An operation happens in this context. It can be told there how many bytes it has read."""
        return Operation(self, operation, key, size)


class Operation:
    """An operation under way. Where it can wait, it is delayed if a test wants that."""

    __slots__ = ("_began", "_key", "_name", "_tally", "_use", "size")

    def __init__(self, use: Use, name: str, key: str, size: int) -> None:
        self._use = use
        self._name = name
        self._key = key
        self.size = size

    async def __aenter__(self) -> Self:
        use = self._use
        if use.worker:
            delay = use.faults.next_delay(use.target)
            if delay:
                await use.tallies.hold(delay)
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __enter__(self) -> Self:
        use = self._use
        self._tally = use.tallies.find(use.worker) if use.worker else None
        self._began = perf_counter()
        try:
            use.faults.happen(use.target)
        except Exception as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        use = self._use
        duration = perf_counter() - self._began
        if self._tally is not None:
            self._tally.add(use.kind, duration)
        if use.bus.wants(BindingUsed):
            text = "" if error is None else str(error) or type(error).__name__
            acts = use.bus.acts
            act = None if acts is None else acts.begin(acting.get(), seconds_ago=duration)
            use.bus.publish(
                BindingUsed(use.worker, use.kind, use.name, self._name, self._key, self.size, duration, text, act=act)
            )
