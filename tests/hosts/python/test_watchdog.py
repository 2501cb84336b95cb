from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from emulator.base.bus import Bus
from emulator.config.model import WorkerConfig
from emulator.hosts.host import HandlerError, NotLoaded
from emulator.hosts.python.host import PythonHost
from emulator.hosts.python.watchdog import Watchdog, held_seconds
from emulator.queues.message import Backlog, QueueMessage, WorkerDelivery
from emulator_runtime.workers.request import Request
from tests.hosts.support import deliver, fetch

if TYPE_CHECKING:
    from tests.hosts.python.support import WriteFiles


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

WORKER = """\
import asyncio, re, time
from workers import Response

def spin(seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

def keeps_trying():
    while True:
        try:
            spin()
        except Exception:
            pass

async def in_task():
    spin()

async def on_fetch(request):
    what = request.url.rpartition("/")[2]
    if what == "sleep":
        time.sleep(0.3)
    elif what == "spin":
        keeps_trying()
    elif what == "task":
        await asyncio.create_task(in_task())
    elif what == "re":
        re.match(r"(a+)+$", "a" * 60 + "b")
    elif what == "pow":
        pow(10**7, 10**8)
    elif what == "short":
        for _ in range(10):
            spin(0.02)
            await asyncio.sleep(0)
    return Response("ok")

async def on_queue(batch):
    batch.messages[0].ack()
    spin()
"""


class Watched:
    """A host with a watchdog, and what it reported."""

    def __init__(self, write: WriteFiles, cpu_ms: int) -> None:
        root = write({"entry.py": WORKER})
        config = WorkerConfig("sign-up", root / "wrangler.jsonc", root / "entry.py", cpu_ms=cpu_ms)
        self.host = PythonHost(config, make_env=lambda _: None, outbound=_no_way_out, bus=Bus())
        self.reports: list[tuple[str, str]] = []

    def run(self, loop: str, *paths: str) -> list[str]:
        """What the answers to requests for `paths` are, one after the other; an error where there is none."""

        async def main() -> list[str]:
            watchdog = Watchdog(asyncio.get_running_loop(), self._report, blocked_after_seconds=0.08)
            watchdog.start()
            try:
                await self.host.start()
                return [await self._answer(path) for path in paths]
            finally:
                watchdog.stop()
                await self.host.stop(0)

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            return runner.run(main())

    async def _answer(self, path: str) -> str:
        if path == "queue":
            message = QueueMessage("0" * 32, b"1", "json", 1.0, 1.0, 1.0)
            result = await deliver(self.host, WorkerDelivery("q", [message], Backlog(1, 1, None)))
            return f"{result.outcome} {len(result.explicit_acks)}"
        try:
            return await (await fetch(self.host, Request(f"http://localhost/{path}"))).text()
        except HandlerError as error:
            return error.failure.summary

    def _report(self, text: str, worker: str) -> None:
        self.reports.append((worker, text))


async def _no_way_out(_request: Any) -> Any:
    raise AssertionError


@pytest.mark.parametrize("loop", LOOPS)
def test_a_handler_that_blocks_is_reported_once_with_its_place(write: WriteFiles, loop: str) -> None:
    watched = Watched(write, cpu_ms=30_000)
    assert watched.run(loop, "sleep", "sleep", "x") == ["ok", "ok", "ok"]
    [(worker, text)] = watched.reports
    assert worker == "sign-up"
    assert "entry.py:22 in on_fetch\n    time.sleep(0.3)" in text


@pytest.mark.parametrize("loop", LOOPS)
def test_a_handler_that_spins_past_its_limit_is_stopped_and_the_rest_lives_on(write: WriteFiles, loop: str) -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    limit = "CpuLimitExceeded: the handler used more than 100 ms of CPU time without a pause (limits.cpu_ms)"
    answers = Watched(write, cpu_ms=100).run(loop, "spin", "x", "queue", "task", "x")
    assert answers == [limit, "ok", "exceeded_cpu 1", limit, "ok"]
    assert signal.getsignal(signal.SIGVTALRM) is before


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("path", "line"), [("re", "entry.py:28 in on_fetch"), ("pow", "entry.py:30 in on_fetch")])
def test_code_that_does_not_let_go_of_pythons_lock_is_named_and_stopped(
    write: WriteFiles, loop: str, path: str, line: str
) -> None:
    watched = Watched(write, cpu_ms=300)
    limit = "CpuLimitExceeded: the handler used more than 300 ms of CPU time without a pause (limits.cpu_ms)"
    assert watched.run(loop, path, "x") == [limit, "ok"]
    [(worker, text)] = watched.reports
    assert worker == "sign-up"
    assert line in text


def test_an_import_that_spins_is_named_and_stopped(write: WriteFiles) -> None:
    watched = Watched(write, cpu_ms=300)
    source = watched.host.config.main
    source.write_text(source.read_text() + "\nspin()\n")
    with pytest.raises(NotLoaded, match="CpuLimitExceeded: the handler used more than 300 ms") as caught:
        watched.run("asyncio", "x")
    assert "in spin" in caught.value.failure.text
    # Once, by whichever of the two ways was first. On a busy machine a line before the one that spins may be reported.
    assert [worker for worker, text in watched.reports if "entry.py" in text] == ["sign-up"]


def test_code_that_spins_is_reported_once_although_its_line_changes(write: WriteFiles) -> None:
    watched = Watched(write, cpu_ms=900)
    source = watched.host.config.main
    source.write_text(source.read_text().replace("        pass\n\n", "        sum(range(9_000))\n" * 20 + "\n", 1))
    watched.run("asyncio", "spin")
    assert len(watched.reports) == 1


def test_time_that_passes_asleep_or_in_pieces_is_not_cpu_time_in_one_go(write: WriteFiles) -> None:
    assert Watched(write, cpu_ms=100).run("asyncio", "sleep", "short") == ["ok", "ok"]


def test_a_loop_on_another_thread_is_watched_too(write: WriteFiles) -> None:
    watched = Watched(write, cpu_ms=100)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.extend(watched.run("asyncio", "spin", "queue", "x")))
    thread.start()
    thread.join(20)
    assert [answer.split(":")[0] for answer in answers] == ["CpuLimitExceeded", "exceeded_cpu 1", "ok"]
    assert len({text for _, text in watched.reports}) >= 1


async def test_code_that_is_not_a_workers_is_left_alone(write: WriteFiles) -> None:
    reports: list[str] = []
    watchdog = Watchdog(asyncio.get_running_loop(), lambda text, _: reports.append(text), blocked_after_seconds=0.02)
    watchdog.start()
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        pass
    watchdog.stop()
    watchdog.stop()
    assert reports == []


def test_time_at_a_debuggers_prompt_is_not_the_workers(write: WriteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(write, cpu_ms=100)
    release = threading.Event()

    class Person:
        """Types `c` at the prompt, but takes a while, in which the debugger computes."""

        def readline(self) -> str:
            release.wait(0.2)
            end = time.thread_time() + 0.2
            while time.thread_time() < end:
                pass
            return "c\n"

    held = held_seconds()

    monkeypatch.setattr(sys, "stdin", Person())
    source = watched.host.config.main
    source.write_text(source.read_text().replace("time.sleep(0.3)", "import pdb; pdb.Pdb(nosigint=True).set_trace()"))
    assert watched.run("asyncio", "sleep") == ["ok"]
    assert watched.reports == []
    assert held_seconds() - held >= 0.3
