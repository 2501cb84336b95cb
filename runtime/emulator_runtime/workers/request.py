"""`Request`: the argument of a `fetch` handler and of `fetch()`, with Python's interface and with JavaScript's."""

from __future__ import annotations

from http import HTTPMethod
from typing import TYPE_CHECKING, Any, Self

from emulator_runtime.body import Body, encode_body
from emulator_runtime.errors import BodyUsedError
from emulator_runtime.js_options import given_headers, given_options
from emulator_runtime.raw_headers import RawHeaders, find_header, to_message
from emulator_runtime.streams import BodyBuffer, ReadableStream
from emulator_runtime.url import URL
from emulator_runtime.values import AttributeDict, to_attribute_dict
from emulator_runtime.workers.headers import Headers, encode_headers

if TYPE_CHECKING:
    from http.client import HTTPMessage

    from emulator_runtime.js.abort import AbortSignal
    from emulator_runtime.workers.formdata import FormData

_METHODS: dict[str, Any] = {method.value: method for method in HTTPMethod}
_NORMALIZED_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"})
_REDIRECTS = frozenset({"follow", "manual", "error"})
_IGNORED_OPTIONS = frozenset(
    {"cache", "credentials", "duplex", "fetcher", "integrity", "keepalive", "mode", "priority", "referrer", "signal"}
)


class Request(Body):
    """A request.

    `input` is an absolute URL, or a request to copy, in which case the options replace its own. `body` may be anything
    that a `Response` accepts; GET and HEAD have none. `redirect` is `follow`, `manual` or `error`. `cf` is a dict of
    options for Cloudflare, which have no effect here. Raises `TypeError` for a URL that is not absolute and for invalid
    options.
    """

    __slots__ = ("_cache", "_cf", "_immutable", "_message", "_method", "_redirect", "_url")

    _body: Any
    _cache: str | None  # not set in a request that came in
    _cf: Any
    _immutable: bool
    _message: HTTPMessage | None
    _method: str
    _redirect: str
    _url: str

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
        self._immutable = False
        self._message = None
        self._used = False
        source = input if isinstance(input, Request) else None
        self._url = URL(str(input)).href if source is None else source.url
        self._method = _check_method(method) if method is not None else "GET" if source is None else source.raw_method
        self._cache = options.get("cache") or (None if source is None else source.cache)
        self._redirect = redirect or ("follow" if source is None else source.redirect)
        if self._redirect not in _REDIRECTS:
            raise TypeError(f'Invalid redirect value, must be one of "follow", "manual" or "error", not {redirect!r}')
        self._cf = to_attribute_dict(cf) if cf is not None else None if source is None else source.cf
        self._raw = list(source.raw_headers) if headers is None and source is not None else encode_headers(headers)
        self._body, content_type = encode_body(body, "Request")
        if content_type is not None and find_header(self._raw, b"content-type") is None:
            self._raw.append((b"content-type", content_type))
        if body is None and source is not None:
            self._body = _handed_over(source)
        if self._body is not None and self._method in ("GET", "HEAD"):
            raise TypeError("Request with a GET or HEAD method cannot have a body.")

    @property
    def url(self) -> str:
        """The absolute URL."""
        return self._url

    @property
    def raw_method(self) -> str:
        """The method as text; for hosts and servers. Not part of production's interface."""
        return self._method

    @property
    def method(self) -> HTTPMethod:
        """The method, which is equal to its name. A method that is not in `HTTPMethod` is a plain str."""
        text = self.raw_method
        method: HTTPMethod = _METHODS.get(text, text)
        return method

    @property
    def headers(self) -> HTTPMessage:
        """The headers, with case-insensitive names; several values of one name are joined with commas."""
        if not self._immutable:
            return to_message(self._raw)
        if self._message is None:
            self._message = to_message(self.raw_headers)
        return self._message

    @property
    def cf(self) -> AttributeDict | None:
        """What Cloudflare knows about the request, with the fields as attributes. In the emulator they are plausible
        constants. None for a request that a worker created without `cf`."""
        return self._cf  # type: ignore[no-any-return]

    @property
    def redirect(self) -> str:
        return self._redirect

    @property
    def cache(self) -> str | None:
        """The option `cache` that the request was made with; None for any other request."""
        return getattr(self, "_cache", None)

    @property
    def credentials(self) -> str:
        raise _absent("credentials")

    @property
    def destination(self) -> str:
        raise _absent("destination")

    @property
    def is_history_navigation(self) -> bool:
        raise _absent("isHistoryNavigation")

    @property
    def mode(self) -> str:
        raise _absent("mode")

    @property
    def referrer(self) -> str:
        raise _absent("referrer")

    @property
    def referrer_policy(self) -> str:
        raise _absent("referrerPolicy")

    @property
    def integrity(self) -> str:
        return ""

    @property
    def keepalive(self) -> bool:
        return False

    @property
    def abort_signal(self) -> AbortSignal:
        """What `js_object.signal` is: of a request that a worker made, one that is never aborted. Not part of
        production's interface."""
        from emulator_runtime.js.abort import AbortSignal  # few workers ask

        return AbortSignal()

    @property
    def js_object(self) -> JsRequest:
        """The same request with JavaScript's interface."""
        return JsRequest.over(self)

    def clone(self) -> Request:
        """A second request with the same content, for reading the body twice. Raises `OSError` if it was read
        before."""
        return Request.made_of(self, self._tee(), list(self.raw_headers))

    @classmethod
    def made_of(cls, other: Request, body: bytes | ReadableStream | None, raw: RawHeaders) -> Self:
        """A request like `other`, with this body and these headers. Not part of production's interface."""
        request: Self = cls.__new__(cls)
        request._body = body
        request._raw = raw
        request._used = False
        request._message = None
        request._immutable = other._immutable
        request._url = other.url
        request._method = other.raw_method
        request._cf = other.cf
        request._cache = other.cache
        request._redirect = other.redirect
        return request

    def as_options(self) -> dict[str, Any]:
        """The options that `js.Request.new(url, request)` takes over. Not part of production's interface."""
        headers = Headers.over(list(self.raw_headers), immutable=False)
        return {
            "method": self.raw_method,
            "headers": headers,
            "body": self.body,
            "redirect": self.redirect,
            "cf": self.cf,
        }

    def __repr__(self) -> str:
        return f"Request(method={self.raw_method!r}, url={self.url!r})"


class JsRequest(Request):
    """`js.Request`: a request with JavaScript's interface, created by `new` with options as a dict. Its headers can be
    changed."""

    __slots__ = ("original",)

    original: Request
    """The request that this is a view or a copy of; not set if worker code created this."""

    @classmethod
    def new(cls, input: Any, options: Any = None, **keywords: Any) -> Self:
        """Call `Request.new("https://example.com/", {"method": "POST", "body": "text"})`, or use keywords for the
        options. They may be a request, too, whose method, headers and body are taken over."""
        given = given_options(options.as_options() if isinstance(options, Request) else options, keywords)
        if "headers" in given:
            given["headers"] = given_headers(given["headers"])
        return cls(input, **given)

    @classmethod
    def over(cls, other: Request) -> Self:
        """`other` with JavaScript's interface; both share one body and one list of headers."""
        request = cls.made_of(other, other.body, other.raw_headers)
        request.original = other
        return request

    @property
    def method(self) -> str:  # type: ignore[override]
        return self._method

    @property
    def headers(self) -> Headers:  # type: ignore[override]
        """The headers themselves. Changing those of an incoming request raises `TypeError`."""
        return Headers.over(self._raw, immutable=self._immutable)

    @property
    def bodyUsed(self) -> bool:
        return self.body_used

    @property
    def signal(self) -> AbortSignal:
        """Aborted when the client of a request that came in has gone away, with the compatibility flag
        `enable_request_signal`; otherwise never aborted."""
        return self.abort_signal

    @property
    def abort_signal(self) -> AbortSignal:
        original: Request | None = getattr(self, "original", None)
        return super().abort_signal if original is None else original.abort_signal

    @property
    def js_object(self) -> Self:
        return self

    async def json(self, **options: Any) -> Any:
        return to_attribute_dict(await super().json(**options))

    async def arrayBuffer(self) -> BodyBuffer:
        return await self.buffer()

    async def formData(self) -> FormData:
        return await self.form_data()

    def clone(self) -> JsRequest:
        clone = JsRequest.over(super().clone())
        clone.original = self
        return clone


def _handed_over(source: Request) -> bytes | ReadableStream | None:
    """Move the body of `source` to a copy of it."""
    content = source.raw_body
    if content is None:
        return None
    if source.body_used:
        raise BodyUsedError
    taken = source.take_body()
    return taken if isinstance(taken, bytes) else ReadableStream(taken)


def _absent(name: str) -> AttributeError:
    return AttributeError(f"{name}: the requests of Workers have no such property, in production neither")


def _check_method(method: HTTPMethod | str) -> str:
    text = method.value if isinstance(method, HTTPMethod) else str(method)
    if not text.isascii() or not text.replace("-", "").isalpha():
        raise TypeError(f"Invalid HTTP method string: {text}")
    upper = text.upper()
    return upper if upper in _NORMALIZED_METHODS else text
