"""Crons in virtual time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from emulator.base.errors import EmulatorError
from emulator.testing import Emulator
from tests.testing.kit_workers import worker

SCHEDULED = """\
async def scheduled(self, controller, env, ctx):
    print(controller.cron, int(controller.scheduledTime))
    await self.env.JOBS.send(controller.cron)
"""
CONSUMES = "async def queue(self, batch, env, ctx):\n    print([message.body for message in batch.messages])"
HANGS = "async def fetch(self, request):\n    await asyncio.Event().wait()"


def ran(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_time_that_passes_over_a_cron_runs_it(capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator(**worker(SCHEDULED, CONSUMES), settings={"triggers": {"crons": ["*/10 * * * *"]}}) as emulator:
        begun = emulator.now
        emulator.advance(seconds=3600)
        lines = ran(capsys)
    due = [int((begun + timedelta(minutes=10 * count)).timestamp() * 1000) for count in range(1, 7)]
    assert lines[::2] == [f"*/10 * * * * {each}" for each in due]
    assert lines[1::2] == ["['*/10 * * * *']"] * 5, "each message is delivered before the next cron is due"


def test_idle_means_that_no_cron_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator(**worker(SCHEDULED, CONSUMES), settings={"triggers": {"crons": ["*/10 * * * *"]}}) as emulator:
        begun = emulator.now
        emulator.run_until_idle()
        assert emulator.now == begun
        emulator.queue("jobs").send("late", delay_seconds=700)
        emulator.run_until_idle()
        assert ran(capsys)[0].startswith("*/10 * * * *"), "it was due before the message"


def test_a_request_that_waits_for_nothing_is_still_found_out() -> None:
    emulator = Emulator(**worker(HANGS, SCHEDULED, CONSUMES), settings={"triggers": {"crons": ["* * * * *"]}})
    with emulator, pytest.raises(EmulatorError, match="waits for something that can never happen"):
        emulator.get("/")


def test_without_crons_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator(
        **worker(SCHEDULED, CONSUMES), settings={"triggers": {"crons": ["* * * * *"]}}, crons=False
    ) as emulator:
        emulator.advance(seconds=3600)
        assert ran(capsys) == []
