"""The settings of queues and consumers, with the defaults and ranges of Cloudflare Queues. No other module has these
numbers."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from emulator.base.ranges import Range

ConsumerType = Literal["worker", "http_pull"]

DELAY_SECONDS: Final = Range(0, 86_400)
RETENTION_SECONDS: Final = Range(60, 1_209_600)
MAX_BATCH_SIZE: Final = Range(1, 100)
MAX_BATCH_TIMEOUT_SECONDS: Final = Range(0, 60)
MAX_RETRIES: Final = Range(0, 100)
MAX_CONCURRENCY: Final = Range(1, 250)
VISIBILITY_TIMEOUT_MS: Final = Range(0, 43_200_000)
PULL_BATCH_SIZE: Final = Range(1, 100)
DEFAULT_PULL_BATCH_SIZE: Final = 5

MAX_MESSAGE_BYTES: Final = 128_000
MAX_BATCH_BYTES: Final = 256_000
MAX_BATCH_COUNT: Final = 100
MAX_BACKLOG_BYTES: Final = 25_000_000_000
HANDLER_TIMEOUT_SECONDS: Final = 15 * 60.0


class QueueSettings(msgspec.Struct, frozen=True):
    """Settings of a queue itself. Delays and retention are in seconds."""

    delivery_delay: int = 0
    delivery_paused: bool = False
    message_retention_period: int = 345_600


class ConsumerSettings(msgspec.Struct, frozen=True):
    """Settings of a queue's one consumer.

    `max_batch_timeout` and `retry_delay` are in seconds; the former may have fractions if it was set through the REST
    API, which uses milliseconds. `max_concurrency` None means that deliveries scale up to 250 at once.
    `visibility_timeout_ms` is for `http_pull` consumers only: how long a pulled message is leased if the pull does not
    say.
    """

    type: ConsumerType = "worker"
    max_batch_size: int = 10
    max_batch_timeout: float = 5
    max_retries: int = 3
    dead_letter_queue: str | None = None
    max_concurrency: int | None = None
    retry_delay: int = 0
    visibility_timeout_ms: int = 30_000
