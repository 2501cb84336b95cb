"""What a test gets to see: messages, deliveries and results, each with a `repr` that shows the essentials in one
line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from emulator.base.words import cut
from emulator.queues.message import Attempt, DeadLetter, Outcome
from emulator.queues.message import Message as QueueMessage
from emulator.wire.codec import ContentType, decode, encode

NOW: Final = float("-inf")
"""The timestamp of a message that is to get the time at which it is dispatched."""

State = Literal["ready", "delayed", "in flight", "settled"]


def at_time(seconds: float) -> datetime:
    """Seconds since the epoch as a datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def _short(value: object, limit: int = 60) -> str:
    return cut(repr(value), limit)


@dataclass(frozen=True, eq=False)
class Message:
    """A message as it was when it was inspected.

    `attempts` counts its deliveries from this queue. `due` is when it can, or could first, be delivered. `failures` are
    the deliveries that did not end in an ack, oldest first; for a dead letter, those in the queue that it came from,
    which `dead_letter` names.
    """

    id: str
    queue: str
    body: Any
    content_type: ContentType
    timestamp: datetime
    attempts: int
    due: datetime
    state: State
    failures: Sequence[Attempt] = ()
    dead_letter: DeadLetter | None = None

    @property
    def last_error(self) -> str:
        """Why it failed last, in one line; empty if it never failed. For a dead letter, why it died."""
        if self.dead_letter is not None and not self.failures:
            return self.dead_letter.last_error
        return next((attempt.error for attempt in reversed(self.failures) if attempt.error), "")

    @property
    def last_traceback(self) -> str:
        """The traceback of `last_error`."""
        failures = self.failures or (self.dead_letter.attempts if self.dead_letter is not None else ())
        return next((attempt.traceback for attempt in reversed(failures) if attempt.traceback), "")

    def __repr__(self) -> str:
        words = [f"<Message {self.id[:8]} {_short(self.body)}"]
        if self.attempts:
            words.append(f"attempts={self.attempts}")
        if self.state == "delayed":
            words.append(f"delayed until {self.due:%H:%M:%S}")
        elif self.state == "in flight":
            words.append("in flight")
        if self.dead_letter is not None:
            words.append(f"dead letter of {self.dead_letter.queue}")
        if self.last_error:
            words.append(f"last_error={_short(self.last_error)}")
        return " ".join(words) + ">"


def look_at(stored: QueueMessage, queue: str, state: State) -> Message:
    """A copy of one of a queue's messages for a test. A body that cannot be decoded appears as its bytes."""
    body: Any
    try:
        body = decode(stored.body, stored.content_type)
    except ValueError:
        body = stored.body
    return Message(
        stored.id,
        queue,
        body,
        stored.content_type,
        at_time(stored.timestamp),
        stored.attempts,
        at_time(stored.ready_at),
        state,
        stored.failures,
        stored.dead_letter,
    )


@dataclass(frozen=True, eq=False)
class Delivery:
    """A batch that was delivered and settled.

    `outcome` is `ok` if the handler returned, else `exception`, `exceeded_cpu` or `exceeded_wall_time`, with the
    `error` in one line and its `traceback`. Every message of `messages` is in exactly one of `acked`, `retried`,
    `dead_lettered` and `dropped`. `retry_delays` are in seconds, by message id. `at` is when the batch was delivered;
    `duration` is in virtual seconds.
    """

    queue: str
    worker: str
    messages: Sequence[Message]
    outcome: Outcome
    error: str
    traceback: str
    acked: Sequence[Message]
    retried: Sequence[Message]
    dead_lettered: Sequence[Message]
    dropped: Sequence[Message]
    retry_delays: dict[str, int]
    at: datetime
    duration: float

    def __repr__(self) -> str:
        counts = [f"{len(self.acked)}/{len(self.messages)} acked"]
        groups = {"retried": self.retried, "dead-lettered": self.dead_lettered, "dropped": self.dropped}
        counts += [f"{len(group)} {name}" for name, group in groups.items() if group]
        why = "" if self.outcome == "ok" else f" {self.outcome}: {_short(self.error, 80)}"
        if not why and (reason := self._reason()):
            why = f" because of {_short(reason, 80)}"
        return f"<Delivery {self.queue} at {self.at:%H:%M:%S} {', '.join(counts)}{why}>"

    def _reason(self) -> str:
        """The first error for which the handler asked for a retry; empty if none is known."""
        failed = (*self.retried, *self.dead_lettered, *self.dropped)
        return next((each.failures[-1].error for each in failed if each.failures and each.failures[-1].error), "")


@dataclass(frozen=True)
class Metrics:
    """The backlog of a queue: every message that is not settled. `oldest_message_timestamp` is None if there is
    none."""

    backlog_count: int
    backlog_bytes: int
    oldest_message_timestamp: datetime | None


@dataclass(frozen=True)
class RetryBatch:
    """Whether the handler called `retryAll()`, the delay in seconds (None: the consumer's), and why, in one line, as
    far as is known."""

    retry: bool
    delay_seconds: int | None = None
    error: str = ""


@dataclass(frozen=True)
class RetryMessage:
    """A message on which the handler called `retry()`, the delay in seconds (None: the consumer's), and why, in one
    line, as far as is known."""

    id: str
    delay_seconds: int | None = None
    error: str = ""


@dataclass(frozen=True)
class QueueResult:
    """What a `queue` handler decided about a batch that was given to it directly.

    `outcome` is as in `Delivery`, with the `error` in one line and its `traceback`. `explicit_acks` are the ids of the
    messages that were acked one by one. Lists are in the order of the batch.
    """

    outcome: Outcome
    ack_all: bool
    retry_batch: RetryBatch
    explicit_acks: Sequence[str]
    retry_messages: Sequence[RetryMessage]
    error: str = ""
    traceback: str = ""

    def __repr__(self) -> str:
        words = [f"<QueueResult {self.outcome}"]
        if self.error:
            words[0] += f": {_short(self.error, 80)}"
        if self.ack_all:
            words.append("ack_all")
        if self.retry_batch.retry:
            words.append(f"retry_batch{_delay(self.retry_batch.delay_seconds)}")
        if self.explicit_acks:
            words.append(f"explicit_acks={list(self.explicit_acks)}")
        if self.retry_messages:
            again = ", ".join(f"{each.id}{_delay(each.delay_seconds)}" for each in self.retry_messages)
            words.append(f"retry_messages=[{again}]")
        return " ".join(words) + ">"


def _delay(seconds: int | None) -> str:
    return "" if seconds is None else f" in {seconds} s"


def message(
    body: Any,
    *,
    id: str | None = None,  # noqa: A002 - the name that it has on a message
    attempts: int = 1,
    timestamp: datetime | None = None,
    content_type: ContentType = "json",
) -> QueueMessage:
    """A message for `dispatch_queue`, for tests in which its `id`, `attempts` or `timestamp` matter. By default the id
    is random and the timestamp is the time of the dispatch. Raises TypeError if `body` is not a value of
    `content_type`."""
    from uuid import uuid4

    sent = NOW if timestamp is None else timestamp.timestamp()
    return QueueMessage(id or uuid4().hex, encode(body, content_type), content_type, sent, sent, sent, attempts)


def to_dispatch(each: Any, number: int, content_type: ContentType, now: float) -> QueueMessage:
    """What `dispatch_queue` delivers for a body, for a message made by `message`, or for a Message that was inspected.
    The id of a body is its `number`, in 32 hex digits."""
    if isinstance(each, QueueMessage):
        sent = now if each.timestamp == NOW else each.timestamp
        return QueueMessage(each.id, each.body, each.content_type, sent, now, now, each.attempts)
    if isinstance(each, Message):
        body = encode(each.body, each.content_type)
        return QueueMessage(each.id, body, each.content_type, each.timestamp.timestamp(), now, now, each.attempts or 1)
    return QueueMessage(f"{number:032x}", encode(each, content_type), content_type, now, now, now, 1)
