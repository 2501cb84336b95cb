"""The HTTP client for workerd, against servers that do what workerd does seldom."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from emulator.hosts.workerd.client import (
    AnswerStream,
    ConnectionLostError,
    UploadBrokenError,
    WorkerdAnswer,
    WorkerdClient,
    request_head,
)

T = TypeVar("T")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GET = request_head("GET", "http://localhost/", [(b"host", b"localhost"), (b"connection", b"close"), (b"x-a", b"1")])


def with_server(directory: Path, serve: Serve, test: Callable[[WorkerdClient], Awaitable[T]]) -> T:
    """Run `test` with a client of a server that runs `serve` for each connection."""

    async def main() -> T:
        ended: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            ended.add(task)
            try:
                await serve(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        path = directory / "socket"
        server = await asyncio.start_unix_server(connected, path)
        client = WorkerdClient(path)
        try:
            return await asyncio.wait_for(test(client), 10)
        finally:
            client.close()
            server.close()
            for task in ended:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)

    return asyncio.run(main())


async def request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def test_a_head_has_no_headers_of_the_connection() -> None:
    assert GET == b"GET http://localhost/ HTTP/1.1\r\nhost: localhost\r\nx-a: 1\r\n\r\n"


def test_one_connection_is_used_again(tmp_path: Path) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def test(client: WorkerdClient) -> None:
        for _ in range(5):
            answer = await client.send(GET)
            assert (answer.status, answer.headers, answer.body) == (200, [(b"content-length", b"2")], b"ok")

    with_server(tmp_path, serve, test)
    assert connections == 1


def test_a_connection_that_was_closed_while_idle_is_replaced(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await request(reader)  # and closes the connection without an answer

    async def test(client: WorkerdClient) -> None:
        for _ in range(3):
            assert (await client.send(GET)).body == b"ok"

    with_server(tmp_path, serve, test)


POST = request_head("POST", "http://localhost/", [(b"host", b"localhost"), (b"content-length", b"1")])


def with_acting_server(directory: Path, test: Callable[[WorkerdClient], Awaitable[T]]) -> tuple[T, list[bytes]]:
    """Run `test` with a client of a server that answers the first request of each connection, and of the next one does
    what it asks for and then closes the connection without an answer. Returns what the server did, by method."""
    done: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answers in (True, False):
            head = await request(reader)
            if b"content-length" in head:
                await reader.readexactly(1)
            done.append(head.partition(b" ")[0])
            if answers:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return with_server(directory, serve, test), done


def test_a_post_that_may_have_run_is_not_sent_again(tmp_path: Path) -> None:
    async def test(client: WorkerdClient) -> None:
        assert (await client.send(POST, b"x")).body == b"ok"
        with pytest.raises(ConnectionLostError, match="before it had answered"):
            await client.send(POST, b"x")

    _, done = with_acting_server(tmp_path, test)
    assert done == [b"POST", b"POST"]


def test_a_get_that_met_a_closing_connection_is_sent_again(tmp_path: Path) -> None:
    async def test(client: WorkerdClient) -> None:
        for _ in range(2):
            assert (await client.send(GET)).body == b"ok"

    _, done = with_acting_server(tmp_path, test)
    assert done == [b"GET", b"GET", b"GET"]


def test_a_post_takes_a_new_connection_when_the_last_one_has_been_idle_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(client: WorkerdClient) -> None:
        for _ in range(3):
            assert (await client.send(POST, b"x")).body == b"ok"

    monkeypatch.setattr("emulator.hosts.workerd.client.FRESH_SECONDS", 0.0)
    _, done = with_acting_server(tmp_path, test)
    assert done == [b"POST"] * 3


def test_a_post_of_which_nothing_was_written_is_sent_on_another_connection(tmp_path: Path) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while True:
            await request(reader)
            await reader.readexactly(1)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def test(client: WorkerdClient) -> None:
        assert (await client.send(POST, b"x")).body == b"ok"
        client._idle[0].close()  # what the end of the stream from workerd does, before the loop tells of it
        assert (await client.send(POST, b"x")).body == b"ok"

    with_server(tmp_path, serve, test)
    assert len(connections) == 2


def test_an_answer_that_is_not_http_is_a_lost_connection(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"hello\r\n\r\n")

    async def test(client: WorkerdClient) -> None:
        with pytest.raises(ConnectionLostError):
            await client.send(GET)

    with_server(tmp_path, serve, test)


def test_an_answer_that_never_comes_is_a_lost_connection(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)

    async def test(client: WorkerdClient) -> None:
        with pytest.raises(ConnectionLostError):
            await client.send(GET)

    with_server(tmp_path, serve, test)


def test_what_answers_before_the_answer_is_skipped(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx")
        await reader.read()

    async def test(client: WorkerdClient) -> None:
        answer = await client.send(GET)
        assert (answer.status, answer.headers, answer.body) == (404, [(b"content-length", b"1")], b"x")

    with_server(tmp_path, serve, test)


def test_a_body_that_breaks_off_is_an_error_and_not_an_end(tmp_path: Path) -> None:
    goes_on = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await goes_on.wait()

    async def test(client: WorkerdClient) -> None:
        answer = await client.send(GET)
        assert isinstance(answer.body, AnswerStream)
        ends: list[bool] = []
        answer.body.when_ended(ends.append)
        assert await anext(answer.body) == b"half"
        goes_on.set()
        with pytest.raises(ConnectionLostError):
            await anext(answer.body)
        assert ends == [True]

    with_server(tmp_path, serve, test)


def test_a_body_that_nobody_reads_stops_coming(tmp_path: Path) -> None:
    written = 0
    full = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        try:
            while True:
                writer.write(piece)
                async with asyncio.timeout(0.2):
                    await writer.drain()
                written += 65_536
        except TimeoutError:
            full.set()
            await writer.drain()
            writer.write(b"0\r\n\r\n")
            await reader.read()

    async def test(client: WorkerdClient) -> None:
        answer = await client.send(GET)
        await full.wait()
        assert written < 8_000_000
        assert isinstance(answer.body, AnswerStream)
        assert sum([len(chunk) async for chunk in answer.body]) >= written

    with_server(tmp_path, serve, test)


def test_a_connection_reads_again_after_an_answer_whose_last_byte_was_one_too_many(tmp_path: Path) -> None:
    most = 262_144  # may wait to be read
    has_come = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (most + 1) + bytes(most))
        await has_come.wait()
        writer.write(b"!")
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def test(client: WorkerdClient) -> None:
        body = (await client.send(GET)).body
        assert isinstance(body, AnswerStream)
        while body._buffered < most:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
        ended = asyncio.Event()
        body.when_ended(lambda _lost: ended.set())
        has_come.set()
        await ended.wait()
        assert sum([len(chunk) async for chunk in body]) == most + 1
        assert (await client.send(GET)).body == b"ok"

    with_server(tmp_path, serve, test)


def test_cancelling_a_request_closes_its_connection(tmp_path: Path) -> None:
    arrived = asyncio.Event()
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        arrived.set()
        assert await reader.read() == b""
        closed.set()

    async def test(client: WorkerdClient) -> None:
        sending = asyncio.ensure_future(client.send(GET))
        await arrived.wait()
        sending.cancel()
        await closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await sending

    with_server(tmp_path, serve, test)


def test_an_answer_that_came_before_the_upload_failed_is_given(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()

        async def source() -> AsyncIterator[bytes]:
            connection, _ = listener.accept()
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            connection.close()
            for _ in range(10):  # with the other end closed, before the client has had a chance to read
                yield b"x" * 100_000

        async def main() -> WorkerdAnswer:
            return await WorkerdClient(tmp_path / "socket").send_stream(POST, source(), chunked=True)

        answer = asyncio.run(main())
    assert (answer.status, answer.body) == (401, b"no")


@pytest.mark.parametrize("chunked", [True, False])
def test_an_upload_arrives_as_it_was_given(tmp_path: Path, chunked: bool) -> None:
    pieces = [b"one", b"", b"two" * 100_000]

    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        if chunked:
            assert await reader.readline() == b"3\r\n"
            assert await reader.readexactly(5) == b"one\r\n"
            assert await reader.readline() == b"493e0\r\n"
            assert await reader.readexactly(300_007) == pieces[2] + b"\r\n0\r\n\r\n"
        else:
            assert await reader.readexactly(300_003) == pieces[0] + pieces[2]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def test(client: WorkerdClient) -> None:
        assert (await client.send_stream(POST, source(), chunked=chunked)).body == b"ok"

    with_server(tmp_path, serve, test)


def test_an_upload_that_breaks_off_is_told_apart_from_a_lost_connection(tmp_path: Path) -> None:
    closed = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"one"
        raise OSError("the client went away")

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await request(reader)
        with suppress(ConnectionError):
            await reader.read()
        closed.set()

    async def test(client: WorkerdClient) -> None:
        with pytest.raises(UploadBrokenError) as raised:
            await client.send_stream(POST, source(), chunked=True)
        assert str(raised.value.__cause__) == "the client went away"
        await closed.wait()

    with_server(tmp_path, serve, test)


def test_idle_connections_are_closed_before_workerd_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.hosts.workerd.client.IDLE_SECONDS", 0.01)
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert await reader.read() == b""
        closed.set()

    async def test(client: WorkerdClient) -> None:
        await client.send(GET)
        await closed.wait()

    with_server(tmp_path, serve, test)


def test_nobody_listening_is_a_lost_connection(tmp_path: Path) -> None:
    with pytest.raises(ConnectionLostError, match="workerd cannot be reached"):
        asyncio.run(WorkerdClient(tmp_path / "none").send(GET))
