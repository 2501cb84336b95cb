"""A message as the memory engine stores it: it is changed in place, and has fields that only the engine uses.

It never leaves the engine. `look_at_all` creates the values that others get.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from emulator.queues.message import Attempt, DeadLetter, QueueMessage
from emulator.wire.codec import ContentType

GONE: Final = 0
READY: Final = 1
DELAYED: Final = 2
LEASED: Final = 3


class Entry(msgspec.Struct, gc=False):
    """A message, as `QueueMessage` describes it. `place` is its place in the queue (GONE to LEASED), `lease_id` the
    last lease of a client, `segment` the file of the journal that contains it, and `begun_at` the time when a delivery
    began that is in the journal, or 0. It cannot be part of a reference cycle, so the garbage collector ignores it."""

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
    traceparent: str = ""


def look(entry: Entry) -> QueueMessage:
    """The message as it is now."""
    return look_at_all((entry,))[0]


def look_at_all(entries: Iterable[Entry]) -> list[QueueMessage]:
    """Messages as they are now."""
    return [
        QueueMessage(
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
            entry.traceparent,
        )
        for entry in entries
    ]


def entry_of(message: QueueMessage) -> Entry:
    """The entry for a message that enters a queue."""
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
        traceparent=message.traceparent,
    )
