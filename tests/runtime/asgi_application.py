"""A FastAPI application with a route for each thing that a test asks of it, and ways to call it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from fastapi import FastAPI, HTTPException, UploadFile
from fastapi import Request as FastAPIRequest
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from emulator_runtime import invocation
from emulator_runtime.invocation import Invocation, Scope
from emulator_runtime.workers import Context, Request, Response, asgi

ENV = {"GREETING": "hello"}


class Item(BaseModel):
    name: str
    price: float


def make_app() -> FastAPI:  # noqa: C901 - each route is for one test
    app = FastAPI()

    @app.get("/")
    async def root() -> dict[str, str]:
        return {"message": "hi"}

    @app.get("/items/{item_id}")
    async def item(item_id: int, q: str | None = None) -> dict[str, Any]:
        return {"item_id": item_id, "q": q}

    @app.post("/items", status_code=201)
    async def create(item: Item) -> Item:
        return item

    @app.get("/env")
    async def env(request: FastAPIRequest) -> Any:
        return request.scope["env"]["GREETING"]

    @app.get("/depends")
    async def depends(env: Any = asgi.env) -> Any:
        return env["GREETING"]

    @app.get("/sync")
    def in_a_thread() -> str:
        return invocation.require_current("x").scope.name

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout")

    @app.get("/fails")
    async def fails() -> None:
        raise ZeroDivisionError("in the route")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"%d" % number

        return StreamingResponse(chunks(), media_type="text/event-stream")

    @app.get("/breaks")
    async def breaks() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"half"
            raise ZeroDivisionError("in the stream")

        return StreamingResponse(chunks())

    @app.get("/cookies")
    async def cookies() -> Any:
        from fastapi.responses import Response as FastAPIResponse

        response = FastAPIResponse(status_code=204)
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @app.post("/upload")
    async def upload(file: UploadFile) -> dict[str, Any]:
        return {"name": file.filename, "size": len(await file.read())}

    return app


APP = make_app()


async def within(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, Context]:
    async def outbound(_request: Request) -> Response:
        raise AssertionError("nothing is fetched here")

    started = Invocation(Scope("my-worker", ENV, outbound), None)
    invocation.current.set(started)
    return await coroutine, started.context


async def answer(request: Request, app: Any = APP) -> tuple[int, dict[str, str], str]:
    response, context = await within(asgi.fetch(app, request, ENV))
    text = await response.text()
    await asyncio.gather(*context.take_tasks())
    return response.status, dict(response.headers), text
