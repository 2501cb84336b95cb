"""Which call answers at which address, and how a request becomes a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.server.control.api import bodies, consumers, messages, queues
from emulator.server.control.api.call import Call
from emulator.server.control.api.envelope import ApiError, ApiErrorCode, failure, success
from emulator.server.control.api.guard import Guard, read_body
from emulator.session.session import Session

_QUEUES: Final = "/accounts/{account_id}/queues"
_QUEUE: Final = f"{_QUEUES}/{{queue_id}}"
_CONSUMERS: Final = f"{_QUEUE}/consumers"
_CONSUMER: Final = f"{_CONSUMERS}/{{consumer_id}}"
_MESSAGES: Final = f"{_QUEUE}/messages"
_OWN_QUEUE: Final = "/emulator/queues/{queue_id}"
"""Calls that Cloudflare does not have are outside its accounts."""
_SUBSCRIPTIONS: Final = "/accounts/{account_id}/event_subscriptions/{rest:path}"

_ROUTES: Final[tuple[tuple[str, str, Callable[[Call, Any], Any], type | None], ...]] = (
    ("GET", _QUEUES, queues.list_queues, None),
    ("POST", _QUEUES, queues.create_queue, bodies.QueueCreation),
    ("GET", _QUEUE, queues.get_queue, None),
    ("PUT", _QUEUE, queues.overwrite_queue, bodies.QueueChange),
    ("PATCH", _QUEUE, queues.edit_queue, bodies.QueueChange),
    ("DELETE", _QUEUE, queues.delete_queue, None),
    ("GET", f"{_QUEUE}/metrics", queues.get_metrics, None),
    ("GET", f"{_QUEUE}/purge", queues.get_purge, None),
    ("POST", f"{_QUEUE}/purge", queues.start_purge, bodies.PurgeBody),
    ("GET", _CONSUMERS, consumers.list_consumers, None),
    ("POST", _CONSUMERS, consumers.create_consumer, bodies.ConsumerBody),
    ("GET", _CONSUMER, consumers.get_consumer, None),
    ("PUT", _CONSUMER, consumers.update_consumer, bodies.ConsumerBody),
    ("DELETE", _CONSUMER, consumers.delete_consumer, None),
    ("POST", _MESSAGES, messages.push_message, bodies.MessageBody),
    ("POST", f"{_MESSAGES}/batch", messages.push_batch, bodies.BatchBody),
    ("POST", f"{_MESSAGES}/pull", messages.pull_messages, bodies.PullBody),
    ("POST", f"{_MESSAGES}/ack", messages.acknowledge_messages, bodies.AcknowledgementBody),
    ("POST", f"{_MESSAGES}/peek", messages.peek_messages, bodies.PeekBody),
    ("POST", f"{_MESSAGES}/purge", messages.purge_messages, bodies.MessagePurgeBody),
    ("POST", f"{_OWN_QUEUE}/redrive", messages.redrive_messages, bodies.RedriveBody),
)


def make_api(session: Session, token: str = "") -> ASGIApp:
    """The API on `session` as an ASGI application, to be mounted. If `token` is not empty, every request must carry
    it."""
    routes = [Route(path, _endpoint(session, call, body), methods=[method]) for method, path, call, body in _ROUTES]
    routes.append(Route(_SUBSCRIPTIONS, _subscriptions, methods=["GET", "POST", "PATCH", "DELETE"]))
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _no_route, ApiError: _api_error, QueueError: _queue_error, 500: _our_bug},
    )
    return Guard(app, token)


def _endpoint(session: Session, call: Callable[[Call, Any], Any], body_type: type | None) -> Any:
    """A function that decodes a request, makes the call and wraps its result."""
    decode: Callable[[bytes], Any] | None = None if body_type is None else msgspec.json.Decoder(body_type).decode

    async def endpoint(request: Request) -> Response:
        body = None if decode is None else _decoded(decode, await read_body(request))
        return success(call(Call(session, request.path_params, request.query_params), body))

    return endpoint


def _decoded(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        code = QueueErrorCode.JSON_REQUEST_BODY_INVALID
        raise ApiError(400, code, f"the body is invalid: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        code = QueueErrorCode.JSON_REQUEST_BODY_MALFORMED
        raise ApiError(400, code, f"the body is not JSON: {error}") from None


async def _subscriptions(_request: Request) -> Response:
    raise ApiError(501, ApiErrorCode.NOT_EMULATED, "Event subscriptions are not emulated")


async def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return failure(error)


async def _queue_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, QueueError)
    return failure(ApiError.from_queue_error(error))


async def _no_route(request: Request, error: Exception) -> Response:
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    if isinstance(error, HTTPException) and error.status_code == 405:
        text = f"Method {request.method} is not available for {path}"
        return failure(ApiError(405, ApiErrorCode.METHOD_NOT_AVAILABLE, text))
    text = f"No route for {request.method} {path}: of Cloudflare's API, only the part about queues is emulated"
    return failure(ApiError(404, ApiErrorCode.NO_ROUTE, text))


async def _our_bug(_request: Request, error: Exception) -> Response:
    text = f"the emulator failed, which is a bug of its own: {type(error).__name__}: {error}"
    return failure(ApiError(500, QueueErrorCode.UNKNOWN_INTERNAL_ERROR, text))
