"""Cloudflare's REST API for queues: what wrangler and the official SDKs talk to.

`queues`, `consumers` and `messages` hold the calls: plain functions of a call and a decoded body, whose shapes are in
`bodies`. Here is which of them answers where.
"""

from __future__ import annotations

from typing import Any, Final

from emulator.bindings.queue.api import bodies, consumers, messages, queues
from emulator.bindings.queue.api.call import Call
from emulator.bindings.queue.api.errors import refusal
from emulator.bindings.rest import ApiError, ApiErrorCode, Rest, Route
from emulator.queues.errors import QueueError

_QUEUES: Final = "/accounts/{account_id}/queues"
_QUEUE: Final = f"{_QUEUES}/{{queue_id}}"
_CONSUMERS: Final = f"{_QUEUE}/consumers"
_CONSUMER: Final = f"{_CONSUMERS}/{{consumer_id}}"
_MESSAGES: Final = f"{_QUEUE}/messages"
_OWN_QUEUE: Final = "/emulator/queues/{queue_id}"
"""What Cloudflare does not have is outside of its accounts."""
_SUBSCRIPTIONS: Final = "/accounts/{account_id}/event_subscriptions/{rest:path}"


def _subscriptions(_call: Call, _body: None) -> Any:
    raise ApiError(501, ApiErrorCode.NOT_EMULATED, "Event subscriptions are not emulated")


REST: Final = Rest(
    about="queues",
    root="/accounts/ACCOUNT/queues",
    routes=(
        Route("GET", _QUEUES, queues.list_queues),
        Route("POST", _QUEUES, queues.create_queue, bodies.QueueCreation),
        Route("GET", _QUEUE, queues.get_queue),
        Route("PUT", _QUEUE, queues.overwrite_queue, bodies.QueueChange),
        Route("PATCH", _QUEUE, queues.edit_queue, bodies.QueueChange),
        Route("DELETE", _QUEUE, queues.delete_queue),
        Route("GET", f"{_QUEUE}/metrics", queues.get_metrics),
        Route("GET", f"{_QUEUE}/purge", queues.get_purge),
        Route("POST", f"{_QUEUE}/purge", queues.start_purge, bodies.PurgeBody),
        Route("GET", _CONSUMERS, consumers.list_consumers),
        Route("POST", _CONSUMERS, consumers.create_consumer, bodies.ConsumerBody),
        Route("GET", _CONSUMER, consumers.get_consumer),
        Route("PUT", _CONSUMER, consumers.update_consumer, bodies.ConsumerBody),
        Route("DELETE", _CONSUMER, consumers.delete_consumer),
        Route("POST", _MESSAGES, messages.push_message, bodies.MessageBody),
        Route("POST", f"{_MESSAGES}/batch", messages.push_batch, bodies.BatchBody),
        Route("POST", f"{_MESSAGES}/pull", messages.pull_messages, bodies.PullBody),
        Route("POST", f"{_MESSAGES}/ack", messages.acknowledge_messages, bodies.AcknowledgementBody),
        Route("POST", f"{_MESSAGES}/peek", messages.peek_messages, bodies.PeekBody),
        Route("POST", f"{_MESSAGES}/purge", messages.purge_messages, bodies.MessagePurgeBody),
        Route("POST", f"{_OWN_QUEUE}/promote", messages.promote_messages),
        Route("POST", f"{_OWN_QUEUE}/redrive", messages.redrive_messages, bodies.RedriveBody),
        *(Route(method, _SUBSCRIPTIONS, _subscriptions) for method in ("GET", "POST", "PATCH", "DELETE")),
    ),
    refusals=((QueueError, refusal),),
)
