"""Accepts messages that other sessions send for queues that are consumed here; see `emulator.session.peers`."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from emulator.queues.errors import QueueError
from emulator.queues.settings import MAX_BATCH_COUNT, MAX_MESSAGE_BYTES
from emulator.session.peers import CONTENT_TYPE, FORWARD_PATH, FROM_HEADER, decode_messages
from emulator.session.session import Session

_URL: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,100}")

MAX_BODY_BYTES: Final = MAX_BATCH_COUNT * (MAX_MESSAGE_BYTES + 100_000)
"""A batch of messages of the largest size, each with the reason why it died."""


def make_forwarding(session: Session) -> Route:
    """The route for messages from other sessions."""

    async def take(request: Request) -> Response:
        return await _take(session, request)

    return Route(f"{FORWARD_PATH}{{queue}}", take, methods=["POST"])


async def _take(session: Session, request: Request) -> Response:
    name = request.path_params["queue"]
    if request.headers.get("content-type") != CONTENT_TYPE:
        return PlainTextResponse(f"Content-Type must be {CONTENT_TYPE}\n", 415)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return PlainTextResponse(f"the body is over the limit of {MAX_BODY_BYTES:,} bytes\n", 413)
        messages = decode_messages(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return PlainTextResponse(f"the body is not a list of messages: {error}\n", 400)
    except ClientDisconnect:
        return PlainTextResponse("the client went away\n", 400)
    state = session.queues.states.get(name)
    if state is None or state.consumer is None:
        return PlainTextResponse(f"queue {name} is not consumed here\n", 409)
    try:
        url = request.headers.get(FROM_HEADER, "")
        await session.queues.accept(name, messages, url if _URL.fullmatch(url) else "")
    except QueueError as error:
        return PlainTextResponse(f"{error}\n", 507)
    return Response(status_code=204)
