"""The values that queues work with: messages, batches, a handler's decisions about a batch, and its settlement.

Values never change, so they can be kept, shown later and shared. The one exception is `WorkerDelivery`, on which a
worker host sets functions that tell of the handler while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Final, Literal, Self, overload

import msgspec

from emulator.base.failure import Failure, Frame
from emulator.wire.codec import ContentType

Outcome = Literal["ok", "exception", "exceeded_cpu", "exceeded_wall_time", "lease_expired"]

_NO_RETRIES: Final[Mapping[str, int | None]] = {}


class NewMessage(msgspec.Struct, frozen=True, gc=False):
    """A message that is being sent to a queue. If `delay_seconds` is None, the batch or the queue decides.
    `traceparent` is as in QueueMessage; the queue service sets it."""

    body: bytes
    content_type: ContentType
    delay_seconds: int | None = None
    traceparent: str = ""


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """A delivery of a message that did not end in an ack.

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
    """Why a message is in a dead letter queue: the queue that it came from, and its attempts there."""

    queue: str
    died_at: float
    attempts: tuple[Attempt, ...]

    @property
    def last_error(self) -> str:
        """The last error in one line, or a text that says that the handler asked for a retry."""
        for attempt in reversed(self.attempts):
            if attempt.error:
                return attempt.error
        return "the handler called retry()" if self.attempts else ""


class QueueMessage(msgspec.Struct, frozen=True, gc=False):
    """A message of a queue, as it was at some moment. It cannot be part of a reference cycle, so the garbage collector
    ignores it.

    `id` is 32 hex digits. `timestamp` is when it was sent and `enqueued_at` when it entered this queue, in seconds
    since the epoch; they differ for a dead letter. `ready_at` is when it became, or becomes, deliverable. `attempts`
    counts the deliveries so far, including the running one. `source` says who sent it, as in MessagesSent.
    `traceparent` names the act that it was sent in; empty if that is not known.
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
    traceparent: str = ""


class SentMessages(Sequence[QueueMessage]):
    """New messages as they enter their queue. Each is made when somebody looks at it."""

    __slots__ = ("_at", "_delay", "_ids", "_messages", "_source")

    def __init__(
        self, messages: Sequence[NewMessage], ids: Sequence[str], *, at: float, delay: float, source: str
    ) -> None:
        self._messages = messages
        self._ids = ids
        self._at = at
        self._delay = delay
        self._source = source

    @property
    def size(self) -> int:
        """The bytes of all bodies."""
        return sum(len(each.body) for each in self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    @overload
    def __getitem__(self, index: int) -> QueueMessage: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[QueueMessage]: ...

    def __getitem__(self, index: int | slice) -> QueueMessage | Sequence[QueueMessage]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        message = self._messages[index]
        delay = self._delay if message.delay_seconds is None else message.delay_seconds
        return QueueMessage(
            self._ids[index],
            message.body,
            message.content_type,
            self._at,
            self._at,
            self._at + delay,
            source=self._source,
            traceparent=message.traceparent,
        )


class LeasedMessage(msgspec.Struct, frozen=True, gc=False):
    """A message that a client has pulled, with the id of its lease. Times are in seconds since the epoch.

    `has_expired` says that the lease expired and the message went back to its queue; only an ack still has an effect.
    """

    lease_id: str
    message: QueueMessage
    taken_at: float
    expires_at: float
    has_expired: bool = False


class Backlog(msgspec.Struct, frozen=True, gc=False):
    """The backlog of a queue: its messages that are not acked yet, including those in flight.

    `oldest_message_timestamp` is in seconds since the epoch, or None if there are no messages.
    """

    backlog_count: int
    backlog_bytes: int
    oldest_message_timestamp: float | None


class Counts(msgspec.Struct, frozen=True, gc=False):
    """How many messages of a queue are in which state. Each is `ready`, `delayed` or `in_flight`: with a handler, or
    with a client that has pulled it.

    Of those that wait, `retrying` have been delivered before; of those that are ready, `dead` are dead letters. None
    where the engine cannot tell without reading all messages.
    """

    ready: int
    delayed: int
    in_flight: int
    retrying: int | None = None
    dead: int | None = None


def backlog_of(messages: Sequence[QueueMessage]) -> Backlog:
    """The backlog of a queue that has these messages only."""
    oldest = min((each.timestamp for each in messages), default=None)
    return Backlog(len(messages), sum(len(each.body) for each in messages), oldest)


class Cause(msgspec.Struct, frozen=True, gc=False):
    """Why a handler asked for a retry: the error in one line, the whole of it, where in the worker's code it is from
    (`file:line`), its frames, and those of what was behind it. Empty where it is not known."""

    error: str
    traceback: str = ""
    location: str = ""
    frames: tuple[Frame, ...] = ()
    behind: tuple[Frame, ...] = ()

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """What a handler was busy with when it asked for the retry."""
        return cls(failure.summary, failure.text, failure.location, failure.frames, failure.behind)


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

    def cause_of(self, message: str) -> Cause | None:
        """The reason for the retry of a message, by its id, if it is known."""
        return self.causes.get(message) or self.retry_all_cause

    def failed(self, outcome: Outcome, error: str, traceback: str = "") -> Verdict:
        """The same decisions, of a handler that did not return."""
        return msgspec.structs.replace(self, outcome=outcome, error=error, traceback=traceback)


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Messages that an engine has leased for a delivery, and the backlog of their queue at that time.

    `id` is unique among the batches of the queue that are under way. Times are in seconds since the epoch; the lease
    ends at `expires_at`, whatever the handler does.
    """

    id: int
    queue: str
    messages: Sequence[QueueMessage]
    backlog: Backlog
    taken_at: float
    expires_at: float


class WorkerDelivery(msgspec.Struct):
    """A batch on its way to a worker: messages of `queue`, and the backlog when they were taken.

    The host that runs the handler sets two functions. `so_far` returns the handler's decisions so far, so that an ack
    is kept even if the handler never ends. `held_seconds` returns for how long a debugger has held the handler, which
    does not count as its running time.
    """

    queue: str
    messages: Sequence[QueueMessage]
    metrics: Backlog
    so_far: Callable[[], Verdict] = Verdict
    held_seconds: Callable[[], float] = float


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """The result of applying a `verdict` to leased messages. Each message is in exactly one of the first five fields,
    as it is afterwards.

    `retried` has each message with its delay in seconds. `dead` go to `dead_letter_queue`, where they are the
    `letters`, in the same order. `dropped` are out of retries with no dead letter queue; `expired` are older than the
    retention period. `max_attempts` is how often a message may be delivered; 0 where that did not matter.
    """

    acked: Sequence[QueueMessage]
    retried: Sequence[tuple[QueueMessage, int]] = ()
    dead: Sequence[QueueMessage] = ()
    dropped: Sequence[QueueMessage] = ()
    expired: Sequence[QueueMessage] = ()
    dead_letter_queue: str = ""
    letters: Sequence[QueueMessage] = ()
    verdict: Verdict = Verdict()
    max_attempts: int = 0

    def by_result(self) -> tuple[tuple[str, Sequence[QueueMessage]], ...]:
        """The messages by what became of them: `acked`, `retried`, `dead`, `dropped` or `expired`."""
        return (
            ("acked", self.acked),
            ("retried", [message for message, _ in self.retried]),
            ("dead", self.dead),
            ("dropped", self.dropped),
            ("expired", self.expired),
        )


class Redrive(msgspec.Struct, frozen=True):
    """The result of redriving a queue.

    `moved` counts the moved messages by the queue that they are in now. The others stayed: `no_dead_letters` are not
    dead letters, and `orphans` counts dead letters by the queue that they came from, which no longer exists.
    """

    moved: Mapping[str, int]
    no_dead_letters: int = 0
    orphans: Mapping[str, int] = msgspec.field(default_factory=dict)


class Acknowledgement(msgspec.Struct, frozen=True):
    """The result of a client's acks and retries, by lease id. The leases in `acked` and `retried` have ended.

    `unknown` are lease ids that do not exist, or no longer. `expired` are retries after the lease had expired and the
    message had gone back to its queue. Neither changed anything.
    """

    acked: Sequence[str]
    retried: Sequence[str]
    unknown: Sequence[str] = ()
    expired: Sequence[str] = ()
