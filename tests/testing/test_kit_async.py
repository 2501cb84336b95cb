"""AsyncEmulator: the same names, awaited."""

from __future__ import annotations

import asyncio
import threading
import traceback
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.base.errors import EmulatorError
from emulator.testing import AsyncEmulator, Emulator
from emulator.testing.outbound import UnmatchedFetchError
from tests.testing.kit_workers import ACKS, FAILS, SENDS, worker

STREAM = """
async def fetch(self, request):
    if request.url.endswith("/events"):
        return Response.json(events)
    return Response(ticks())
"""

TICKS = """
async def ticks():
    try:
        while True:
            yield b"tick"
            await asyncio.sleep(1)
    finally:
        events.append("ended")
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def sign_up() -> None:
    async with AsyncEmulator(**worker(SENDS, FAILS)) as emulator:
        assert isinstance(emulator.client, httpx.AsyncClient)
        response = await emulator.post("/", json={"type": "boom"})
        assert response.json() == {"ok": True}
        jobs = emulator.queue("jobs")
        assert [message.body for message in jobs.messages] == [{"type": "boom"}]
        assert repr(jobs) == "<Queue jobs 1 ready>"
        [delivery] = await emulator.advance(seconds=5)
        assert delivery.error == "ConnectionError: mail server is down"
        await jobs.send("more")
        await jobs.send_batch(["even", "more"], delay_seconds=5)
        await jobs.pause()
        assert await jobs.promote() == 2
        assert await jobs.purge() == 4
        await jobs.resume()
        await jobs.send("boom")
        await emulator.run_until_idle()
        [dead] = emulator.queue("dead-jobs").messages
        assert dead.last_error == "ConnectionError: mail server is down"
        result = await emulator.dispatch_queue("jobs", ["x"])
        assert result.outcome == "exception"
        with pytest.raises(EmulatorError, match="no scheduled handler"):
            await emulator.dispatch_scheduled("*")
        assert (await emulator.dispatch_fetch("/", "POST", json="x")).status_code == 200


def test_it_works_under_asyncio_run_and_leaves_no_thread() -> None:
    before = threading.active_count()
    asyncio.run(sign_up())
    for thread in threading.enumerate():
        if thread.name.startswith("AnyIO"):
            thread.join(5)
    assert threading.active_count() <= before


async def test_it_works_under_anyio() -> None:
    await sign_up()


@pytest.mark.parametrize("method", ["get", "head", "options", "post", "put", "patch", "delete"])
async def test_every_method_has_a_function(method: str) -> None:
    echo = "async def fetch(self, request):\n    return Response('', headers={'x-method': str(request.method)})"
    async with AsyncEmulator(**worker(echo)) as emulator:
        assert (await getattr(emulator, method)("/")).headers["x-method"] == method.upper()
        assert (await emulator.request(method.upper(), "/")).headers["x-method"] == method.upper()


async def test_answers_stream() -> None:
    async with AsyncEmulator(**worker(STREAM, more=TICKS)) as emulator:
        async with emulator.client.stream("GET", "/") as response:
            chunks = response.aiter_bytes()
            assert [await anext(chunks), await anext(chunks)] == [b"tick", b"tick"]
        assert (await emulator.get("/events")).json() == ["ended"]


async def test_what_a_handler_raises_has_the_users_frames_only() -> None:
    raises = "async def fetch(self, request):\n    raise ValueError('no')"
    async with AsyncEmulator(**worker(raises)) as emulator:
        for call in (emulator.get, emulator.client.get):
            with pytest.raises(ValueError, match="no") as info:
                await call("/")
            files = [Path(frame.filename).name for frame in traceback.extract_tb(info.value.__traceback__)]
            assert {*files} - {"emulators.py", "transport.py"} == {"test_kit_async.py", "entry.py"}
            shown = [Path(entry.path).name for entry in info.traceback if not entry.ishidden(info)]
            assert shown == ["test_kit_async.py", "entry.py"]


async def test_a_server_on_the_tests_own_loop_answers_the_worker() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()

    get = "async def fetch(self, request):\n    return Response(await (await fetch(self.env.URL)).text())"
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with AsyncEmulator(**worker(get), vars={"URL": url}) as emulator:
            emulator.outbound.allow()
            assert (await emulator.get("/")).text == "hi"


async def test_calls_at_the_same_time_take_turns() -> None:
    slow = "async def fetch(self, request):\n    await asyncio.sleep(1)\n    return Response(request.url[-1])"
    async with AsyncEmulator(**worker(slow, ACKS)) as emulator:
        answers = await asyncio.gather(*(emulator.get(f"/{number}") for number in range(5)))
        assert [answer.text for answer in answers] == list("01234")


async def test_a_request_without_a_route_fails_the_test() -> None:
    swallows = """
    async def fetch(self, request):
        try:
            await fetch("https://example.com/")
        except AssertionError:
            return Response("fine")
    """
    async with AsyncEmulator(**worker(swallows)) as emulator:
        with pytest.raises(UnmatchedFetchError):
            await emulator.get("/")


async def test_emulator_in_an_async_test_says_what_to_do() -> None:
    with pytest.raises(EmulatorError, match="not async") as info, Emulator(**worker(ACKS)):
        pass
    assert "AsyncEmulator" in info.value.hint


def test_an_emulator_that_was_opened_before_says_so_too() -> None:
    async def use(emulator: Emulator) -> None:
        for call in (emulator.advance, emulator.run_until_idle, lambda: emulator.get("/"), emulator.close):
            with pytest.raises(EmulatorError, match="not async"):
                call()
        emulator.queue("jobs").send("x")
        assert len(emulator.queue("jobs").messages) == 1

    with Emulator(**worker(ACKS)) as emulator:
        asyncio.run(use(emulator))
        assert len(emulator.advance(seconds=5)) == 1


async def test_one_that_is_closed_or_not_open_says_what_to_do() -> None:
    emulator = AsyncEmulator(**worker(ACKS))
    assert repr(emulator) == "<AsyncEmulator not open>"
    with pytest.raises(EmulatorError, match="not open"):
        await emulator.advance()
    async with emulator:
        jobs = emulator.queue("jobs")
    calls: list[Any] = [emulator.advance, lambda: emulator.get("/"), lambda: jobs.send("x"), jobs.pause, jobs.purge]
    for call in calls:
        with pytest.raises(EmulatorError, match="closed"):
            await call()


async def test_a_failure_under_chaos_tells_the_seed() -> None:
    async def fail() -> None:
        async with AsyncEmulator(**worker(ACKS)) as emulator:
            emulator.chaos(seed=11)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as info:
        await fail()
    assert any("seed=11" in note for note in info.value.__notes__)
