"""Answers the Cache API of JavaScript workers, which speaks to the cache as to a proxy: what is asked for is a whole
URL, and the name of the cache is a header. A response to keep is the body of a request, as HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import unquote

from emulator.bindings.cache.cache import NamedCache, key_of
from emulator.bindings.cache.freshness import Headers, find
from emulator.bindings.cache.store import CacheError, Hit, Incoming
from emulator.bindings.wiring import CF_HEADER, WireRequest, WireResponse
from emulator_runtime.hosting import NULL_BODY_STATUSES

_CACHE: Final = b"cf-cache-namespace"
_END: Final = b"\r\n\r\n"
_MAX_HEAD_BYTES: Final = 1024 * 1024

_KEPT: Final = WireResponse(status=204, reason=b"No Content")
_NOT_KEPT: Final = WireResponse(status=413, reason=b"Payload Too Large")
_DELETED: Final = WireResponse()
_NOT_DELETED: Final = WireResponse(status=404, reason=b"Not Found")
_MISS: Final = WireResponse(status=504, reason=b"Gateway Timeout", headers=((b"CF-Cache-Status", b"MISS"),))
_TROUBLE: Final = WireResponse(status=500, reason=b"Internal Server Error")


class _DamagedError(Exception):
    """A request is not what workerd sends."""


async def answer(find_cache: Callable[[str], NamedCache], request: WireRequest) -> WireResponse:
    """The answer to a request of the API. `find_cache` returns the cache of a name, which is empty for the default."""
    cache = find_cache(unquote(request.headers.get(_CACHE, b"").decode("latin-1")))
    cf = request.headers.get(CF_HEADER)
    key = key_of(request.target, {} if cf is None else json.loads(cf))
    asked = list(request.headers.items())
    try:
        if request.method == b"GET":
            hit = await cache.match(key, asked)
            return _MISS if hit is None else _found(hit)
        if request.method == b"PUT":
            return _KEPT if await cache.put(key, await _response(request), asked) else _NOT_KEPT
        return _DELETED if await cache.delete(key) else _NOT_DELETED
    except CacheError:
        return _TROUBLE
    except _DamagedError as error:
        return WireResponse(status=400, reason=str(error).encode())


def _found(hit: Hit) -> WireResponse:
    """The length is in the headers of a 304, too, which has no body. Without one the body comes in pieces, unless there
    is none."""
    make = partial(WireResponse, status=hit.status, reason=hit.reason.encode("latin-1", "replace"))
    has_length = find(hit.headers, b"content-length") is not None
    has_body = hit.status not in NULL_BODY_STATUSES
    body = hit.value.take_whole() if has_body is has_length else None
    if body is None:
        return make(headers=hit.headers, pieces=hit.value)
    return make(body, headers=[header for header in hit.headers if header[0] != b"content-length"])


class _Head(NamedTuple):
    status: int
    reason: str
    headers: Headers


async def _response(request: WireRequest) -> Incoming:
    """The response that is to be kept."""
    assert request.pieces is not None
    received = b""
    async for piece in request.pieces:
        received += piece
        if _END in received or len(received) > _MAX_HEAD_BYTES:
            break
    head, end, first = received.partition(_END)
    if not end:
        raise _DamagedError("the response that is to be kept has no end of its headers")
    status, reason, headers = _read_head(head.split(b"\r\n"))
    length = find(headers, b"content-length")
    return Incoming(status, reason, headers, None if length is None else int(length), _rest(first, request.pieces))


def _read_head(lines: Sequence[bytes]) -> _Head:
    _, _, status_line = lines[0].partition(b" ")
    status, _, reason = status_line.partition(b" ")
    pairs = [line.partition(b":") for line in lines[1:]]
    try:
        return _Head(int(status), reason.decode("latin-1"), [(name.lower(), value.strip()) for name, _, value in pairs])
    except ValueError:
        raise _DamagedError("the response that is to be kept has no status") from None


async def _rest(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in pieces:
        yield piece
