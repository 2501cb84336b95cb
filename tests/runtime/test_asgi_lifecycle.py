"""What an ASGI application does around its requests: lifespan, background tasks, failures, cancellation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi import Request as FastAPIRequest

from emulator_runtime.workers import Context, asgi
from tests.runtime.asgi_application import ENV, answer, within
from tests.runtime.asgi_calls import incoming


async def test_background_tasks_go_on_after_the_answer() -> None:
    release, done = asyncio.Event(), asyncio.Event()
    app = FastAPI()

    async def work() -> None:
        await release.wait()
        done.set()

    @app.get("/")
    async def root(tasks: BackgroundTasks) -> str:
        tasks.add_task(work)
        return "answered"

    response, context = await within(asgi.fetch(app, incoming(method="GET"), ENV))
    assert await response.text() == '"answered"'
    assert not done.is_set()
    release.set()
    await asyncio.gather(*context.take_tasks())
    assert done.is_set()


async def test_background_tasks_are_held_by_the_ctx_that_was_given() -> None:
    release = asyncio.Event()
    app = FastAPI()

    @app.get("/")
    async def root(tasks: BackgroundTasks) -> str:
        tasks.add_task(release.wait)
        return "answered"

    context = Context()
    await asgi.fetch(app, incoming(method="GET"), ENV, context)
    tasks = context.take_tasks()
    assert len(tasks) == 1
    release.set()
    await asyncio.gather(*tasks)


async def test_lifespan_runs_around_every_request_as_in_production() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        events.append("startup")
        yield {"name": "state"}
        events.append("shutdown")

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def root(request: FastAPIRequest) -> Any:
        events.append("request")
        return request.state.name

    for _ in range(2):
        assert (await answer(incoming(method="GET"), app))[2] == '"state"'
    assert events == ["startup", "request", "shutdown"] * 2


async def test_a_start_up_that_fails_is_raised() -> None:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        raise ZeroDivisionError("no database")
        yield

    with pytest.raises(RuntimeError, match="no database"):
        await answer(incoming(method="GET"), FastAPI(lifespan=lifespan))


async def test_a_shutdown_that_fails_is_raised() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.failed", "message": "no way out"})
            return
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"good"})

    with pytest.raises(RuntimeError, match="no way out"):
        await answer(incoming(method="GET"), app)


async def test_an_application_without_lifespan() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Case", b"1")]})
        await send({"type": "http.response.body", "body": body[::-1]})

    status, headers, text = await answer(incoming(b"abc", b"def"), app)
    assert (status, headers["x-case"], text) == (200, "1", "fedcba")


@pytest.mark.parametrize("raises", [False, True])
async def test_an_application_that_gives_no_answer(raises: bool) -> None:
    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        if raises:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError if raises else RuntimeError):
        await answer(incoming(method="GET"), app)


async def test_an_exception_after_a_good_answer_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"good"})
            raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "asgi"):
        assert (await answer(incoming(method="GET"), app))[2] == "good"
    assert "Exception in ASGI application after response started" in caplog.text


async def test_a_cancelled_fetch_cancels_the_application() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        if scope["type"] != "http":
            return
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    task = asyncio.ensure_future(asgi.fetch(app, incoming(method="GET"), ENV))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()
