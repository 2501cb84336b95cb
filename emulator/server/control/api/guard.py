"""Who may use the REST API. It changes state, so a web page that the user happens to visit must not be able to use it.

The `Host` header is checked for the whole control plane before a request gets here, so that a foreign name that
resolves to this machine is refused. Beyond that, a request from a page of another origin is refused by its `Origin`.
There are no CORS headers, so browsers do not send such a page's requests if they have credentials or a JSON body. If
other machines can reach the server, a token is required.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.bindings.rest import ApiError, ApiErrorCode
from emulator.server.control.api.envelope import failure

MAX_BODY_BYTES: Final = 2_000_000
"""The largest batch has 256,000 bytes, and JSON's escapes make at most six bytes of one."""

_JSON: Final = "application/json"


class Guard:
    """Passes requests on to an ASGI application, or refuses them. If `token` is empty, any bearer token is accepted."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(Headers(scope=scope))
        except ApiError as error:
            await failure(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{headers.get('host', '')}".lower():
            raise ApiError(403, ApiErrorCode.AUTHENTICATION, f"requests from pages of {origin} are refused")
        if self._token and not compare_digest(_bearer(headers).encode(), self._token.encode()):
            text = (
                "this server can be reached from other machines: send the token that `emulator dev` printed when it "
                "was ready, as `Authorization: Bearer TOKEN`"
            )
            raise ApiError(401, ApiErrorCode.AUTHENTICATION, text)


async def read_body(request: Request) -> bytes:
    """The body of a request that must have a JSON body. Raises ApiError if it is not declared as JSON, or too large.

    wrangler sends its JSON as `text/plain`. That is accepted if the request has an `Authorization` header, which a page
    of another origin cannot send without permission.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _JSON and not (content_type == "text/plain" and _bearer(request.headers)):
        found = content_type or "none"
        raise ApiError(415, ApiErrorCode.INVALID_HEADERS, f"Content-Type must be {_JSON}; this request's is {found}")
    body = bytearray()
    declared = request.headers.get("content-length", "")
    too_large = declared.isdigit() and int(declared) > MAX_BODY_BYTES
    if not too_large:
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    too_large = True
                    break
        except ClientDisconnect:
            raise ApiError(
                400, ApiErrorCode.INVALID_HEADERS, "the client disconnected before its whole body arrived"
            ) from None
    if too_large:
        raise ApiError(413, ApiErrorCode.BODY_TOO_LARGE, f"the body is over the limit of {MAX_BODY_BYTES:,} bytes")
    return bytes(body)


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
