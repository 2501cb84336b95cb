"""What happens to messages, queues and their consumers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from emulator.base.bus import Happening
from emulator.queues.message import QueueMessage, Settlement, Verdict


class MessagesSent(Happening, gc=False):
    """Messages entered a queue. `source` is the name of the worker that sent them, `dead letter`, `redrive`,
    `forwarded` or `api`. `location` is the worker's line of code that did, as `file:line`, or the URL of the session
    that forwarded them; empty if that is not known."""

    queue: str
    messages: Sequence[QueueMessage]
    source: str
    location: str = ""


class SendCounted(msgspec.Struct, frozen=True, gc=False):
    """Messages entered a queue, so many: MessagesSent for those who count only. Where there are thousands a second, to
    tell of the messages themselves is a tenth of the work."""

    queue: str
    source: str
    count: int


class BatchDelivered(Happening, gc=False):
    """A batch was settled. `messages` are as they were delivered, and in `settlement` as they are afterwards.

    `worker` is the consumer's name; it may be empty if clients pull. `taken_at` is in seconds since the epoch, and
    `duration` in seconds.
    """

    queue: str
    worker: str
    messages: Sequence[QueueMessage]
    verdict: Verdict
    settlement: Settlement
    taken_at: float
    duration: float


class MessagesDeadLettered(Happening):
    """Messages moved from `queue` to the dead letter queue `to`. `messages` are as they are there."""

    queue: str
    to: str
    messages: Sequence[QueueMessage]


class MessagesDropped(Happening):
    """Messages of `queue` were deleted without an ack: out of `retries`, `expired`, or `purged`."""

    queue: str
    messages: Sequence[QueueMessage]
    reason: Literal["retries", "expired", "purged"]


class MessagesPromoted(Happening):
    """Delayed messages of a queue were made ready. `messages` are as they are now."""

    queue: str
    messages: Sequence[QueueMessage]


class MessagesForwarded(Happening):
    """Messages of a queue were sent to the session that consumes it. `duration` is in seconds, and `to` describes that
    session, and ends with its URL."""

    queue: str
    messages: Sequence[QueueMessage]
    duration: float
    to: str = ""


class ConsumerChanged(Happening):
    """The consumer of a queue was set, changed or removed."""

    queue: str
