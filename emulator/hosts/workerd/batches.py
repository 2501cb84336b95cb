"""A delivery in the form in which the module inside workerd takes it: a description in JSON, and then the bodies."""

from __future__ import annotations

import msgspec

from emulator.queues.message import Delivery, Message
from emulator.wire.codec import decode
from emulator.wire.structured_clone import is_serialized, serialize

_encode = msgspec.json.Encoder().encode


def batch_of(delivery: Delivery) -> tuple[bytes, bytes]:
    """The description of a batch, and the bodies of its messages one after the other."""
    bodies = [_body(message) for message in delivery.messages]
    metrics = delivery.metrics
    oldest = metrics.oldest_message_timestamp
    description = {
        "queue": delivery.queue,
        "metrics": {
            "backlogCount": metrics.backlog_count,
            "backlogBytes": metrics.backlog_bytes,
            "oldestMessageTimestamp": None if oldest is None else round(oldest * 1000),
        },
        "messages": [
            {
                "id": message.id,
                "timestamp": round(message.timestamp * 1000),
                "attempts": message.attempts,
                "type": message.content_type,
                "size": len(body),
            }
            for message, body in zip(delivery.messages, bodies, strict=True)
        ],
    }
    return _encode(description), b"".join(bodies)


def _body(message: Message) -> bytes:
    """The body as it is; of a `v8` message that a Python worker sent, the same value as JavaScript writes it."""
    body = message.body
    if message.content_type != "v8" or is_serialized(body):
        return body
    return serialize(decode(body, "v8"))
