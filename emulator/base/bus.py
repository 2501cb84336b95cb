"""The bus that carries events: things that happened, each defined beside what publishes it.

The terminal log, the testing kit's timeline and others subscribe here; nobody else keeps a record of what happened. An
event is published once, on the event loop's thread. `Bus.wants` lets a hot path skip creating an event that nobody
subscribed to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec

from emulator.base.acts import Act, Acts

E = TypeVar("E")
Level = Literal["debug", "info", "warning", "error"]


class Happening(msgspec.Struct, kw_only=True, gc=False):
    """Something that happened, when it is published. `act` is what ended with it, or of a text or a failure, in what
    that happened; None if it is not known, as nearly always while the bus has no `acts`."""

    act: Act | None = None


class Notice(Happening):
    """Something that the emulator itself says."""

    level: Level
    text: str
    worker: str = ""


class Bus:
    """Delivers each event to the subscribers of its type, in the order of subscription. `acts` begins what events tell
    of; None while nobody needs to know what caused what, as that takes time. `follower` is the same for as long as
    somebody will need that again, too."""

    def __init__(self) -> None:
        self.acts: Acts | None = None
        self.follower: Acts | None = None
        self._subscribers: dict[type[Any], list[Callable[[Any], None]]] = {}

    def follow(self, acts: Acts) -> None:
        """Begin what events tell of by `acts` from now on."""
        self.acts = self.follower = acts

    def subscribe(self, event_type: type[E], callback: Callable[[E], None]) -> Callable[[], None]:
        """Call `callback` with every event of exactly this type. Returns a function that ends the subscription."""
        self._subscribers.setdefault(event_type, []).append(callback)

        def unsubscribe() -> None:
            callbacks = self._subscribers.get(event_type, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._subscribers.pop(event_type, None)

        return unsubscribe

    def wants(self, event_type: type[Any]) -> bool:
        """Whether anything is subscribed to this type."""
        return event_type in self._subscribers

    def publish(self, event: object) -> None:
        """Call the subscribers of `event` at once."""
        for callback in self._subscribers.get(type(event), ()):
            callback(event)
