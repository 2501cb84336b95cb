"""What differs between two readings of a configuration, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from typing import Final

from emulator.config.model import Bundling, WorkerConfig
from emulator.queues.settings import ConsumerSettings

_PLAIN: Final = (
    ("name", "name"),
    ("main", "main"),
    ("compatibility_date", "compatibility_date"),
    ("cpu_ms", "limits.cpu_ms"),
    ("dev_port", "dev.port"),
    ("dev_ip", "dev.ip"),
)


def describe_changes(old: WorkerConfig, new: WorkerConfig) -> list[str]:
    """One phrase a difference, such as `queue orders: max_batch_size 10 -> 5`, `var GREETING added` or
    `consumer of orders removed`. Vars and secrets are named, their values never shown."""
    return list(_changes(old, new))


def _changes(old: WorkerConfig, new: WorkerConfig) -> Iterator[str]:
    for attribute, key in _PLAIN:
        yield from _difference(key, getattr(old, attribute), getattr(new, attribute))
    yield from _bundling_changes(old.bundling, new.bundling)
    yield from _set_changes("compatibility flag", sorted(old.compatibility_flags), sorted(new.compatibility_flags))
    yield from _mapping_changes("var", old.vars, new.vars)
    yield from _mapping_changes("secret", old.secrets, new.secrets)
    yield from _mapping_changes("binding", old.unsupported_bindings, new.unsupported_bindings)

    old_producers = {producer.binding: producer for producer in old.producers}
    new_producers = {producer.binding: producer for producer in new.producers}
    yield from _set_changes("producer", old_producers, new_producers)
    for binding, producer in new_producers.items():
        if before := old_producers.get(binding):
            yield from _difference(f"producer {binding}: queue", before.queue, producer.queue)
            yield from _difference(
                f"producer {binding}: delivery_delay", before.delivery_delay, producer.delivery_delay
            )

    old_services = {service.binding: service for service in old.services}
    new_services = {service.binding: service for service in new.services}
    yield from _set_changes("service", old_services, new_services)
    for binding, service in new_services.items():
        if (other := old_services.get(binding)) and other != service:
            yield f"service {binding} changed"

    old_consumers = {consumer.queue: consumer.settings for consumer in old.consumers}
    new_consumers = {consumer.queue: consumer.settings for consumer in new.consumers}
    yield from _set_changes("consumer of", old_consumers, new_consumers)
    for queue, settings in new_consumers.items():
        if queue in old_consumers:
            for setting in fields(ConsumerSettings):
                yield from _difference(
                    f"queue {queue}: {setting.name}",
                    getattr(old_consumers[queue], setting.name),
                    getattr(settings, setting.name),
                )
    yield from _set_changes("cron", old.crons, new.crons)


def _bundling_changes(old: Bundling, new: Bundling) -> Iterator[str]:
    for setting in fields(old):
        if getattr(old, setting.name) != getattr(new, setting.name):
            yield f"{setting.name} changed"


def _difference(what: str, old: object, new: object) -> Iterator[str]:
    if old != new:
        yield f"{what} {_shown(old)} -> {_shown(new)}"


def _set_changes(what: str, old: Collection[str], new: Collection[str]) -> Iterator[str]:
    yield from (f"{what} {name} added" for name in new if name not in old)
    yield from (f"{what} {name} removed" for name in old if name not in new)


def _mapping_changes(what: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    yield from _set_changes(what, old, new)
    for name, value in new.items():
        # 1, 1.0 and True are equal in Python, but they are different vars.
        if name in old and repr(old[name]) != repr(value):
            yield f"{what} {name} changed"


def _shown(value: object) -> str:
    return "none" if value in (None, "") else str(value)
