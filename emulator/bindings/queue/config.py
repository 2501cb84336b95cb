"""Reads queues from a configuration: producers, which are bindings, and consumers, which are not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from emulator.base.errors import Problem
from emulator.config import checks
from emulator.config.checks import Check, found
from emulator.config.document import KeyPath, problem_at
from emulator.config.model import Declaration, Place, WorkerConfig
from emulator.config.section import Key, Section
from emulator.queues.bridge.real import ConsumeMode, RealQueues
from emulator.queues.settings import (
    DELAY_SECONDS,
    MAX_BATCH_SIZE,
    MAX_BATCH_TIMEOUT_SECONDS,
    MAX_CONCURRENCY,
    MAX_RETRIES,
    VISIBILITY_TIMEOUT_MS,
    ConsumerSettings,
)

KIND: Final = "queue"
"""The name of the kind."""

QUEUE_NAME: Final = checks.matching(
    "a queue name: 1 to 63 lowercase letters, digits and hyphens, with no hyphen at either end",
    re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"),
)
KEYS: Final[Mapping[str, Key]] = {"queues": Key(checks.OBJECT)}
QUEUES_KEYS: Final[Mapping[str, Check]] = {"producers": checks.ARRAY, "consumers": checks.ARRAY}
PRODUCER_KEYS: Final[Mapping[str, Check]] = {
    "binding": checks.BINDING,
    "queue": QUEUE_NAME,
    "remote": checks.BOOLEAN,
}
CONSUMER_KEYS: Final[Mapping[str, Check]] = {
    "queue": QUEUE_NAME,
    "remote": Check('true, false or "copy"', lambda value: isinstance(value, bool) or value == "copy"),
    "type": checks.one_of("worker", "http_pull"),
    "max_batch_size": checks.whole(MAX_BATCH_SIZE),
    "max_batch_timeout": checks.whole(MAX_BATCH_TIMEOUT_SECONDS),
    "max_retries": checks.whole(MAX_RETRIES),
    "dead_letter_queue": QUEUE_NAME,
    "max_concurrency": Check(
        f"a whole number from {MAX_CONCURRENCY}, or null", lambda value: value is None or value in MAX_CONCURRENCY
    ),
    "retry_delay": checks.whole(DELAY_SECONDS),
    "visibility_timeout_ms": checks.whole(VISIBILITY_TIMEOUT_MS),
}
_PUSH_ONLY_KEYS: Final = ("max_batch_timeout", "max_concurrency")


class Producer(NamedTuple):
    """A binding that sends to a queue, or with `remote` to the account's queue of that name."""

    binding: str
    queue: str
    remote: bool = False


class Consumer(NamedTuple):
    """A queue that delivers to this worker or, with type `http_pull`, to clients that pull. `remote` is true if it
    takes the messages of the account's queue, too, and `copy` if it gets copies of them."""

    queue: str
    settings: ConsumerSettings = ConsumerSettings()
    remote: bool | str = False


def producers_of(worker: WorkerConfig) -> list[Producer]:
    """The worker's bindings that send to queues."""
    return [binding.settings for binding in worker.bindings if binding.kind == KIND]


def consumers_of(worker: WorkerConfig) -> list[Consumer]:
    """The queues that the worker consumes according to its configuration."""
    return [declaration.settings for declaration in _consumers(worker)]


def delivered_to(worker: WorkerConfig) -> list[Declaration]:
    """The declarations of the queues whose batches the worker is invoked with, because it does not pull them."""
    return [each for each in _consumers(worker) if each.settings.settings.type == "worker"]


def real_queues(workers: Sequence[WorkerConfig]) -> RealQueues:
    """Which queues of workers are the account's."""
    sends = {(worker.name, each.queue) for worker in workers for each in producers_of(worker) if each.remote}
    consumes: dict[str, ConsumeMode] = {
        each.queue: "copy" if each.remote == "copy" else "take"
        for worker in workers
        for each in consumers_of(worker)
        if each.remote
    }
    return RealQueues(sends, consumes)


def read_queues(section: Section) -> None:
    """Read the valid producers and consumers."""
    if "queues" not in section.keys:
        return
    path = (*section.path, "queues")
    queues = section.read_object(path, section.keys["queues"], QUEUES_KEYS)
    for index, item in enumerate(queues.get("producers", ())):
        _read_producer(section, (*path, "producers", index), item)
    consumed: dict[str, KeyPath] = {}
    for index, item in enumerate(queues.get("consumers", ())):
        _read_consumer(section, (*path, "consumers", index), item, consumed)


def consumer_conflicts(workers: Sequence[WorkerConfig]) -> Iterator[Problem]:
    """The queues that more than one worker in a session consumes."""
    consumers: dict[str, tuple[str, Place]] = {}
    for worker in workers:
        for declaration in _consumers(worker):
            queue = declaration.settings.queue
            place = declaration.place or Place(str(worker.path), 0, 0, "queues.consumers")
            if queue in consumers:
                other, taken_at = consumers[queue]
                yield problem_at(
                    place,
                    f'"{queue}" already has a consumer, the worker {other} at {taken_at.where}; '
                    "a queue has one at most",
                    code="name-taken",
                )
            consumers.setdefault(queue, (worker.name, place))


def _consumers(worker: WorkerConfig) -> list[Declaration]:
    return [declaration for declaration in worker.declarations if declaration.kind == KIND]


def _read_producer(section: Section, path: KeyPath, value: object) -> None:
    quiet = ("delivery_delay",)
    sound = section.read_object(path, value, PRODUCER_KEYS, required=("binding", "queue"), quiet=quiet)
    if isinstance(value, dict) and "delivery_delay" in value:
        section.findings.warn(
            (*path, "delivery_delay"),
            "is deprecated, and has no effect in production either",
            "The delay is a setting of the queue: wrangler queues update NAME --delivery-delay-secs SECONDS",
        )
    if "binding" in sound:
        name_path = (*path, "binding")
        if section.claim(sound["binding"], name_path) and "queue" in sound:
            section.bind(KIND, sound["binding"], Producer(**sound), name_path)


def _read_consumer(section: Section, path: KeyPath, value: object, consumed: dict[str, KeyPath]) -> None:
    findings = section.findings
    sound = section.read_object(path, value, CONSUMER_KEYS, required=("queue",))
    queue = sound.pop("queue", None)
    remote = sound.pop("remote", False)
    if remote and sound.get("type") == "http_pull":
        findings.error((*path, "remote"), "is for consumers that are workers: clients can pull from the real queue")
    if queue is not None and queue == sound.get("dead_letter_queue"):
        findings.error((*path, "dead_letter_queue"), f"{found(queue)} cannot be its own dead letter queue")
    if sound.get("type") == "http_pull":
        hint = f"In production, add it with `wrangler queues consumer http add {queue or 'QUEUE'}`."
        findings.refused((*path, "type"), "a configuration has no pull consumers", hint)
        for key in _PUSH_ONLY_KEYS:
            if sound.pop(key, None) is not None:
                findings.warn((*path, key), "has no effect on an http_pull consumer")
    elif "visibility_timeout_ms" in sound:
        findings.error(
            (*path, "visibility_timeout_ms"), 'is for consumers with `"type": "http_pull"` only', at_key=True
        )
    if sound.get("max_concurrency", 0) is None:
        findings.refused((*path, "max_concurrency"), "must be a number, not null")
    if queue in consumed:
        place = findings.document.place(consumed[queue])
        findings.error(
            (*path, "queue"),
            f"{found(queue)} already has a consumer, {place.key} on line {place.line}; a queue has one at most",
            code="name-taken",
        )
    elif queue is not None:
        consumed[queue] = path
        section.declare(KIND, Consumer(queue, ConsumerSettings(**sound), remote), (*path, "queue"))
