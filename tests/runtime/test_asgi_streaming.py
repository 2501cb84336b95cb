"""Answers of an ASGI application that stream, and clients that go before the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from emulator_runtime.http import send_response
from emulator_runtime.workers import asgi
from tests.runtime.asgi_application import APP, ENV, answer, within
from tests.runtime.asgi_calls import Sent, incoming


async def test_a_streaming_answer_streams() -> None:
    response, context = await within(asgi.fetch(APP, incoming(method="GET", path="/stream"), ENV))
    assert response.is_streaming
    send = Sent()
    await send_response(response, send)
    await asyncio.gather(*context.take_tasks())
    assert send.header(b"content-type") == b"text/event-stream; charset=utf-8"
    assert [chunk for chunk in send.chunks if chunk] == [b"0", b"1", b"2"]
    assert send.is_complete


async def test_a_streaming_answer_that_fails_ends_where_it_is_and_the_exception_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    response, context = await within(asgi.fetch(APP, incoming(method="GET", path="/breaks"), ENV))
    send = Sent()
    await send_response(response, send)
    assert send.body == b"half"
    assert send.is_complete
    await asyncio.gather(*context.take_tasks())
    assert "Exception in ASGI application after response started" in caplog.text
    assert "in the stream" in caplog.text


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
