"""What a request to the REST API brings: its body, and its token."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from emulator.bindings.rest import ApiError, ApiErrorCode

MAX_BODY_BYTES: Final = 2_000_000
"""The largest batch has 256,000 bytes, and JSON's escapes make at most six bytes of one."""

_JSON: Final = "application/json"


async def read_body(request: Request) -> bytes:
    """The body of a request that must have a JSON body. Raises ApiError if it is not declared as JSON, or too large.

    wrangler sends its JSON as `text/plain`. That is accepted if the request has an `Authorization` header, which a page
    of another origin cannot send without permission.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _JSON and not (content_type == "text/plain" and bearer(request.headers)):
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


def bearer(headers: Headers) -> str:
    """The token in an `Authorization` header; empty without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
