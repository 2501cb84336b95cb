"""The errors of calls about queues."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from emulator.bindings.rest import ApiError
from emulator.queues.errors import QueueError, QueueErrorCode


class QueueApiErrorCode(IntEnum):
    """Codes of the API around the queues. Those of the queue service itself are in QueueErrorCode."""

    QUEUE_HANDLER_MISSING = 11001
    CONSUMER_EXISTS = 11004
    CONSUMER_NOT_FOUND = 11005
    QUEUE_NAME_TAKEN = 11009
    INVALID_CONSUMER_SETTINGS = 100127
    INVALID_QUEUE_SETTINGS = 100128


_STATUSES: Final[Mapping[QueueErrorCode, int]] = {
    QueueErrorCode.QUEUE_NOT_FOUND: 404,
    QueueErrorCode.QUEUE_DELIVERY_PAUSED: 409,
    QueueErrorCode.QUEUE_OVERLOADED: 429,
    QueueErrorCode.UNKNOWN_INTERNAL_ERROR: 500,
}


def refusal(error: QueueError) -> ApiError:
    """The error of the service, as the REST API tells it."""
    return ApiError(_STATUSES.get(error.code, 400), error.code, error.cause)
