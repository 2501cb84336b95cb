"""`js.caches`: the Cache API. What is kept, and for how long, is the host's business."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Never, Protocol

from emulator_runtime.errors import BodyUsedError, InvalidURLError, JsException
from emulator_runtime.js_options import given_options
from emulator_runtime.raw_headers import RawHeaders, find_header
from emulator_runtime.streams import ReadableStream, close_source
from emulator_runtime.text import to_js_string
from emulator_runtime.url import URL
from emulator_runtime.workers.request import JsRequest, Request
from emulator_runtime.workers.response import NULL_BODY_STATUSES, FetchResponse, JsResponse

MAX_NAME_BYTES = 1024

_NO_URL = "Invalid URL. Cache API keys must be fully-qualified, valid URLs."
_USED = "Body has already been used. It can only be used once. Use tee() first if you need to read it twice."

_Headers = Sequence[tuple[bytes, bytes]]


class FoundResponse(Protocol):
    """A response that was found: `value` is an async iterator over its body, with its `length`. `take_whole` returns
    the body, if it is in memory."""

    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def headers(self) -> _Headers: ...
    @property
    def value(self) -> Any: ...


class CacheService(Protocol):
    """What a host provides for a cache. `asked` are the headers of the request that is the key, `cf` its options for
    Cloudflare."""

    async def match(self, url: str, asked: _Headers, cf: Mapping[str, Any]) -> FoundResponse | None:
        """What answers the request; None if nothing does."""

    async def put(  # noqa: PLR0917 - one caller
        self,
        url: str,
        asked: _Headers,
        cf: Mapping[str, Any],
        head: tuple[int, str, _Headers],
        length: int | None,
        body: bytes | AsyncIterator[Any],
    ) -> None:
        """Keep a response, or not. `head` is its status, reason and headers; `length` is None if it is not known."""

    async def delete(self, url: str, cf: Mapping[str, Any]) -> bool:
        """Remove a response. Returns whether there was one."""


class _Asked(NamedTuple):
    """The request that is the key."""

    method: str
    url: str
    headers: _Headers
    cf: Mapping[str, Any]


class Cache:
    """A cache of responses by their requests."""

    def __init__(self, service: CacheService) -> None:
        self._service = service

    async def match(self, request: Any, options: Any = None, **keywords: Any) -> JsResponse | None:
        """The response to `request`, which is a `js.Request` or a URL; None if there is none. The request's `Range` and
        `If-None-Match` and the like are answered. Only GET finds anything, unless `ignoreMethod` is true."""
        ignores_method = _ignores_method("match", options, keywords)
        asked = _request(request)
        if asked.method != "GET" and not ignores_method:
            return None
        found = await self._service.match(asked.url, asked.headers, asked.cf)
        if found is None:
            return None
        body: bytes | ReadableStream | None = None
        if found.status not in NULL_BODY_STATUSES:
            content = found.value.take_whole()
            body = ReadableStream(found.value) if content is None else content
        return JsResponse.of_parts(body, list(found.headers), found.status, found.reason)

    async def put(self, request: Any, response: Any) -> None:
        """Keep a `js.Response`, if its headers allow that; its body is used. Raises JsException for a request that is
        not GET, a response with the status 206 or `Vary: *`, and a body that was used."""
        if not isinstance(response, JsResponse):
            hint = "; pass its js_object" if isinstance(response, FetchResponse) else ""
            raise _type_error(f"Failed to execute 'put' on 'Cache': parameter 2 is not of type 'Response'{hint}.")
        asked = _request(request)
        if asked.method != "GET":
            raise _type_error("Cannot cache response to non-GET request.")
        raw = list(response.raw_headers)
        _check_kept(response, raw)
        if response.status == 304:
            return
        content = response.raw_body
        length = content.length if isinstance(content, ReadableStream) else len(content or b"")
        try:
            body = response.take_body()
        except BodyUsedError:
            raise _type_error(_USED) from None
        except TypeError as error:
            raise _type_error(str(error)) from None
        try:
            head = (response.status, response.status_text, raw)
            await self._service.put(asked.url, asked.headers, asked.cf, head, length, body)
        finally:
            await close_source(body)

    async def delete(self, request: Any, options: Any = None, **keywords: Any) -> bool:
        """Remove the response to `request`. Returns whether there was one."""
        ignores_method = _ignores_method("delete", options, keywords)
        asked = _request(request)
        if asked.method != "GET" and not ignores_method:
            return False
        return await self._service.delete(asked.url, asked.cf)

    def add(self, _request: Any) -> Never:
        """Not there in production either."""
        raise _not_there("add", "Cache")

    def addAll(self, _requests: Any) -> Never:
        """Not there in production either."""
        raise _not_there("addAll", "Cache")

    def __repr__(self) -> str:
        return "[object Cache]"


class CacheStorage:
    """The caches by name. `find` returns the service of one; an empty name is the default cache's."""

    def __init__(self, find: Callable[[str], CacheService]) -> None:
        self._find = find
        self._default = Cache(find(""))

    @property
    def default(self) -> Cache:
        """The cache that all share who do not name one."""
        return self._default

    async def open(self, name: Any) -> Cache:
        """The cache of a name. Raises JsException if it has 1,024 bytes or more."""
        text = to_js_string(name)
        if len(text.encode("utf-8", "surrogatepass")) >= MAX_NAME_BYTES:
            raise _type_error("Cache name is too long.")
        return Cache(self._find(text))

    def match(self, _request: Any) -> Never:
        """Not there in production either."""
        raise _not_there("match", "CacheStorage")

    def has(self, _name: Any) -> Never:
        """Not there in production either."""
        raise _not_there("has", "CacheStorage")

    def __repr__(self) -> str:
        return "[object CacheStorage]"


def _request(given: Any) -> _Asked:
    if isinstance(given, JsRequest):
        return _Asked(given.method, _key(given.url), given.raw_headers, given.cf or {})
    if isinstance(given, Request):
        raise _type_error(f"Invalid URL: {given!r}; pass its js_object")
    return _Asked("GET", _key(to_js_string(given)), [], {})


@lru_cache(maxsize=256)
def _key(text: str) -> str:
    """The URL of a request without the fragment."""
    try:
        url = URL(text)
    except InvalidURLError:
        raise _type_error(f"Invalid URL: {text}") from None
    if not url.host or url.username or url.password:
        raise _type_error(_NO_URL)
    return url.href.partition("#")[0]


def _check_kept(response: JsResponse, raw: RawHeaders) -> None:
    if response.raw_web_socket is not None:
        raise _type_error("Cannot cache WebSocket upgrade response.")
    if response.status == 206:
        raise _type_error("Cannot cache response to a range request (206 Partial Content).")
    if b"*" in (find_header(raw, b"vary") or b""):
        raise _type_error("Cannot cache response with 'Vary: *' header.")


def _ignores_method(method: str, options: Any, keywords: dict[str, Any]) -> bool:
    try:
        return bool(given_options(options, keywords).get("ignoreMethod"))
    except TypeError:
        text = f"Failed to execute '{method}' on 'Cache': parameter 2 is not of type 'CacheQueryOptions'."
        raise _type_error(text) from None


def _not_there(method: str, name: str) -> JsException:
    return JsException(f"Failed to execute '{method}' on '{name}': the method is not implemented.")


def _type_error(text: str) -> JsException:
    return JsException(text, "TypeError")
