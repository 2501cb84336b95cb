"""When the crons of a session run, on a clock that the tests move."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emulator.base.bus import Bus, Notice
from emulator.base.clock import Timer, VirtualClock
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


class ShownClock:
    """The clock of a machine: what it shows can be changed, and timers run on regardless."""

    def __init__(self, real: VirtualClock) -> None:
        self._real = real
        self.offset = 0.0

    def now(self) -> float:
        return self._real.now() + self.offset

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        return self._real.call_at(when - self.offset, callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._real.call_soon(callback)


class Ran:
    """A session with one worker, and what its crons did: the text that they printed, and notices."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys
        self.clock = VirtualClock(START)
        self.shown = ShownClock(self.clock)
        self.bus = Bus()
        self.outcomes: list[str] = []
        self.notices: list[str] = []
        self.bus.subscribe(ScheduledFinished, lambda event: self.outcomes.append(event.outcome))
        self.bus.subscribe(Notice, lambda event: self.notices.append(event.text))

    def printed(self) -> list[str]:
        """The lines that the handler printed since the last call."""
        return self._capsys.readouterr().out.splitlines()

    async def open(
        self, *crons: str, code: str = WORKER, longest_wait: float = float("inf"), others: Sequence[str] = ()
    ) -> Session:
        (self.directory / "entry.py").write_text(code)
        configs = [self.configure(*crons, name=name) for name in ("shop", *others)]
        self.session = Session(configs, self.bus, clock=self.shown)
        await self.session.load()
        self.session.run_crons(longest_wait)
        return self.session

    def configure(self, *crons: str, name: str = "shop") -> WorkerConfig:
        configuration = {
            "name": name,
            "main": "entry.py",
            "compatibility_date": "2026-11-01",
            "compatibility_flags": ["python_workers"],
            "triggers": {"crons": crons},
        }
        (self.directory / "wrangler.jsonc").write_text(json.dumps(configuration))
        return load_config(self.directory / "wrangler.jsonc")

    async def until(self, clock: str) -> None:
        """Let time pass until a clock that is right shows `08:05`, say, and run everything that is due on the way."""
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
    return int(datetime(2027, 1, 15, 8, tzinfo=UTC).timestamp() + minute * 60) * 1000


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
    ran.shown.offset = 3 * 3600
    await ran.until("08:03")
    assert len(ran.printed()) == 1 + 2
    assert ran.notices == ["crons that were due did not run while this machine slept or was busy: * * * * *"]


@pytest.mark.parametrize(
    ("back_seconds", "until", "minutes"), [(20, "08:03", []), (20, "08:04", [3]), (7200, "08:04", [-117, -116])]
)
async def test_a_clock_that_goes_back_runs_no_minute_twice_unless_it_goes_far(
    ran: Ran, back_seconds: int, until: str, minutes: list[int]
) -> None:
    await ran.open("* * * * *", longest_wait=30.0)
    await ran.until("08:02")
    assert len(ran.printed()) == 2
    ran.shown.offset = -back_seconds
    await ran.until(until)
    assert ran.printed() == [f"* * * * * {ms(minute)}" for minute in minutes]


async def test_workers_run_their_own_crons(ran: Ran) -> None:
    await ran.open("*/2 * * * *", "*/3 * * * *", others=("jobs",))
    await ran.until("08:03")
    assert sorted(ran.printed()) == [f"*/2 * * * * {ms(2)}"] * 2 + [f"*/3 * * * * {ms(3)}"] * 2


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


def test_without_crons_nothing_is_imported_for_them(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from emulator.base.bus import Bus
from emulator.server.control.app import make_control
from emulator.server.serving import ServingOptions
from emulator.session.session import Session

async def main():
    session = Session([ServingOptions().read(Path("wrangler.jsonc"))], Bus())
    await session.load()
    session.run_crons(30.0)
    make_control(session)
    await session.stop(0)

asyncio.run(main())
print([name for name in sys.modules if "cron" in name])
"""
    (tmp_path / "entry.py").write_text(WORKER)
    (tmp_path / "wrangler.jsonc").write_text(
        '{"name": "shop", "main": "entry.py", "compatibility_date": "2026-11-01",'
        ' "compatibility_flags": ["python_workers"]}'
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
