"""Runs ASGI applications (FastAPI, Starlette, ...) in a worker: `asgi.fetch` answers a request with one.

As in production the application is started before every request and shut down after it (the lifespan protocol). Request
and response bodies stream. What the application does after its answer, such as background tasks, continues under
`waitUntil`.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from emulator_runtime import invocation
from emulator_runtime.streams import Pipe, ReadableStream
from emulator_runtime.workers.entrypoints import WorkerEntrypoint
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import NULL_BODY_STATUSES, JsResponse

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
Application = Callable[[_Message, _Receive, _Send], Awaitable[None]]

ASGI: Final = {"spec_version": "2.0", "version": "3.0"}
_logger = logging.getLogger("asgi")
_background: set[asyncio.Future[Any]] = set()


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the adapter. `encode_body` has no effect: production, with `automatic`, encodes a body according to
    its `content-encoding`; the emulator always sends it unchanged."""

    encode_body: Literal["automatic", "manual"] = "automatic"

    def __post_init__(self) -> None:
        if self.encode_body not in ("automatic", "manual"):
            raise ValueError(f"encode_body must be 'automatic' or 'manual', got {self.encode_body!r}")


async def fetch(
    app: Application,
    req: Request,
    env: Any,
    ctx: invocation.Context | None = None,
    *,
    options: Options | None = None,  # noqa: ARG001 - production's
) -> JsResponse:
    """The answer of `app` to `req`; returns when the answer begins. `env` is `scope["env"]` for the application.

    An exception before the answer is raised here. One after it has begun, such as that of a framework that answers with
    a status 500 of its own and then raises, is logged, and ends a streaming body where it is.
    """
    lifespan = _Lifespan(app)
    await lifespan.startup()
    exchange = _Exchange(req)
    scope = request_to_scope(req, env, state=lifespan.state)
    running = asyncio.ensure_future(exchange.run(app, scope))
    try:
        await asyncio.wait((running, exchange.answer), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        running.cancel()
        await asyncio.wait((running,))
        await lifespan.shutdown()
        raise
    if not running.done():
        _in_background(_finish(running, lifespan), ctx)
        return exchange.answer.result()
    error = running.exception()
    if error is not None:
        _logger.error("ASGI request failed: %s: %s", type(error).__name__, error)
        await lifespan.shutdown()
        raise error
    await lifespan.shutdown()
    return exchange.answer.result()


async def websocket(app: Application, req: Request, env: Any = None) -> JsResponse:
    """The answer of `app` to a request for a WebSocket.

    As in production it is accepted at once, whatever the application does: `websocket.accept` only returns, a protocol
    or headers in it are not sent, and there is no lifespan. It is closed when the application ends, with the code 1000,
    or 1011 if that raises an exception.
    """
    from emulator_runtime.workers.asgi_websocket import answer_websocket  # few applications have one

    return answer_websocket(app, request_to_scope(req, {} if env is None else env, ws=True))


def entrypoint(app: Application, *, options: Options | None = None) -> type[WorkerEntrypoint]:
    """`Default = asgi.entrypoint(app)`: the entrypoint of a worker that is one application."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request: Request) -> JsResponse:
            if (request.headers.get("upgrade") or "").lower() == "websocket":
                return await websocket(app, request, self.env)
            return await fetch(app, request, self.env, self.ctx, options=options)

    return Default


def request_to_scope(req: Request, env: Any, ws: bool = False, state: dict[str, Any] | None = None) -> _Message:
    """The ASGI scope of `req`: of type `http`, or `websocket` if `ws`. `state` is that of the lifespan, if it has
    one."""
    url = urlsplit(req.url)
    scope = {
        "type": "websocket" if ws else "http",
        "asgi": ASGI,
        "http_version": "1.1",
        "method": req.raw_method,
        "scheme": url.scheme,
        "path": unquote(url.path),
        "raw_path": url.path.encode("latin-1", "replace"),
        "query_string": url.query.encode("latin-1", "replace"),
        "headers": list(req.raw_headers),
        "env": env,
    }
    if state is not None:
        scope["state"] = dict(state)
    return scope


def run_in_background(coro: Awaitable[Any]) -> asyncio.Future[Any]:
    """Start `coro`, whose exception is logged. Unlike `waitUntil` it does not hold the invocation."""
    task = asyncio.ensure_future(coro)
    _background.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Future[Any]) -> None:
    _background.discard(task)
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _logger.error("Unhandled exception in background task", exc_info=error)


def _in_background(work: Awaitable[Any], ctx: invocation.Context | None) -> None:
    """Let `work` continue after the handler has returned. Without an invocation, only keep a reference to it."""
    if ctx is None:
        running = invocation.current.get(None)
        ctx = None if running is None else running.context
    if ctx is not None:
        ctx.waitUntil(work)
    else:
        run_in_background(work)


async def _finish(running: asyncio.Future[None], lifespan: _Lifespan) -> None:
    try:
        await running
    finally:
        await lifespan.shutdown()


class _Exchange:
    """One request and its answer, as ASGI's `receive` and `send`. `answer` is set when the first part of the body
    arrives, because only then is it known whether the body streams."""

    def __init__(self, request: Request) -> None:
        body = request.body
        self.answer: asyncio.Future[JsResponse] = asyncio.get_running_loop().create_future()
        self._upload = None if body is None else body.getReader()
        self._upload_ended = False
        self._ended = False
        self._over = asyncio.Event()  # the answer has ended, or its reader has gone away
        self._pipe: Pipe | None = None
        self._start: _Message | None = None

    async def run(self, app: Application, scope: _Message) -> None:
        try:
            await app(scope, self._receive, self._send)
            if not self.answer.done():
                raise RuntimeError("The application did not generate a response")
            if self._pipe is not None and not self._ended:
                raise RuntimeError("The application did not end its response")
        except Exception as error:
            if not self.answer.done():
                raise
            if self._pipe is None or not self._pipe.cancelled:  # else the client went away, and the application noticed
                _logger.error("Exception in ASGI application after response started", exc_info=error)
            if self._pipe is not None:
                self._pipe.close()
        finally:
            self._over.set()
            if self._upload is not None:
                self._upload.releaseLock()

    async def _receive(self) -> _Message:
        if not self._upload_ended:
            if self._upload is not None:
                result = await self._upload.read()
                if result.value is not None:
                    return {"type": "http.request", "body": bytes(result.value), "more_body": True}
            self._upload_ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: _Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            await self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"Unexpected ASGI message {message['type']!r}")

    async def _send_body(self, body: bytes, more: bool) -> None:
        if self._start is None:
            raise RuntimeError("The application sent a body before the start of its response")
        if self._start["status"] in NULL_BODY_STATUSES:
            self._respond(None)  # whatever the application sends, such an answer has no body
            if not more:
                self._end()
            return
        if self._pipe is None:
            if not more:
                self._respond(bytes(body))
                self._end()
                return
            self._pipe = Pipe(on_cancel=self._over.set)
            self._respond(ReadableStream(self._pipe))
        await self._pipe.write(bytes(body))
        if not more:
            self._pipe.close()
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._over.set()

    def _respond(self, body: bytes | ReadableStream | None) -> None:
        assert self._start is not None
        if not self.answer.done():
            headers = [(bytes(name).lower(), bytes(value)) for name, value in self._start.get("headers", ())]
            self.answer.set_result(JsResponse.of_parts(body, headers, self._start["status"]))


class _Lifespan:
    """Starts an application and shuts it down, if it supports the lifespan protocol."""

    def __init__(self, app: Application) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._task: asyncio.Future[None] | None = None
        self._messages: asyncio.Queue[_Message] = asyncio.Queue()
        self._started: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def startup(self) -> None:
        """Start the application. Raises `RuntimeError` if it reports that its start-up failed."""
        self._messages.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.ensure_future(self._run())
        takes_part = False
        try:
            takes_part = await self._started
        finally:
            if not takes_part:
                if self._started.cancelled():
                    self._task.cancel()
                await asyncio.wait((self._task,))
                self._task = None

    async def shutdown(self) -> None:
        """Shut the application down. Raises `RuntimeError` if it reports that this failed."""
        task, self._task = self._task, None
        if task is None:
            return
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        try:
            await self._stopped
        finally:
            await task

    async def _run(self) -> None:
        scope: _Message = {"type": "lifespan", "asgi": ASGI, "state": self.state}
        try:
            await self._app(scope, self._messages.get, self._send)
        except Exception as error:
            if not self._started.done():
                _logger.debug("The application does not support the lifespan protocol", exc_info=error)
            elif self._started.exception() is None:
                _logger.error("Exception in ASGI lifespan application", exc_info=error)
        if not self._started.done():
            self._started.set_result(False)
        if not self._stopped.done():
            self._stopped.set_result(None)

    async def _send(self, message: _Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._started.set_result(True)
        elif kind == "lifespan.startup.failed":
            text = message.get("message") or "ASGI lifespan startup failed"
            self._started.set_exception(RuntimeError(text))
        elif kind == "lifespan.shutdown.complete":
            self._stopped.set_result(None)
        elif kind == "lifespan.shutdown.failed":
            self._stopped.set_exception(RuntimeError(message.get("message") or "ASGI lifespan shutdown failed"))
        else:
            raise RuntimeError(f"Unexpected ASGI message {kind!r}")


def __getattr__(name: str) -> Any:
    if name != "env":
        raise AttributeError(f"module 'asgi' has no attribute {name!r}")
    # `asgi.env` is a FastAPI dependency, so only workers that use FastAPI need it.
    fastapi = importlib.import_module("fastapi")

    async def env(request: Any) -> Any:
        return request.scope["env"]

    env.__annotations__["request"] = fastapi.Request
    return fastapi.Depends(env)
