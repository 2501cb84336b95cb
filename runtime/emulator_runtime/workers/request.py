"""`Request`: what a `fetch` handler is given, and what `fetch()` takes.

A request that came in over HTTP keeps the ASGI scope that it came with; its URL, headers and body are made when they
are asked for.
"""

# ruff: noqa: SLF001 - the other ways to make a request fill in the private parts of one

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from http import HTTPMethod
from typing import TYPE_CHECKING, Any, Self

from emulator_runtime.body import Body, encode_body
from emulator_runtime.errors import BodyUsedError
from emulator_runtime.raw_headers import RawHeaders, find, to_message
from emulator_runtime.streams import ReadableStream
from emulator_runtime.url import URL
from emulator_runtime.values import Record, to_record
from emulator_runtime.workers.headers import encode_headers

if TYPE_CHECKING:
    from http.client import HTTPMessage

    from emulator_runtime.js.web import Request as JsRequest

    AsgiScope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_METHODS: dict[str, Any] = {method.value: method for method in HTTPMethod}
_NORMALIZED_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"})
_REDIRECTS = frozenset({"follow", "manual", "error"})
_IGNORED_OPTIONS = frozenset(
    {"cache", "credentials", "duplex", "fetcher", "integrity", "keepalive", "mode", "priority", "referrer", "signal"}
)
_INCOMING = object()
_READ_AHEAD = 65_536

# What `wrangler dev` and production give, in a value that no one can mistake for a visitor's.
_CF: dict[str, Any] = {
    "asOrganization": "",
    "asn": 395747,
    "city": "Austin",
    "clientAcceptEncoding": "gzip, deflate, br",
    "colo": "DFW",
    "continent": "NA",
    "country": "US",
    "edgeRequestKeepAliveStatus": 1,
    "httpProtocol": "HTTP/1.1",
    "latitude": "30.27130",
    "longitude": "-97.74260",
    "metroCode": "635",
    "postalCode": "78701",
    "region": "Texas",
    "regionCode": "TX",
    "requestPriority": "",
    "timezone": "America/Chicago",
    "tlsCipher": "AEAD-AES128-GCM-SHA256",
    "tlsVersion": "TLSv1.3",
}


class Request(Body):
    """A request.

    `input` is an absolute URL (`TypeError` when it is not), or a request to copy; options given beside it win over what
    the copied one has. `body` is what a `Response` takes; GET and HEAD have none (`TypeError`). `redirect` is `follow`,
    `manual` or `error`. `cf` is a dict of options for Cloudflare, which nothing here acts on.
    """

    __slots__ = ("_cf", "_message", "_method", "_receive", "_redirect", "_scope", "_upload", "_url")

    _body: Any  # what Body says, or _INCOMING while nobody has asked for it
    _cf: Any  # a Record or None, or _INCOMING
    _message: HTTPMessage | None
    _method: str | None
    _receive: Receive | None
    _redirect: str
    _scope: AsgiScope | None
    _upload: _Upload | None
    _url: str | None

    def __init__(
        self,
        input: Request | URL | str,
        *,
        method: HTTPMethod | str | None = None,
        headers: Any = None,
        body: Any = None,
        redirect: str | None = None,
        cf: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        for name in options:
            if name not in _IGNORED_OPTIONS:
                raise TypeError(f"Request takes no option {name!r}; it takes method, headers, body, redirect and cf")
        self._scope = None
        self._receive = None
        self._message = None
        self._upload = None
        self._used = False
        source = input if isinstance(input, Request) else None
        self._url = URL(str(input)).href if source is None else source.url
        self._method = (
            _check_method(method) if method is not None else "GET" if source is None else source._method_text()
        )
        self._redirect = redirect or ("follow" if source is None else source._redirect)
        if self._redirect not in _REDIRECTS:
            raise TypeError(f'Invalid redirect value, must be one of "follow", "manual" or "error", not {redirect!r}')
        self._cf = to_record(cf) if cf is not None else None if source is None else source._cf
        self._raw = list(source._get_raw()) if headers is None and source is not None else encode_headers(headers)
        self._body, content_type = encode_body(body, "Request")
        if content_type is not None and find(self._raw, b"content-type") is None:
            self._raw.append((b"content-type", content_type))
        if body is None and source is not None:
            self._body = source._hand_over()
        if self._body is not None and self._method in ("GET", "HEAD"):
            raise TypeError("Request with a GET or HEAD method cannot have a body.")

    @classmethod
    def from_asgi(cls, scope: AsgiScope, receive: Receive) -> Self:
        """A request that came in; for servers. Nothing is read or parsed before it is asked for."""
        request = cls.__new__(cls)
        request._scope = scope
        request._receive = receive
        request._body = _INCOMING
        request._raw = scope["headers"]
        request._url = request._message = request._method = request._upload = None
        request._cf = _INCOMING
        request._redirect = "manual"
        request._used = False
        return request

    @property
    def url(self) -> str:
        """The absolute URL."""
        if self._url is None:
            assert self._scope is not None
            self._url = _url_of(self._scope, self._raw)
        return self._url

    def _method_text(self) -> str:
        if self._method is None:
            assert self._scope is not None
            self._method = str(self._scope["method"])
        return self._method

    @property
    def method(self) -> HTTPMethod:
        """The method; equal to its name. A method that HTTP does not know is a plain str."""
        text = self._method_text()
        method: HTTPMethod = _METHODS.get(text, text)
        return method

    @property
    def headers(self) -> HTTPMessage:
        """The headers: names without regard to case, several values of one name joined with a comma."""
        if self._scope is None:
            return to_message(self._raw)
        if self._message is None:
            self._message = to_message(self._raw)
        return self._message

    @property
    def raw_headers(self) -> RawHeaders:
        """The headers as ASGI has them. Not part of production's interface."""
        return list(self._raw)

    @property
    def cf(self) -> Record | None:
        """What Cloudflare knows of the request, with the fields as attributes: plausible constants here. None for a
        request that a worker made without `cf`."""
        if self._cf is _INCOMING:
            self._cf = Record(_CF)
            if self._scope is not None:
                self._cf["httpProtocol"] = f"HTTP/{self._scope.get('http_version', '1.1')}"
        return self._cf  # type: ignore[no-any-return]

    @property
    def redirect(self) -> str:
        return self._redirect

    @property
    def integrity(self) -> str:
        return ""

    @property
    def keepalive(self) -> bool:
        return False

    @property
    def js_object(self) -> JsRequest:
        """The same request as the JavaScript world sees it."""
        from emulator_runtime.js.web import Request as JsRequest

        return JsRequest.over(self)

    def _get_body(self) -> bytes | ReadableStream | None:
        if self._body is _INCOMING:
            assert self._receive is not None
            if self._has_upload():
                self._upload = _Upload(self._receive)
                self._body = ReadableStream(self._upload)
            else:
                self._body = None
        return self._body  # type: ignore[no-any-return]

    async def client_gone(self) -> None:
        """Return once the client has gone away, without taking anything of the body from its reader; for servers. Not
        part of production's interface."""
        self._get_body()
        if self._upload is not None:
            await self._upload.client_gone()
        elif self._receive is not None:
            await until_disconnect(self._receive)

    def _has_upload(self) -> bool:
        length = find(self._raw, b"content-length")
        if length is not None:
            return length != b"0"
        return find(self._raw, b"transfer-encoding") is not None

    def _hand_over(self) -> bytes | ReadableStream | None:
        """The body, for a copy of this request, which has it from here on."""
        content = self._get_body()
        if content is None:
            return None
        if self.body_used:
            raise BodyUsedError
        if isinstance(content, bytes):
            self._used = True
            return content
        taken = content.take()
        return ReadableStream(taken)

    def clone(self) -> Request:
        """A second request with the same content, for reading the body twice. `OSError` when it was read before."""
        copy = Request.__new__(Request)
        copy._copy(self, self._tee(), list(self._raw))
        return copy

    def _share(self, other: Request) -> None:
        """Be `other`: one body and one list of headers for both. The body has to be a stream for that."""
        self._copy(other, other.body, other._raw)

    def _copy(self, other: Request, body: bytes | ReadableStream | None, raw: RawHeaders) -> None:
        self._body = body
        self._raw = raw
        self._used = False
        self._message = None
        self._scope = other._scope
        self._receive = other._receive
        self._upload = other._upload
        self._url = other.url
        self._method = other._method_text()
        self._cf = other.cf
        self._redirect = other._redirect

    def __repr__(self) -> str:
        return f"Request(method={self._method_text()!r}, url={self.url!r})"


def _check_method(method: HTTPMethod | str) -> str:
    text = method.value if isinstance(method, HTTPMethod) else str(method)
    if not text.isascii() or not text.replace("-", "").isalpha():
        raise TypeError(f"Invalid HTTP method string: {text}")
    upper = text.upper()
    return upper if upper in _NORMALIZED_METHODS else text


def _url_of(scope: AsgiScope, raw: RawHeaders) -> str:
    host = find(raw, b"host")
    if host is not None:
        authority = host.decode("latin-1")
    else:
        name, port = scope.get("server") or ("localhost", None)
        authority = name if port in (None, 80) else f"{name}:{port}"
    raw_path = scope.get("raw_path")
    if raw_path is not None:
        path = raw_path.partition(b"?")[0].decode("latin-1")
    else:
        from urllib.parse import quote

        path = quote(scope["path"], safe="/%:@!$&'()*+,;=~")
    query = scope["query_string"]
    url = f"{scope.get('scheme', 'http')}://{authority}{path}"
    return f"{url}?{query.decode('latin-1')}" if query else url


class _Upload:
    """The body of an incoming request, read from the server one chunk at a time, when it is asked for.

    The server has one `receive` for the body and for the news that the client has gone, so that whoever waits for that
    news reads ahead here, a little, and what it finds is kept for the reader.
    """

    __slots__ = ("_ahead", "_done", "_gone", "_lock", "_receive", "_taken")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ahead: deque[bytes] = deque()
        self._lock = asyncio.Lock()
        self._taken = asyncio.Event()
        self._done = False
        self._gone = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._ahead:
                self._taken.set()
                return self._ahead.popleft()
            if self._gone:
                raise OSError("the client went away before it had sent the whole request body")
            if self._done:
                raise StopAsyncIteration
            async with self._lock:
                if not self._ahead and not self._done:
                    await self._advance()

    async def _advance(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._done = self._gone = True
            return
        self._done = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        if chunk:
            self._ahead.append(chunk)

    async def client_gone(self) -> None:
        """Return once the client has gone away."""
        while not self._done:
            if sum(map(len, self._ahead)) >= _READ_AHEAD:
                self._taken.clear()
                await self._taken.wait()
                continue
            async with self._lock:
                if not self._done:
                    await self._advance()
        if not self._gone:
            await until_disconnect(self._receive)


async def until_disconnect(receive: Receive) -> None:
    """Return once the client of an ASGI connection has gone away; what it still sends is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
