"""Which call answers at which address, and how a request becomes a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from emulator.base.words import listed
from emulator.bindings.rest import ApiError, ApiErrorCode, Call, Rest, Upload
from emulator.bindings.rest import Route as ApiRoute
from emulator.server.control.api.bodies import read_body
from emulator.server.control.api.envelope import failure, success
from emulator.session.session import Session


def rest_parts(session: Session) -> list[Rest]:
    """The parts that the binding kinds of a session have of the API."""
    return [part for kind in session.open_kinds.kinds if (part := kind.rest()) is not None]


def make_api(session: Session) -> ASGIApp:
    """The API on `session` as an ASGI application, to be mounted behind the guard."""
    parts = rest_parts(session)
    handlers: dict[Any, Any] = {HTTPException: _no_route(parts), ApiError: _api_error, 500: _our_bug}
    for part in parts:
        handlers.update((error, _refused(refusal)) for error, refusal in part.refusals)
    routes = [
        Route(route.path, _endpoint(session, route), methods=[route.method]) for part in parts for route in part.routes
    ]
    return Starlette(routes=routes, exception_handlers=handlers)


def _endpoint(session: Session, route: ApiRoute) -> Any:
    """A function that decodes a request, makes the call and wraps its result."""
    is_upload = route.body is Upload
    decode: Callable[[bytes], Any] | None = None
    if route.body is not None and not is_upload:
        decode = msgspec.json.Decoder(route.body).decode

    async def endpoint(request: Request) -> Response:
        body = None if decode is None else _decoded(decode, await read_body(request))
        if is_upload:
            body = Upload(request.stream(), request.headers.get("content-type", ""))
        host = request.headers.get("host", "localhost")
        root = f"{request.scope['scheme']}://{host}{request.scope.get('root_path', '')}"
        result = route.call(Call(session, request.path_params, request.query_params, request.headers, root), body)
        return success(await result if isawaitable(result) else result)

    return endpoint


def _decoded(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise ApiError(400, ApiErrorCode.INVALID_BODY, f"the body is invalid: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, ApiErrorCode.MALFORMED_BODY, f"the body is not JSON: {error}") from None


async def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return failure(error)


def _refused(refusal: Callable[[Any], ApiError]) -> Any:
    """What answers for an error that a kind's calls raise."""

    async def refused(_request: Request, error: Exception) -> Response:
        return failure(refusal(error))

    return refused


def _no_route(parts: Sequence[Rest]) -> Any:
    """What answers where nothing else does."""
    about = listed(part.about for part in parts)

    async def no_route(request: Request, error: Exception) -> Response:
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        if isinstance(error, HTTPException) and error.status_code == 405:
            text = f"Method {request.method} is not available for {path}"
            return failure(ApiError(405, ApiErrorCode.METHOD_NOT_AVAILABLE, text))
        text = (
            f"This is the emulator, not Cloudflare, and changed nothing: no route for {request.method} {path}. "
            f"Only the part about {about} of its API is emulated; `emulator env --unset` leads back to Cloudflare"
        )
        return failure(ApiError(404, ApiErrorCode.NO_ROUTE, text))

    return no_route


async def _our_bug(_request: Request, error: Exception) -> Response:
    text = f"this is a bug in the emulator: {type(error).__name__}: {error}"
    return failure(ApiError(500, ApiErrorCode.INTERNAL, text))
