"""Workers under test whose plain functions wait."""

from __future__ import annotations

import ast
import asyncio
import threading

import pytest

from emulator.testing import AsyncEmulator, Emulator
from tests.testing.kit_workers import worker

WAITS = """
def plainly(awaitable):
    from pyodide.ffi import run_sync

    return run_sync(awaitable)
"""

SENDS = """
def fetch(self, request):
    plainly(self.env.JOBS.send(plainly(request.json())))
    return Response(str(events))
"""

SLEEPS = """
async def queue(self, batch, env, ctx):
    plainly(asyncio.sleep(30))
    events.append(batch.messages[0].body)
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_handler_that_waits_follows_virtual_time() -> None:
    with Emulator(**worker(SENDS, SLEEPS, more=WAITS)) as emulator:
        emulator.post("/", json="a")
        assert emulator.advance(seconds=34) == []
        [delivery] = emulator.advance(seconds=1)
        assert (delivery.duration, delivery.outcome) == (30, "ok")
        assert emulator.post("/", json="b").text == "['a']"


async def test_a_handler_that_waits_goes_on_whoever_moves_time() -> None:
    async with AsyncEmulator(**worker(SENDS, SLEEPS, more=WAITS)) as emulator:
        await asyncio.gather(*[emulator.post("/", json=number) for number in range(3)])
        for _ in range(7):
            await asyncio.gather(*[emulator.advance(seconds=5), emulator.post("/", json="x")])
        await emulator.run_until_idle()
        assert len(ast.literal_eval((await emulator.post("/", json="b")).text)) >= 2
    assert "emulator-testing" not in {thread.name.partition("_")[0] for thread in threading.enumerate()}


async def test_a_handler_that_still_waits_at_the_end_is_cancelled() -> None:
    async with AsyncEmulator(**worker(SENDS, SLEEPS, more=WAITS)) as emulator:
        await emulator.queue("jobs").send("x")
        await emulator.advance(seconds=10)
        assert len(emulator.queue("jobs").in_flight) == 1
