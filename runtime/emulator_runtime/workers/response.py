"""`Response`: the result of a `fetch` handler and of `fetch()`, with Python's interface and with JavaScript's.

Every request creates a response and sends it, so a response stores its headers in the server's format, and its body as
bytes if possible.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, Self, overload

from emulator_runtime import invocation
from emulator_runtime.body import TEXT_TYPE, Body, encode_body
from emulator_runtime.errors import BodyUsedError, HttpStatusError, InvalidURLError
from emulator_runtime.js_options import given_headers, given_options
from emulator_runtime.raw_headers import RawHeaders, find_header, to_message
from emulator_runtime.streams import BodyBuffer, ReadableStream
from emulator_runtime.text import to_utf8
from emulator_runtime.values import to_attribute_dict
from emulator_runtime.workers.headers import Headers, encode_headers

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from http.client import HTTPMessage

    from emulator_runtime.js.web_socket import WebSocket
    from emulator_runtime.web_socket_pipe import End
    from emulator_runtime.workers.formdata import FormData

NULL_BODY_STATUSES = frozenset({101, 204, 205, 304})
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_TEXT = (b"content-type", TEXT_TYPE)
_JSON = (b"content-type", b"application/json")


class FetchResponse(Body):
    """A response of which a `js.Response` is given; the first argument has no effect, as in production. `url` is the
    address that it came from, empty for a response that a worker created; `redirected` says whether redirects led
    there."""

    __slots__ = ("_status_text", "_web_socket", "redirected", "status", "url")

    _web_socket: WebSocket
    """Only set in a response that has one, as most have none."""
    status: int
    url: str
    redirected: bool
    _status_text: str

    def __init__(self, _url: str, js_response: JsResponse) -> None:
        if not isinstance(js_response, JsResponse):
            raise TypeError(f"js_response must be a js.Response, not {type(js_response).__name__}")
        self._share(js_response)

    @classmethod
    def of_parts(  # noqa: PLR0917 - the hot path: keywords cost
        cls,
        body: bytes | ReadableStream | None,
        raw: RawHeaders,
        status: int,
        status_text: str = "",
        url: str = "",
        redirected: bool = False,
    ) -> Self:
        """A response with these values, which are not checked, and `raw` headers in ASGI's format; for hosts. Not part
        of production's interface."""
        response: Self = cls.__new__(cls)
        response._body = body
        response._raw = raw
        response._used = False
        response._status_text = status_text
        response.status = status
        response.url = url
        response.redirected = redirected
        return response

    def to_send(self) -> tuple[RawHeaders, bytes | ReadableStream | None]:
        """The headers, and the body as it is kept, for a server, which sends it once. `OSError` when it was read
        before. Not part of production's interface."""
        body = self._body
        if not isinstance(body, ReadableStream):
            if self._used:
                raise BodyUsedError
            # As in production a Response with a body answers one request; using it again is an error.
            self._used = body is not None
        return self._raw, body

    @property
    def raw_web_socket(self) -> WebSocket | None:
        """The WebSocket of a response with the status 101; for hosts. Not part of production's interface."""
        return getattr(self, "_web_socket", None)

    @property
    def ok(self) -> bool:
        """Whether the status is 200 to 299."""
        return 200 <= self.status < 300

    @property
    def status_text(self) -> str:
        """The reason phrase; the default is the usual one for the status."""
        if self._status_text:
            return self._status_text
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return ""

    @property
    def type(self) -> str:
        return "default"

    @property
    def headers(self) -> HTTPMessage:
        """A copy of the headers. To change them, create another response or use `js_object.headers`."""
        return to_message(self._raw)

    @property
    def js_object(self) -> JsResponse:
        """The same response with JavaScript's interface, with headers that can be changed."""
        return JsResponse.over(self)

    @property
    def js_response(self) -> JsResponse:
        """The same as `js_object`."""
        return self.js_object

    @property
    def is_streaming(self) -> bool:
        """Whether part of the answer is still to come: of a body that is not in memory, or over a WebSocket; for
        servers. Not part of production's interface."""
        body = self._body
        return (isinstance(body, ReadableStream) and body.size is None) or (body is None and self.status == 101)

    def raise_for_status(self) -> None:
        """Raise `HttpStatusError`, an `OSError`, if the status is 400 to 599."""
        if 400 <= self.status < 600:
            raise HttpStatusError(self.status, self.status_text, self.url)

    @overload
    def json(self: FetchResponse, **options: Any) -> Coroutine[Any, Any, Any]: ...  # type: ignore[overload-overlap]

    @overload
    def json(self: object, status: HTTPStatus | int = ..., status_text: str = ..., headers: Any = ...) -> Response: ...

    def json(self: Any, *arguments: Any, **options: Any) -> Any:
        """On a response, the body parsed as JSON, to be awaited. On the class, `Response.json(data, ...)` means
        `Response.from_json(data, ...)`."""
        if isinstance(self, FetchResponse):
            return Body.json(self, **options)
        return Response.from_json(self, *arguments, **options)

    async def string(self) -> str:
        """The older name of `text()`."""
        return await self.text()

    async def memoryview(self) -> memoryview:
        """The whole body as a memoryview."""
        return memoryview(await self.bytes())

    async def formData(self) -> FormData:
        """The older name of `form_data()`."""
        return await self.form_data()

    def clone(self) -> Response:
        """A second response with the same content, for reading the body twice. Raises `OSError` if it was read
        before."""
        if self.raw_web_socket is not None:
            from emulator_runtime.pyodide.ffi import JsException

            raise JsException("Cannot clone a response to a WebSocket handshake.", "TypeError")
        body, raw = self._tee(), list(self._raw)
        return Response.of_parts(body, raw, self.status, self._status_text, self.url, self.redirected)

    def replace_body(self, body: Any) -> Response:
        """A response with the same status and headers, and another body."""
        content, content_type = encode_body(body, "Response")
        if content is not None and self.status in NULL_BODY_STATUSES:
            raise _null_body_error()
        raw = list(self._raw)
        if content_type is not None and find_header(raw, b"content-type") is None:
            raw.append((b"content-type", content_type))
        return Response.of_parts(content, raw, self.status, self._status_text)

    @staticmethod
    def redirect(url: str, status: HTTPStatus | int = HTTPStatus.FOUND) -> JsResponse:
        """A redirect, as a `js.Response`. `url` must be absolute, or `TypeError` is raised; `status` must be 301, 302,
        303, 307 or 308, or `ValueError` is raised."""
        code = int(status)
        if code not in _REDIRECT_STATUSES:
            raise ValueError(f"{code} is not a redirect status code. It must be one of: 301, 302, 303, 307, or 308.")
        from emulator_runtime.url import URL

        try:
            location = URL(url).href
        except InvalidURLError:
            raise InvalidURLError(f"Unable to parse URL: {url}") from None
        return JsResponse(None, code, headers={"location": location})

    @staticmethod
    def from_json(
        data: Any, status: HTTPStatus | int = HTTPStatus.OK, status_text: str = "", headers: Any = None
    ) -> Response:
        """A response with `data` as JSON (from `json.dumps`), and the content type `application/json` unless `headers`
        has one."""
        code = check_status(status)
        if code in NULL_BODY_STATUSES:
            raise _null_body_error()
        raw = encode_headers(headers) if headers else []
        if find_header(raw, b"content-type") is None:
            raw.append(_JSON)
        return Response.of_parts(json.dumps(data).encode(), raw, code, _check_status_text(status_text))

    def as_options(self) -> dict[str, Any]:
        """The options that `js.Response.new(body, response)` copies. Not part of production's interface."""
        headers = Headers.over(list(self._raw), immutable=False)
        return {"status": self.status, "statusText": self._status_text, "headers": headers}

    def _share(self, other: FetchResponse) -> None:
        """Share the body and the headers of `other`. A shared body must be a stream."""
        self._body = other.body
        self._raw = other._raw
        self._used = False
        self._status_text = other._status_text
        self.status = other.status
        self.url = other.url
        self.redirected = other.redirected
        if other.raw_web_socket is not None:
            self._web_socket = other.raw_web_socket


class Response(FetchResponse):
    """A response to a request.

    `body` is str (sent as UTF-8, with the content type `text/plain;charset=UTF-8`), bytes, FormData, a stream, None, or
    a `js.Response`, `js.Blob` or the like; anything else raises `TypeError`. `status` is 200 to 599; any other, and a
    body with 204, 205 or 304, raise `JsException`. `headers` is a dict, a list of pairs (duplicates are kept), or
    `js.Headers`.

    `request.body`, `response.body` and `TransformStream.new().readable` are streams. The emulator also accepts an async
    iterator of bytes, and calls its `aclose()`, if it has one, if the body is not read to its end.

    With `web_socket`, one of a `js.WebSocketPair`, and the status 101, the client that has asked for a WebSocket gets
    this one.
    """

    __slots__ = ()

    def __init__(
        self,
        body: Any = None,
        status: HTTPStatus | int | None = None,
        status_text: str = "",
        headers: Any = None,
        web_socket: Any = None,
    ) -> None:
        self._used = False
        self.url = ""
        self.redirected = False
        if web_socket is not None:
            self._upgrade(body, status, status_text, headers, web_socket)
            return
        if type(body) is str and not headers:
            try:
                self._body = body.encode()
            except UnicodeEncodeError:
                self._body = to_utf8(body)
            self._raw = [_TEXT]
        elif isinstance(body, JsResponse):
            self._adopt(body, status, status_text, headers)
            return
        else:
            self._body, content_type = encode_body(body, "Response")
            self._raw = encode_headers(headers)
            if content_type is not None and find_header(self._raw, b"content-type") is None:
                self._raw.append((b"content-type", content_type))
            if type(body) is AsyncGeneratorType:
                _warn_of_generator()
        self._status_text = _check_status_text(status_text) if status_text else ""
        if not status:  # None, and 0 as in production
            self.status = 200
            return
        try:
            self.status = check_status(status)
        except ValueError as error:
            raise _of_javascript(error) from None
        if self.status in NULL_BODY_STATUSES and body is not None:
            self._drop_empty_body()

    def _adopt(self, other: FetchResponse, status: Any, status_text: str, headers: Any) -> None:
        """Share a response with JavaScript's interface."""
        if status is not None or status_text or headers is not None:
            raise ValueError("Expected no options when constructing Response from a js.Response")
        self._share(other)

    def _upgrade(self, body: Any, status: Any, status_text: str, headers: Any, web_socket: Any) -> None:
        """Become the answer that makes the connection a WebSocket."""
        from emulator_runtime.js.web_socket import WebSocket
        from emulator_runtime.pyodide.ffi import JsException

        if not isinstance(web_socket, WebSocket):
            raise JsException(
                "Incorrect type for the 'webSocket' field on 'InitializerDict': the provided value is not of type "
                "'WebSocket'.",
                "TypeError",
            )
        if status != 101:
            raise JsException("Responses with a WebSocket must have status code 101.", "RangeError")
        if body is not None and body != "":
            raise _null_body_error()
        self._body = None
        self._raw = encode_headers(headers)
        self._status_text = _check_status_text(status_text)
        self.status = 101
        self._web_socket = web_socket

    def _drop_empty_body(self) -> None:
        """Warn about an empty body with a status that has no body, as production does."""
        if self._body != b"":
            raise _of_javascript(_null_body_error())
        self._body = None
        running = invocation.current.get(None)
        if running is not None:
            running.scope.on_warning(
                f"a Response with status {self.status} cannot have a body; pass None instead of an empty one"
            )

    def __repr__(self) -> str:
        shown = [f"status={self.status}"]
        if self._status_text:
            shown.append(f"status_text={self._status_text!r}")
        content_type = find_header(self._raw, b"content-type")
        if content_type is not None:
            shown.append(f"content_type={content_type.decode('latin-1')!r}")
        if self.url:
            shown.append(f"url={self.url!r}")
        if self.type != "default":
            shown.append(f"type={self.type!r}")
        return f"Response({', '.join(shown)})"


class JsResponse(Response):
    """`js.Response`: a response with JavaScript's interface, created by `new` with options as a dict. Its headers can
    be changed. A handler may return one."""

    __slots__ = ()

    @classmethod
    def new(cls, body: Any = None, options: Any = None, **keywords: Any) -> Self:
        """Call `Response.new("text", {"status": 200, "headers": {...}})`, or use keywords for the options."""
        given = _given_options(options, keywords)
        return cls(
            body,
            given.get("status"),
            given.get("statusText") or "",
            given_headers(given.get("headers")),
            given.get("webSocket"),
        )

    @classmethod
    def over(cls, other: FetchResponse) -> Self:
        """`other` with JavaScript's interface; both share one body and one list of headers."""
        response: Self = cls.__new__(cls)
        response._share(other)
        return response

    @property
    def headers(self) -> Headers:  # type: ignore[override]
        """The headers themselves: changes apply to the response."""
        return Headers.over(self._raw, immutable=False)

    @property
    def statusText(self) -> str:
        return self.status_text

    @property
    def bodyUsed(self) -> bool:
        return self.body_used

    @property
    def webSocket(self) -> WebSocket | None:
        """The WebSocket of an answer to a `fetch()` with the header `Upgrade: websocket`, if the other side took it.
        Call its `accept()`, or return the response."""
        return self.raw_web_socket

    @property
    def js_object(self) -> Self:
        return self

    def json(self: Any, *arguments: Any, **options: Any) -> Any:
        """On a response, the body parsed as JSON, to be awaited. On the class, `Response.json(data, options)`."""
        if isinstance(self, JsResponse):
            return _json(self)
        given = _given_options(arguments[0] if arguments else None, options)
        made = Response.from_json(
            self, given.get("status") or 200, given.get("statusText") or "", given_headers(given.get("headers"))
        )
        return JsResponse.over(made)

    async def arrayBuffer(self) -> BodyBuffer:
        return await self.buffer()

    def clone(self) -> JsResponse:
        return JsResponse.over(super().clone())


class Upgrade(FetchResponse):
    """A response whose WebSocket has been handed over: `end` is for the server; for hosts."""

    __slots__ = ("end",)

    end: End

    @classmethod
    def of(cls, response: FetchResponse, end: End) -> Self:
        upgrade = cls.of_parts(None, response.raw_headers, 101, response.status_text)
        upgrade.end = end
        return upgrade


async def _json(body: Body) -> Any:
    return to_attribute_dict(await Body.json(body))


def _given_options(options: Any, keywords: dict[str, Any]) -> dict[str, Any]:
    if isinstance(options, FetchResponse):
        return {**options.as_options(), **keywords}
    return given_options(options, keywords)


def check_status(status: HTTPStatus | int) -> int:
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"the status of a Response must be an int, not {type(status).__name__}")
    if not 200 <= status <= 599:
        raise ValueError("Responses may only be constructed with status codes in the range 200 to 599, inclusive.")
    return int(status)


def _check_status_text(text: str) -> str:
    if any(character < " " for character in text):
        raise TypeError("Invalid statusText")
    return text


def _of_javascript(error: ValueError | TypeError) -> Exception:
    """The error as `new Response()` of JavaScript raises it."""
    from emulator_runtime.pyodide.ffi import JsException

    return JsException(str(error), "RangeError" if isinstance(error, ValueError) else "TypeError")


def _null_body_error() -> TypeError:
    return TypeError("Response with null body status (101, 204, 205, or 304) cannot have a body.")


def _warn_of_generator() -> None:
    running = invocation.current.get(None)
    if running is not None:
        running.scope.on_warning(
            "Response(async generator) works only in the emulator: production takes a js.ReadableStream, such as the "
            "readable of js.TransformStream.new()"
        )
