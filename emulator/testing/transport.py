"""The way from an httpx client to the workers: no socket, and the same ASGI application as in `emulator dev`.

An answer streams: its body is produced as the test reads it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import httpx

from emulator.server.gateway import AnswerBrokenError
from emulator.testing.core import Core, user_frames

HOST: Final = "http://localhost"

P = ParamSpec("P")
T = TypeVar("T")


class _Exchange:
    """One request and its answer, which run on the core's loop as the test asks for more."""

    def __init__(self, core: Core, request: httpx.Request, body: bytes) -> None:
        self._core = core
        self._request = request
        self._scope = scope_of(request)
        self._body: bytes | None = body
        self._answer: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)
        self._left = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    def start(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Run the request until its answer begins. Returns the status and the headers."""
        __tracebackhide__ = True
        message = self._core.run(self._begin())
        return message["status"], list(message["headers"])

    def next_chunk(self) -> bytes | None:
        """The next piece of the body; None at its end."""
        __tracebackhide__ = True
        while not self._ended:
            message = self._core.run(self._next())
            self._ended = not message.get("more_body", False)
            if message["body"]:
                return bytes(message["body"])
        return None

    def finish(self) -> None:
        """End the exchange: a handler that is still producing the body sees that the client has gone."""
        __tracebackhide__ = True
        if self._task is not None and not self._core.closed:
            self._core.run(self._leave(), check=False)

    async def _begin(self) -> Any:
        self._task = asyncio.create_task(self._core.app(self._scope, self._receive, self._send))
        return await self._next()

    async def _next(self) -> Any:
        """The next message of the application. Raises what the application raised."""
        task = self._task
        assert task is not None
        message = asyncio.ensure_future(self._answer.get())
        await asyncio.wait((message, task), return_when=asyncio.FIRST_COMPLETED)
        if not message.done() and not self._answer.empty():
            await message
        if message.done():
            return message.result()
        message.cancel()
        with suppress(AnswerBrokenError):  # without raise_errors, a client sees what it would see over the network
            task.result()
        raise httpx.RemoteProtocolError("the worker raised while its answer was being streamed", request=self._request)

    async def _leave(self) -> None:
        task = self._task
        assert task is not None
        self._left.set()
        while not task.done():
            getting = asyncio.ensure_future(self._answer.get())
            await asyncio.wait((getting, task), return_when=asyncio.FIRST_COMPLETED)
            getting.cancel()
        if not task.cancelled():
            task.exception()  # Reported when the answer was read; nobody needs it for an answer that was not read.

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if self._left.is_set():
            return
        if not self._answer.full():
            self._answer.put_nowait(message)
            return
        with self._core.holding_back():
            await self._answer.put(message)


def scope_of(request: httpx.Request) -> dict[str, Any]:
    """The ASGI scope of a request."""
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 50_000),
        "server": (url.host, url.port or 80),
    }


def _trimmed(method: Callable[P, T]) -> Callable[P, T]:
    """`method`, with the frames between the test and worker code removed from its exceptions."""

    @wraps(method)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        __tracebackhide__ = True
        try:
            return method(*arguments, **options)
        except Exception as error:
            error.__traceback__ = user_frames(error)
            raise

    return call


def _trimmed_async(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    @wraps(method)
    async def call(*arguments: P.args, **options: P.kwargs) -> T:
        __tracebackhide__ = True
        try:
            return await method(*arguments, **options)
        except Exception as error:
            error.__traceback__ = user_frames(error)
            raise

    return call


class Client(httpx.Client):
    """An httpx client on a core."""

    def __init__(self, core: Core) -> None:
        super().__init__(transport=Transport(core), base_url=HOST, trust_env=False)

    send = _trimmed(httpx.Client.send)
    request = _trimmed(httpx.Client.request)
    get = _trimmed(httpx.Client.get)
    options = _trimmed(httpx.Client.options)
    head = _trimmed(httpx.Client.head)
    post = _trimmed(httpx.Client.post)
    put = _trimmed(httpx.Client.put)
    patch = _trimmed(httpx.Client.patch)
    delete = _trimmed(httpx.Client.delete)


class AsyncClient(httpx.AsyncClient):
    """An async httpx client on a core."""

    def __init__(self, core: Core) -> None:
        super().__init__(transport=AsyncTransport(core), base_url=HOST, trust_env=False)

    send = _trimmed_async(httpx.AsyncClient.send)
    request = _trimmed_async(httpx.AsyncClient.request)
    get = _trimmed_async(httpx.AsyncClient.get)
    options = _trimmed_async(httpx.AsyncClient.options)
    head = _trimmed_async(httpx.AsyncClient.head)
    post = _trimmed_async(httpx.AsyncClient.post)
    put = _trimmed_async(httpx.AsyncClient.put)
    patch = _trimmed_async(httpx.AsyncClient.patch)
    delete = _trimmed_async(httpx.AsyncClient.delete)


class Transport(httpx.BaseTransport):
    """Sends the requests of an `httpx.Client` to the workers."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        __tracebackhide__ = True
        exchange = _Exchange(self._core, request, request.read())
        try:
            status, headers = exchange.start()
        except BaseException:
            exchange.finish()
            raise
        return httpx.Response(status, headers=headers, stream=_Stream(exchange), request=request)


class _Stream(httpx.SyncByteStream):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        __tracebackhide__ = True
        while (chunk := self._exchange.next_chunk()) is not None:
            yield chunk

    def close(self) -> None:
        self._exchange.finish()


class AsyncTransport(httpx.AsyncBaseTransport):
    """Sends the requests of an `httpx.AsyncClient` to the workers."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        __tracebackhide__ = True
        exchange = _Exchange(self._core, request, await request.aread())
        try:
            status, headers = await self._core.on_thread(exchange.start)
        except BaseException:
            await self._core.on_thread(exchange.finish)
            raise
        stream = _AsyncStream(self._core, exchange)
        return httpx.Response(status, headers=headers, stream=stream, request=request)


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, core: Core, exchange: _Exchange) -> None:
        self._core = core
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._core.on_thread(self._exchange.next_chunk)) is not None:
            yield chunk

    async def aclose(self) -> None:
        await self._core.on_thread(self._exchange.finish)
