"""The values that queues deal in: messages, batches of them, what a handler decided about one, and what became of it.

Nobody changes a value once it is made, so that it may be kept, shown later or handed to many. The one exception is
`Delivery`, on which a worker host notes where the handler's decisions can be read while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from emulator.wire.codec import ContentType

Outcome = Literal["ok", "exception", "exceeded_cpu", "exceeded_wall_time", "lease_expired"]

_NO_RETRIES: Final[Mapping[str, int | None]] = {}


class NewMessage(msgspec.Struct, frozen=True, gc=False):
    """A message on its way into a queue. `delay_seconds` None leaves it to the batch and the queue."""

    body: bytes
    content_type: ContentType
    delay_seconds: int | None = None


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One delivery of a message that did not end in an ack.

    `at` is when it was delivered, in seconds since the epoch. `outcome` is `retry` where the handler asked for it,
    `interrupted` where the emulator ended before the handler did, else why the delivery failed. `error` is the
    exception in one line and `traceback` the whole of it: what the handler raised, or the reason for which it asked for
    a retry. Both are empty where none is known.
    """

    number: int
    at: float
    outcome: Literal["retry", "interrupted"] | Outcome
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


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message of a queue, as it was at some moment. The garbage collector need not look at it: no cycle goes
    through it.

    `id` is 32 hex digits. `timestamp` is when it was sent and `enqueued_at` when it entered this queue, in seconds
    since the epoch; they differ for a dead letter. `ready_at` is when it became, or becomes, deliverable. `attempts`
    counts the deliveries so far, the running one included. `source` says who sent it (as in MessagesSent).
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
    source: str = ""


class Leased(msgspec.Struct, frozen=True, gc=False):
    """A message that a client has pulled, with the id of its lease. Times are in seconds since the epoch.

    `has_expired` tells that the message was given back to its queue when the time was up; only an ack is still good
    then.
    """

    lease_id: str
    message: Message
    taken_at: float
    expires_at: float
    has_expired: bool = False


class Backlog(msgspec.Struct, frozen=True, gc=False):
    """The backlog of a queue: messages that are not acked yet, in flight included.

    `oldest_message_timestamp` is in seconds since the epoch; None when there is no message.
    """

    backlog_count: int
    backlog_bytes: int
    oldest_message_timestamp: float | None


class Cause(msgspec.Struct, frozen=True, gc=False):
    """Why a handler asked for a retry: the error in one line, the whole of it, and where in the worker's code it is
    from (`file:line`). Empty where it is not known."""

    error: str
    traceback: str = ""
    location: str = ""


_NO_CAUSES: Final[Mapping[str, Cause]] = {}


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a handler decided about its batch. `emulator.queues.settlement` makes a settlement of it.

    `outcome` is `ok` when the handler returned. `explicit_acks` holds the ids of messages that were acked one by one,
    and `retry_messages` the ids of those that were asked for again, with the delay in seconds (None: the consumer's).
    `ack_all` and `retry_all` are the batch-wide calls, of which at most one is set. `error` is the failure in one line,
    `traceback` the whole of it. `causes` has the reasons for retries by the ids of their messages, and
    `retry_all_cause` that of `retry_all`, as far as they are known.
    """

    outcome: Outcome = "ok"
    ack_all: bool = False
    retry_all: bool = False
    retry_all_delay: int | None = None
    explicit_acks: Set[str] = frozenset()
    retry_messages: Mapping[str, int | None] = _NO_RETRIES
    error: str = ""
    traceback: str = ""
    causes: Mapping[str, Cause] = _NO_CAUSES
    retry_all_cause: Cause | None = None

    def failed(self, outcome: Outcome, error: str, traceback: str = "") -> Verdict:
        """The same decisions, of a handler that did not return."""
        return msgspec.structs.replace(self, outcome=outcome, error=error, traceback=traceback)


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Messages that an engine has leased for one delivery, and the backlog of their queue at that time.

    `id` is unique among the batches of the queue that are under way. Times are in seconds since the epoch; at
    `expires_at` the lease is over, whatever the handler does.
    """

    id: int
    queue: str
    messages: Sequence[Message]
    backlog: Backlog
    taken_at: float
    expires_at: float


@dataclass(slots=True)
class Delivery:
    """A batch on its way to a worker: messages of `queue`, and the backlog when they were taken.

    `so_far` tells what the handler has decided by now. Whoever runs the handler sets it, so that an ack holds even when
    the handler never ends.
    """

    queue: str
    messages: Sequence[Message]
    metrics: Backlog
    so_far: Callable[[], Verdict] = Verdict


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What becomes of leased messages, each as it is afterwards and in exactly one of five places, by a `verdict`.

    `retried` has each message with its delay in seconds. `dead` go to `dead_letter_queue`, where they are the
    `letters`, in the same order. `dropped` are out of retries with no dead letter queue; `expired` are older than the
    retention period.
    """

    acked: Sequence[Message]
    retried: Sequence[tuple[Message, int]] = ()
    dead: Sequence[Message] = ()
    dropped: Sequence[Message] = ()
    expired: Sequence[Message] = ()
    dead_letter_queue: str = ""
    letters: Sequence[Message] = ()
    verdict: Verdict = Verdict()


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
    """What became of the leases that a client answered for: `acked` and `retried` have ended.

    `unknown` are lease ids that mean nothing here, or nothing any more. `expired` are those of retries that came after
    the lease had expired, when the message had been given back already. Neither changed anything.
    """

    acked: Sequence[str]
    retried: Sequence[str]
    unknown: Sequence[str] = ()
    expired: Sequence[str] = ()
