"""Between the requests and responses of the runtime and HTTP with workerd: all of it on the path of every request."""

# ruff: noqa: SLF001 - a request is taken apart, and a response filled in, without steps between

from __future__ import annotations

import json
from typing import Final

from emulator.hosts.workerd.client import Answer, Client, request_head
from emulator_runtime.raw_headers import find
from emulator_runtime.streams import ReadableStream, read_all
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import FetchResponse

_incoming_cf: Final[dict[str, bytes]] = {}
"""`request.cf` of requests that come in, as JSON, by version of HTTP."""

_SMALL_BYTES: Final = 16_384
"""An upload of at most this size is read before it is sent on, which saves a connection."""

_REFUSED: Final = b"Internal Server Error"
"""The body, without a content type, of workerd's answer where the handler could not be run to its end."""


def upgrade_head(request: Request, cf_header: bytes) -> bytes:
    """The head of a request that asks for a WebSocket, on a connection of its own."""
    extra = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"), (cf_header, _cf(request)))
    return request_head(request._method_text(), request.url, request._get_raw(), *extra)


async def send_request(client: Client, request: Request, cf_header: bytes) -> Answer:
    """Send `request` to the worker, with `request.cf` in the header `cf_header`. Raises ConnectionLostError."""
    method = request._method_text()
    raw = request._get_raw()
    cf = (cf_header, _cf(request))
    content = request._get_body()
    is_head = method == "HEAD"
    if content is None:
        return await client.send(request_head(method, request.url, raw, cf), is_head=is_head)
    length = find(raw, b"content-length")
    body = content if isinstance(content, bytes) else content.take()
    if not isinstance(body, bytes):
        if length is None or int(length) > _SMALL_BYTES:
            extra = (cf,) if length is not None else (cf, (b"transfer-encoding", b"chunked"))
            head = request_head(method, request.url, raw, *extra)
            return await client.send_stream(head, body, chunked=length is None, is_head=is_head)
        body = await read_all(body)
    extra = (cf,) if length is not None else (cf, (b"content-length", b"%d" % len(body)))
    return await client.send(request_head(method, request.url, raw, *extra), body, is_head=is_head)


async def is_refusal(answer: Answer) -> bool:
    """Whether this is workerd's own answer to a request that it could not have answered by the worker."""
    headers = answer.headers
    if find(headers, b"content-type") is not None or find(headers, b"content-length") != b"%d" % len(_REFUSED):
        return False
    answer.body = await answer.read()
    return answer.body == _REFUSED


def response_of(answer: Answer, body: bytes | ReadableStream) -> FetchResponse:
    """The response that `answer` is, with `body`."""
    response = FetchResponse.__new__(FetchResponse)
    response._fill(body, answer.headers, answer.status)
    return response


def _cf(request: Request) -> bytes:
    """`request.cf` as JSON."""
    if request._scope is None:
        return json.dumps(request.cf or {}).encode()
    version = str(request._scope.get("http_version", "1.1"))
    known = _incoming_cf.get(version)
    if known is None:
        known = _incoming_cf[version] = json.dumps(request.cf).encode()
    return known
