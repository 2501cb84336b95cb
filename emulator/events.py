"""Things that happened, and the bus that carries them.

The terminal log, the dashboard, the testing kit's history and metrics all subscribe here; nobody keeps a second book.
An event is published once, on the event loop's thread. `Bus.wants` lets a hot path skip the making of an event that
nobody listens to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from emulator.broker.message import DeliveryResult, Lease, Message, Settlement
from emulator.failure import Failure

E = TypeVar("E")
Level = Literal["debug", "info", "warning", "error"]


@dataclass(slots=True)
class ServerReady:
    """The server accepts connections at `url`, such as `http://127.0.0.1:8787`. `api_token` is what the REST API
    requires where other machines can reach it; else it is empty."""

    url: str
    api_token: str = ""


@dataclass(slots=True)
class RequestFinished:
    """A request was answered. `duration` is in seconds, from its arrival to the last byte of the answer. `status` is
    499 when the client went away before there was one."""

    worker: str
    method: str
    path: str
    status: int
    duration: float


@dataclass(slots=True)
class HandlerFailed:
    """Worker code raised. `trigger` says in what: `GET /signup`, `QUEUE my-app-events`, `SCHEDULED * * * * *`,
    `waitUntil`."""

    worker: str
    trigger: str
    failure: Failure


@dataclass(slots=True)
class MessagesSent:
    """Messages entered a queue, by whatever road (`source`: a binding's worker name, `dead letter`, `redrive` or
    `api`)."""

    queue: str
    messages: Sequence[Message]
    source: str


@dataclass(slots=True)
class BatchDelivered:
    """A batch was settled. `duration` is in seconds; `worker` is the consumer's name."""

    queue: str
    worker: str
    lease: Lease
    result: DeliveryResult
    settlement: Settlement
    duration: float


@dataclass(slots=True)
class MessagesDeadLettered:
    """Messages moved from `queue` to the dead letter queue `to`."""

    queue: str
    to: str
    messages: Sequence[Message]


@dataclass(slots=True)
class MessagesDropped:
    """Messages of `queue` are gone without an ack: `retries` used up, `expired`, or `purged`."""

    queue: str
    messages: Sequence[Message]
    reason: Literal["retries", "expired", "purged"]


@dataclass(slots=True)
class MessagesForwarded:
    """Messages of a queue went to the session that consumes it. `duration` is in seconds."""

    queue: str
    messages: Sequence[Message]
    duration: float


@dataclass(slots=True)
class ConsumerChanged:
    """A queue has got another consumer, none any more, or other settings."""

    queue: str


@dataclass(slots=True)
class ScheduledFinished:
    """A `scheduled` handler ended; `duration` is in seconds."""

    worker: str
    cron: str
    outcome: str
    duration: float


@dataclass(slots=True)
class WorkerReloaded:
    """A worker runs new code (`failure` None), or its new code does not load and its events are held until it does.
    `duration` is in seconds, and `files` are what changed."""

    worker: str
    files: Sequence[str]
    duration: float
    failure: Failure | None = None


@dataclass(slots=True)
class ConfigurationChanged:
    """A configuration was read again. `changes` says in words what is different now."""

    file: str
    changes: Sequence[str]


@dataclass(slots=True)
class WorkerOutput:
    """A line that worker code printed or logged, and what it belongs to (`trigger` as in HandlerFailed; empty at
    import)."""

    worker: str
    trigger: str
    level: Level
    text: str
    logger: str = ""


@dataclass(slots=True)
class Notice:
    """Something that the emulator itself has to say."""

    level: Level
    text: str
    worker: str = ""


class Bus:
    """Delivers each event to those who subscribed to its type, in the order of subscription."""

    def __init__(self) -> None:
        self._subscribers: dict[type[Any], list[Callable[[Any], None]]] = {}

    def subscribe(self, event_type: type[E], callback: Callable[[E], None]) -> Callable[[], None]:
        """Call `callback` with every event of exactly this type. Returns what ends the subscription."""
        self._subscribers.setdefault(event_type, []).append(callback)

        def unsubscribe() -> None:
            callbacks = self._subscribers.get(event_type, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._subscribers.pop(event_type, None)

        return unsubscribe

    def wants(self, event_type: type[Any]) -> bool:
        """Whether anybody subscribed to this type."""
        return event_type in self._subscribers

    def publish(self, event: object) -> None:
        """Hand `event` to its subscribers, here and now."""
        for callback in self._subscribers.get(type(event), ()):
            callback(event)
