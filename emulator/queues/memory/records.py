"""A message as it is written down in the journal."""

from __future__ import annotations

import msgspec

from emulator.queues.memory.entry import LEASED, Entry
from emulator.queues.message import Attempt, DeadLetter
from emulator.wire.codec import ContentType


class MessageRecord(msgspec.Struct, array_like=True, gc=False):
    """A message. `id` has 16 bytes. `enqueued_at` None: at its timestamp. `ready_at` None: when it was enqueued.
    `begun_at` is when a delivery began that is under way, and that `attempts` does not count; 0: none is."""

    id: bytes
    body: bytes
    content_type: ContentType
    timestamp: float
    enqueued_at: float | None
    ready_at: float | None
    source: str
    attempts: int = 0
    failures: tuple[Attempt, ...] = ()
    dead_letter: DeadLetter | None = None
    begun_at: float = 0


def record_of(entry: Entry) -> MessageRecord:
    """A message to be written down. What is in flight is written as if it waited, but for `begun_at`."""
    enqueued_at, ready_at = entry.enqueued_at, entry.ready_at
    return MessageRecord(
        bytes.fromhex(entry.id),
        entry.body,
        entry.content_type,
        entry.timestamp,
        None if enqueued_at == entry.timestamp else enqueued_at,
        None if ready_at == enqueued_at else ready_at,
        entry.source,
        entry.attempts if entry.place != LEASED else entry.attempts - 1,
        entry.failures,
        entry.dead_letter,
        entry.begun_at,
    )


def restored(record: MessageRecord, *, segment: int = 0) -> Entry:
    """The message that was written down. `segment` is where the journal has it."""
    enqueued_at = record.timestamp if record.enqueued_at is None else record.enqueued_at
    return Entry(
        record.id.hex(),
        record.body,
        record.content_type,
        record.source,
        record.timestamp,
        enqueued_at,
        enqueued_at if record.ready_at is None else record.ready_at,
        record.attempts,
        record.failures,
        record.dead_letter,
        segment=segment,
        begun_at=record.begun_at,
    )
