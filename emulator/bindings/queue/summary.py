"""What the start block shows of queues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emulator.bindings.kind import Overview
from emulator.bindings.queue.config import Producer, consumers_of, producers_of
from emulator.config.model import WorkerConfig
from emulator.queues.settings import ConsumerSettings, QueueSettings


def producer_text(producer: Producer) -> str:
    """`queue my-app-events`."""
    return f"queue {producer.queue}"


def queue_lines(workers: Sequence[WorkerConfig]) -> Iterator[Overview]:
    """A line for each queue that some worker sends to, consumes or gives its dead letters to."""
    texts: dict[str, str] = {}
    named: dict[str, None] = {}
    for worker in workers:
        for producer in producers_of(worker):
            named.setdefault(producer.queue)
        for consumer in consumers_of(worker):
            named.setdefault(consumer.queue)
            texts[consumer.queue] = _consumer(worker.name, consumer.settings)
    for worker in workers:
        for consumer in consumers_of(worker):
            if consumer.settings.dead_letter_queue:
                named.setdefault(consumer.settings.dead_letter_queue)
    kept = f"no consumer: keeps messages for {_seconds(QueueSettings().message_retention_period)}"
    for name in named:
        yield Overview("queue", name, texts.get(name, kept))


def _consumer(worker: str, settings: ConsumerSettings) -> str:
    if settings.type == "http_pull":
        parts = ["pulled over HTTP"]
    else:
        size = "1 message" if settings.max_batch_size == 1 else f"{settings.max_batch_size} messages"
        wait = (
            f"or {_seconds(settings.max_batch_timeout)}" if settings.max_batch_timeout else "at most, without waiting"
        )
        parts = [f"to {worker}: {size} {wait}"]
    retries = "1 retry" if settings.max_retries == 1 else f"{settings.max_retries} retries"
    parts.append(f"{retries} after {_seconds(settings.retry_delay)}" if settings.retry_delay else retries)
    if settings.max_concurrency is not None:
        parts.append(f"{settings.max_concurrency} at a time")
    parts.append(f"then to {settings.dead_letter_queue}" if settings.dead_letter_queue else "then dropped")
    return ", ".join(parts)


def _seconds(number: float) -> str:
    """A number of seconds in its largest whole unit: `5 s`, `2 minutes`, `4 days`."""
    for unit, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if number >= unit and number % unit == 0:
            return f"1 {noun}" if number == unit else f"{number // unit} {noun}s"
    return f"{number} s"
