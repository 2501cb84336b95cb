"""The use of data bindings: noted as events, and made to fail by tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from emulator.base.bus import Bus
from emulator.bindings.events import BindingUsed


class Faults:
    """Errors that a test wants, by the names of what they are to happen to."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Exception]] = {}

    def add(self, name: str, number: int, error: Exception) -> None:
        """Let the next `number` operations on `name` fail with `error`."""
        self._waiting.setdefault(name, deque()).extend([error] * number)

    def happen(self, name: str) -> None:
        """Raise the next error of `name`, if there is one."""
        waiting = self._waiting.get(name)
        if waiting:
            raise waiting.popleft()


class Use:
    """The operations of one binding of a worker, or of somebody who has none; see BindingUsed. `target` is the name of
    what the binding leads to."""

    def __init__(self, bus: Bus, faults: Faults, kind: str, target: str, *, worker: str = "", name: str = "") -> None:
        self._bus = bus
        self._faults = faults
        self._kind = kind
        self._target = target
        self._worker = worker
        self._name = name or target

    @contextmanager
    def __call__(self, operation: str, key: str, size: int = 0) -> Iterator[Operation]:
        """An operation happens in this context. It can be told there how many bytes it has read."""
        noted = Operation(size)
        if not self._bus.wants(BindingUsed):
            self._faults.happen(self._target)
            yield noted
            return
        began = perf_counter()
        error = ""
        try:
            self._faults.happen(self._target)
            yield noted
        except Exception as raised:
            error = str(raised) or type(raised).__name__
            raise
        finally:
            duration = perf_counter() - began
            self._bus.publish(
                BindingUsed(self._worker, self._kind, self._name, operation, key, noted.size, duration, error)
            )


class Operation:
    """An operation under way."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size
