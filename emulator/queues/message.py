"""The records of the broker: a message, its failed attempts, a lease on some messages, and what a delivery decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from emulator.queues.settings import ConsumerSettings
from emulator.wire.codec import ContentType

Outcome = Literal["ok", "exception", "exceeded_cpu", "exceeded_wall_time", "lease_expired"]


class NewMessage(msgspec.Struct, frozen=True, gc=False):
    """A message on its way into a queue. `delay_seconds` None leaves it to the batch, the producer and the queue."""

    body: bytes
    content_type: ContentType
    delay_seconds: int | None = None


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One delivery of a message that did not end in an ack.

    `at` is when it was delivered, in seconds since the epoch. `outcome` is `retry` where the handler asked for it, else
    why the delivery failed. `error` is the exception in one line and `traceback` the whole of it; empty where
    the handler returned.
    """

    number: int
    at: float
    outcome: Literal["retry"] | Outcome
    error: str = ""
    traceback: str = ""


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """Why a message is in a dead letter queue: where it came from, and all that happened to it there."""

    queue: str
    died_at: float
    attempts: tuple[Attempt, ...]

    @property
    def last_error(self) -> str:
        """The last error in one line, or that the handler asked for a retry once too often."""
        for attempt in reversed(self.attempts):
            if attempt.error:
                return attempt.error
        return "the handler called retry()" if self.attempts else ""


class Message(msgspec.Struct, gc=False):
    """A message in a queue. No cycle can go through it, so the garbage collector need not look at it.

    `id` is 32 hex digits. `timestamp` is when it was sent and `enqueued_at` when it entered this queue, in seconds
    since the epoch; they differ for a dead letter. `attempts` counts the deliveries so far, the running one included.
    `ready_at` is when it became, or becomes, deliverable. `source` says who sent it (as in MessagesSent). `place` and
    `lease_id` are the queue's own notes: where the message is, and the last lease that a client pulled it with.
    `segment` is the journal's: the file that holds it.
    """

    id: str
    body: bytes
    content_type: ContentType
    timestamp: float
    enqueued_at: float
    ready_at: float
    attempts: int = 0
    failures: tuple[Attempt, ...] = ()
    dead_letter: DeadLetter | None = None
    place: int = 0
    source: str = ""
    lease_id: str = ""
    segment: int = 0


@dataclass(slots=True, eq=False)
class Lease:
    """The hold of one delivery on its messages. Times are in seconds since the epoch. `consumer` holds the settings at
    the time it was taken; they settle it where the queue has no consumer any more."""

    id: int
    messages: list[Message]
    consumer: ConsumerSettings
    taken_at: float
    expires_at: float


@dataclass(slots=True, eq=False)
class PulledMessage:
    """A message that a client has pulled, and its lease. Times are in seconds since the epoch. `lease_id` tells nothing
    about either; `is_leased` is false once the lease has ended or expired."""

    lease_id: str
    message: Message
    taken_at: float
    expires_at: float
    is_leased: bool = True


class Backlog(msgspec.Struct, frozen=True, gc=False):
    """The backlog of a queue: messages that are not acked yet, in flight included.

    `oldest_message_timestamp` is in seconds since the epoch; None when there is no message.
    """

    backlog_count: int
    backlog_bytes: int
    oldest_message_timestamp: float | None


@dataclass(slots=True)
class Verdict:
    """What a delivery decided about its batch, before it is settled.

    `outcome` is `ok` when the handler returned. `explicit_acks` holds the ids of messages that were acked one by one,
    and `retry_messages` the ids of those that were asked for again, with the delay in seconds (None: the consumer's).
    `ack_all` and `retry_all` are the batch-wide calls, of which at most one is set. `error` is the failure in one line,
    `traceback` the whole of it.
    """

    outcome: Outcome = "ok"
    ack_all: bool = False
    retry_all: bool = False
    retry_all_delay: int | None = None
    explicit_acks: set[str] = field(default_factory=set)
    retry_messages: dict[str, int | None] = field(default_factory=dict)
    error: str = ""
    traceback: str = ""


@dataclass(slots=True)
class Delivery:
    """A batch on its way to a consumer: the leased messages of `queue`, and the backlog when they were taken.

    `so_far` tells what the handler has decided by now. Whoever runs the handler sets it, so that an ack holds even when
    the handler never ends.
    """

    queue: str
    messages: Sequence[Message]
    metrics: Backlog
    so_far: Callable[[], Verdict] = Verdict


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of the messages of a lease. Every one of them is in exactly one of the five places.

    `retried` has each message with its delay in seconds. `dead` go to `dead_letter_queue`. `dropped` are out of retries
    with no dead letter queue; `expired` are older than the retention period.
    """

    acked: Sequence[Message]
    retried: Sequence[tuple[Message, int]] = ()
    dead: Sequence[Message] = ()
    dropped: Sequence[Message] = ()
    expired: Sequence[Message] = ()
    dead_letter_queue: str = ""


@dataclass(frozen=True, slots=True)
class Redrive:
    """What became of the messages that waited in a queue when it was redriven.

    `moved` has the number of messages by the queue that they are in now. The others stayed: `no_dead_letters` came from
    no other queue, and `orphans` are dead letters by the queue that they came from, which is no more.
    """

    moved: Mapping[str, int]
    no_dead_letters: int = 0
    orphans: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What became of pulled messages: those whose lease `ended`, what was said of them, and their settlement.

    `unknown` are lease ids that mean nothing here, or nothing any more. `expired` are those of retries that came after
    the lease had expired, when the message had been given back already. Neither changed anything.
    """

    ended: Sequence[PulledMessage]
    result: Verdict
    settlement: Settlement
    unknown: Sequence[str] = ()
    expired: Sequence[str] = ()
