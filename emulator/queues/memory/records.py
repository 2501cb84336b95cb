"""A message as it is written down: in the journal, and on its way to another session."""

from __future__ import annotations

import msgspec

from emulator.queues.memory.queue import LEASED
from emulator.queues.message import Attempt, DeadLetter, Message
from emulator.wire.codec import ContentType


class MessageRecord(msgspec.Struct, array_like=True, gc=False):
    """A message. `id` has 16 bytes. `enqueued_at` None: at its timestamp. `ready_at` None: when it was enqueued."""

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


def store(message: Message) -> MessageRecord:
    """A message to be written down. What is in flight is written as if it waited: the attempt does not count."""
    enqueued_at, ready_at = message.enqueued_at, message.ready_at
    return MessageRecord(
        bytes.fromhex(message.id),
        message.body,
        message.content_type,
        message.timestamp,
        None if enqueued_at == message.timestamp else enqueued_at,
        None if ready_at == enqueued_at else ready_at,
        message.source,
        message.attempts if message.place != LEASED else message.attempts - 1,
        message.failures,
        message.dead_letter,
    )


def restore(stored: MessageRecord, *, segment: int = 0) -> Message:
    """The message that was written down. `segment` is where the journal has it."""
    enqueued_at = stored.timestamp if stored.enqueued_at is None else stored.enqueued_at
    return Message(
        stored.id.hex(),
        stored.body,
        stored.content_type,
        stored.timestamp,
        enqueued_at,
        enqueued_at if stored.ready_at is None else stored.ready_at,
        stored.attempts,
        stored.failures,
        stored.dead_letter,
        source=stored.source,
        segment=segment,
    )
