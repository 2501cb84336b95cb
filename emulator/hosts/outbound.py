"""Sends the requests of `fetch()` in worker code over httpx, which is imported at the first call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from emulator.base.acts import Act, acting
from emulator.base.bus import Bus
from emulator.base.words import without_credentials
from emulator.hosts.events import FetchFinished
from emulator_runtime.hosting import NULL_BODY_STATUSES, Request, Response

if TYPE_CHECKING:
    import httpx

    from emulator.hosts.outbound_websocket import OutgoingWebSockets

Outbound = Callable[[Request], Awaitable[Response]]
"""Carries out a `fetch()` of worker code. Raises OSError if there is no answer."""

_OWN_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that httpx sets itself."""

_ENCODING_HEADERS: Final = frozenset({b"content-encoding", b"content-length", b"transfer-encoding", b"connection"})
"""Headers that describe the encoded form of a body, which is decoded while it is read."""


def observed(outbound: Outbound, bus: Bus, worker: str, request: Request) -> Awaitable[Response]:
    """Carry out a `fetch()` of `worker`, and publish how it ended if somebody wants to know."""
    if not bus.wants(FetchFinished):
        return outbound(request)
    return _told(outbound, bus, worker, request, None if bus.acts is None else bus.acts.begin(acting.get()))


async def _told(outbound: Outbound, bus: Bus, worker: str, request: Request, act: Act | None) -> Response:
    began = perf_counter()
    status, failed = 0, ""
    try:
        response = await outbound(request)
        status = response.status
        return response
    except Exception as error:
        failed = str(error) or type(error).__name__
        raise
    finally:
        duration = perf_counter() - began
        url = without_credentials(request.url)
        bus.publish(FetchFinished(worker, request.raw_method, url, status, duration, failed, act=act))


class HttpOutbound:
    """Answers `fetch()` from the network. All workers of a session share one connection pool."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None
        self._web_sockets: OutgoingWebSockets | None = None

    async def __call__(self, request: Request) -> Response:
        """Send `request`, and return when the headers of the answer have arrived. Raises OSError if there is no
        answer."""
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        from emulator.base.quiet import quiet

        if self._client is None:
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))  # fetch() keeps none
            # In production a subrequest has no time limit, but a local service that hangs should be noticed.
            timeout = httpx.Timeout(60.0, read=None)
            self._client = quiet(httpx.AsyncClient(cookies=no_cookies, timeout=timeout, max_redirects=20))
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OWN_HEADERS]
        if request.headers.get("upgrade", "").lower() == "websocket":
            from emulator.hosts.outbound_websocket import OutgoingWebSockets, handshake_headers  # few workers need it

            headers = handshake_headers(headers)
            self._web_sockets = self._web_sockets or OutgoingWebSockets()
        content: Any = None
        if (body := request.body) is not None:
            # A body that is in memory can be sent again after a redirect; a stream cannot.
            content = aiter(body) if body.size is None else await request.bytes()
        try:
            outgoing = self._client.build_request(request.raw_method, request.url, headers=headers, content=content)
            answer = await self._client.send(outgoing, stream=True, follow_redirects=request.redirect == "follow")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise OSError(f"fetch failed: {request.method} {request.url}: {reason}") from error
        if request.redirect == "error" and answer.is_redirect:
            await answer.aclose()
            raise OSError(f'fetch failed: {request.url} redirects, and redirect is "error"')
        kept = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in answer.headers.raw
            if name.lower() not in _ENCODING_HEADERS
        ]
        if answer.status_code == 101 and self._web_sockets is not None:
            return await self._web_sockets.open(answer, kept)
        has_body = answer.status_code not in NULL_BODY_STATUSES
        if not has_body:
            await answer.aclose()
        response = Response(
            _Body(answer) if has_body else None,
            status=answer.status_code,
            status_text=answer.reason_phrase,
            headers=kept,
        )
        response.url = str(answer.url)
        response.redirected = bool(answer.history)
        return response

    async def close(self) -> None:
        """Close the connections."""
        if self._web_sockets is not None:
            await self._web_sockets.close()
        if self._client is not None:
            await self._client.aclose()
            self._client = None


class _Body:
    """The body of an answer as an async iterator of bytes, which frees its connection when it ends or is closed."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer
        length = answer.headers.get("content-length", "")
        is_plain = "content-encoding" not in answer.headers
        self.length = int(length) if is_plain and length.isascii() and length.isdigit() else None
        self._chunks: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        if self._chunks is None:
            self._chunks = self._answer.aiter_bytes()
        return await anext(self._chunks)

    async def aclose(self) -> None:
        await self._answer.aclose()
