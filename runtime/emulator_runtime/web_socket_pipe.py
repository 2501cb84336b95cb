"""What two sides of a WebSocket exchange, without the objects that worker code sees and without a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple


class Closing(NamedTuple):
    """A Close frame. The code 1005 means that the frame has none."""

    code: int
    reason: str


class Lost(NamedTuple):
    """The end of a connection without a Close frame. `error` says which rule of the protocol was broken, if one was."""

    error: str = ""


Item = str | bytes | Closing | Lost
"""What comes out of an end: messages, then one Closing or Lost."""


class End:
    """One end of a WebSocket: what is sent into it comes out of the other end, in order.

    What arrives before `receive` is called is kept until then.
    """

    __slots__ = ("_arrived", "_other", "_receive")

    _other: End

    def __init__(self) -> None:
        self._arrived: deque[Item] = deque()
        self._receive: Callable[[Item], None] | None = None

    @staticmethod
    def pair() -> tuple[End, End]:
        """The two ends of a new WebSocket."""
        one, other = End(), End()
        one._other, other._other = other, one
        return one, other

    def send(self, item: Item) -> None:
        """Let `item` come out of the other end."""
        self._other.arrive(item)

    def arrive(self, item: Item) -> None:
        """Let `item` come out of this end."""
        if self._receive is None:
            self._arrived.append(item)
        else:
            self._receive(item)

    def receive(self, receive: Callable[[Item], None]) -> None:
        """Call `receive` with each item from now on, beginning with those that have arrived."""
        self._receive = receive
        while self._arrived:
            receive(self._arrived.popleft())
