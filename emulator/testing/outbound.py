"""Doubles for the outside world: the test answers the worker's outgoing `fetch()`, and sees what was asked."""

from __future__ import annotations

import json as json_module
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from inspect import isawaitable
from typing import Any

from emulator.bindings.outbound import HttpOutbound
from emulator.runtime.workers.request import Request
from emulator.runtime.workers.response import FetchResponse, Response

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
        """The body as JSON. Raises ValueError when it is none."""
        return json_module.loads(self.body)

    def __repr__(self) -> str:
        return f"<OutboundCall {self.method} {self.url}>"


class UnmatchedFetchError(AssertionError):
    """Worker code fetched something that the test gave no answer for."""


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
        # `?` begins a query and is no wildcard here; a trailing slash after the host goes without saying.
        pattern = self.url.replace("[", "[[]").replace("?", "[?]")
        return fnmatchcase(url, pattern) or fnmatchcase(url, f"{pattern}/")


class Outbound:
    """Answers outgoing requests by routes; the latest route that matches wins. `calls` has every request, in order.

    A request that no route matches fails the test, unless `allow` lets it go to the network.
    """

    def __init__(self, network: Callable[[Request], Awaitable[Response]] | None = None) -> None:
        self.calls: list[OutboundCall] = []
        self.unmatched: list[OutboundCall] = []
        self._routes: list[_Route] = []
        self._network = network or HttpOutbound()
        self.requests_outside = 0

    def route(
        self,
        method: str,
        url: Pattern,
        answer: Answer | Exception | None = None,
        *,
        status: int = 200,
        json: Any = None,
        text: str | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer `method` (`*`: any) on `url`, a string in which `*` stands for anything, or a compiled pattern.

        With `json`, `text` or `content` and `status` and `headers`; or by `answer`, which is called with the
        OutboundCall and
        returns a `workers.Response`, a dict or list (as JSON), a str, bytes or a status, or an exception to raise it.
        """
        if isinstance(answer, Exception):
            error = answer

            def fail(_call: OutboundCall) -> Any:
                raise error

            reply: Answer = fail
        elif answer is not None:
            reply = answer
        else:

            def reply(_call: OutboundCall) -> Any:
                if json is not None:
                    return Response.from_json(json, status=status, headers=dict(headers or {}))
                body = text if text is not None else content
                return Response(body, status=status, headers=dict(headers or {}))

        self._routes.append(_Route(method.upper(), url, reply))

    def get(self, url: Pattern, answer: Answer | Exception | None = None, **options: Any) -> None:
        """Answer GET on `url`; see `route`."""
        self.route("GET", url, answer, **options)

    def post(self, url: Pattern, answer: Answer | Exception | None = None, **options: Any) -> None:
        """Answer POST on `url`; see `route`."""
        self.route("POST", url, answer, **options)

    def put(self, url: Pattern, answer: Answer | Exception | None = None, **options: Any) -> None:
        """Answer PUT on `url`; see `route`."""
        self.route("PUT", url, answer, **options)

    def delete(self, url: Pattern, answer: Answer | Exception | None = None, **options: Any) -> None:
        """Answer DELETE on `url`; see `route`."""
        self.route("DELETE", url, answer, **options)

    def allow(self, url: Pattern = "*", method: str = "*") -> None:
        """Let requests that match go to the network."""
        self._routes.append(_Route(method.upper(), url, None))

    async def __call__(self, request: Request) -> Response:
        """Answer one request of worker code."""
        method = str(request.method)
        route = next((route for route in reversed(self._routes) if route.matches(method, request.url)), None)
        if route is not None and route.answer is None:
            self.calls.append(OutboundCall(method, request.url, _headers(request), b""))
            return await self._fetch(request)
        body = b"" if request.body is None else await request.bytes()
        call = OutboundCall(method, request.url, _headers(request), body)
        self.calls.append(call)
        if route is None or route.answer is None:
            self.unmatched.append(call)
            raise UnmatchedFetchError(self.unmatched_text(call))
        answered = route.answer(call)
        response = _as_response(await answered if isawaitable(answered) else answered)
        response.url = request.url
        return response

    async def _fetch(self, request: Request) -> Response:
        self.requests_outside += 1
        try:
            return await self._network(request)
        finally:
            self.requests_outside -= 1

    def unmatched_text(self, call: OutboundCall) -> str:
        """What to say of a request that no route matches."""
        known = "".join(f"\n  {route.method} {_shown(route.url)}" for route in self._routes)
        there = f"; the routes are:{known}" if known else "; there are none"
        example = f"emulator.outbound.{call.method.lower()}({call.url!r}, json=...)"
        return f"the worker fetched {call.method} {call.url}, which no route answers{there}\n  Answer it with {example}"

    async def close(self) -> None:
        """Close the connections to the network."""
        if isinstance(self._network, HttpOutbound):
            await self._network.close()


def _headers(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _shown(url: Pattern) -> str:
    return url if isinstance(url, str) else f"/{url.pattern}/"


def _as_response(answered: Any) -> Response:
    if isinstance(answered, Response):
        return answered
    if isinstance(answered, FetchResponse):
        return answered.clone()
    if isinstance(answered, int) and not isinstance(answered, bool):
        return Response(None, status=answered)
    if isinstance(answered, (str, bytes)):
        return Response(answered)
    return Response.from_json(answered)
