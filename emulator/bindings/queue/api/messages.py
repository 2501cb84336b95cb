"""Calls about the messages of a queue: pushing, pulling, acknowledging, looking at and deleting them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from emulator.base.words import count
from emulator.bindings.queue.api.bodies import (
    AcknowledgementBody,
    BatchBody,
    MessageBody,
    MessagePurgeBody,
    Number,
    PeekBody,
    PullBody,
    RedriveBody,
    whole,
)
from emulator.bindings.queue.api.call import Call, metrics_shape, queue_of
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.message import NewMessage, QueueMessage
from emulator.queues.settings import DEFAULT_PULL_BATCH_SIZE
from emulator.wire.codec import ContentType, encode

API_SOURCE: Final = "api"
_CONTENT_TYPES: Final = ("json", "text")


async def push_message(call: Call, body: MessageBody) -> dict[str, Any]:
    """`POST .../messages`: send one."""
    return await _push(call, [_outgoing(body, "")], None)


async def push_batch(call: Call, body: BatchBody) -> dict[str, Any]:
    """`POST .../messages/batch`: send 1 to 100 messages, all or none."""
    if not body.messages:
        raise QueueError(QueueErrorCode.BATCH_COUNT_OUT_OF_BOUNDS, "messages is empty; a batch has 1 to 100")
    outgoing = [_outgoing(message, f"messages[{index}].") for index, message in enumerate(body.messages)]
    return await _push(
        call, outgoing, _seconds(body.delay_seconds, "delay_seconds", QueueErrorCode.BATCH_DELAY_INVALID)
    )


async def pull_messages(call: Call, body: PullBody) -> dict[str, Any]:
    """`POST .../messages/pull`: lease messages that are ready. Does not wait; there may be none."""
    name = queue_of(call).name
    batch_size = _count(body.batch_size, "batch_size")
    timeout_ms = (
        None if body.visibility_timeout_ms is None else _whole(body.visibility_timeout_ms, "visibility_timeout_ms")
    )
    queues = call.session.queues
    pulled = await queues.pull(name, DEFAULT_PULL_BATCH_SIZE if batch_size is None else batch_size, timeout_ms)
    metrics = metrics_shape(await queues.backlog(name))
    return {
        "messages": [{**_shape(each.message), "lease_id": each.lease_id} for each in pulled],
        "message_backlog_count": metrics["backlog_count"],
        "metadata": {"metrics": metrics},
    }


async def acknowledge_messages(call: Call, body: AcknowledgementBody) -> dict[str, Any]:
    """`POST .../messages/ack`. An unknown lease id is reported in `warnings`, and changes nothing."""
    retries = [
        (
            retry.lease_id,
            _seconds(retry.delay_seconds, f"retries[{index}].delay_seconds", QueueErrorCode.MESSAGE_METADATA_INVALID),
        )
        for index, retry in enumerate(body.retries)
    ]
    done = await call.session.queues.acknowledge(queue_of(call).name, [ack.lease_id for ack in body.acks], retries)
    warnings = dict.fromkeys(done.unknown, "unknown lease id: the message was settled, or leased again")
    warnings |= dict.fromkeys(done.expired, "the lease has expired: the message is back in its queue")
    return {"ackCount": len(done.acked), "retryCount": len(done.retried), "warnings": warnings}


async def peek_messages(call: Call, body: PeekBody) -> dict[str, Any]:
    """`POST .../messages/peek`: look at waiting messages. `emulator` holds what production does not reveal."""
    batch_size = _count(body.batch_size, "batch_size")
    messages = await call.session.queues.peek(
        queue_of(call).name, DEFAULT_PULL_BATCH_SIZE if batch_size is None else batch_size
    )
    return {"messages": [{**_shape(each), "ref": each.id, "emulator": _inside(each)} for each in messages]}


async def purge_messages(call: Call, body: MessagePurgeBody) -> dict[str, Any]:
    """`POST .../messages/purge`: delete messages by the refs that a peek gave."""
    refs = {each.ref for each in body.refs}
    gone = {message.id for message in await call.session.queues.purge_messages(queue_of(call).name, refs)}
    missing = (ref for ref in refs if ref not in gone)
    return {"errors": [], "warnings": dict.fromkeys(missing, "no waiting message has this ref")}


async def promote_messages(call: Call, _body: None) -> dict[str, Any]:
    """`POST /emulator/queues/{queue_id}/promote`, which Cloudflare does not have: make delayed messages ready."""
    return {"promoted": await call.session.queues.promote(queue_of(call).name)}


async def redrive_messages(call: Call, body: RedriveBody) -> dict[str, Any]:
    """`POST /emulator/queues/{queue_id}/redrive`, which Cloudflare does not have: give dead letters another chance."""
    name = queue_of(call).name
    done = await call.session.queues.redrive(name, body.to)
    for target, moved in done.moved.items():
        call.report(f"{count(moved, 'message')} of {name} redriven to {target}")
    return {"moved": done.moved, "no_dead_letters": done.no_dead_letters, "orphans": done.orphans}


async def _push(call: Call, outgoing: list[NewMessage], batch_delay: int | None) -> dict[str, Any]:
    name = queue_of(call).name
    metrics = await call.session.queues.send(name, outgoing, source=API_SOURCE, batch_delay_seconds=batch_delay)
    return {"metadata": {"metrics": metrics_shape(metrics)}}


def _outgoing(message: MessageBody, path: str) -> NewMessage:
    if message.body is msgspec.UNSET:
        raise QueueError(QueueErrorCode.JSON_REQUEST_BODY_INVALID, f"{path}body is missing")
    if message.content_type not in _CONTENT_TYPES:
        text = f"{path}content_type is {message.content_type[:32]!r}; over HTTP it can be json or text"
        raise QueueError(QueueErrorCode.MESSAGE_METADATA_INVALID, text)
    content_type = cast("ContentType", message.content_type)
    delay = _seconds(message.delay_seconds, f"{path}delay_seconds", QueueErrorCode.MESSAGE_METADATA_INVALID)
    try:
        return NewMessage(encode(message.body, content_type), content_type, delay)
    except TypeError as error:
        raise QueueError(QueueErrorCode.JSON_REQUEST_BODY_INVALID, f"{path}body: {error}") from None


def _shape(message: QueueMessage) -> dict[str, Any]:
    """A message as a client gets it: text unchanged, everything else in base64."""
    text = message.content_type == "text"
    body = message.body.decode("utf-8", "replace") if text else b64encode(message.body).decode()
    return {
        "id": message.id,
        "body": body,
        "timestamp_ms": int(message.timestamp * 1000),
        "attempts": message.attempts,
        "metadata": {
            "CF-Content-Type": message.content_type,
            "CF-sourceMessageSource": API_SOURCE if message.source == API_SOURCE else "worker",
        },
    }


def _inside(message: QueueMessage) -> dict[str, Any]:
    """What the emulator knows about a waiting message: since when or until when it waits, and what went wrong with
    it."""
    letter = message.dead_letter
    inside: dict[str, Any] = {
        "source": message.source,
        "enqueued_at_ms": int(message.enqueued_at * 1000),
        "ready_at_ms": int(message.ready_at * 1000),
        "failed_attempts": list(_attempts(message.failures)),
    }
    if letter is not None:
        inside["dead_letter"] = {
            "queue": letter.queue,
            "died_at_ms": int(letter.died_at * 1000),
            "error": letter.last_error,
            "attempts": list(_attempts(letter.attempts)),
        }
    return inside


def _attempts(attempts: Any) -> Iterator[dict[str, Any]]:
    for attempt in attempts:
        yield {
            "number": attempt.number,
            "at_ms": int(attempt.at * 1000),
            "outcome": attempt.outcome,
            "error": attempt.error,
            "traceback": attempt.traceback,
        }


def _count(value: Number | None, name: str) -> int | None:
    return None if value is None else _whole(value, name)


def _seconds(value: Number | None, name: str, code: QueueErrorCode) -> int | None:
    return None if value is None else _whole(value, name, code)


def _whole(value: Number, name: str, code: QueueErrorCode = QueueErrorCode.JSON_REQUEST_BODY_INVALID) -> int:
    number = whole(value)
    if not isinstance(number, int):
        raise QueueError(code, f"{name} of {value!r} is invalid: it must be a whole number")
    return number
