"""Calls about the consumer of a queue. A queue has at most one, but the API treats them as a list."""

from __future__ import annotations

from typing import Any

from emulator.bindings.queue.addresses import consumer_id, queue_id
from emulator.bindings.queue.api.bodies import ConsumerBody, whole
from emulator.bindings.queue.api.call import Call, queue_of
from emulator.bindings.queue.api.errors import QueueApiErrorCode
from emulator.bindings.rest import ApiError, ApiErrorCode, Page, iso
from emulator.queues.declarations import QueueState
from emulator.queues.settings import ConsumerSettings


def consumer_shapes(queue: QueueState) -> list[dict[str, Any]]:
    """The consumers of a queue as clients see them: one or none.

    wrangler looks for the worker's name in `script`, the SDKs in `script_name`.
    """
    settings = queue.consumer
    if settings is None:
        return []
    shape: dict[str, Any] = {
        "consumer_id": consumer_id(queue.name),
        "created_on": iso(queue.consumer_set_at or 0.0),
        "queue_id": queue_id(queue.name),
        "queue_name": queue.name,
        "type": settings.type,
        "dead_letter_queue": settings.dead_letter_queue or "",
    }
    common = {
        "batch_size": settings.max_batch_size,
        "max_retries": settings.max_retries,
        "retry_delay": settings.retry_delay,
    }
    if settings.type == "http_pull":
        shape["settings"] = {**common, "visibility_timeout_ms": settings.visibility_timeout_ms}
    else:
        shape["script"] = shape["script_name"] = queue.worker
        shape["settings"] = {
            **common,
            "max_wait_time_ms": whole(settings.max_batch_timeout * 1000),
            "max_concurrency": settings.max_concurrency,
        }
    return [shape]


async def list_consumers(call: Call, _body: None) -> Page:
    """`GET .../consumers`."""
    consumers = consumer_shapes(queue_of(call))
    return Page(consumers, 1, 100, len(consumers))


async def get_consumer(call: Call, _body: None) -> dict[str, Any]:
    """`GET .../consumers/{consumer_id}`."""
    return _existing(call, queue_of(call))


async def create_consumer(call: Call, body: ConsumerBody) -> dict[str, Any]:
    """`POST .../consumers`. Refused if the queue already has one."""
    queue = queue_of(call)
    settings = _read(call, queue, body)
    if queue.consumer is not None:
        which = f"the worker {queue.worker}" if queue.consumer.type == "worker" else "of type http_pull"
        text = f"queue {queue.name} already has a consumer, {which}; a queue has one at most"
        raise ApiError(409, QueueApiErrorCode.CONSUMER_EXISTS, text)
    await call.session.queues.set_consumer(queue.name, settings, body.script_name)
    call.report(f"consumer of {queue.name} added")
    return _existing(call, queue_of(call))


async def update_consumer(call: Call, body: ConsumerBody) -> dict[str, Any]:
    """`PUT .../consumers/{consumer_id}`. Settings that are not given become the defaults."""
    queue = queue_of(call)
    _existing(call, queue)
    settings = _read(call, queue, body)
    await call.session.queues.set_consumer(queue.name, settings, body.script_name)
    call.report(f"consumer of {queue.name} changed")
    return _existing(call, queue_of(call))


async def delete_consumer(call: Call, _body: None) -> None:
    """`DELETE .../consumers/{consumer_id}`. The queue keeps its messages."""
    queue = queue_of(call)
    _existing(call, queue)
    await call.session.queues.remove_consumer(queue.name)
    call.report(f"consumer of {queue.name} removed")


def _existing(call: Call, queue: QueueState) -> dict[str, Any]:
    wanted = call.path.get("consumer_id", consumer_id(queue.name))
    for shape in consumer_shapes(queue):
        if shape["consumer_id"] == wanted.lower():
            return shape
    text = f"Consumer not found: queue {queue.name} has no consumer with the id {wanted[:64]!r}"
    raise ApiError(404, QueueApiErrorCode.CONSUMER_NOT_FOUND, text)


def _read(call: Call, queue: QueueState, body: ConsumerBody) -> ConsumerSettings:
    """The settings in a body, once all of it has been checked."""
    settings = body.read()
    if settings.dead_letter_queue == queue.name:
        text = f"dead_letter_queue is {queue.name!r}; a queue cannot be its own dead letter queue"
        raise ApiError(400, QueueApiErrorCode.INVALID_CONSUMER_SETTINGS, text)
    if settings.type == "http_pull":
        body.script_name = ""
        return settings
    hosts = {host.config.name: host for host in call.session.hosts}
    host = hosts.get(body.script_name)
    if host is None:
        text = f"worker {body.script_name[:64]!r} is not part of this session; its workers are: {', '.join(hosts)}"
        raise ApiError(404, ApiErrorCode.WORKER_NOT_FOUND, text)
    if host.failure is None and "queue" not in host.handlers:
        text = f"queue handler is missing: the worker {body.script_name} has no queue entrypoint"
        raise ApiError(400, QueueApiErrorCode.QUEUE_HANDLER_MISSING, text)
    return settings
