"""A message as it is written to the journal."""

from __future__ import annotations

import msgspec

from emulator.queues.memory.entry import LEASED, Entry
from emulator.queues.message import Attempt, DeadLetter
from emulator.wire.codec import ContentType


class MessageRecord(msgspec.Struct, array_like=True, gc=False):
    """A message. `id` has 16 bytes. `enqueued_at` is None if it is the same as the timestamp, and `ready_at` if it is
    the same as `enqueued_at`. `begun_at` is the time when a delivery began that is under way and not counted in
    `attempts`, or 0."""

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
    traceparent: str = ""


def record_of(entry: Entry) -> MessageRecord:
    """The record of a message. A message in flight is recorded as waiting, except for `begun_at`."""
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
        entry.traceparent,
    )


def restored(record: MessageRecord, *, segment: int = 0) -> Entry:
    """The message of a record. `segment` is the file of the journal that contains it."""
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
        traceparent=record.traceparent,
    )
