"""ASGI applications in a worker: requests, answers, and what an application sees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emulator_runtime.http import send_response
from emulator_runtime.workers import Context, Request, asgi
from tests.runtime.asgi_application import APP, ENV, answer, within
from tests.runtime.asgi_calls import Sent, incoming


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


async def test_an_exception_that_the_application_answers_is_a_response_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert (await answer(incoming(method="GET", path="/fails")))[::2] == (500, "Internal Server Error")
    assert "Exception in ASGI application after response started" in caplog.text
    assert 'raise ZeroDivisionError("in the route")' in caplog.text


async def test_an_exception_that_the_application_does_not_answer_is_raised_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        if scope["type"] == "http":
            raise ZeroDivisionError("in the application")

    with pytest.raises(ZeroDivisionError, match="in the application"):
        await answer(incoming(method="GET"), app)
    assert "ASGI request failed: ZeroDivisionError: in the application" in caplog.text


def test_a_scope_is_made_of_a_request_of_either_kind() -> None:
    request = Request("https://example.com/a%20b?c=d", headers={"X-A": "1"})
    for each in (request, request.js_object):
        scope = asgi.request_to_scope(each, ENV)
        assert scope == {
            "type": "http",
            "asgi": {"spec_version": "2.0", "version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": "/a b",
            "raw_path": b"/a%20b",
            "query_string": b"c=d",
            "headers": [(b"x-a", b"1")],
            "env": ENV,
        }
    state = {"a": 1}
    scope = asgi.request_to_scope(request, ENV, ws=True, state=state)
    assert (scope["type"], scope["state"]) == ("websocket", state)
    assert scope["state"] is not state


async def test_work_in_the_background_goes_on_and_its_exception_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def works() -> str:
        return "done"

    async def fails() -> None:
        raise ZeroDivisionError("in the background")

    assert await asgi.run_in_background(works()) == "done"
    with pytest.raises(ZeroDivisionError):
        await asgi.run_in_background(fails())
    assert "Unhandled exception in background task" in caplog.text
    assert "in the background" in caplog.text


async def test_the_headers_of_the_answer_can_be_changed() -> None:
    response, _ = await within(asgi.fetch(APP, incoming(method="GET"), ENV))
    response.headers.set("x-a", "1")
    send = Sent()
    await send_response(response, send)
    assert send.header(b"x-a") == b"1"
    assert send.header(b"content-length") == b"16"


async def test_many_requests_at_once_on_one_application() -> None:
    responses = await asyncio.gather(
        *[asgi.fetch(APP, incoming(method="GET", path=f"/items/{number}"), ENV) for number in range(20)]
    )
    for number, response in enumerate(responses):
        assert (await response.json()).item_id == number


async def test_an_entrypoint_made_of_an_application() -> None:
    default = asgi.entrypoint(APP)(Context(), ENV)
    assert (await default.fetch(incoming(method="GET"))).status == 200  # type: ignore[attr-defined]


def test_options_are_checked() -> None:
    assert asgi.Options(encode_body="manual").encode_body == "manual"
    with pytest.raises(ValueError, match="encode_body must be"):
        asgi.Options(encode_body="never")  # type: ignore[arg-type]
