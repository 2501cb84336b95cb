"""How a response is sent over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from emulator_runtime.http import send_response
from emulator_runtime.streams import Pipe, ReadableStream, TransformStream
from emulator_runtime.workers import Response
from tests.runtime.asgi_calls import Sent, pieces


async def sent(response: Response, *, head: bool = False) -> Sent:
    send = Sent()
    await send_response(response, send, head=head)
    return send


async def test_a_body_in_memory_is_two_messages_and_has_its_length() -> None:
    send = await sent(Response("café", status=201))
    assert send.messages == [
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [(b"content-type", b"text/plain;charset=UTF-8"), (b"content-length", b"5")],
        },
        {"type": "http.response.body", "body": "café".encode()},
    ]


async def test_sending_does_not_change_the_headers_of_the_response() -> None:
    response = Response("x")
    await sent(response)
    assert response.raw_headers == [(b"content-type", b"text/plain;charset=UTF-8")]


async def test_a_length_that_the_user_gave_is_kept() -> None:
    send = await sent(Response(b"", headers={"Content-Length": "7"}), head=True)
    assert [value for name, value in send.headers if name == b"content-length"] == [b"7"]


async def test_no_body_has_length_0() -> None:
    send = await sent(Response(None))
    assert send.header(b"content-length") == b"0"
    assert send.body == b""


async def test_an_answer_to_head_has_the_headers_of_get_and_no_body() -> None:
    send = await sent(Response("text"), head=True)
    assert send.header(b"content-length") == b"4"
    assert send.body == b""
    assert len(send.messages) == 2


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_has_no_length(status: int) -> None:
    send = await sent(Response(None, status=status, headers={"etag": '"a"'}))
    assert send.headers == [(b"etag", b'"a"')]
    assert send.body == b""


async def test_duplicate_headers_are_sent_each() -> None:
    send = await sent(Response(None, headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")]))
    assert send.headers[:2] == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


async def test_a_stream_is_sent_chunk_by_chunk_without_a_length() -> None:
    send = await sent(Response(pieces(b"one", b"", b"two")))
    assert send.headers == []
    assert send.chunks == [b"one", b"two", b""]
    assert send.is_complete


async def test_a_stream_in_memory_has_its_length() -> None:
    send = await sent(Response(Response("text").body))
    assert send.header(b"content-length") == b"4"
    assert send.chunks == [b"text"]


async def test_a_stream_is_not_read_ahead_of_the_server() -> None:
    made: list[int] = []

    async def numbers() -> AsyncIterator[bytes]:
        for number in range(3):
            made.append(number)
            yield b"%d" % number

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            assert made[-1] == int(message["body"])

    await send_response(Response(numbers()), send)


async def test_a_stream_that_fails_midway_raises_after_what_it_gave_and_does_not_end_the_answer() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    send = Sent()
    with pytest.raises(ZeroDivisionError):
        await send_response(Response(failing()), send)
    assert send.chunks == [b"half"]
    assert not send.is_complete


class Source:
    def __init__(self) -> None:
        self.closed = False

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> bytes:
        return b"x"

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("status", "head"), [(200, True), (204, False), (304, False)])
async def test_a_stream_that_is_not_wanted_is_closed(status: int, head: bool) -> None:
    source = Source()
    response = Response(source)
    response.status = status
    send = await sent(response, head=head)
    assert source.closed
    assert send.body == b""
    assert send.is_complete


async def test_a_stream_is_closed_when_the_server_gives_up() -> None:
    source = Source()
    task = asyncio.ensure_future(send_response(Response(source), Sent()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed


async def test_a_source_that_never_waits_lets_everything_else_have_its_turn() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    async def discard(_message: Any) -> None: ...

    task = asyncio.ensure_future(send_response(Response(endless()), discard))
    await asyncio.sleep(0)  # returns only when the stream gives way
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_source_of_empty_chunks_lets_everything_else_have_its_turn() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b""

    task = asyncio.ensure_future(send_response(Response(endless()), Sent()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_pull_that_enqueues_nothing_lets_everything_else_have_its_turn() -> None:
    stream = ReadableStream.new({"pull": lambda _controller: None})
    task = asyncio.ensure_future(send_response(Response(stream), Sent()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_writing_on_to_a_pipe_whose_reader_has_gone_lets_everything_else_have_its_turn() -> None:
    pipe = Pipe()
    await pipe.aclose()

    async def write_on() -> None:
        while True:
            with suppress(OSError):
                await pipe.write(b"x")

    task = asyncio.ensure_future(write_on())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_response_whose_body_was_read_cannot_be_sent() -> None:
    for response in (Response("x"), Response(pieces(b"x"))):
        await response.text()
        with pytest.raises(OSError, match="Body already used"):
            await send_response(response, Sent())


async def test_a_transform_stream_carries_what_is_written_while_it_is_sent() -> None:
    stream = TransformStream.new()
    writer = stream.writable.getWriter()

    async def write() -> None:
        await writer.write(b"one")
        await writer.write(bytearray(b"two"))
        await writer.close()

    writing = asyncio.ensure_future(write())
    send = Sent()
    await send_response(Response(stream.readable), send)
    await writing
    assert send.chunks == [b"one", b"two", b""]


async def test_a_pipe_takes_a_chunk_only_once_the_one_before_was_read() -> None:
    pipe = Pipe()
    first = asyncio.ensure_future(pipe.write(b"1"))
    await asyncio.sleep(0)
    assert not first.done()
    assert await anext(pipe) == b"1"
    await first


async def test_writing_to_a_pipe_whose_reader_has_gone_raises_os_error() -> None:
    stream = TransformStream.new()
    writer = stream.writable.getWriter()
    writing = asyncio.ensure_future(writer.write(b"1"))
    await asyncio.sleep(0)
    await stream.readable.cancel()
    with pytest.raises(OSError, match="gone away"):
        await writing


async def test_an_aborted_pipe_fails_its_reader() -> None:
    stream = TransformStream.new()
    await stream.writable.getWriter().abort("no more")
    with pytest.raises(OSError, match="no more"):
        await Response(stream.readable).text()


async def test_writing_to_a_closed_pipe_is_a_type_error() -> None:
    writer = TransformStream.new().writable.getWriter()
    await writer.close()
    with pytest.raises(TypeError, match="closed"):
        await writer.write(b"x")


async def test_a_tee_gives_both_what_the_source_gives_in_any_order() -> None:
    first, second = ReadableStream(pieces(b"a", b"b", b"c")).tee()
    left, right = first.getReader(), second.getReader()
    assert (await left.read()).value == b"a"
    assert (await left.read()).value == b"b"
    assert (await right.read()).value == b"a"
    rest = await asyncio.gather(left.read(), right.read())
    assert [result.value for result in rest] == [b"c", b"b"]
    assert (await right.read()).value == b"c"
    assert (await left.read()).done
    assert (await right.read()).done


async def test_a_tee_closes_its_source_when_both_are_cancelled() -> None:
    source = Source()
    first, second = ReadableStream(source).tee()
    await first.cancel()
    assert not source.closed
    await second.cancel()
    assert source.closed


async def test_a_tee_of_a_source_that_fails_fails_both() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    for stream in ReadableStream(failing()).tee():
        reader = stream.getReader()
        assert (await reader.read()).value == b"a"
        with pytest.raises(ZeroDivisionError):
            await reader.read()


async def test_a_stream_is_made_of_callbacks() -> None:
    cancelled: list[Any] = []

    async def start(controller: Any) -> None:
        controller.enqueue(b"first")

    def pull(controller: Any) -> None:
        controller.enqueue(b"second")
        controller.close()

    stream = ReadableStream.new({"start": start, "pull": pull})
    assert await Response(stream).text() == "firstsecond"
    endless = ReadableStream.new(pull=lambda controller: controller.enqueue(b"x"), cancel=cancelled.append)
    reader = endless.getReader()
    assert (await reader.read()).value == b"x"
    await reader.cancel()
    assert cancelled == [None]


def test_a_second_reader_is_a_type_error() -> None:
    stream = ReadableStream(b"x")
    stream.getReader()
    with pytest.raises(TypeError, match="locked to a reader"):
        stream.getReader()
