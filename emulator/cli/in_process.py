"""Lets an httpx client ask an ASGI application in this process. Bodies pass through piece by piece, both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from emulator.server.asgi import ASGIApp


class InThisProcess(httpx.BaseTransport):
    """The loop of `runner` only runs while somebody waits for a piece."""

    def __init__(self, app: ASGIApp, runner: asyncio.Runner) -> None:
        self._app = app
        self._runner = runner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, as far as its head."""
        exchange = _Exchange(self._app, self._runner, request)
        start = exchange.next()
        return httpx.Response(start["status"], headers=start["headers"], stream=exchange)


class _Exchange(httpx.SyncByteStream):
    """One request, and its answer as it comes."""

    def __init__(self, app: ASGIApp, runner: asyncio.Runner, request: httpx.Request) -> None:
        self._app = app
        self._runner = runner
        assert isinstance(request.stream, httpx.SyncByteStream)
        self._upload = iter(request.stream)
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.partition(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 0),
            "server": (request.url.host, request.url.port or 80),
        }
        self._messages: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue(1)
        self._answering: asyncio.Task[None] | None = None
        self._is_received = False
        self._is_complete = False

    def next(self) -> MutableMapping[str, Any]:
        """The next message of the answer. Raises what the application raises."""
        return self._runner.run(self._next())

    def __iter__(self) -> Iterator[bytes]:
        while not self._is_complete:
            message = self.next()
            self._is_complete = not message.get("more_body", False)
            yield message.get("body", b"")

    def close(self) -> None:
        """The answer is not read any further."""
        self._runner.run(self._end())

    async def _next(self) -> MutableMapping[str, Any]:
        if self._answering is None:
            self._answering = asyncio.create_task(self._answer())
        coming = asyncio.create_task(self._messages.get())
        await asyncio.wait((coming, self._answering), return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            return coming.result()
        coming.cancel()
        await self._answering
        raise httpx.RemoteProtocolError("the application has not answered")

    async def _answer(self) -> None:
        await self._app(self._scope, self._receive, self._messages.put)

    async def _end(self) -> None:
        assert self._answering is not None
        if not self._is_complete:
            self._answering.cancel()
        await asyncio.wait((self._answering,))

    async def _receive(self) -> MutableMapping[str, Any]:
        if self._is_received:  # the next news would be that the client has gone
            await asyncio.get_running_loop().create_future()
        piece = next(self._upload, None)
        self._is_received = piece is None
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}
