"""A message as the memory engine keeps it: with what the engine itself notes about it, and changed in place.

It never leaves the engine. `look_at_all` makes the values that others get.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from emulator.queues.message import Attempt, DeadLetter, Message
from emulator.wire.codec import ContentType

GONE: Final = 0
READY: Final = 1
DELAYED: Final = 2
LEASED: Final = 3


class Entry(msgspec.Struct, gc=False):
    """A message, as `Message` describes it; `place` is where in its queue it is (GONE to LEASED), `lease_id` the last
    lease that a client pulled it with, `segment` the file of the journal that holds it, and `begun_at` when a delivery
    began that the journal knows of, 0 while there is none. No cycle can go through it, so the garbage collector need
    not look at it."""

    id: str
    body: bytes
    content_type: ContentType
    source: str
    timestamp: float
    enqueued_at: float
    ready_at: float
    attempts: int = 0
    failures: tuple[Attempt, ...] = ()
    dead_letter: DeadLetter | None = None
    place: int = GONE
    lease_id: str = ""
    segment: int = 0
    begun_at: float = 0


def look(entry: Entry) -> Message:
    """The message as it is now."""
    return look_at_all((entry,))[0]


def look_at_all(entries: Iterable[Entry]) -> list[Message]:
    """Messages as they are now."""
    return [
        Message(
            entry.id,
            entry.body,
            entry.content_type,
            entry.timestamp,
            entry.enqueued_at,
            entry.ready_at,
            entry.attempts,
            entry.failures,
            entry.dead_letter,
            entry.source,
        )
        for entry in entries
    ]


def entry_of(message: Message) -> Entry:
    """A message that enters a queue."""
    return Entry(
        message.id,
        message.body,
        message.content_type,
        message.source,
        message.timestamp,
        message.enqueued_at,
        message.ready_at,
        message.attempts,
        message.failures,
        message.dead_letter,
    )
