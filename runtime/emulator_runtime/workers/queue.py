"""The argument of a `queue` handler: a batch and its messages.

The calls are only noted here, in `Decisions`; the batch is settled once the handler has ended. The rule of who wins (a
message's own first call, then the batch-wide one) is applied then; here a later call that cannot win is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

_UNREAD = object()


def _delay(options: Any, keywords: dict[str, Any], call: str) -> int | None:
    """The delay in seconds of a retry: `{"delaySeconds": n}` or the keyword, 0 to 86,400; None when there is none."""
    if options is None and not keywords:
        return None
    given = {**(options or {}), **keywords}
    delay = given.pop("delaySeconds", None)
    if given:
        raise TypeError(f"{call} takes no option {next(iter(given))!r}; it takes delaySeconds")
    if delay is None:
        return None
    if isinstance(delay, bool) or not isinstance(delay, (int, float)) or delay != int(delay):
        raise TypeError(f"{call}: delaySeconds must be a whole number of seconds, not {delay!r}")
    if not 0 <= delay <= 86_400:
        raise ValueError(f"{call}: delaySeconds must be 0 to 86,400, not {delay}")
    return int(delay)


class StoredMessage(Protocol):
    """The fields of a message as the host has them. `timestamp` is in seconds since the epoch."""

    @property
    def id(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def content_type(self) -> Any: ...
    @property
    def timestamp(self) -> float: ...
    @property
    def attempts(self) -> int: ...


class Decisions:
    """What the handler has asked for so far: ids of acked messages, ids and delays (seconds, None: the consumer's) of
    those to retry, and the batch-wide call. `decode(body, content_type)` gives the value that a body stands for."""

    __slots__ = ("ack_all", "acks", "decode", "on_warning", "retries", "retry_all", "retry_all_delay")

    def __init__(self, decode: Callable[[bytes, str], Any], on_warning: Callable[[str], None]) -> None:
        self.decode = decode
        self.acks: set[str] = set()
        self.retries: dict[str, int | None] = {}
        self.ack_all = False
        self.retry_all = False
        self.retry_all_delay: int | None = None
        self.on_warning = on_warning


class Message:
    """A message of a batch. `id` is 32 hex digits, `timestamp` when it was sent (UTC), `attempts` 1 on the first
    delivery.

    `body` is decoded when it is first read. All of it is read from the stored message: one is made for each message of
    a batch, whatever the handler reads of it.
    """

    __slots__ = ("_body", "_decisions", "_stored")

    def __init__(self, stored: StoredMessage, decisions: Decisions) -> None:
        self._stored = stored
        self._decisions = decisions
        self._body: Any = _UNREAD

    @property
    def id(self) -> str:
        return self._stored.id

    @property
    def attempts(self) -> int:
        return self._stored.attempts

    @property
    def timestamp(self) -> datetime:
        return datetime.fromtimestamp(self._stored.timestamp, UTC)

    @property
    def body(self) -> Any:
        if self._body is _UNREAD:
            stored = self._stored
            self._body = self._decisions.decode(stored.body, stored.content_type)
        return self._body

    def ack(self) -> None:
        """Mark the message as done: it is never delivered again, even if the handler then raises an exception. The
        first call on a message wins."""
        decisions = self._decisions
        id = self._stored.id
        if id in decisions.retries:
            decisions.on_warning(f"ack() on message {id} has no effect: retry() was called on it before")
            return
        decisions.acks.add(id)

    def retry(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        """Ask for another delivery after `delaySeconds` (0 to 86,400). The first call on a message wins."""
        delay = _delay(options, keywords, "retry()")
        decisions = self._decisions
        if self.id in decisions.acks:
            decisions.on_warning(f"retry() on message {self.id} has no effect: ack() was called on it before")
            return
        decisions.retries.setdefault(self.id, delay)

    def __repr__(self) -> str:
        return f"<Message {self.id} attempts={self.attempts}>"


class BatchMetrics:
    """The backlog of the queue when the batch was taken. `oldestMessageTimestamp` is None if there were no messages."""

    __slots__ = ("_oldest", "backlogBytes", "backlogCount")

    def __init__(self, backlog_count: int, backlog_bytes: int, oldest: float | None) -> None:
        self.backlogCount = backlog_count
        self.backlogBytes = backlog_bytes
        self._oldest = oldest

    @property
    def oldestMessageTimestamp(self) -> datetime | None:
        return None if self._oldest is None else datetime.fromtimestamp(self._oldest, UTC)

    def __repr__(self) -> str:
        return f"<metrics backlogCount={self.backlogCount} backlogBytes={self.backlogBytes}>"


class BatchMetadata:
    """The `metadata` of a batch."""

    __slots__ = ("metrics",)

    def __init__(self, metrics: BatchMetrics) -> None:
        self.metrics = metrics


class MessageBatch:
    """The messages of one delivery of `queue`, 1 to 100 of them."""

    __slots__ = ("_decisions", "messages", "metadata", "queue")

    def __init__(self, queue: str, messages: Sequence[Message], metrics: BatchMetrics, decisions: Decisions) -> None:
        self.queue = queue
        self.messages = messages
        self.metadata = BatchMetadata(metrics)
        self._decisions = decisions

    def ackAll(self) -> None:
        """Ack every message that has no call of its own. The first of `ackAll` and `retryAll` wins."""
        if self._decisions.retry_all:
            self._decisions.on_warning("ackAll() has no effect: retryAll() was called on this batch before")
            return
        self._decisions.ack_all = True

    def retryAll(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        """Retry every message that has no call of its own, after `delaySeconds` (0 to 86,400)."""
        delay = _delay(options, keywords, "retryAll()")
        decisions = self._decisions
        if decisions.ack_all:
            decisions.on_warning("retryAll() has no effect: ackAll() was called on this batch before")
            return
        if not decisions.retry_all:
            decisions.retry_all = True
            decisions.retry_all_delay = delay

    def __repr__(self) -> str:
        return f"<MessageBatch of {len(self.messages)} from {self.queue}>"
