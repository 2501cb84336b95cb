"""How tests access what a binding kind keeps: the interface between the testing kit and the kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

from emulator.bindings.kind import OpenKind

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
