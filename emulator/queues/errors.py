"""The errors of the queue service, with Cloudflare's codes and names."""

from __future__ import annotations

from enum import IntEnum


class QueueErrorCode(IntEnum):
    """The codes at the end of the service's messages, and in answers of the REST API.

    The service does not document codes for the two errors about pulling, so these are the emulator's own.
    """

    QUEUE_NOT_FOUND = 10104
    BATCH_DELAY_INVALID = 10202
    MESSAGE_METADATA_INVALID = 10203
    MESSAGE_SIZE_OUT_OF_BOUNDS = 10204
    BATCH_SIZE_OUT_OF_BOUNDS = 10205
    BATCH_COUNT_OUT_OF_BOUNDS = 10206
    JSON_REQUEST_BODY_INVALID = 10207
    JSON_REQUEST_BODY_MALFORMED = 10208
    QUEUE_OVERLOADED = 10250
    QUEUE_STORAGE_LIMIT_EXCEEDED = 10251
    QUEUE_DISABLED = 10252
    QUEUE_DELIVERY_PAUSED = 10260
    HTTP_PULL_NOT_ENABLED = 10261
    UNKNOWN_INTERNAL_ERROR = 15000


class QueueError(Exception):
    """The service refused a request. `str()` is the cause followed by the code, as worker code sees it."""

    def __init__(self, code: QueueErrorCode, cause: str) -> None:
        super().__init__(f"{cause} ({int(code)})")
        self.code = code
        self.cause = cause


def unknown_queue(name: str) -> QueueError:
    """The error for a queue that does not exist."""
    return QueueError(QueueErrorCode.QUEUE_NOT_FOUND, f"Queue not found: {name}")
