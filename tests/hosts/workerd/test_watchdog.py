"""Which processes count as stuck, and what is done about them; against a process that is a few lines long."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from emulator.hosts.triggers import ScheduledTrigger, Trigger
from emulator.hosts.workerd import watchdog
from emulator.hosts.workerd.watchdog import ProcessWatchdog


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watchdog, "BLOCKED_SECONDS", 0.0)
    monkeypatch.setattr(watchdog, "_POLL_SECONDS", 0.001)


class Process:
    """Answers unless it is stuck. Each look at its CPU time costs it 10 ms."""

    def __init__(self, *, is_stuck: bool = False, cpu_ms: int = 50) -> None:
        self.active: set[Trigger[Any]] = set()
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        if not is_stuck:
            self.answers.set()
        self.warned = asyncio.Event()
        self.warnings: list[str] = []
        self.ended = asyncio.Queue[Collection[Trigger[Any]]]()
        self._cpu = 0.0
        self.watchdog = ProcessWatchdog(self, cpu_ms, self._warn, self.ended.put_nowait)

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self.warned.set()

    async def ask(self) -> None:
        self.asked.set()
        await self.answers.wait()

    def cpu_seconds(self) -> float:
        self._cpu += 0.01
        return self._cpu

    def begin(self, cron: str) -> Trigger[Any]:
        trigger = ScheduledTrigger(cron, 0)
        self.active.add(trigger)
        if not self.watchdog.is_on:
            self.watchdog.start()
        return trigger


async def test_what_does_not_answer_is_named_once_and_ended_at_its_limit() -> None:
    process = Process(is_stuck=True)
    stuck = process.begin("* * * * *")
    assert await asyncio.wait_for(process.ended.get(), 10) == {stuck}
    assert process.warnings == [
        "has computed for more than 0 s without a pause, and nothing else of it runs meanwhile: SCHEDULED * * * * *"
    ]
    process.watchdog.stop()


async def test_what_began_after_the_process_was_asked_is_no_suspect() -> None:
    process = Process(is_stuck=True)
    stuck = process.begin("* * * * *")
    await asyncio.wait_for(process.asked.wait(), 10)
    process.begin("0 * * * *")
    assert await asyncio.wait_for(process.ended.get(), 10) == {stuck}
    process.watchdog.stop()


async def test_a_handler_that_waits_for_long_is_left_alone() -> None:
    process = Process(cpu_ms=20)
    process.begin("* * * * *")
    for _ in range(5):
        process.asked.clear()
        await asyncio.wait_for(process.asked.wait(), 10)
    assert process.ended.empty()
    assert process.warnings == []
    process.watchdog.stop()


async def test_a_process_that_answers_after_a_while_is_named_and_lives_on() -> None:
    process = Process(is_stuck=True, cpu_ms=1_000_000)
    process.begin("* * * * *")
    async with asyncio.timeout(10):
        await process.warned.wait()
        process.asked.clear()
        process.answers.set()
        await process.asked.wait()
    assert process.ended.empty()
    process.watchdog.stop()


async def test_many_suspects_are_named_in_short() -> None:
    process = Process(is_stuck=True)
    for minute in range(5):
        process.begin(f"{minute} * * * *")
    await asyncio.wait_for(process.ended.get(), 10)
    [text] = process.warnings
    assert text.endswith("one of SCHEDULED 0 * * * *, SCHEDULED 1 * * * *, SCHEDULED 2 * * * * and 2 others")
    process.watchdog.stop()


async def test_what_has_ended_by_the_next_look_is_not_asked_about() -> None:
    process = Process()
    process.begin("* * * * *")
    process.active.clear()
    loop = asyncio.get_running_loop()
    looked = loop.create_future()
    loop.call_later(0.02, looked.set_result, None)  # after the look, which is due before
    await looked
    assert not process.watchdog.is_on
    assert not process.asked.is_set()
    process.begin("* * * * *")
    await asyncio.wait_for(process.asked.wait(), 10)
    process.watchdog.stop()
