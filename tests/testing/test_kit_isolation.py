"""Emulators share nothing, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import importlib
import linecache
import logging
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from emulator.base.errors import EmulatorError
from emulator.base.failure import is_own
from emulator.testing import Emulator
from tests.testing.kit_workers import ACKS, SENDS, worker

TALKS = """
async def fetch(self, request):
    import logging, sys
    print("hello from", self.env.NAME)
    print("half a line", end="")
    await asyncio.to_thread(print, "from a thread of", self.env.NAME)
    print("trouble", file=sys.stderr)
    logging.getLogger("shop").warning("careful")
    return Response("ok")
"""


@pytest.fixture(autouse=True)
def own_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests leave in the system's, while they run, is none of this one's business."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def state() -> dict[str, Any]:
    """What the process has that an emulator may have changed."""
    return {
        "streams": (sys.stdout, sys.stderr, logging.lastResort),
        "handlers": list(logging.root.handlers),
        "level": logging.root.level,
        "finders": list(sys.meta_path),
        "import": importlib.import_module,
        "modules": {name for name in sys.modules if "@" in name},
        "lines": {name for name in linecache.cache if not is_own(name)},  # its own may be read for a report
        "files": len(list(Path("/dev/fd").iterdir())),
        "directories": {each.name for each in Path(tempfile.gettempdir()).glob("emulator-*")},
    }


@contextmanager
def nothing_is_left() -> Iterator[None]:
    before, threads = state(), set(threading.enumerate())
    yield
    gc.collect()
    assert state() == before
    assert set(threading.enumerate()) <= threads


def warm_up() -> None:
    with Emulator(**worker(SENDS, ACKS)) as emulator:
        emulator.post("/", json="x")


def test_nothing_is_left_behind_when_it_closes() -> None:
    warm_up()
    logs = """
    import logging
    logging.basicConfig(level=logging.DEBUG)
    logging.getLogger("x").addHandler(logging.NullHandler())
    """
    with nothing_is_left():
        with Emulator(**worker(TALKS, more=logs), vars={"NAME": "a"}) as emulator:
            emulator.get("/")
        assert logging.getLogger("x").handlers == []


def test_nothing_is_left_behind_when_work_is_under_way() -> None:
    warm_up()
    queue = """
    async def queue(self, batch, env, ctx):
        self.ctx.waitUntil(asyncio.sleep(50))
        await asyncio.sleep(100)
    """
    fetch = """
    async def fetch(self, request):
        self.ctx.waitUntil(stubborn())
        asyncio.get_running_loop().call_later(100, print)
        return Response("ok")
    """
    stubborn = """
    async def stubborn():
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0.5)
            print("cleaned up")
    """
    with nothing_is_left():
        with Emulator(**worker(queue, fetch, more=stubborn)) as emulator:
            emulator.queue("jobs").send("x")
            emulator.get("/")
            emulator.advance(seconds=10)
            emulator.queue("jobs").fail_next()
        assert "cleaned up" in emulator.timeline


@pytest.mark.parametrize(
    "arguments",
    [
        {"config": "no/such/wrangler.jsonc"},
        {"main": "no/such/entry.py"},
        {"main": "import nothing_of_this_name\n"},
        {"main": "raise SystemExit(1)\n"},
        {"main": "async def fetch(:\n"},
        {"main": "x = 1\n"},
        {"main": "\n", "queues": {"consumers": [{"queue": "jobs", "max_batch_size": 1000}]}},
        {"main": "\n", "settings": {"vars": {"x": object()}}},
        {"main": "import asyncio, logging\nlogging.basicConfig()\nraise ValueError\n"},
    ],
)
def test_nothing_is_left_behind_when_it_does_not_open(arguments: dict[str, Any]) -> None:
    warm_up()
    with nothing_is_left():
        emulator = Emulator(**arguments)
        with pytest.raises(EmulatorError), emulator:
            pass
        with pytest.raises(EmulatorError, match="not open"):
            emulator.advance()


def test_what_a_worker_prints_is_in_the_timeline_and_reaches_the_test(capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator(**worker(TALKS), vars={"NAME": "a"}) as emulator:
        print("from the test")
        emulator.get("/")
        captured = capsys.readouterr()
        assert captured.out == "from the test\nhello from a\nhalf a linefrom a thread of a\n"
        assert captured.err == "trouble\n"
        for text in ("hello from a", "half a line", "from a thread of a", "trouble", "careful"):
            assert text in emulator.timeline
        assert "from the test" not in emulator.timeline


def test_what_a_worker_logs_reaches_caplog_once(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with Emulator(**worker(TALKS), vars={"NAME": "a"}) as emulator:
        emulator.get("/")
    assert [record.message for record in caplog.records if record.name == "shop"] == ["careful"]
    assert "careful" not in capsys.readouterr().err


def test_a_worker_that_configures_logging_is_seen_as_it_configured_it(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = """
    async def fetch(self, request):
        logging.info("received")
        logging.debug("too much")
        return Response("ok")
    """
    configures = """
    import logging, logging.config
    logging.config.dictConfig({
        "version": 1,
        "formatters": {"plain": {"format": "%(levelname)s: %(message)s"}},
        "handlers": {"stream": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"level": "INFO", "handlers": ["stream"]},
    })
    """
    before = list(logging.root.handlers)
    somebodys = logging.getLogger("somebody's")
    with Emulator(**worker(logs, more=configures)) as emulator:
        assert not somebodys.disabled
        emulator.get("/")
        assert "INFO: received" in emulator.timeline
        assert "too much" not in emulator.timeline
        assert capsys.readouterr().err == "INFO: received\n"
        assert "received" in caplog.messages
    assert logging.root.handlers == before


@pytest.fixture
def opened_before() -> Iterator[Emulator]:
    with Emulator(**worker(TALKS), vars={"NAME": "a"}) as emulator:
        yield emulator


def test_it_does_so_when_a_fixture_has_opened_it(opened_before: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    opened_before.get("/")
    assert "hello from a\n" in capsys.readouterr().out
    assert "hello from a" in opened_before.timeline


def test_the_output_of_each_worker_goes_to_its_own_emulator() -> None:
    before = (sys.stdout, sys.stderr, logging.lastResort)
    first = Emulator(**worker(TALKS), vars={"NAME": "first"})
    second = Emulator(**worker(TALKS), vars={"NAME": "second"})
    first.__enter__()
    second.__enter__()
    first.get("/")
    second.get("/")
    first.get("/")
    first.close()
    second.get("/")
    second.close()
    assert (sys.stdout, sys.stderr, logging.lastResort) == before
    assert "second" not in first.timeline
    assert "first" not in second.timeline
    assert first.timeline.count("hello from first") == 2
    assert second.timeline.count("from a thread of second") == 2


def test_two_emulators_of_one_worker_share_no_module_queue_or_time() -> None:
    counts = "async def fetch(self, request):\n    events.append(1)\n    return Response.json(events)"
    with Emulator(**worker(counts, ACKS)) as first, Emulator(**worker(counts, ACKS)) as second:
        assert first.get("/").json() == [1]
        assert first.get("/").json() == [1, 1]
        assert second.get("/").json() == [1]
        first.queue("jobs").send("x")
        first.advance(seconds=5)
        assert second.queue("jobs").messages == []
        assert second.now < first.now
        assert second.deliveries == ()


def test_emulators_can_run_on_threads_at_the_same_time() -> None:
    timelines: dict[str, str] = {}

    def run(name: str) -> None:
        with Emulator(**worker(TALKS), vars={"NAME": name}) as emulator:
            for _ in range(10):
                emulator.get("/")
            timelines[name] = emulator.timeline

    before = (sys.stdout, sys.stderr)
    threads = [threading.Thread(target=run, args=(name,)) for name in ("red", "blue")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sys.stdout, sys.stderr) == before
    assert timelines["red"].count("hello from red") == timelines["blue"].count("hello from blue") == 10
    assert "blue" not in timelines["red"]


def test_one_emulator_can_be_opened_again_and_begins_anew() -> None:
    emulator = Emulator(**worker(SENDS, ACKS))
    for _ in range(2):
        with emulator:
            emulator.post("/", json="x")
            assert len(emulator.queue("jobs").messages) == 1
            with pytest.raises(EmulatorError, match="already open"):
                emulator.__enter__()


def test_no_loop_is_left_running_or_set() -> None:
    with Emulator(**worker(SENDS, ACKS)) as emulator:
        emulator.post("/", json="x")
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
    with suppress(EmulatorError):
        emulator.advance()
