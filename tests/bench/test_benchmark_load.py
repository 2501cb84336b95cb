"""The load generator: what it counts, and that trouble is never taken for a rate."""

from __future__ import annotations

import asyncio
import shutil
import socket

import pytest

from bench.load import CONNECTIONS, Outcome, generate, requests_per_second
from bench.sides import BenchError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FAILED = b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno"


async def load_on_a_server_that_answers(*answers: bytes) -> tuple[Outcome, int]:
    """Each connection is given these answers in turn, then closed. Also says how many requests the server saw."""
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        for answer in answers:
            request = await reader.readuntil(b"\r\n\r\n")
            assert request.startswith(b"GET /ok HTTP/1.1\r\n")
            requests += 1
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        outcome = await generate(f"http://127.0.0.1:{port}/ok", 0.1)
    return outcome, requests


async def test_each_connection_asks_again_when_it_is_answered() -> None:
    outcome, requests = await load_on_a_server_that_answers(OK, OK, OK)
    assert outcome.answers == requests == 3 * CONNECTIONS
    assert outcome.failures == 0


async def test_an_answer_that_is_no_success_is_counted_as_a_failure() -> None:
    outcome, _ = await load_on_a_server_that_answers(OK, FAILED)
    assert outcome.failures == CONNECTIONS
    assert "Non-2xx" in str(outcome)


async def test_a_closed_connection_is_noticed() -> None:
    outcome, _ = await load_on_a_server_that_answers(OK)
    assert outcome.lost == CONNECTIONS
    assert "Socket errors" in str(outcome)


@pytest.mark.parametrize("program", ["wrk", "ours"])
def test_a_load_that_nobody_answers_is_an_error_and_not_a_rate(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if program == "ours":
        monkeypatch.setattr(shutil, "which", lambda _: None)
    elif shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(BenchError, match="did not go through"):
        requests_per_second(f"http://127.0.0.1:{port}/ok", 1)
