"""What calls about queues have in common: the queue that an address names, and the shape of a backlog."""

from __future__ import annotations

from emulator.bindings.queue.addresses import queue_id
from emulator.bindings.rest import ApiError, Call
from emulator.queues.declarations import QueueState
from emulator.queues.errors import QueueErrorCode
from emulator.queues.message import Backlog


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
