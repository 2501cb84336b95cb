"""What calls about queues have in common: the session that they see, the queue that an address names, and the shape of
a backlog."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, TypeAlias

from emulator.base.failure import Failure
from emulator.bindings.queue.addresses import queue_id
from emulator.bindings.rest import ApiError, SessionView
from emulator.bindings.rest import Call as AnyCall
from emulator.config.model import WorkerConfig
from emulator.queues.declarations import QueueState
from emulator.queues.errors import QueueErrorCode
from emulator.queues.message import Backlog
from emulator.queues.service import Queues


class HostView(Protocol):
    """A worker that runs, as calls see it: whether it loads, and which entrypoints it has."""

    config: WorkerConfig
    failure: Failure | None

    @property
    def handlers(self) -> Collection[str]: ...


class QueueSession(SessionView, Protocol):
    """A running session, as calls about queues see it: its queues and its workers."""

    queues: Queues

    @property
    def hosts(self) -> Sequence[HostView]: ...

    def producers_of(self, queue: str) -> list[str]: ...


Call: TypeAlias = AnyCall[QueueSession]
"""A call about queues."""


def queue_of(call: Call) -> QueueState:
    """The queue that the address names by its id. Raises ApiError 10104 when there is none."""
    wanted = call.path["queue_id"].lower()
    for queue in call.session.queues.states.values():
        if queue_id(queue.name) == wanted:
            return queue
    text = f"Queue not found: no queue has the id {call.path['queue_id'][:64]!r}; the list of queues has their ids"
    raise ApiError(404, QueueErrorCode.QUEUE_NOT_FOUND, text)


def metrics_shape(metrics: Backlog) -> dict[str, int]:
    """A backlog; the timestamp is 0 where there is no message."""
    return {
        "backlog_count": metrics.backlog_count,
        "backlog_bytes": metrics.backlog_bytes,
        "oldest_message_timestamp_ms": int((metrics.oldest_message_timestamp or 0) * 1000),
    }
