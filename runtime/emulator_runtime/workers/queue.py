"""What a `queue` handler is given: a batch and its messages.

The calls are only noted here, in `Decisions`, under the runtime's conditions: which call is ignored after which other.
The batch is settled once the handler has ended.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from emulator_runtime.integers import to_int32

_UNREAD = object()


class StoredMessage(Protocol):
    """What a message is made of, as the host has it. `timestamp` is in seconds since the epoch."""

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
    those to retry, and the batch-wide call. `decode(body, content_type)` gives the value that a body stands for.

    `causes` has the exception that was being handled when a message was retried, by its id, and `retry_all_cause` the
    same of `retryAll`: why, as far as is known.
    """

    __slots__ = (
        "ack_all",
        "acks",
        "causes",
        "decode",
        "on_warning",
        "retries",
        "retry_all",
        "retry_all_cause",
        "retry_all_delay",
    )

    def __init__(self, decode: Callable[[bytes, str], Any], on_warning: Callable[[str], None]) -> None:
        self.decode = decode
        self.acks: set[str] = set()
        self.retries: dict[str, int | None] = {}
        self.causes: dict[str, BaseException] = {}
        self.ack_all = False
        self.retry_all = False
        self.retry_all_delay: int | None = None
        self.retry_all_cause: BaseException | None = None
        self.on_warning = on_warning

    def delay(self, options: Any, keywords: dict[str, Any], call: str) -> int | None:
        """The delay in seconds that a call is given, `{"delaySeconds": n}` or the keyword; None when there is none."""
        if options is None and not keywords:
            return None
        given = {**(options or {}), **keywords}
        delay = given.pop("delaySeconds", None)
        for name in given:
            self.on_warning(f"{call} ignores the option {name!r}; it knows delaySeconds")
        return None if delay is None else to_int32(delay)


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
        """Mark as done: it is never delivered again, even if the handler then raises. Does nothing once `retry()` was
        called on the message, or `ackAll()` or `retryAll()` on the batch."""
        decisions = self._decisions
        id = self._stored.id
        if decisions.ack_all:
            return
        if decisions.retry_all:
            decisions.on_warning(f"ack() on message {id} has no effect: retryAll() was called on its batch before")
        elif id in decisions.retries:
            decisions.on_warning(f"ack() on message {id} has no effect: retry() was called on it before")
        else:
            decisions.acks.add(id)

    def retry(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        """Ask for another delivery, after `delaySeconds`; of several calls the last one's count. Does nothing once
        `ack()` was called on the message, or `ackAll()` on the batch."""
        decisions = self._decisions
        id = self._stored.id
        delay = decisions.delay(options, keywords, "retry()")
        if decisions.ack_all:
            decisions.on_warning(f"retry() on message {id} has no effect: ackAll() was called on its batch before")
            return
        if id in decisions.acks:
            decisions.on_warning(f"retry() on message {id} has no effect: ack() was called on it before")
            return
        decisions.retries[id] = delay
        cause = sys.exception()
        if cause is not None:
            decisions.causes[id] = cause

    def __repr__(self) -> str:
        return f"<Message {self.id} attempts={self.attempts}>"


class BatchMetrics:
    """The backlog of the queue when the batch was taken. `oldestMessageTimestamp` is None when there was no message."""

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
        """Ack every message that has no call of its own. Does nothing once `retryAll()` was called."""
        if self._decisions.retry_all:
            self._decisions.on_warning("ackAll() has no effect: retryAll() was called on this batch before")
            return
        self._decisions.ack_all = True

    def retryAll(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        """Retry every message that has no call of its own, after `delaySeconds`; of several calls the last one that
        gives a delay counts. Does nothing once `ackAll()` was called."""
        decisions = self._decisions
        delay = decisions.delay(options, keywords, "retryAll()")
        if decisions.ack_all:
            decisions.on_warning("retryAll() has no effect: ackAll() was called on this batch before")
            return
        decisions.retry_all = True
        if delay is not None:
            decisions.retry_all_delay = delay
        cause = sys.exception()
        if cause is not None:
            decisions.retry_all_cause = cause

    def __repr__(self) -> str:
        return f"<MessageBatch of {len(self.messages)} from {self.queue}>"
