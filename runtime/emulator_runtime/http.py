"""Connects ASGI with the objects that worker code sees: turns a scope into a `Request`, and sends a `Response`.

Both run for every request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any, Final

from emulator_runtime.errors import BodyUsedError
from emulator_runtime.incoming import IncomingRequest
from emulator_runtime.raw_headers import RawHeaders, find_header
from emulator_runtime.streams import ReadableStream, as_bytes, close_source
from emulator_runtime.workers.response import NULL_BODY_STATUSES, FetchResponse

AsgiMessage = MutableMapping[str, Any]

TURN_SECONDS: Final = 0.01
"""How long a stream whose source and reader never wait may go on before everything else has its turn, in real time."""

request_from_scope = IncomingRequest
"""`request_from_scope(scope, receive)`: the request of an ASGI connection of type `http`."""


async def send_response(
    response: FetchResponse,
    send: Callable[[AsgiMessage], Awaitable[None]],
    *,
    head: bool = False,
    answer: Callable[[int, RawHeaders, bytes], bool] | None = None,
) -> None:
    """Send `response` over ASGI. With `head` it answers a HEAD request, so only the headers are sent.

    A body in memory is sent in one message, with its length, or where the server has `answer`, a quicker way for the
    whole answer, by that unless it returns False. A stream is sent chunk by chunk. If a stream fails, the error
    is raised after the start has been sent, so that the server can abort the connection. Raises `OSError` if the body
    was read before.
    """
    raw, body = response.to_send()
    if isinstance(body, ReadableStream):
        await _send_stream(response, body, send, head)
        return
    status = response.status
    content = b"" if status in NULL_BODY_STATUSES else body or b""
    length = find_header(raw, b"content-length")
    if status in NULL_BODY_STATUSES:
        if status not in {204, 304}:
            answer = None  # these end after their heads by themselves
    elif length is None:
        raw = [*raw, (b"content-length", b"%d" % len(content))]
    elif not head and length != b"%d" % len(content):
        answer = None  # the server says that this is wrong
    if head:
        content = b""
    if answer is None or not answer(status, raw, content):
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content})


async def _send_stream(
    response: FetchResponse, stream: ReadableStream, send: Callable[[AsgiMessage], Awaitable[None]], head: bool
) -> None:
    raw = response.raw_headers
    length = stream.length
    if head or response.status in NULL_BODY_STATUSES:
        if (
            length is not None
            and response.status not in NULL_BODY_STATUSES
            and find_header(raw, b"content-length") is None
        ):
            raw = [*raw, (b"content-length", b"%d" % length)]
        await stream.discard()
        await send({"type": "http.response.start", "status": response.status, "headers": raw})
        await send({"type": "http.response.body", "body": b""})
        return
    if stream.disturbed:
        raise BodyUsedError
    source = stream.take()
    if isinstance(source, bytes):
        if find_header(raw, b"content-length") is None:
            raw = [*raw, (b"content-length", b"%d" % len(source))]
        await send({"type": "http.response.start", "status": response.status, "headers": raw})
        await send({"type": "http.response.body", "body": source})
        return
    try:
        if length is not None and find_header(raw, b"content-length") is None:
            raw = [*raw, (b"content-length", b"%d" % length)]
        await send({"type": "http.response.start", "status": response.status, "headers": raw})
        turn_began = monotonic()
        async for chunk in source:
            if chunk:
                await send({"type": "http.response.body", "body": as_bytes(chunk), "more_body": True})
            if monotonic() - turn_began > TURN_SECONDS:
                # Without this an endless source never lets the news through that nobody reads it any more.
                await asyncio.sleep(0)
                turn_began = monotonic()
        await send({"type": "http.response.body", "body": b""})
    finally:
        # After an error, or if the client has gone away, this frees what is open. After the end it does nothing.
        await close_source(source)
