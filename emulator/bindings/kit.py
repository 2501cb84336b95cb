"""What the testing kit and a binding kind have to do with each other: how tests reach what the kind keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

from emulator.bindings.kind import Service

T = TypeVar("T")


class Kit(Protocol):
    """An open emulator, as accessors see it."""

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""

    def check_open(self) -> None:
        """Raise EmulatorError when it is closed."""

    def service(self, kind: str) -> Service[Any]:
        """What is alive of a kind. Raises EmulatorError when the emulator is closed."""

    async def on_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call `function` on another thread, while no other thread is inside the emulator."""


class Accessor(NamedTuple):
    """A method of Emulator and AsyncEmulator: `emulator.NAME(...)` is `synchronous(kit, ...)`, and for async tests
    `asynchronous(kit, ...)`."""

    name: str
    synchronous: Callable[..., Any]
    asynchronous: Callable[..., Any]
