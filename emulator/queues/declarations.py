"""What is known of a queue beside its messages: settings, consumer, and who said so."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.queues.settings import ConsumerSettings, QueueSettings


@dataclass(frozen=True, slots=True)
class Origin:
    """Who has a say in a queue: clients of the REST API, or a configuration.

    What clients have done stays until a configuration says otherwise. `created`, `changed` and `consumer_set` tell that
    a client made the queue, changed anything of it, or gave it its consumer. `declared` is the consumer that the
    configuration of the worker `declared_by` asked for when it was last applied; None: no configuration names one.
    """

    created: bool = False
    changed: bool = False
    consumer_set: bool = False
    declared: ConsumerSettings | None = None
    declared_by: str = ""


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue beside its messages. Times are in seconds since the epoch; None: never.

    `modified_at` is the last change of its settings or its consumer, and `consumer_set_at` when it got the consumer
    that it has. `worker` is the consumer's name; empty where there is none, or any client pulls.
    """

    name: str
    created_at: float
    modified_at: float
    settings: QueueSettings = field(default_factory=QueueSettings)
    consumer: ConsumerSettings | None = None
    worker: str = ""
    consumer_set_at: float | None = None
    purged_at: float | None = None
    origin: Origin = field(default_factory=Origin)
