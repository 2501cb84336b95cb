"""Doubles for the outside world: the test answers the worker's outgoing `fetch()` calls, and sees what was
requested."""

from __future__ import annotations

import json as json_module
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from inspect import isawaitable
from typing import Any, Self

from emulator.base.words import cut
from emulator.hosts.outbound import HttpOutbound
from emulator_runtime.hosting import FetchResponse, Request, Response, close_source

Pattern = str | re.Pattern[str]
Answer = Callable[["OutboundCall"], Any]


@dataclass(frozen=True)
class OutboundCall:
    """A request that worker code made. Header names are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON. Raises ValueError if it is not JSON."""
        return json_module.loads(self.body)

    def __repr__(self) -> str:
        text = f" {cut(self.body.decode(errors='replace'), 60)}" if self.body else ""
        return f"<OutboundCall {self.method} {self.url}{text}>"


class UnmatchedFetchError(AssertionError):
    """Worker code fetched something for which the test has no answer."""


@dataclass(frozen=True)
class _Route:
    method: str
    url: Pattern
    answer: Answer | None

    def matches(self, method: str, url: str) -> bool:
        if self.method not in ("*", method):
            return False
        if isinstance(self.url, re.Pattern):
            return self.url.search(url) is not None
        # `?` begins a query and is not a wildcard here; a trailing slash after the host may be left out.
        pattern = self.url.replace("[", "[[]").replace("?", "[?]")
        return fnmatchcase(url, pattern) or fnmatchcase(url, f"{pattern}/")


class Outbound:
    """Answers outgoing requests by routes; the latest route that matches wins. `calls` has every request, in order.

    A request that no route matches fails the test, unless `allow` lets it go to the network.
    """

    def __init__(self, network: Callable[[Request], Awaitable[Response]] | None = None) -> None:
        self.calls: list[OutboundCall] = []
        self.failures: list[AssertionError] = []
        """What fails the test, no matter how worker code handles it: requests without an answer, and assertions in the
        functions that answer."""
        self._routes: list[_Route] = []
        self._network = network or HttpOutbound()
        self.requests_outside = 0

    def route(
        self,
        method: str,
        url: Pattern,
        answer: Any = None,
        *,
        status: int = 200,
        json: Any = None,
        text: str | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer `method` (`*`: any) on `url`, a string in which `*` matches anything, or a compiled pattern, which is
        searched for.

        Give the answer by `json`, `text` or `content` with `status` and `headers`; or as `answer`: a
        `workers.Response`, a dict or list (sent as JSON), a str, bytes, a status, or an exception to raise. A function,
        which may be async, is called with the OutboundCall and returns one of these; None means an empty answer.
        """
        if answer is None:

            def reply(_call: OutboundCall) -> Any:
                if json is not None:
                    return Response.from_json(json, status=status, headers=dict(headers or {}))
                return Response(text if text is not None else content, status=status, headers=dict(headers or {}))

        elif callable(answer) and not isinstance(answer, type):
            reply = answer
        else:

            def reply(_call: OutboundCall) -> Any:
                return answer

        self._routes.append(_Route(method.upper(), url, reply))

    def get(self, url: Pattern, answer: Any = None, **options: Any) -> None:
        """Answer GET on `url`; see `route`."""
        self.route("GET", url, answer, **options)

    def post(self, url: Pattern, answer: Any = None, **options: Any) -> None:
        """Answer POST on `url`; see `route`."""
        self.route("POST", url, answer, **options)

    def put(self, url: Pattern, answer: Any = None, **options: Any) -> None:
        """Answer PUT on `url`; see `route`."""
        self.route("PUT", url, answer, **options)

    def patch(self, url: Pattern, answer: Any = None, **options: Any) -> None:
        """Answer PATCH on `url`; see `route`."""
        self.route("PATCH", url, answer, **options)

    def delete(self, url: Pattern, answer: Any = None, **options: Any) -> None:
        """Answer DELETE on `url`; see `route`."""
        self.route("DELETE", url, answer, **options)

    def allow(self, url: Pattern = "*", method: str = "*") -> None:
        """Let matching requests go to the network."""
        self._routes.append(_Route(method.upper(), url, None))

    async def __call__(self, request: Request) -> Response:
        """Answer one request of worker code."""
        __tracebackhide__ = True
        method = str(request.method)
        route = next((route for route in reversed(self._routes) if route.matches(method, request.url)), None)
        to_network = route is not None and route.answer is None
        body = b""
        if request.body is not None and (not to_network or request.body.size is not None):
            body = await (request.clone() if to_network else request).bytes()
        call = OutboundCall(method, request.url, _headers(request), body)
        self.calls.append(call)
        if to_network:
            return await self._fetch(request)
        try:
            if route is None or route.answer is None:
                raise UnmatchedFetchError(self._unmatched_text(call))
            answered = route.answer(call)
            response = _as_response(await answered if isawaitable(answered) else answered)
        except AssertionError as error:
            self.failures.append(error)
            raise
        response.url = request.url
        return response

    async def _fetch(self, request: Request) -> Response:
        self.requests_outside += 1
        try:
            response = await self._network(request)
        except BaseException:
            self.requests_outside -= 1
            raise
        body = response.body
        source = None if body is None or not response.is_streaming else body.take()
        if source is None or isinstance(source, bytes):
            self.requests_outside -= 1
            return response
        streamed = response.replace_body(_Streamed(source, self._ended))
        streamed.url, streamed.redirected = response.url, response.redirected
        return streamed

    def _ended(self) -> None:
        self.requests_outside -= 1

    def _unmatched_text(self, call: OutboundCall) -> str:
        """The error text for a request that no route matches."""
        known = "".join(f"\n  {route.method} {_shown(route.url)}" for route in self._routes)
        there = f"; the routes are:{known}" if known else "; there are none"
        example = f"emulator.outbound.{call.method.lower()}({call.url!r}, json=...)"
        return f"the worker fetched {call.method} {call.url}, which no route answers{there}\n  Answer it with {example}"

    async def close(self) -> None:
        """Close the connections to the network."""
        if isinstance(self._network, HttpOutbound):
            await self._network.close()


class _Streamed:
    """The body of an answer from the network. `ended` is called once, when nothing more will come."""

    def __init__(self, source: AsyncIterator[bytes], ended: Callable[[], None]) -> None:
        self._source = source
        self._ended: Callable[[], None] | None = ended

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._source)
        except BaseException:
            self._end()
            raise

    async def aclose(self) -> None:
        self._end()
        await close_source(self._source)

    def __del__(self) -> None:
        self._end()

    def _end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()


def _headers(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _shown(url: Pattern) -> str:
    return url if isinstance(url, str) else f"/{url.pattern}/"


def _as_response(answered: Any) -> Response:
    if isinstance(answered, type) and issubclass(answered, Exception):
        answered = answered()
    if isinstance(answered, Exception):
        raise answered
    if isinstance(answered, Response) and answered.raw_web_socket is not None:
        return answered
    if isinstance(answered, FetchResponse):
        return answered.clone()  # it may answer several calls, so it must not be used up
    if answered is None:
        return Response(None)
    if isinstance(answered, int) and not isinstance(answered, bool):
        return Response(None, status=answered)
    if isinstance(answered, (str, bytes)):
        return Response(answered)
    return Response.from_json(answered)
