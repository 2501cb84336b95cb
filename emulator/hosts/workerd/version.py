"""One version of a JavaScript worker: its process, the connections to it, and its running invocations."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from emulator.base.acts import Act
from emulator.base.failure import Failure
from emulator.bindings.wiring import Wiring, targets
from emulator.config.model import WorkerConfig
from emulator.hosts.triggers import HANDLERS, Trigger, any_of, in_order, with_article
from emulator.hosts.workerd.client import ConnectionLostError, WorkerdClient
from emulator.hosts.workerd.configuration import Sockets, WorkerdSettings, write_configuration
from emulator.hosts.workerd.failures import not_started, simple_failure
from emulator.hosts.workerd.lanes import LANE_HEADER, Lanes
from emulator.hosts.workerd.process import WorkerdProcess, WorkerdStartError
from emulator.hosts.workerd.protocol import HANDLERS_PATH, IDLE_PATH, get_head
from emulator.hosts.workerd.sockets import SocketDirectory
from emulator.hosts.workerd.source import Source
from emulator.hosts.workerd.watchdog import ProcessWatchdog

Wirings = Sequence[tuple[str, Wiring]]
"""The wirings of a worker's bindings, each with its kind."""

STUCK_SECONDS: Final = 5.0
"""How long code that is being replaced may block its process."""

_GET_HANDLERS: Final = get_head(HANDLERS_PATH)
_GET_IDLE: Final = get_head(IDLE_PATH)
_NEWEST_DATE: Final = re.compile(r'newest date supported by this server binary is "(\d{4}-\d\d-\d\d)"')
_newest_dates: Final[dict[Path, str]] = {}
"""The newest compatibility date of each workerd, once it has refused a newer one."""


class Version:
    """A process, the connections to it, and its running invocations.

    `active` holds what it is invoked for, and `last` what ended last: they tell to what a line of output belongs.
    `overspent` is what it was invoked for when one of that used up the CPU time that the worker may have, which was the
    end of the process; empty otherwise.
    `uncaught` are errors that workerd has logged a moment ago, and that may be the reason of a failure yet to be seen.
    """

    __slots__ = (
        "active",
        "cf_header",
        "control",
        "debug",
        "directory",
        "fetches",
        "fetches_on_lanes",
        "handlers",
        "idle",
        "lanes",
        "last",
        "overspent",
        "process",
        "source",
        "started_at",
        "token",
        "uncaught",
        "watchdog",
    )

    def __init__(
        self,
        settings: WorkerdSettings,
        directory: Path,
        on_line: Callable[[Version, Mapping[str, Any]], None],
        on_exit: Callable[[Version], None],
    ) -> None:
        self.process = WorkerdProcess(partial(on_line, self), partial(on_exit, self))
        self.source = settings.source
        self.directory = directory
        self.token = settings.token
        self.cf_header = settings.cf_header.encode()
        self.fetches = WorkerdClient(settings.sockets.fetch)
        self.fetches_on_lanes = [WorkerdClient(path) for path in settings.sockets.lanes]
        self.lanes = settings.lanes
        self.control = WorkerdClient(settings.sockets.control)
        self.debug = settings.sockets.debug
        self.handlers: Sequence[str] = ()
        self.active: set[Trigger[Any]] = set()
        self.last: Trigger[Any] | None = None
        self.uncaught: list[str] = []
        self.overspent: Collection[Trigger[Any]] = ()
        self.watchdog: ProcessWatchdog | None = None
        self.idle: asyncio.Future[None] | None = None
        self.started_at = 0.0

    def trigger(self, lane: int = 0) -> str:
        """The text of the trigger that the latest line of output, from a lane if that is not 0, belongs to; empty if it
        is not known."""
        invoked = None if self.lanes is None else self.lanes.trigger_of(lane)
        if invoked is not None:
            return invoked.text
        if not self.active:
            return "" if self.last is None else self.last.text
        texts = {trigger.text for trigger in self.active}
        return texts.pop() if len(texts) == 1 else ""

    def fetches_for(self, trigger: Trigger[Any]) -> WorkerdClient:
        """The connections for the request of an invocation that has begun."""
        lane = 0 if self.lanes is None else self.lanes.number_of(trigger)
        return self.fetches_on_lanes[lane - 1] if lane else self.fetches

    def headed(self, head: bytes, trigger: Trigger[Any]) -> bytes:
        """The head of a request for an invocation that has begun, with its lane."""
        lane = 0 if self.lanes is None else self.lanes.number_of(trigger)
        return head.replace(b"\r\n", b"\r\n%b: %d\r\n" % (LANE_HEADER.encode(), lane), 1) if lane else head

    def act(self, lane: int) -> Act | None:
        """The act of the invocation on a lane, or where that is 0 of the only one that runs, if it is known."""
        if self.lanes is None:
            return None
        return self.lanes.act_of(lane) if lane else self.lanes.only_act()

    def begin(self, trigger: Trigger[Any]) -> None:
        """Begin an invocation for `trigger`."""
        self.active.add(trigger)
        if self.lanes is not None:
            self.lanes.enter(trigger)
        watchdog = self.watchdog
        if watchdog is not None and not watchdog.is_on:
            watchdog.start()

    def end(self, trigger: Trigger[Any]) -> None:
        """End the invocation. Everything that it wrote has been written by now."""
        self.process.read_output()
        self.active.discard(trigger)
        self.last = trigger
        if self.lanes is not None:
            self.lanes.leave(trigger)
        if not self.active and self.idle is not None and not self.idle.done():
            self.idle.set_result(None)

    async def finish(self) -> bool:
        """Wait until nothing runs any more, including `waitUntil` work, or until it is clear that the code blocks the
        process. Returns whether everything has finished."""
        finishing = asyncio.ensure_future(self._until_idle())
        try:
            while not finishing.done():
                await asyncio.wait((finishing,), timeout=STUCK_SECONDS)
                if not finishing.done() and not await self._responds():
                    return False
            return True
        finally:
            finishing.cancel()

    async def _until_idle(self) -> None:
        while self.active:
            self.idle = asyncio.get_running_loop().create_future()
            await self.idle
        await self.rest()

    async def rest(self) -> None:
        """Wait until no `waitUntil` work runs any more, or the process has ended."""
        with suppress(ConnectionLostError):
            await self.control.send(_GET_IDLE)

    async def ask(self) -> None:
        """Return when the process has answered a question, or has ended."""
        with suppress(ConnectionLostError):
            await self.control.send(_GET_HANDLERS)

    def cpu_seconds(self) -> float:
        """The CPU time that the process has used."""
        return self.process.cpu_seconds()

    async def _responds(self) -> bool:
        try:
            await asyncio.wait_for(self.control.send(_GET_HANDLERS), STUCK_SECONDS)
        except (TimeoutError, ConnectionLostError):
            return False
        return True

    async def end_process(self) -> None:
        """End the process now, even if invocations are running."""
        self.process.read_output()
        await self.process.kill()
        self.forget()

    def forget(self) -> None:
        """Clean up after the process has ended."""
        if self.watchdog is not None:
            self.watchdog.stop()
        for client in (self.fetches, *self.fetches_on_lanes, self.control):
            client.close()
        if self.lanes is not None:
            self.lanes.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Starter:
    """Starts versions of one worker. `on_line` is called with every line that a process writes, `on_exit` when one ends
    by itself, and `warn` with a sentence for the user. With `has_outbound`, `fetch()` goes to a socket instead of the
    network; with `has_inspector`, debuggers reach it. `make_lanes` makes what tells its invocations apart, if somebody
    needs that."""

    def __init__(
        self,
        sockets: SocketDirectory,
        *,
        on_line: Callable[[Version, Mapping[str, Any]], None],
        on_exit: Callable[[Version], None],
        warn: Callable[[str], None],
        make_lanes: Callable[[], Lanes | None],
        has_outbound: bool,
        has_inspector: bool,
    ) -> None:
        self._sockets = sockets
        self._has_outbound = has_outbound
        self._has_inspector = has_inspector
        self._on_line = on_line
        self._on_exit = on_exit
        self._warn = warn
        self._make_lanes = make_lanes
        self._warned_of = ""

    async def start(self, config: WorkerConfig, wirings: Wirings, workerd: Path, source: Source) -> Version | Failure:
        """A version that runs `source` with the bindings of `wirings`, or the failure."""
        started = await self._try(config, wirings, workerd, source)
        if isinstance(started, str) and (newest := _NEWEST_DATE.search(started)) and workerd not in _newest_dates:
            _newest_dates[workerd] = newest[1]
            started = await self._try(config, wirings, workerd, source)
        self._warn_of_date(config.compatibility_date, _newest_dates.get(workerd, ""))
        if isinstance(started, str):
            return not_started(started, source, config.main, config.path.name)
        if not started.handlers:
            await started.end_process()
            return _no_handlers(config)
        return started

    def _warn_of_date(self, date: str, newest: str) -> None:
        """Warn once that workerd does not know a compatibility date yet."""
        if newest and date > newest and date != self._warned_of:
            self._warned_of = date
            self._warn(
                f"compatibility_date {date} is newer than this workerd, "
                f"which runs the worker with {newest}; `npm update workerd` installs a newer workerd"
            )

    async def _try(self, config: WorkerConfig, wirings: Wirings, workerd: Path, source: Source) -> Version | str:
        """A running version, or workerd's explanation why it failed to start."""
        directory = self._sockets.make_process_directory()
        settings = self._settings(config, wirings, workerd, source, directory)
        version = Version(settings, directory, self._on_line, self._on_exit)
        try:
            file = write_configuration(settings, directory)
            await version.process.start(workerd, file, settings.sockets, self._sockets.path)
            answer = await version.control.send(_GET_HANDLERS)
            version.handlers = in_order(json.loads(await answer.read()))
        except (WorkerdStartError, ConnectionLostError, ValueError) as error:
            await version.end_process()
            return str(error)
        except BaseException:
            await version.end_process()
            raise
        version.started_at = asyncio.get_running_loop().time()
        return version

    def _settings(
        self, config: WorkerConfig, wirings: Wirings, workerd: Path, source: Source, directory: Path
    ) -> WorkerdSettings:
        date = config.compatibility_date or datetime.now(UTC).date().isoformat()
        is_called = len(self._sockets.workers) > 1 or any(other.worker == config.name for _, other in targets(wirings))
        lanes = self._make_lanes()
        return WorkerdSettings(
            worker=config.name,
            source=source,
            compatibility_date=min(date, _newest_dates.get(workerd, date)),
            compatibility_flags=sorted(config.compatibility_flags),
            wirings=wirings,
            binding_server=self._sockets.bindings,
            find_worker=self._sockets.find,
            sockets=Sockets(
                directory / "fetch",
                directory / "control",
                directory / "debug" if is_called else None,
                self._has_inspector,
                [directory / f"lane-{number}" for number in range(1, 0 if lanes is None else lanes.count + 1)],
            ),
            cf_header=f"x-cf-{token_hex(8)}",
            token=token_hex(16),
            outbound=self._sockets.outbound(config.name) if self._has_outbound else None,
            lanes=lanes,
        )


def _no_handlers(config: WorkerConfig) -> Failure:
    return simple_failure(
        f"{config.main.name}: the default export has no handler; it needs {any_of(list(map(with_article, HANDLERS)))} "
        "method: export default { async fetch(request, env, ctx) { ... } }"
    )
