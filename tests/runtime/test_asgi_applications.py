from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException, UploadFile
from fastapi import Request as FastAPIRequest
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from emulator_runtime import asgi, invocation
from emulator_runtime.errors import NotEmulatedError
from emulator_runtime.http import send_response
from emulator_runtime.invocation import Invocation, Scope
from emulator_runtime.workers import Context, Request, Response
from tests.runtime.asgi_calls import Sent, incoming

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


async def test_a_route() -> None:
    status, headers, text = await answer(incoming(method="GET"))
    assert (status, text) == (200, '{"message":"hi"}')
    assert headers["content-type"] == "application/json"


async def test_path_and_query_parameters() -> None:
    assert (await answer(incoming(method="GET", path="/items/5", query=b"q=a%20b")))[2] == '{"item_id":5,"q":"a b"}'


async def test_a_path_is_decoded_for_the_application() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        scopes.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x"})

    await answer(incoming(method="GET", path="/a%20b/%C3%A9", query=b"x=%20", headers=[(b"x-a", b"1")]), app)
    scope = scopes[-1]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b/é", b"/a%20b/%C3%A9", b"x=%20")
    assert (scope["method"], scope["scheme"], scope["env"]) == ("GET", "http", ENV)
    assert (b"x-a", b"1") in scope["headers"]


async def test_a_json_body_is_validated() -> None:
    headers = [(b"content-type", b"application/json")]
    status, _, text = await answer(incoming(b'{"name": "a", ', b'"price": 2}', path="/items", headers=headers))
    assert (status, text) == (201, '{"name":"a","price":2.0}')
    assert (await answer(incoming(b"{}", path="/items", headers=headers)))[0] == 422


async def test_a_request_that_the_worker_made() -> None:
    request = Request("https://example.com/items/7?q=x")
    assert (await answer(request))[2] == '{"item_id":7,"q":"x"}'
    assert (await answer(request.js_object))[0] == 200


async def test_a_file_upload() -> None:
    from emulator_runtime.workers import File, FormData

    form = FormData({"file": File(b"x" * 100_000, "a.bin")})
    request = Request("https://example.com/upload", method="POST", body=form)
    assert (await answer(request))[2] == '{"name":"a.bin","size":100000}'


async def test_what_the_application_does_not_know_is_404() -> None:
    assert (await answer(incoming(method="GET", path="/nowhere")))[0] == 404
    assert (await answer(incoming(method="PUT", path="/items")))[0] == 405
    assert (await answer(incoming(method="GET", path="/teapot")))[:1] == (418,)


async def test_env_is_in_the_scope_and_a_dependency() -> None:
    assert (await answer(incoming(method="GET", path="/env")))[2] == '"hello"'
    assert (await answer(incoming(method="GET", path="/depends")))[2] == '"hello"'


async def test_a_route_in_a_thread_sees_the_invocation() -> None:
    assert (await answer(incoming(method="GET", path="/sync")))[2] == '"my-worker"'


async def test_cookies_are_kept_and_204_has_no_body() -> None:
    response, _ = await within(asgi.fetch(APP, incoming(method="GET", path="/cookies"), ENV))
    assert response.body is None
    assert len(response.headers.getSetCookie()) == 2


async def test_an_exception_in_a_route_is_raised() -> None:
    with pytest.raises(ZeroDivisionError, match="in the route"):
        await answer(incoming(method="GET", path="/fails"))


async def test_the_headers_of_the_answer_can_be_changed() -> None:
    response, _ = await within(asgi.fetch(APP, incoming(method="GET"), ENV))
    response.headers.set("x-a", "1")
    send = Sent()
    await send_response(response, send)
    assert send.header(b"x-a") == b"1"
    assert send.header(b"content-length") == b"16"


async def test_a_streaming_answer_streams() -> None:
    response, context = await within(asgi.fetch(APP, incoming(method="GET", path="/stream"), ENV))
    assert response.is_streaming
    send = Sent()
    await send_response(response, send)
    await asyncio.gather(*context.take_tasks())
    assert send.header(b"content-type") == b"text/event-stream; charset=utf-8"
    assert [chunk for chunk in send.chunks if chunk] == [b"0", b"1", b"2"]
    assert send.is_complete


async def test_a_streaming_answer_that_fails_breaks_off() -> None:
    response, context = await within(asgi.fetch(APP, incoming(method="GET", path="/breaks"), ENV))
    send = Sent()
    with pytest.raises(ZeroDivisionError, match="in the stream"):
        await send_response(response, send)
    assert send.chunks == [b"half"]
    await asyncio.gather(*context.take_tasks())


async def test_a_streamed_body_of_a_status_that_has_none_is_dropped() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", b'"a"')]})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    status, headers, text = await answer(incoming(method="GET"), app)
    assert (status, headers, text) == (304, {"etag": '"a"'}, "")


async def test_an_application_whose_client_has_gone_is_told() -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await receive()
        listening = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"tick", "more_body": True})
        except OSError as error:
            told.extend([error, (await listening)["type"]])

    response, context = await within(asgi.fetch(app, incoming(method="GET"), ENV))
    reader = response.body.getReader()
    assert (await reader.read()).value == b"tick"
    await reader.cancel()
    await asyncio.gather(*context.take_tasks())
    assert isinstance(told[0], OSError)
    assert told[1] == "http.disconnect"


async def test_a_stream_of_fastapi_ends_when_its_client_has_gone() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"tick"
        await asyncio.Event().wait()

    app = FastAPI()
    app.get("/")(lambda: StreamingResponse(chunks()))
    response, context = await within(asgi.fetch(app, incoming(method="GET"), ENV))
    reader = response.body.getReader()
    assert (await reader.read()).value == b"tick"
    await reader.cancel()
    await asyncio.gather(*context.take_tasks())


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
    assert "raised after its answer" in caplog.text


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


async def test_many_requests_at_once_on_one_application() -> None:
    responses = await asyncio.gather(
        *[asgi.fetch(APP, incoming(method="GET", path=f"/items/{number}"), ENV) for number in range(20)]
    )
    for number, response in enumerate(responses):
        assert (await response.json()).item_id == number


async def test_an_entrypoint_made_of_an_application() -> None:
    default = asgi.entrypoint(APP)(Context(), ENV)
    assert (await default.fetch(incoming(method="GET"))).status == 200  # type: ignore[attr-defined]
    with pytest.raises(NotEmulatedError, match=r"asgi.websocket is not emulated yet"):
        await default.fetch(incoming(method="GET", headers=[(b"upgrade", b"websocket")]))  # type: ignore[attr-defined]


def test_options_are_checked() -> None:
    assert asgi.Options(encode_body="manual").encode_body == "manual"
    with pytest.raises(ValueError, match="encode_body must be"):
        asgi.Options(encode_body="never")  # type: ignore[arg-type]
