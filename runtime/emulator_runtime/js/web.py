"""`Request` and `Response` as the JavaScript world has them: made by `new`, options as a dict, camel case, headers that
can be changed. They are the classes of `workers` in other clothes, and share the content of what they are made over."""

# ruff: noqa: SLF001 - see above: they share the private parts of the classes of `workers`

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from emulator_runtime.body import Body
from emulator_runtime.raw_headers import RawHeaders
from emulator_runtime.streams import ArrayBuffer, ReadableStream
from emulator_runtime.values import to_record
from emulator_runtime.workers import request as workers_request
from emulator_runtime.workers import response as workers_response
from emulator_runtime.workers.headers import Headers

if TYPE_CHECKING:
    from emulator_runtime.workers.formdata import FormData


class Response(workers_response.Response):
    """`js.Response`. A handler may return one."""

    __slots__ = ()

    @classmethod
    def new(cls, body: Any = None, options: Any = None, **keywords: Any) -> Self:
        """`Response.new("text", {"status": 200, "headers": {...}})`, or with the options as keywords."""
        given = _options(options, keywords)
        return cls(
            body,
            given.get("status"),
            given.get("statusText") or "",
            _headers(given.get("headers")),
            given.get("webSocket"),
        )

    @classmethod
    def over(cls, other: workers_response.FetchResponse) -> Self:
        """`other` as the JavaScript world sees it: one body and one list of headers for both."""
        response = cls.__new__(cls)
        response._share(other)
        return response

    @classmethod
    def from_raw(cls, body: bytes | ReadableStream | None, status: int, raw: RawHeaders) -> Self:
        """A response with headers as ASGI has them."""
        response = cls.__new__(cls)
        response._fill(body, raw, status)
        return response

    @property
    def headers(self) -> Headers:  # type: ignore[override]
        """The headers themselves: changing them changes the response."""
        return Headers.over(self._raw, immutable=False)

    @property
    def statusText(self) -> str:
        return self.status_text

    @property
    def bodyUsed(self) -> bool:
        return self.body_used

    @property
    def js_object(self) -> Self:
        return self

    def json(self: Any, *arguments: Any, **options: Any) -> Any:
        """On a response: the body parsed as JSON, to be awaited. On the class, `Response.json(data, options)`."""
        if isinstance(self, Response):
            return _json(self)
        given = _options(arguments[0] if arguments else None, options)
        made = workers_response.Response.from_json(
            self, given.get("status") or 200, given.get("statusText") or "", _headers(given.get("headers"))
        )
        return Response.over(made)

    async def arrayBuffer(self) -> ArrayBuffer:
        return await self.buffer()

    def clone(self) -> Response:
        return Response.over(super().clone())


class Request(workers_request.Request):
    """`js.Request`."""

    __slots__ = ()

    @classmethod
    def new(cls, input: Any, options: Any = None, **keywords: Any) -> Self:
        """`Request.new("https://example.com/", {"method": "POST", "body": "text"})`, or the options as keywords."""
        given = _options(options, keywords)
        if "headers" in given:
            given["headers"] = _headers(given["headers"])
        return cls(input, **given)

    @classmethod
    def over(cls, other: workers_request.Request) -> Self:
        """`other` as the JavaScript world sees it: one body and one list of headers for both."""
        request = cls.__new__(cls)
        request._share(other)
        return request

    @property
    def method(self) -> str:  # type: ignore[override]
        return self._method_text()

    @property
    def headers(self) -> Headers:  # type: ignore[override]
        """The headers themselves. Those of a request that came in cannot be changed: `TypeError`."""
        return Headers.over(self._raw, immutable=self._scope is not None)

    @property
    def bodyUsed(self) -> bool:
        return self.body_used

    @property
    def js_object(self) -> Self:
        return self

    async def json(self, **options: Any) -> Any:
        return to_record(await super().json(**options))

    async def arrayBuffer(self) -> ArrayBuffer:
        return await self.buffer()

    async def formData(self) -> FormData:
        return await self.form_data()

    def clone(self) -> Request:
        return Request.over(super().clone())


async def _json(body: Body) -> Any:
    return to_record(await Body.json(body))


def _options(options: Any, keywords: dict[str, Any]) -> dict[str, Any]:
    if options is None:
        return dict(keywords)
    if isinstance(options, workers_response.FetchResponse):
        return {
            "status": options.status,
            "statusText": options._status_text,
            "headers": Headers.over(list(options.raw_headers), immutable=False),
            **keywords,
        }
    if isinstance(options, workers_request.Request):
        raise TypeError("a Request as options is not emulated; pass a dict of options")
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a dict, or an object made by to_js, not {type(options).__name__}")
    return {**options, **keywords}


def _headers(headers: Any) -> Any:
    if headers is None or isinstance(headers, (dict, list, Headers)):
        return headers
    return list(headers)
