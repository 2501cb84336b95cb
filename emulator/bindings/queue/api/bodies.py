"""What clients send: the shapes of request bodies, and how their numbers become settings.

Types are checked when a body is decoded. Ranges are checked here, because each kind of setting has an error code of its
own. Some clients send whole numbers as `10.0`. Unknown keys are ignored, as in production.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from emulator.base.ranges import Range
from emulator.bindings.queue.api.errors import QueueApiErrorCode
from emulator.bindings.queue.config import QUEUE_NAME
from emulator.bindings.rest import ApiError
from emulator.queues.settings import (
    DELAY_SECONDS,
    MAX_BATCH_SIZE,
    MAX_BATCH_TIMEOUT_SECONDS,
    MAX_CONCURRENCY,
    MAX_RETRIES,
    RETENTION_SECONDS,
    VISIBILITY_TIMEOUT_MS,
    ConsumerSettings,
    ConsumerType,
    QueueSettings,
)

Number = int | float

MAX_WAIT_TIME_MS = Range(MAX_BATCH_TIMEOUT_SECONDS.low * 1000, MAX_BATCH_TIMEOUT_SECONDS.high * 1000)


def whole(value: Number) -> Number:
    """`10.0` as 10. A number that is not whole stays as it is, and is in no range."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class QueueSettingsBody(msgspec.Struct):
    """Settings of a queue; None means not given."""

    delivery_delay: Number | None = None
    delivery_paused: bool | None = None
    message_retention_period: Number | None = None

    def over(self, settings: QueueSettings) -> QueueSettings:
        """`settings` with the given ones replaced. Raises ApiError for a number that is out of range."""
        delay, retention = self.delivery_delay, self.message_retention_period
        paused = settings.delivery_paused if self.delivery_paused is None else self.delivery_paused
        return QueueSettings(
            settings.delivery_delay if delay is None else _queue_setting("delivery_delay", delay, DELAY_SECONDS),
            paused,
            settings.message_retention_period
            if retention is None
            else _queue_setting("message_retention_period", retention, RETENTION_SECONDS),
        )


class QueueCreation(msgspec.Struct):
    """`POST .../queues`."""

    queue_name: str
    settings: QueueSettingsBody | None = None


class QueueChange(msgspec.Struct):
    """`PUT` and `PATCH .../queues/{id}`."""

    queue_name: str | None = None
    settings: QueueSettingsBody | None = None


class ConsumerSettingsBody(msgspec.Struct):
    """Settings of a consumer, under the API's names or those of a configuration; None means not given."""

    batch_size: Number | None = None
    max_batch_size: Number | None = None
    max_wait_time_ms: Number | None = None
    max_batch_timeout: Number | None = None
    max_retries: Number | None = None
    max_concurrency: Number | None = None
    retry_delay: Number | None = None
    visibility_timeout_ms: Number | None = None


class ConsumerBody(msgspec.Struct):
    """`POST .../consumers` and `PUT .../consumers/{cid}`. An empty `dead_letter_queue` means none."""

    type: ConsumerType
    script_name: str = ""
    dead_letter_queue: str | None = None
    settings: ConsumerSettingsBody | None = None

    def read(self) -> ConsumerSettings:
        """The settings, with defaults for those that are not given. Raises ApiError for a number that is out of
        range."""
        given = self.settings or ConsumerSettingsBody()
        found: dict[str, Any] = {}
        for key, name, value, allowed in (
            ("max_batch_size", "max_batch_size", given.max_batch_size, MAX_BATCH_SIZE),
            ("max_batch_size", "batch_size", given.batch_size, MAX_BATCH_SIZE),
            ("max_batch_timeout", "max_batch_timeout", given.max_batch_timeout, MAX_BATCH_TIMEOUT_SECONDS),
            ("max_batch_timeout", "max_wait_time_ms", given.max_wait_time_ms, MAX_WAIT_TIME_MS),
            ("max_retries", "max_retries", given.max_retries, MAX_RETRIES),
            ("max_concurrency", "max_concurrency", given.max_concurrency, MAX_CONCURRENCY),
            ("retry_delay", "retry_delay", given.retry_delay, DELAY_SECONDS),
            ("visibility_timeout_ms", "visibility_timeout_ms", given.visibility_timeout_ms, VISIBILITY_TIMEOUT_MS),
        ):
            if value is not None:
                number = _in_range(f"settings.{name}", value, allowed, QueueApiErrorCode.INVALID_CONSUMER_SETTINGS)
                found[key] = whole(number / 1000) if name == "max_wait_time_ms" else number
        if self.dead_letter_queue:
            check_queue_name("dead_letter_queue", self.dead_letter_queue, QueueApiErrorCode.INVALID_CONSUMER_SETTINGS)
        return ConsumerSettings(type=self.type, dead_letter_queue=self.dead_letter_queue or None, **found)


class MessageBody(msgspec.Struct):
    """`POST .../messages`, and one of a batch."""

    body: Any = msgspec.UNSET
    content_type: str = "json"
    delay_seconds: Number | None = None


class BatchBody(msgspec.Struct):
    """`POST .../messages/batch`."""

    messages: list[MessageBody]
    delay_seconds: Number | None = None


class PullBody(msgspec.Struct):
    """`POST .../messages/pull`."""

    batch_size: Number | None = None
    visibility_timeout_ms: Number | None = None


class AckBody(msgspec.Struct):
    """One of `acks`."""

    lease_id: str


class RetryBody(msgspec.Struct):
    """One of `retries`."""

    lease_id: str
    delay_seconds: Number | None = None


class AcknowledgementBody(msgspec.Struct):
    """`POST .../messages/ack`."""

    acks: list[AckBody] = []
    retries: list[RetryBody] = []


class PeekBody(msgspec.Struct):
    """`POST .../messages/peek`."""

    batch_size: Number | None = None


class RefBody(msgspec.Struct):
    """One of `refs`."""

    ref: str


class MessagePurgeBody(msgspec.Struct):
    """`POST .../messages/purge`."""

    refs: list[RefBody]


class RedriveBody(msgspec.Struct):
    """`POST /emulator/queues/{id}/redrive`. Without `to`, messages go back to where they came from."""

    to: str | None = None


class PurgeBody(msgspec.Struct):
    """`POST .../purge`. Says explicitly that messages are to be deleted for good."""

    delete_messages_permanently: Literal[True]


def check_queue_name(key: str, name: str, code: int) -> None:
    """Raise ApiError if a queue cannot have this name."""
    if not QUEUE_NAME.accepts(name):
        raise ApiError(400, code, f"{key} is {name[:80]!r}; it must be {QUEUE_NAME.allowed}")


def _queue_setting(name: str, value: Number, allowed: Range) -> int:
    return _in_range(f"settings.{name}", value, allowed, QueueApiErrorCode.INVALID_QUEUE_SETTINGS)


def _in_range(name: str, value: Number, allowed: Range, code: int) -> int:
    number = whole(value)
    if not isinstance(number, int) or number not in allowed:
        raise ApiError(400, code, f"{name} is {value}; it must be a whole number, {allowed}")
    return number
