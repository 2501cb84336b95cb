"""The envelope of every answer, `{success, errors, messages, result, result_info}`, and the errors that go into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import msgspec
from starlette.responses import Response

from emulator.queues.errors import QueueError, QueueErrorCode

_encode = msgspec.json.Encoder().encode


class ApiErrorCode(IntEnum):
    """The API's own error codes. Those of the queue service are in QueueErrorCode."""

    INVALID_HEADERS = 6003
    METHOD_NOT_AVAILABLE = 7001
    NO_ROUTE = 7003
    AUTHENTICATION = 10000
    WORKER_NOT_FOUND = 10007
    BODY_TOO_LARGE = 10013
    QUEUE_HANDLER_MISSING = 11001
    CONSUMER_EXISTS = 11004
    CONSUMER_NOT_FOUND = 11005
    QUEUE_NAME_TAKEN = 11009
    NOT_EMULATED = 11099
    INVALID_CONSUMER_SETTINGS = 100127
    INVALID_QUEUE_SETTINGS = 100128


_STATUSES: Final[Mapping[QueueErrorCode, int]] = {
    QueueErrorCode.QUEUE_NOT_FOUND: 404,
    QueueErrorCode.QUEUE_DELIVERY_PAUSED: 409,
    QueueErrorCode.QUEUE_OVERLOADED: 429,
    QueueErrorCode.UNKNOWN_INTERNAL_ERROR: 500,
}


class ApiError(Exception):
    """A call was refused: the HTTP status, a code (ApiErrorCode or QueueErrorCode), and a sentence that says what is
    wrong."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    @classmethod
    def from_queue_error(cls, error: QueueError) -> ApiError:
        """An error of the queue service, as the REST API reports it."""
        return cls(_STATUSES.get(error.code, 400), error.code, error.cause)


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list as a result: `items` are those on `page` (counted from 1), `total_count` is the number of all."""

    items: Sequence[Any]
    page: int
    per_page: int
    total_count: int


def success(result: object) -> Response:
    """The answer to a call that succeeded. A `Page` becomes a list and its `result_info`."""
    envelope: dict[str, Any] = {"success": True, "errors": [], "messages": [], "result": result}
    if isinstance(result, Page):
        envelope["result"] = result.items
        envelope["result_info"] = {
            "page": result.page,
            "per_page": result.per_page,
            "count": len(result.items),
            "total_count": result.total_count,
            "total_pages": -(-result.total_count // result.per_page),
        }
    return Response(_encode(envelope), media_type="application/json")


def failure(error: ApiError) -> Response:
    """The answer to a call that was refused. The SDKs are told not to retry, because the answer would be the same."""
    errors = [{"code": int(error.code), "message": error.message}]
    envelope = {"success": False, "errors": errors, "messages": [], "result": None}
    headers = {} if error.status == 429 else {"x-should-retry": "false"}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(_encode(envelope), error.status, headers, "application/json")
