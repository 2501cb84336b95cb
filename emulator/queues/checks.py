"""Checks of messages, delays and other numbers against the limits of the service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emulator.base.ranges import Range
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.message import NewMessage
from emulator.queues.settings import (
    DELAY_SECONDS,
    MAX_BACKLOG_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_COUNT,
    MAX_MESSAGE_BYTES,
)


def check_number(
    name: str,
    value: int,
    allowed: Range,
    code: QueueErrorCode = QueueErrorCode.JSON_REQUEST_BODY_INVALID,
) -> None:
    """Raise QueueError if `value`, called `name`, is not in the range `allowed`."""
    if value not in allowed:
        raise QueueError(code, f"{name} of {value!r} is invalid: it must be a whole number, {allowed}")


def check_send(messages: Sequence[NewMessage], batch_delay_seconds: int | None) -> None:
    """Raise QueueError if the service would not accept these messages. There must be at least one."""
    count, size = len(messages), 0
    for message in messages:
        length = len(message.body)
        size += length
        if length > MAX_MESSAGE_BYTES:
            raise QueueError(
                QueueErrorCode.MESSAGE_SIZE_OUT_OF_BOUNDS,
                f"Message is {length:,} bytes long, over the limit of {MAX_MESSAGE_BYTES:,} bytes",
            )
        delay = message.delay_seconds
        if delay is not None and delay not in DELAY_SECONDS:
            raise QueueError(
                QueueErrorCode.MESSAGE_METADATA_INVALID,
                f"Message delay of {delay!r} is invalid: it must be a whole number of seconds, {DELAY_SECONDS}",
            )
    if count > MAX_BATCH_COUNT:
        raise QueueError(
            QueueErrorCode.BATCH_COUNT_OUT_OF_BOUNDS,
            f"Batch has {count:,} messages, over the limit of {MAX_BATCH_COUNT}",
        )
    if count > 1 and size > MAX_BATCH_BYTES:
        raise QueueError(
            QueueErrorCode.BATCH_SIZE_OUT_OF_BOUNDS,
            f"Batch is {size:,} bytes long, over the limit of {MAX_BATCH_BYTES:,} bytes",
        )
    if batch_delay_seconds is not None and batch_delay_seconds not in DELAY_SECONDS:
        raise QueueError(
            QueueErrorCode.BATCH_DELAY_INVALID,
            f"Batch delay of {batch_delay_seconds!r} is invalid: it must be a whole number of seconds, {DELAY_SECONDS}",
        )


def check_room(queue: str, backlog_bytes: int, messages: Iterable[NewMessage]) -> None:
    """Raise QueueError if a queue with bodies of `backlog_bytes` in total has no room for `messages`. Engines call
    this, because only they know what is in a queue when they accept more."""
    if backlog_bytes + MAX_BATCH_BYTES <= MAX_BACKLOG_BYTES:
        return
    if backlog_bytes + sum(len(message.body) for message in messages) > MAX_BACKLOG_BYTES:
        raise QueueError(
            QueueErrorCode.QUEUE_STORAGE_LIMIT_EXCEEDED,
            f"Queue {queue} has a backlog over {MAX_BACKLOG_BYTES // 10**9} GB",
        )
