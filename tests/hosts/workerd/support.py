"""Where the tests find workerd, and the JavaScript workers that they write."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar

from emulator.base.bus import Bus, Notice
from emulator.bindings.queue.config import Consumer, Producer
from emulator.config.model import WorkerConfig
from emulator.hosts.events import HandlerFailed, RuntimeExited, WorkerOutput
from emulator.hosts.workerd.host import WorkerdHost
from emulator.queues.events import BatchDelivered
from emulator.queues.settings import ConsumerSettings
from emulator.session.session import Session
from tests.support.configs import make_config

T = TypeVar("T")
E = TypeVar("E")

DEADLINE_SECONDS = 20.0


class Workers:
    """A session of JavaScript (and Python) workers that a test writes, and what it published."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bus = Bus()
        self.failed: list[HandlerFailed] = []
        self.notices: list[Notice] = []
        self.exits: list[RuntimeExited] = []
        self.output: list[WorkerOutput] = []
        self.delivered: list[BatchDelivered] = []
        self.configs: list[WorkerConfig] = []
        self.session: Session
        self._news = asyncio.Event()
        for kind, kept in (
            (HandlerFailed, self.failed),
            (Notice, self.notices),
            (RuntimeExited, self.exits),
            (WorkerOutput, self.output),
            (BatchDelivered, self.delivered),
        ):
            self.bus.subscribe(kind, self._keep(kept))

    def _keep(self, kept: list[Any]) -> Callable[[Any], None]:
        def keep(event: Any) -> None:
            kept.append(event)
            self._news.set()

        return keep

    def write(self, source: str, name: str = "app", suffix: str = ".js") -> Path:
        """Write the main module of a worker."""
        main = self.directory / name / f"index{suffix}"
        main.parent.mkdir(exist_ok=True)
        main.write_text(dedent(source), encoding="utf-8")
        return main

    def add(self, source: str, name: str = "app", suffix: str = ".js", **settings: Any) -> WorkerConfig:
        """A worker of the session, in JavaScript unless `suffix` says otherwise."""
        settings.setdefault("compatibility_date", "2026-04-01")
        main = self.write(source, name, suffix)
        config = make_config(name, main.parent / "wrangler.jsonc", main, **settings)
        self.configs.append(config)
        return config

    @property
    def host(self) -> WorkerdHost:
        """The host of the first worker."""
        host = self.session.hosts[0]
        assert isinstance(host, WorkerdHost)
        return host

    @asynccontextmanager
    async def running(self) -> AsyncIterator[WorkerdHost]:
        self.session = Session(self.configs, self.bus)
        await self.session.load()
        try:
            yield self.host
        finally:
            await self.session.stop(5.0)

    def run(self, test: Callable[[WorkerdHost], Coroutine[Any, Any, T]]) -> T:
        """Run `test` with the session loaded, and stop it."""

        async def main() -> T:
            async with self.running() as host:
                return await asyncio.wait_for(test(host), DEADLINE_SECONDS)

        return asyncio.run(main())

    async def until(self, condition: Callable[[], E | None]) -> E:
        """Wait until an event makes `condition` true, and return what it gave."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (value := condition()):
                self._news.clear()
                await self._news.wait()
        return value

    def lines(self) -> list[str]:
        """What worker code has printed."""
        return [event.text for event in self.output]

    async def until_line(self, text: str) -> WorkerOutput:
        """Wait until worker code has printed a line with `text` in it."""
        return await self.until(lambda: next((event for event in self.output if text in event.text), None))


def consumer(queue: str = "jobs", **settings: Any) -> dict[str, Any]:
    """Settings of a worker that sends to a queue as env.QUEUE and consumes it."""
    return {
        "producers": (Producer("QUEUE", queue),),
        "consumers": (Consumer(queue, ConsumerSettings(**{"max_batch_timeout": 0, **settings})),),
    }


def processes_below(pid: int) -> Mapping[int, str]:
    """The processes that `pid` has started and that they have started: process ids and commands."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True).stdout
    rows = [
        (int(own), int(parent), name) for own, parent, name in (line.split(None, 2) for line in listed.splitlines())
    ]
    found: dict[int, str] = {}
    parents = {pid}
    while parents:
        children = {own: name for own, parent, name in rows if parent in parents}
        found |= children
        parents = set(children)
    return found


def workerd_of(pid: int) -> list[int]:
    """The workerd processes that `pid` has started."""
    return [own for own, name in processes_below(pid).items() if "workerd" in name]
