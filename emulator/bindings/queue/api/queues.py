"""Calls about queues: listing, creating, changing, purging and deleting them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

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
from emulator.queues.declarations import QueueState
from emulator.queues.errors import QueueErrorCode
from emulator.queues.settings import QueueSettings


async def list_queues(call: Call, _body: None) -> Page:
    """`GET .../queues`, in the order of creation. `name`, which may be repeated, selects some."""
    queues = list(call.session.queues.states.values())
    names = call.query.getlist("name")
    if names:
        queues = [queue for queue in queues if queue.name in names]
    shown, page = call.page(queues)
    return replace(page, items=[_shape(call, queue) for queue in shown])


async def create_queue(call: Call, body: QueueCreation) -> dict[str, Any]:
    """`POST .../queues`."""
    name = body.queue_name
    check_queue_name("queue_name", name, QueueErrorCode.JSON_REQUEST_BODY_INVALID)
    settings = (body.settings or QueueSettingsBody()).over(QueueSettings())
    if not await call.session.queues.create_queue(name, settings):
        raise ApiError(409, QueueApiErrorCode.QUEUE_NAME_TAKEN, f"Queue name {name!r} is already taken")
    call.report(f"queue {name} created")
    return _shape(call, call.session.queues.state_of(name))


async def get_queue(call: Call, _body: None) -> dict[str, Any]:
    """`GET .../queues/{queue_id}`."""
    return _shape(call, queue_of(call))


async def overwrite_queue(call: Call, body: QueueChange) -> dict[str, Any]:
    """`PUT .../queues/{queue_id}`. Settings that are not given become the defaults."""
    return await _change(call, body, QueueSettings())


async def edit_queue(call: Call, body: QueueChange) -> dict[str, Any]:
    """`PATCH .../queues/{queue_id}`. Settings that are not given stay as they are."""
    return await _change(call, body, queue_of(call).settings)


async def delete_queue(call: Call, _body: None) -> None:
    """`DELETE .../queues/{queue_id}`, with its messages and its consumer."""
    name = queue_of(call).name
    await call.session.queues.delete_queue(name)
    call.report(f"queue {name} deleted")


async def get_metrics(call: Call, _body: None) -> dict[str, int]:
    """`GET .../metrics`."""
    return metrics_shape(await call.session.queues.backlog(queue_of(call).name))


async def start_purge(call: Call, _body: PurgeBody) -> dict[str, Any]:
    """`POST .../purge`. Done when this returns; messages in flight are left to their consumer."""
    queue = queue_of(call)
    await call.session.queues.purge(queue.name)
    return _shape(call, queue_of(call))


async def get_purge(call: Call, _body: None) -> dict[str, str | None]:
    """`GET .../purge`: when the queue was last purged; empty if it never was."""
    purged_at = queue_of(call).purged_at
    if purged_at is None:
        return {"completed": None, "started_at": None}
    return {"completed": "true", "started_at": iso(purged_at)}


async def _change(call: Call, body: QueueChange, base: QueueSettings) -> dict[str, Any]:
    queue = queue_of(call)
    if body.queue_name not in (None, queue.name):
        text = f"queue_name is {str(body.queue_name)[:80]!r}; renaming the queue {queue.name} is not emulated"
        raise ApiError(400, QueueApiErrorCode.INVALID_QUEUE_SETTINGS, text)
    old = queue.settings
    settings = (body.settings or QueueSettingsBody()).over(base)
    await call.session.queues.update_queue(queue.name, settings)
    if settings.delivery_paused != old.delivery_paused:
        call.report(f"delivery of queue {queue.name} {'paused' if settings.delivery_paused else 'resumed'}")
    elif settings != old:
        call.report(f"settings of queue {queue.name} changed")
    return _shape(call, queue_of(call))


def _shape(call: Call, queue: QueueState) -> dict[str, Any]:
    session = call.session
    producers = [{"type": "worker", "script": worker} for worker in session.producers_of(queue.name)]
    consumers = consumer_shapes(queue)
    settings = queue.settings
    shape = {
        "queue_id": queue_id(queue.name),
        "queue_name": queue.name,
        "created_on": iso(queue.created_at),
        "modified_on": iso(queue.modified_at),
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
    return shape | _elsewhere(call, queue)


def _elsewhere(call: Call, queue: QueueState) -> dict[str, Any]:
    """What is known of a queue in other sessions."""
    queues = call.session.queues
    forwarded_to = queues.forwarded_to(queue.name)
    if forwarded_to:
        return {"emulator": {"forwarded_to": forwarded_to}}
    if queues.is_shared:
        users = queues.users(queue.name)
        return {"emulator": {"produced_by": users.producers, "consumed_by": users.consumers}}
    return {}
