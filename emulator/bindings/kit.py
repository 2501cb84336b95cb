"""How tests access what a binding kind keeps: the interface between the testing kit and the kinds."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

from emulator.base.coroutines import run_now
from emulator.bindings.kind import OpenKind
from emulator.bindings.use import Faults

T = TypeVar("T")


class Kit(Protocol):
    """An open emulator, as accessors see it."""

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""

    def check_open(self) -> None:
        """Raise EmulatorError if it is closed."""

    def open_kind(self, kind: str) -> OpenKind[Any]:
        """A kind in the emulator's session. Raises EmulatorError if the emulator is closed."""

    async def on_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call `function` on another thread, while no other thread is inside the emulator."""


class Accessor(NamedTuple):
    """A method of Emulator and AsyncEmulator: `emulator.NAME(...)` calls `synchronous(kit, ...)`, or in async tests
    `asynchronous(kit, ...)`."""

    name: str
    synchronous: Callable[..., Any]
    asynchronous: Callable[..., Any]


def content_of(value: Any) -> bytes:
    """The bytes of a value that a test gives: of text, of bytes, or of anything else as JSON."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()


class Faulty:
    """What a test reaches, and can make fail or slow. A subclass sets `_kit`, `_faults` and `_target`, the name that it
    has there."""

    _kit: Kit
    _faults: Faults
    _target: str

    def fail_next(self, number: int = 1, error: Exception | None = None) -> None:
        """Let the next `number` operations fail with `error`: what the service says when it is in trouble, unless
        given."""
        __tracebackhide__ = True
        self._kit.check_open()
        self._faults.add(self._target, number, error or self._refusal())

    def delay_next(self, seconds: float, number: int = 1) -> None:
        """Let the next `number` operations of workers take `seconds` longer, of the test's time."""
        __tracebackhide__ = True
        self._kit.check_open()
        self._faults.delay(self._target, number, seconds)

    def _refusal(self) -> Exception:
        """What the service says when it is in trouble."""
        raise NotImplementedError

    def _now(self, running: Coroutine[Any, Any, T]) -> T:
        """The result of what does not suspend."""
        __tracebackhide__ = True
        try:
            self._kit.check_open()
        except BaseException:
            running.close()
            raise
        return run_now(running)
