"""Converts the runtime's requests to HTTP for workerd, and workerd's answers to responses. It runs for every
request."""

from __future__ import annotations

import json
from typing import Final, TypeAlias

from emulator.hosts.workerd.client import UploadBrokenError, WorkerdAnswer, WorkerdClient, request_head
from emulator_runtime.hosting import FetchResponse, IncomingRequest, ReadableStream, Request, find_header, read_all

_Added: TypeAlias = "tuple[tuple[bytes, bytes], ...]"

_ENCODINGS: Final = (b"accept-encoding", b"br, gzip")
"""What production accepts from a worker, whatever the client accepts: `request.cf.clientAcceptEncoding` tells that."""

_added: Final[dict[tuple[bytes, str, bytes, str], _Added]] = {}
"""The headers that are added to incoming requests."""

_MOST_ADDED: Final = 256

_SMALL_BYTES: Final = 16_384
"""An upload up to this size is read completely before it is sent, which saves a connection."""

_REFUSED: Final = b"Internal Server Error"
"""The body, without a content type, of workerd's answer if the handler could not run to its end."""


def upgrade_head(request: IncomingRequest, cf_header: bytes) -> bytes:
    """The head of a request that asks for a WebSocket, on a connection of its own."""
    extra = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"), *_added_to(request, cf_header))
    return request_head(request.raw_method, request.url, request.sent_headers, *extra)


async def send_request(client: WorkerdClient, request: Request, cf_header: bytes) -> WorkerdAnswer:
    """Send `request` to the worker, with `request.cf` in the header `cf_header`. Raises ConnectionLostError, and
    UploadBrokenError when the client goes away before it has sent the whole body."""
    method = request.raw_method
    raw = request.sent_headers
    added = _added_to(request, cf_header)
    content = request.raw_body
    is_head = method == "HEAD"
    if content is None:
        return await client.send(request_head(method, request.url, raw, *added), is_head=is_head)
    length = find_header(raw, b"content-length")
    body = content if isinstance(content, bytes) else content.take()
    if not isinstance(body, bytes):
        if length is None or int(length) > _SMALL_BYTES:
            extra = added if length is not None else (*added, (b"transfer-encoding", b"chunked"))
            head = request_head(method, request.url, raw, *extra)
            return await client.send_stream(head, body, chunked=length is None, is_head=is_head)
        try:
            body = await read_all(body)
        except OSError as error:
            raise UploadBrokenError from error
    extra = added if length is not None else (*added, (b"content-length", b"%d" % len(body)))
    return await client.send(request_head(method, request.url, raw, *extra), body, is_head=is_head)


async def is_refusal(answer: WorkerdAnswer) -> bool:
    """Whether this is workerd's own answer to a request that the worker could not answer."""
    headers = answer.headers
    if find_header(headers, b"content-type") is not None or find_header(headers, b"content-length") != b"%d" % len(
        _REFUSED
    ):
        return False
    answer.body = await answer.read()
    return answer.body == _REFUSED


def response_of(answer: WorkerdAnswer, body: bytes | ReadableStream) -> FetchResponse:
    """`answer` as a response with `body`."""
    return FetchResponse.of_parts(body, answer.headers, answer.status)


def _added_to(request: Request, cf_header: bytes) -> _Added:
    """The headers that the worker gets beside those of the client: `request.cf` as JSON, the codings that production
    accepts, and the address of the client unless it gives one."""
    if not isinstance(request, IncomingRequest):
        return (cf_header, json.dumps(request.cf or {}).encode()), _ENCODINGS
    encodings = b""
    address = request.client_address
    for name, value in request.sent_headers:
        if name == b"accept-encoding":
            encodings = value
        elif name == b"cf-connecting-ip":
            address = ""
    key = (cf_header, request.http_version, encodings, address)
    added = _added.get(key)
    if added is None:
        if len(_added) >= _MOST_ADDED:
            _added.clear()
        added = (cf_header, json.dumps(request.cf).encode()), _ENCODINGS
        if address:
            added = (*added, (b"cf-connecting-ip", address.encode("latin-1")))
        _added[key] = added
    return added
