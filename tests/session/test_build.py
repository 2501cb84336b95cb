"""`build.command`: it runs before the code is loaded, and again when what it watches changes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from emulator.base.bus import Bus
from emulator.config.model import Build, WorkerConfig
from emulator.hosts.events import WorkerOutput
from emulator.hosts.host import NotLoaded
from emulator.session.events import WorkerReloaded
from emulator.session.session import Session
from emulator.session.watch import Watcher
from emulator_runtime.workers.request import Request
from tests.hosts.support import fetch
from tests.support.configs import make_config
from tests.support.node_tools import needs_node

CODE = 'from workers import Response\\nasync def on_fetch(request):\\n    return Response("{}")\\n'


class Built:
    """A session of a worker whose code a command makes of `src/version.txt`."""

    def __init__(self, directory: Path, command: str) -> None:
        self.directory = directory
        self.version = directory / "src/version.txt"
        self.version.parent.mkdir()
        self.version.write_text("1")
        self.output: list[str] = []
        self.reloads: list[WorkerReloaded] = []
        bus = Bus()
        bus.subscribe(WorkerOutput, lambda event: self.output.append(f"{event.trigger}: {event.text}"))
        bus.subscribe(WorkerReloaded, self.reloads.append)
        self.config = self.configured(command)
        self.session = Session([self.config], bus)

    def configured(self, command: str) -> WorkerConfig:
        build = Build(command, self.directory, (self.directory / "src",))
        return make_config("app", self.directory / "wrangler.jsonc", self.directory / "out/entry.py", build=build)


COMMAND = f"mkdir -p out && printf '{CODE}' > out/entry.py && echo built $(cat src/version.txt) for $WRANGLER_COMMAND"


async def test_the_command_makes_the_code_that_is_loaded(tmp_path: Path) -> None:
    built = Built(tmp_path, COMMAND)
    await built.session.load()
    assert built.session.hosts[0].failure is None
    built.version.write_text("2")
    await built.session.reload(0)
    await built.session.stop(0.0)
    running = f"build: Running: {COMMAND}"
    assert built.output == [running, "build: built 1 for dev", running, "build: built 2 for dev"]


async def test_a_line_may_be_long_and_the_last_one_unfinished(tmp_path: Path) -> None:
    built = Built(tmp_path, "head -c 200000 /dev/zero | tr '\\0' x; echo; printf 'line\\n\\nend'; exit 1")
    await built.session.load()
    await built.session.stop(0.0)
    lines = [line.removeprefix("build: ") for line in built.output[1:]]
    assert lines[-3:] == ["line", "", "end"]
    assert "".join(lines[:-3]) == "x" * 200_000


async def test_a_command_that_fails_is_a_failure_to_load_with_what_it_has_written(tmp_path: Path) -> None:
    built = Built(tmp_path, "echo to stdout; echo to stderr >&2; exit 3")
    await built.session.load()
    failure = built.session.hosts[0].failure
    assert failure is not None
    assert failure.message == "build.command ended with status 3: echo to stdout; echo to stderr >&2; exit 3"
    assert failure.text.endswith("to stdout\nto stderr")
    built.session.configs[0] = built.configured(COMMAND)
    await built.session.reload(0)
    assert built.session.hosts[0].failure is None
    assert built.reloads[-1].failure is None
    await built.session.stop(0.0)


@needs_node
@pytest.mark.usefixtures("javascript")
async def test_a_javascript_worker_whose_code_could_not_be_made_waits_for_it(tmp_path: Path) -> None:
    code = "addEventListener('fetch', (event) => event.respondWith(new Response('made')));"
    build = Build(f'test -f ready && echo "{code}" > index.js', tmp_path, (tmp_path / "src",))
    config = make_config("app", tmp_path / "wrangler.jsonc", tmp_path / "index.js", build=build)
    session = Session([config], Bus())
    await session.load()
    with pytest.raises(NotLoaded, match=r"build\.command ended with status 1"):
        await fetch(session.hosts[0], Request("http://localhost/"))
    (tmp_path / "ready").touch()
    await session.reload(0)
    assert await (await fetch(session.hosts[0], Request("http://localhost/"))).text() == "made"
    await session.stop(5.0)


async def test_code_that_the_command_does_not_make_is_missed(tmp_path: Path) -> None:
    built = Built(tmp_path, "true")
    await built.session.load()
    failure = built.session.hosts[0].failure
    assert failure is not None
    assert failure.message.startswith("build.command has run, but there is no ")
    assert "out/entry.py" in failure.message
    await built.session.stop(0.0)


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    built = Built(tmp_path, "true")
    config = make_config(
        "app", tmp_path / "wrangler.jsonc", tmp_path / "entry.py", build=Build("true", tmp_path / "gone", ())
    )
    built.session = Session([config], Bus())
    await built.session.load()
    failure = built.session.hosts[0].failure
    assert failure is not None
    assert "build.command cannot be run in" in failure.message
    await built.session.stop(0.0)


async def test_a_command_that_nobody_waits_for_any_more_ends(tmp_path: Path) -> None:
    built = Built(tmp_path, "echo started; exec sleep 1000")
    started = asyncio.Event()

    def note(event: WorkerOutput) -> None:
        if event.text == "started":
            started.set()

    built.session.bus.subscribe(WorkerOutput, note)
    loading = asyncio.create_task(built.session.load())
    await asyncio.wait_for(started.wait(), 10)
    loading.cancel()
    await asyncio.wait({loading}, timeout=10)
    assert loading.cancelled()
    await built.session.stop(0.0)


async def test_what_the_command_watches_is_what_is_watched(tmp_path: Path) -> None:
    built = Built(tmp_path, COMMAND)
    await built.session.load()
    watcher = Watcher(lambda: [built.config], files=built.session.files_of)
    changes = watcher.changes()
    (tmp_path / "out/entry.py").write_text("by the command")
    (tmp_path / "out/other.py").write_text("not watched")
    built.version.write_text("2")
    assert [change.files for change in await asyncio.wait_for(anext(changes), 10)] == [[built.version]]
    await changes.aclose()
    await built.session.stop(0.0)
