"""Calls about queues themselves: listing, making, changing, purging and deleting them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from emulator.bindings.queue.addresses import queue_id
from emulator.bindings.queue.api.bodies import (
    PurgeBody,
    QueueChange,
    QueueCreation,
    QueueSettingsBody,
    check_queue_name,
)
from emulator.bindings.queue.api.call import Call, metrics_shape, queue_of
from emulator.bindings.queue.api.consumers import consumer_shapes
from emulator.bindings.queue.api.errors import QueueApiErrorCode
from emulator.bindings.rest import ApiError, Page, iso
from emulator.queues.errors import QueueErrorCode
from emulator.queues.memory.queue import Queue
from emulator.queues.settings import QueueSettings


def list_queues(call: Call, _body: None) -> Page:
    """`GET .../queues`, in the order of their creation; `name`, which may come several times, picks some."""
    queues = list(call.session.broker.queues)
    names = call.query.getlist("name")
    if names:
        queues = [queue for queue in queues if queue.name in names]
    shown, page = call.page(queues)
    return replace(page, items=[_shape(call, queue) for queue in shown])


def create_queue(call: Call, body: QueueCreation) -> dict[str, Any]:
    """`POST .../queues`."""
    name = body.queue_name
    check_queue_name("queue_name", name, QueueErrorCode.JSON_REQUEST_BODY_INVALID)
    settings = (body.settings or QueueSettingsBody()).over(QueueSettings())
    if not call.session.create_queue(name, settings):
        raise ApiError(409, QueueApiErrorCode.QUEUE_NAME_TAKEN, f"Queue name {name!r} is already taken")
    call.report(f"queue {name} created")
    return _shape(call, call.session.broker.queue(name))


def get_queue(call: Call, _body: None) -> dict[str, Any]:
    """`GET .../queues/{queue_id}`."""
    return _shape(call, queue_of(call))


def overwrite_queue(call: Call, body: QueueChange) -> dict[str, Any]:
    """`PUT .../queues/{queue_id}`. What is not given becomes the default."""
    return _change(call, body, QueueSettings())


def edit_queue(call: Call, body: QueueChange) -> dict[str, Any]:
    """`PATCH .../queues/{queue_id}`. What is not given stays."""
    return _change(call, body, queue_of(call).settings)


def delete_queue(call: Call, _body: None) -> None:
    """`DELETE .../queues/{queue_id}`. Its messages and its consumer go with it."""
    name = queue_of(call).name
    call.session.delete_queue(name)
    call.report(f"queue {name} deleted")


def get_metrics(call: Call, _body: None) -> dict[str, int]:
    """`GET .../metrics`."""
    return metrics_shape(call.session.broker.metrics(queue_of(call).name))


def start_purge(call: Call, _body: PurgeBody) -> dict[str, Any]:
    """`POST .../purge`. It is done when this returns; what is in flight is left to its consumer."""
    queue = queue_of(call)
    call.session.broker.purge(queue.name)
    return _shape(call, queue)


def get_purge(call: Call, _body: None) -> dict[str, str | None]:
    """`GET .../purge`: when the queue was last purged; nothing where it never was."""
    purged_at = call.session.broker.state_of(queue_of(call).name).purged_at
    if purged_at is None:
        return {"completed": None, "started_at": None}
    return {"completed": "true", "started_at": iso(purged_at)}


def _change(call: Call, body: QueueChange, base: QueueSettings) -> dict[str, Any]:
    queue = queue_of(call)
    if body.queue_name not in (None, queue.name):
        text = f"queue_name is {str(body.queue_name)[:80]!r}; renaming the queue {queue.name} is not emulated"
        raise ApiError(400, QueueApiErrorCode.INVALID_QUEUE_SETTINGS, text)
    old = queue.settings
    settings = (body.settings or QueueSettingsBody()).over(base)
    call.session.update_queue(queue.name, settings)
    if settings.delivery_paused != old.delivery_paused:
        call.report(f"delivery of queue {queue.name} {'paused' if settings.delivery_paused else 'resumed'}")
    elif settings != old:
        call.report(f"settings of queue {queue.name} changed")
    return _shape(call, queue)


def _shape(call: Call, queue: Queue) -> dict[str, Any]:
    session = call.session
    times = session.broker.state_of(queue.name)
    producers = [{"type": "worker", "script": worker} for worker in session.producers_of(queue.name)]
    consumers = consumer_shapes(session, queue)
    settings = queue.settings
    forwarded_to = session.broker.forwarded_to(queue.name)
    shape = {
        "queue_id": queue_id(queue.name),
        "queue_name": queue.name,
        "created_on": iso(times.created_at),
        "modified_on": iso(times.modified_at),
        "producers": producers,
        "producers_total_count": len(producers),
        "consumers": consumers,
        "consumers_total_count": len(consumers),
        "settings": {
            "delivery_delay": settings.delivery_delay,
            "delivery_paused": settings.delivery_paused,
            "message_retention_period": settings.message_retention_period,
        },
    }
    return shape | {"emulator": {"forwarded_to": forwarded_to}} if forwarded_to else shape
