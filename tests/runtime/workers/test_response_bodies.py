"""The body of a response: read once, streamed, cloned, replaced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from emulator_runtime import invocation
from emulator_runtime.streams import ReadableStream
from emulator_runtime.workers import Request, Response
from tests.runtime.asgi_calls import pieces


async def test_a_body_is_read_once() -> None:
    response = Response("text")
    await response.text()
    assert response.body_used
    with pytest.raises(OSError, match="Body already used"):
        await response.text()
    with pytest.raises(OSError, match="Body already used"):
        response.clone()


async def test_the_stream_and_the_reading_methods_share_the_body() -> None:
    response = Response("text")
    assert response.body is response.body
    assert response.body is not None
    reader = response.body.getReader()
    assert (await reader.read()).value == b"text"
    assert (await reader.read()).done
    assert response.body_used
    with pytest.raises(OSError, match="Body already used"):
        await response.text()
    used = Response("text")
    await used.text()
    assert used.body is not None
    assert used.body.disturbed


async def test_a_stream_that_a_reader_holds_cannot_be_read_otherwise() -> None:
    response = Response("text")
    assert response.body is not None
    reader = response.body.getReader()
    assert response.body.locked
    with pytest.raises(TypeError, match="locked to a reader"):
        await response.text()
    reader.releaseLock()
    assert await response.text() == "text"


async def test_clones_both_have_the_whole_body() -> None:
    for response in (Response("abc", headers={"x-a": "1"}), Response(pieces(b"a", b"bc"), headers={"x-a": "1"})):
        clone = response.clone()
        assert await clone.text() == await response.text() == "abc"
        assert clone.headers["x-a"] == "1"


async def test_replace_body_keeps_status_and_headers() -> None:
    response = Response("old", status=201, status_text="Made", headers={"x-a": "1"})
    replaced = response.replace_body("new")
    assert (replaced.status, replaced.status_text, replaced.headers["x-a"]) == (201, "Made", "1")
    assert await replaced.text() == "new"
    assert await response.text() == "old"
    with pytest.raises(TypeError, match="cannot have a body"):
        Response(None, status=204).replace_body("x")


async def test_a_stream_that_is_cancelled_or_not_wanted_closes_its_source() -> None:
    class Source:
        closed = False

        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> bytes:
            return b"x"

        async def aclose(self) -> None:
            self.closed = True

    source = Source()
    response = Response(source, status=299, headers=[("x-a", "1")])
    response.url = "https://a/"
    assert repr(response) == "Response(status=299, url='https://a/')"
    assert response.is_streaming
    assert response.body is not None
    await response.body.cancel()
    assert source.closed
    other = Source()
    await Response(other).discard_body()
    assert other.closed


def test_a_stream_in_memory_is_not_streaming() -> None:
    response = Response("text")
    assert not response.is_streaming
    assert response.body is not None
    assert not response.is_streaming
    assert Response(ReadableStream(pieces(b"x"))).is_streaming


async def test_a_request_body_is_a_response_body() -> None:
    request = Request("https://example.com", method="POST", body="text")
    assert await Response(request.body).text() == "text"
    assert request.body_used
    with pytest.raises(TypeError, match="already been read"):
        Response(request.body)


async def test_an_async_generator_is_warned_of_since_production_does_not_take_one() -> None:
    warnings: list[str] = []

    scope = invocation.Scope("worker", None, None, warnings.append)  # type: ignore[arg-type]
    invocation.current.set(invocation.Invocation(scope, None))
    assert await Response(pieces(b"a", b"b")).text() == "ab"
    assert await Response(ReadableStream(pieces(b"a"))).text() == "a"
    assert len(warnings) == 1
    assert "works only in the emulator" in warnings[0]


async def test_a_chunk_that_is_text_is_a_type_error() -> None:
    async def text() -> AsyncIterator[Any]:
        yield "text"

    with pytest.raises(TypeError, match="must be bytes, not str"):
        await Response(text()).text()
