"""Describes what a new configuration changes about queues."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import fields

from emulator.bindings.queue.config import consumers_of, producers_of
from emulator.config.changes import difference, set_changes
from emulator.config.model import WorkerConfig
from emulator.queues.settings import ConsumerSettings


def queue_changes(old: WorkerConfig, new: WorkerConfig) -> Iterator[str]:
    """The differences, such as `producer A: queue a -> b` and `queue orders: max_batch_size 10 -> 5`."""
    old_producers = {producer.binding: producer for producer in producers_of(old)}
    new_producers = {producer.binding: producer for producer in producers_of(new)}
    yield from set_changes("producer", old_producers, new_producers)
    for binding, producer in new_producers.items():
        if before := old_producers.get(binding):
            yield from difference(f"producer {binding}: queue", before.queue, producer.queue)
    old_consumers = {consumer.queue: consumer.settings for consumer in consumers_of(old)}
    new_consumers = {consumer.queue: consumer.settings for consumer in consumers_of(new)}
    yield from set_changes("consumer of", old_consumers, new_consumers)
    for queue, settings in new_consumers.items():
        if queue in old_consumers:
            for setting in fields(ConsumerSettings):
                values = getattr(old_consumers[queue], setting.name), getattr(settings, setting.name)
                yield from difference(f"queue {queue}: {setting.name}", *values)
