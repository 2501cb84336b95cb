"""When the crons of a session run, on a clock that the tests move."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emulator.base.bus import Bus, Notice
from emulator.base.clock import VirtualClock
from emulator.config.model import WorkerConfig
from emulator.hosts.events import ScheduledFinished
from emulator.session.session import Session
from tests.support.configs import load_config

START = datetime(2027, 1, 15, 8, 0, 30, tzinfo=UTC).timestamp()

WORKER = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def scheduled(self, controller, env, ctx):
        print(controller.cron, int(controller.scheduledTime))
        if controller.cron == "*/2 * * * *":
            raise ValueError("no")
"""


class Ran:
    """A session with one worker, and what its crons did: the text that they printed, and notices."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys
        self.clock = VirtualClock(START)
        self.bus = Bus()
        self.outcomes: list[str] = []
        self.notices: list[str] = []
        self.bus.subscribe(ScheduledFinished, lambda event: self.outcomes.append(event.outcome))
        self.bus.subscribe(Notice, lambda event: self.notices.append(event.text))

    def printed(self) -> list[str]:
        """The lines that the handler printed since the last call."""
        return self._capsys.readouterr().out.splitlines()

    async def open(self, *crons: str, code: str = WORKER, longest_wait: float = float("inf")) -> Session:
        (self.directory / "entry.py").write_text(code)
        self.session = Session([self.configure(*crons)], self.bus, clock=self.clock)
        await self.session.load()
        self.session.run_crons(longest_wait)
        return self.session

    def configure(self, *crons: str) -> WorkerConfig:
        configuration = {
            "name": "shop",
            "main": "entry.py",
            "compatibility_date": "2026-11-01",
            "compatibility_flags": ["python_workers"],
            "triggers": {"crons": crons},
        }
        (self.directory / "wrangler.jsonc").write_text(json.dumps(configuration))
        return load_config(self.directory / "wrangler.jsonc")

    async def until(self, clock: str) -> None:
        """Move time to `08:05`, say, and let everything run that is due on the way."""
        hour, minute = map(int, clock.split(":"))
        when = datetime(2027, 1, 15, hour, minute, tzinfo=UTC).timestamp()
        while (due := self.clock.next_timer()) is not None and due <= when:
            if due > self.clock.now():
                self.clock.move_to(due)
            self.clock.run_due()
            for _ in range(5):
                await asyncio.sleep(0)
        self.clock.move_to(when)


@pytest.fixture
async def ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Ran]:
    ran = Ran(tmp_path, capsys)
    yield ran
    await ran.session.stop(0)


def ms(minute: int) -> int:
    return int(datetime(2027, 1, 15, 8, minute, tzinfo=UTC).timestamp() * 1000)


async def test_a_cron_runs_each_time_it_is_due_with_the_time_at_which_it_was(ran: Ran) -> None:
    await ran.open("*/5 * * * *")
    await ran.until("08:11")
    assert ran.printed() == [f"*/5 * * * * {ms(5)}", f"*/5 * * * * {ms(10)}"]
    assert ran.outcomes == ["ok", "ok"]


async def test_two_crons_at_one_minute_both_run_and_a_failure_changes_nothing(ran: Ran) -> None:
    await ran.open("*/2 * * * *", "*/4 * * * *")
    await ran.until("08:05")
    assert sorted(ran.printed()) == sorted(
        [f"*/2 * * * * {ms(2)}", f"*/2 * * * * {ms(4)}", f"*/4 * * * * {ms(4)}"],
    )
    assert sorted(ran.outcomes) == ["exception", "exception", "ok"]


async def test_what_was_missed_while_the_machine_slept_does_not_come_in_a_flood(ran: Ran) -> None:
    await ran.open("* * * * *", longest_wait=30.0)
    await ran.until("08:01")
    ran.clock._now += 3 * 3600
    await ran.until("11:03")
    assert len(ran.printed()) == 1 + 2


async def test_a_changed_configuration_changes_what_is_due(ran: Ran) -> None:
    session = await ran.open()
    assert session.crons is None
    await session.reconfigure(0, ran.configure("*/3 * * * *"))
    await ran.until("08:04")
    await session.reconfigure(0, ran.configure("*/7 * * * *"))
    await ran.until("08:08")
    assert ran.printed() == [f"*/3 * * * * {ms(3)}", f"*/7 * * * * {ms(7)}"]


async def test_a_worker_without_the_handler_and_one_that_does_not_load_are_told_of(ran: Ran) -> None:
    await ran.open(
        "* * * * *", code="from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint):\n    pass\n"
    )
    await ran.until("08:01")
    assert any("cron * * * * * was due, but did not run" in text for text in ran.notices)
    (ran.directory / "entry.py").write_text("import nothing_of_that_name")
    await ran.session.reload(0)
    await ran.until("08:02")
    assert ran.notices[-1] == "cron * * * * * was due, but did not run: its code failed to load"


async def test_a_cron_that_is_never_due_waits_for_nothing(ran: Ran) -> None:
    session = await ran.open("0 0 30 2 *")
    assert session.crons is not None
    assert session.crons.timer is None


async def test_nothing_runs_after_the_stop(ran: Ran) -> None:
    session = await ran.open("* * * * *")
    await session.stop(0)
    await ran.until("08:05")
    assert ran.printed() == []
