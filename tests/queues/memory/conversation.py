"""What the tests of the state machine say to a queue: messages to send, and the answers that a consumer can give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

from emulator.queues.memory.queue import Queue
from emulator.queues.message import Lease, Message, Verdict
from emulator.queues.settings import ConsumerSettings, QueueSettings
from emulator.wire.codec import ContentType

T = 1_800_000_000.0
"""When every conversation starts, in seconds since the epoch."""

_numbers = count(1)


def message(
    body: bytes = b"{}",
    *,
    at: float = T,
    delay: float = 0,
    sent: float | None = None,
    content_type: ContentType = "json",
) -> Message:
    """A message that enters a queue at `at`, deliverable `delay` seconds later; `sent` is its timestamp, if earlier."""
    return Message(f"{next(_numbers):032x}", body, content_type, at if sent is None else sent, at, at + delay)


def messages(number: int, *, at: float = T, delay: float = 0) -> list[Message]:
    return [message(at=at, delay=delay) for _ in range(number)]


def make_queue(
    *,
    size: int = 10,
    timeout: int = 0,
    retries: int = 3,
    dlq: str | None = None,
    concurrency: int | None = None,
    retry_delay: int = 0,
    retention: int = 345_600,
    delivery_paused: bool = False,
) -> Queue:
    """A queue with a consumer. A batch goes out at once unless `timeout` says otherwise."""
    consumer = ConsumerSettings(
        max_batch_size=size,
        max_batch_timeout=timeout,
        max_retries=retries,
        dead_letter_queue=dlq,
        max_concurrency=concurrency,
        retry_delay=retry_delay,
    )
    return Queue("orders", QueueSettings(0, delivery_paused, retention), consumer)


def take(queue: Queue, now: float = T) -> Lease:
    """The batch that must go out now."""
    lease = queue.take_batch(now)
    assert lease is not None, "no batch is due"
    return lease


def returned(
    *,
    ack: Iterable[Message] = (),
    retry: Iterable[Message] = (),
    delays: dict[str, int | None] | None = None,
    ack_all: bool = False,
    retry_all: bool = False,
    retry_all_delay: int | None = None,
) -> Verdict:
    """The handler returned, after these calls. `delays` are retries with a delay of their own, by message id."""
    result = Verdict("ok", ack_all, retry_all, retry_all_delay)
    result.explicit_acks.update(each.id for each in ack)
    result.retry_messages.update((each.id, None) for each in retry)
    result.retry_messages.update(delays or {})
    return result


def threw(
    *, ack: Iterable[Message] = (), retry: Iterable[Message] = (), ack_all: bool = False, error: str = "ValueError: no"
) -> Verdict:
    """The handler raised, after these calls."""
    result = returned(ack=ack, retry=retry, ack_all=ack_all)
    result.outcome = "exception"
    result.error = error
    result.traceback = f"Traceback (most recent call last):\n{error}"
    return result


def ids(some: Iterable[Message]) -> list[str]:
    return [each.id for each in some]


def retried(settlement_retried: Sequence[tuple[Message, int]]) -> list[tuple[str, int]]:
    """The retried messages by id, each with its delay."""
    return [(each.id, delay) for each, delay in settlement_retried]
