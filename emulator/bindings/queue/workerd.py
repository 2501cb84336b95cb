"""Answers the queue bindings of JavaScript workers: takes workerd's requests, and returns the queues' answers."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping
from functools import partial
from typing import Any, Final, cast

import msgspec

from emulator.bindings.queue.config import Producer
from emulator.bindings.wiring import Answered, Reference, WireRequest, WireResponse, Wiring
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.message import Backlog, NewMessage
from emulator.queues.service import Queues
from emulator.wire.codec import CONTENT_TYPES, ContentType

_DEFAULT_TYPE: Final = "v8"
_NOT_JSON: Final = b"undefined"
"""What workerd sends where `JSON.stringify` gives nothing."""
_JSON: Final = ((b"Content-Type", b"application/json"),)


class _BatchEntry(msgspec.Struct, gc=False):
    body: bytes
    contentType: str = _DEFAULT_TYPE  # noqa: N815 - workerd's name
    delaySecs: int | None = None  # noqa: N815


class _Batch(msgspec.Struct, gc=False):
    messages: list[_BatchEntry]


_read_batch: Final = msgspec.json.Decoder(_Batch).decode


def wire(queues: Queues, worker: str, producers: Mapping[str, Producer]) -> Iterator[Wiring]:
    """The queue bindings of a worker."""
    for name, producer in producers.items():
        answered = Answered(partial(answer, queues, worker, producer))
        yield Wiring(name, {"queue": Reference()}, {"": answered})


async def answer(queues: Queues, worker: str, producer: Producer, request: WireRequest) -> WireResponse:
    """The answer to a request of the binding `producer` of `worker`. A refusal by the service has its code."""
    try:
        headers = request.headers
        if request.target == "/metrics":
            return WireResponse(_metrics(await queues.backlog(producer.queue)), headers=_JSON)
        delay = _delay(headers.get(b"x-msg-delay-secs"))
        if request.target == "/message":
            outgoing = [_message(request.body, headers.get(b"x-msg-fmt", b"v8").decode("latin-1"), delay)]
            metrics = await _send(queues, worker, producer, outgoing, None)
        else:
            outgoing = [
                _message(entry.body, entry.contentType, entry.delaySecs) for entry in _read_batch(request.body).messages
            ]
            metrics = await _send(queues, worker, producer, outgoing, delay)
        return WireResponse(b'{"metadata":{"metrics":%b}}' % _metrics(metrics), headers=_JSON)
    except QueueError as error:
        return _refusal(error)
    except ValueError as error:  # msgspec's errors are ValueErrors
        return _refusal(QueueError(QueueErrorCode.UNKNOWN_INTERNAL_ERROR, f"the request is damaged: {error}"))


def _send(
    queues: Queues, worker: str, producer: Producer, messages: list[NewMessage], batch_delay: int | None
) -> Coroutine[Any, Any, Backlog]:
    return queues.send(producer.queue, messages, source=worker, batch_delay_seconds=batch_delay)


def _message(body: bytes, content_type: str, delay_seconds: int | None) -> NewMessage:
    if content_type not in CONTENT_TYPES:
        raise QueueError(QueueErrorCode.MESSAGE_METADATA_INVALID, f"there is no content type {content_type!r}")
    if content_type == "json" and body == _NOT_JSON:
        raise QueueError(
            QueueErrorCode.JSON_REQUEST_BODY_MALFORMED,
            "Message body is nothing that JSON can say: a function or a symbol",
        )
    return NewMessage(body, cast("ContentType", content_type), delay_seconds)


def _delay(value: bytes | None) -> int | None:
    return None if value is None else int(value)


def _metrics(metrics: Backlog) -> bytes:
    oldest = metrics.oldest_message_timestamp
    return b'{"backlogCount":%d,"backlogBytes":%d,"oldestMessageTimestamp":%d}' % (
        metrics.backlog_count,
        metrics.backlog_bytes,
        0 if oldest is None else round(oldest * 1000),
    )


def _refusal(error: QueueError) -> WireResponse:
    """An answer with the cause and code for the error that workerd throws. The status line has the cause too, for
    workers without error codes."""
    cause = " ".join(error.cause.split()).encode("ascii", "replace")
    headers = ((b"CF-Queues-Error-Code", b"%d" % error.code), (b"CF-Queues-Error-Cause", cause))
    return WireResponse(status=400, reason=cause, headers=headers)
