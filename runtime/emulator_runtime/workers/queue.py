"""The argument of a `queue` handler: a batch and its messages.

Calls are only recorded here, in `Decisions`, by the runtime's rules about which calls are ignored after which others.
The batch is settled after the handler has ended.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from emulator_runtime.integers import to_int32

_UNREAD = object()


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
    """The handler's decisions so far: the ids of acked messages, the ids and delays of messages to retry (in seconds;
    None means the consumer's delay), and the batch-wide call (`is_whole`: there is one). `decode(body, content_type)`
    returns the value of a body.

    `causes` maps ids of retried messages to what `describe` says of the exception that was being handled at the call,
    and `retry_all_cause` is that of `retryAll()`; both give the reason if it is known. It is described at the call,
    because the handler goes on, and its variables change.
    """

    __slots__ = (
        "ack_all",
        "acks",
        "causes",
        "decode",
        "describe",
        "described",
        "is_whole",
        "on_warning",
        "retries",
        "retry_all",
        "retry_all_cause",
        "retry_all_delay",
    )

    def __init__(
        self,
        decode: Callable[[bytes, str], Any],
        on_warning: Callable[[str], None],
        describe: Callable[[BaseException], Any],
    ) -> None:
        self.decode = decode
        self.describe = describe
        self.described: tuple[BaseException, Any] | None = None
        """The exception that was described last, and how."""
        self.acks: set[str] = set()
        self.retries: dict[str, int | None] = {}
        self.causes: dict[str, Any] = {}
        self.ack_all = False
        self.retry_all = False
        self.is_whole = False
        self.retry_all_delay: int | None = None
        self.retry_all_cause: Any = None
        self.on_warning = on_warning

    def cause(self) -> Any:
        """The description of the exception that is being handled; None if there is none."""
        error = sys.exception()
        if error is None:
            return None
        if self.described is None or self.described[0] is not error:
            self.described = error, self.describe(error)
        return self.described[1]

    def delay(self, options: Any, keywords: dict[str, Any], call: str) -> int | None:
        """The delay in seconds from `{"delaySeconds": n}` or the keyword, or None."""
        if options is None and not keywords:
            return None
        given = {**(options or {}), **keywords}
        delay = given.pop("delaySeconds", None)
        for name in given:
            self.on_warning(f"{call} ignores the option {name!r}; it takes delaySeconds")
        return None if delay is None else to_int32(delay)


class Message:
    """A message of a batch. `id` has 32 hex digits, `timestamp` is when it was sent (in UTC, without a time zone),
    `attempts` is 1 on the first delivery. A `body` of bytes is a memoryview.

    `body` is decoded when it is first read. Every attribute is read from the stored message, because an object is
    created for each message of a batch, whether the handler uses it or not.
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
        return datetime.fromtimestamp(self._stored.timestamp, UTC).replace(tzinfo=None)

    @property
    def body(self) -> Any:
        if self._body is _UNREAD:
            stored = self._stored
            body = self._decisions.decode(stored.body, stored.content_type)
            self._body = memoryview(body) if type(body) is bytes else body
        return self._body

    def ack(self) -> None:
        """Mark the message as done: it is never delivered again, even if the handler then raises an exception. Does
        nothing after `retry()` on the message, or `ackAll()` or `retryAll()` on the batch."""
        decisions = self._decisions
        id = self._stored.id
        if decisions.is_whole:
            if decisions.retry_all:
                decisions.on_warning(f"ack() on message {id} has no effect: retryAll() was called on its batch before")
        elif id in decisions.retries:
            decisions.on_warning(f"ack() on message {id} has no effect: retry() was called on it before")
        else:
            decisions.acks.add(id)

    def retry(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        """Ask for another delivery after `delaySeconds`; the last of several calls decides. Does nothing after `ack()`
        on the message, or `ackAll()` on the batch."""
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
        cause = decisions.cause()
        if cause is not None:
            decisions.causes[id] = cause

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
        """In UTC, without a time zone."""
        return None if self._oldest is None else datetime.fromtimestamp(self._oldest, UTC).replace(tzinfo=None)

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
        """Ack every message without its own call. Does nothing after `retryAll()`."""
        if self._decisions.retry_all:
            self._decisions.on_warning("ackAll() has no effect: retryAll() was called on this batch before")
            return
        self._decisions.ack_all = self._decisions.is_whole = True

    def retryAll(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        """Retry every message without its own call after `delaySeconds`; the last of several calls with a delay
        decides. Does nothing after `ackAll()`."""
        decisions = self._decisions
        delay = decisions.delay(options, keywords, "retryAll()")
        if decisions.ack_all:
            decisions.on_warning("retryAll() has no effect: ackAll() was called on this batch before")
            return
        decisions.retry_all = decisions.is_whole = True
        if delay is not None:
            decisions.retry_all_delay = delay
        cause = decisions.cause()
        if cause is not None:
            decisions.retry_all_cause = cause

    def __repr__(self) -> str:
        return f"<MessageBatch of {len(self.messages)} from {self.queue}>"
