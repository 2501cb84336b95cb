"""Runs a worker written in JavaScript, in a workerd process of its own.

A host holds one `Version` at a time: a process, and what runs on it. A reload starts the next process before it lets
go of the old one, which ends when its requests, deliveries and `waitUntil` work have. A process that dies is started
again, with growing pauses when it dies again and again; what comes meanwhile waits for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.base.bus import Bus, Level, Notice
from emulator.base.errors import EmulatorError
from emulator.base.failure import Failure
from emulator.config.model import WorkerConfig
from emulator.hosts.events import HandlerFailed, WorkerOutput
from emulator.hosts.host import HandlerError, HandlerMissing, JavaScriptError, NotLoaded, Tunnel
from emulator.hosts.python.output import trigger_text
from emulator.hosts.workerd.batches import batch_of
from emulator.hosts.workerd.bundle import read_source
from emulator.hosts.workerd.client import Answer, ConnectionLostError
from emulator.hosts.workerd.departures import Departures
from emulator.hosts.workerd.diagnostics import BuildError
from emulator.hosts.workerd.exchange import is_refusal, response_of, send_request, upgrade_head
from emulator.hosts.workerd.failures import readable, simple_failure, thrown
from emulator.hosts.workerd.outbound_service import Outbound, OutboundService
from emulator.hosts.workerd.queue_service import QueueService
from emulator.hosts.workerd.results import read_result
from emulator.hosts.workerd.sockets import SocketDirectory
from emulator.hosts.workerd.source import Source
from emulator.hosts.workerd.tools import find_workerd
from emulator.hosts.workerd.version import Starter, Version
from emulator.queues.message import Delivery, Verdict
from emulator_runtime.raw_headers import find
from emulator_runtime.streams import ReadableStream
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import FetchResponse
from emulator_runtime.workers.scheduled import ScheduledController

if TYPE_CHECKING:
    from emulator.queues.service import Queues

_RESTART_PAUSES: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a process is started again, by how often one has died lately."""

_HEALTHY_SECONDS: Final = 10.0
"""How long a process must live for its death to count as the first."""

_LEVELS: Final[dict[str, Level]] = {"debug": "debug", "warn": "warning", "error": "error", "fatal": "error"}
_FAILURE_HEADER: Final = b"x-emulator-failure"
_OLD_CODE_SECONDS: Final = 0.2
"""How long a reload waits for the old process to end, where other workers may be connected to it."""

_UNCAUGHT_SECONDS: Final = 0.1
"""How long an error that workerd has logged is kept for the failure that it may be the reason of."""

_UNCAUGHT: Final = "Uncaught exception: "
_LOST_SECONDS: Final = 1.0
"""How long after a connection the process that it led to may be found dead, in which case that is the reason."""


class WorkerdHost:
    """A host for a worker whose `main` is JavaScript.

    `queues` is what its queue bindings send to, `sockets` where it meets the other JavaScript workers of its session.
    `outbound` carries out its `fetch()` in place of the network. Failures, warnings and what worker code prints are
    published on `bus`. Used on the event loop's thread only.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        queues: Queues,
        sockets: SocketDirectory,
        bus: Bus,
        outbound: Outbound | None = None,
    ) -> None:
        self.config = config
        self.failure: Failure | None = None
        self._queues = queues
        self._sockets = sockets
        self._bus = bus
        self._version: Version | None = None
        self._queue_service: QueueService | None = None
        self._retiring: dict[Version, asyncio.Task[None]] = {}
        self._restarting: asyncio.Task[None] | None = None
        self._deaths = 0
        self._outbound = OutboundService(outbound) if outbound is not None else None
        self._starting = 0
        self._resting = 0
        self._source: Source | None = None
        self._wrong_files = frozenset[Path]()
        self._departures = Departures()
        self._settled = asyncio.Event()
        """Clear while the first process, or the next one after a death, is on its way."""
        self._starter = Starter(
            sockets, on_line=self._on_line, on_exit=self._on_exit, warn=self._warn, has_outbound=outbound is not None
        )
        sockets.join(config.name, config.services)

    @property
    def handlers(self) -> frozenset[str]:
        """Which of `fetch`, `queue` and `scheduled` the worker has; empty while it is not loaded."""
        return frozenset[str]() if self._version is None else self._version.handlers

    @property
    def files(self) -> frozenset[Path]:
        """The worker's own files, as far as they are known."""
        return self._wrong_files if self._source is None else self._source.inputs | self._wrong_files

    @property
    def calls_under_way(self) -> int:
        """How much workerd is being waited for at the moment: starts, requests, deliveries, ends."""
        running = len(self._version.active) if self._version is not None else 0
        return self._starting + self._resting + running + len(self._retiring)

    # Life

    @property
    def takes_websockets(self) -> bool:
        """Whether there is a process that may answer."""
        return self._version is not None and "fetch" in self._version.handlers

    def tunnel(self, request: Request) -> Tunnel | None:
        """Begin a connection that becomes a WebSocket if the worker says so; None while there is no process."""
        version = self._version
        if version is None:
            return None
        return Tunnel(version.fetches.path, upgrade_head(request, version.cf_header))

    async def start(self) -> None:
        """Load the code. Does not raise when it does not load: `failure` is set."""
        await self.reload(self.config)

    async def reload(self, config: WorkerConfig) -> None:
        """Start the code anew, with `config`. What runs finishes on the old process. `failure` tells how it went."""
        await self._stop_restarting()
        self.config = config
        self._sockets.enter(config.name)
        self._sockets.join(config.name, config.services)
        for service in config.services:
            if service.service not in self._sockets.workers:
                self._warn(
                    f"env.{service.binding} leads to the worker {service.service}, which is no JavaScript worker of "
                    "this session; name its configuration with -c too"
                )
        await self._serve(config)
        try:
            built = await self._build(config)
            self._deaths = 0
            self._adopt(built)
        finally:
            self._settled.set()
        if config.name in self._sockets.called and self._retiring:
            # Other workers keep their connections, and so call the old code for as long as it is there.
            await asyncio.wait(self._retiring.values(), timeout=_OLD_CODE_SECONDS)

    async def stop(self, grace_seconds: float) -> None:
        """Let what runs, `waitUntil` work included, finish for at most `grace_seconds`, then end it."""
        await self._stop_restarting()
        if self._version is not None:
            self._retire(self._version)
            self._version = None
        if self.failure is None:
            self.failure = simple_failure("the worker has been stopped")
        self._settled.set()
        retiring = list(self._retiring.values())
        if retiring:
            await asyncio.wait(retiring, timeout=grace_seconds)
            for task in retiring:
                task.cancel()
            await asyncio.wait(retiring)
        if self._queue_service is not None:
            self._queue_service.close()
            self._queue_service = None
            if self._outbound is not None:
                self._outbound.close()
        self._departures.close()
        self._sockets.leave(self.config.name)

    async def _serve(self, config: WorkerConfig) -> None:
        """Answer what the worker fetches, and the queue bindings of `config`; those of an older process that are
        gone fail from here on."""
        if self._queue_service is None:
            self._queue_service = QueueService(self._queues, config.name)
            await self._queue_service.start(self._sockets.queues(config.name))
            if self._outbound is not None:
                await self._outbound.start(self._sockets.outbound(config.name))
        self._queue_service.set_producers(config.producers)

    async def _build(self, config: WorkerConfig) -> Version | Failure:
        """Start a process on the worker's code as it is now, or tell what is wrong with it."""
        self._starting += 1
        try:
            root = config.path.resolve().parent
            workerd = find_workerd(root)
            known = self._source.warnings if self._source is not None else ()
            source = self._source = await read_source(config, root)
            self._wrong_files = frozenset()
            for warning in source.warnings:
                if warning not in known:
                    self._warn(warning)
            return await self._starter.start(config, workerd, source)
        except BuildError as error:
            self._wrong_files = error.files
            return error.failure
        except EmulatorError as error:
            return simple_failure(str(error))
        finally:
            self._starting -= 1

    def _adopt(self, built: Version | Failure) -> None:
        """Let new code take over, or its failure be known."""
        old, self._version = self._version, None
        if isinstance(built, Failure):
            self.failure = built
        else:
            self.failure = None
            self._version = built
            for entrypoint, path in built.services.items():
                path.replace(self._sockets.service(self.config.name, entrypoint))
        if old is not None:
            self._retire(old)

    def _retire(self, version: Version) -> None:
        """Let a process finish what it runs, and end it."""
        task = asyncio.ensure_future(self._finish(version))
        self._retiring[version] = task
        task.add_done_callback(lambda _task: self._retiring.pop(version, None))

    async def _finish(self, version: Version) -> None:
        try:
            if not await version.finish() and version.active:
                self._warn("the old code did not give way, and its process was ended")
        finally:
            await version.end_process()

    # Death

    def _on_exit(self, version: Version) -> None:
        """A process ended by itself."""
        version.forget()
        if version is not self._version:
            return
        self._version = None
        self._settled.clear()
        loop = asyncio.get_running_loop()
        self._deaths = self._deaths + 1 if loop.time() - version.started_at < _HEALTHY_SECONDS else 1
        self._restarting = loop.create_task(self._restart(version.process.exit_text()))

    async def _restart(self, reason: str) -> None:
        while True:
            pause = _RESTART_PAUSES[min(self._deaths, len(_RESTART_PAUSES)) - 1]
            when = f"in {pause:g} s" if pause else "now"
            self._notice("error", f"workerd, which runs the worker, {reason}; it is started again {when}")
            await asyncio.sleep(pause)
            built = await self._build(self.config)
            self._adopt(built)
            self._settled.set()
            self._queues.hold(self.config.name, held=self.failure is not None)
            if not isinstance(built, Failure):
                return
            self._deaths += 1
            reason = f"does not start: {built.summary}"

    async def _stop_restarting(self) -> None:
        task, self._restarting = self._restarting, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait((task,))

    async def _available(self) -> Version:
        """The version to use. One that is being started is waited for. Raises NotLoaded."""
        while self._version is None:
            if self.failure is not None or self._settled.is_set():
                raise NotLoaded(self.failure or simple_failure("the worker has not been started"))
            await self._settled.wait()
        return self._version

    # Events

    async def rest(self) -> None:
        """Wait until `waitUntil` work has ended."""
        if self._version is not None:
            self._resting += 1
            try:
                await self._version.rest()
            finally:
                self._resting -= 1

    async def fetch(self, request: Request) -> FetchResponse:
        """Run the `fetch` entrypoint. Raises HandlerError, HandlerMissing or NotLoaded.

        When the client goes away before there is an answer, the handler is cancelled as in production, and the answer
        is one that nobody reads.
        """
        version = self._version or await self._available()
        if "fetch" not in version.handlers:
            raise HandlerMissing(self._missing(version, "fetch"))
        waiting = self._departures.begin(request)
        version.begin(request)
        response: FetchResponse | None = None
        try:
            answer = await send_request(version.fetches, request, version.cf_header)
            response = await self._answered(version, request, answer)
            return response
        except ConnectionLostError as error:
            raise self._failed(await self._lost(version, error), request) from error
        except asyncio.CancelledError:
            if not waiting.was_left:
                raise
            waiting.task.uncancel()
            return response_of(Answer(499, [], b""), b"")
        finally:
            self._departures.end(waiting)
            if response is None or not response.is_streaming:
                version.end(request)

    async def _answered(self, version: Version, request: Request, answer: Answer) -> FetchResponse:
        """What the worker's answer is to the caller. Raises HandlerError where it tells of a failure."""
        if answer.status == 500:
            if find(answer.headers, _FAILURE_HEADER) == version.token.encode():
                raise self._failed(thrown(json.loads(await answer.read()), version.source, self._root), request)
            if await is_refusal(answer):
                failure = self._uncaught(version) or simple_failure("workerd could not run the handler")
                raise self._failed(failure, request)
        body = answer.body
        if isinstance(body, bytes):
            return response_of(answer, body)

        def ended(broke_off: bool) -> None:
            version.end(request)
            if broke_off:
                self._failed(self._uncaught(version) or simple_failure("the answer broke off"), request)

        response = response_of(answer, ReadableStream(body))
        body.when_ended(ended)
        return response

    async def queue(self, delivery: Delivery) -> Verdict:
        """Run the `queue` entrypoint and tell what it decided. A handler that throws is an outcome, not an exception.
        Raises NotLoaded when the batch is to wait."""
        version = self._version or await self._available()
        if "queue" not in version.handlers:
            return Verdict("exception", error=self._missing(version, "queue"))
        description, bodies = batch_of(delivery)
        head = b"POST /queue HTTP/1.1\r\nHost: emulator\r\nX-Description-Bytes: %d\r\nContent-Length: %d\r\n\r\n" % (
            len(description),
            len(description) + len(bodies),
        )
        version.begin(delivery)
        try:
            answer = await version.control.send(head, description + bodies)
            content = await answer.read()
        except ConnectionLostError as error:
            failure = await self._lost(version, error)
            self._failed(failure, delivery)
            return Verdict("exception", error=failure.summary, traceback=failure.text)
        finally:
            version.end(delivery)
        if answer.status != 200:
            failure = simple_failure(content.decode("utf-8", "replace"))
            self._failed(failure, delivery)
            return Verdict("exception", error=failure.summary, traceback=failure.text)
        said = read_result(content)
        verdict = said.verdict()
        if verdict.outcome == "ok":
            return verdict
        failure = self._failure_of(version, said.failure, said.outcome)
        self._failed(failure, delivery)
        return verdict.failed(verdict.outcome, failure.summary, failure.text)

    async def scheduled(self, cron: str, scheduled_time_ms: int) -> None:
        """Run the `scheduled` entrypoint. Raises HandlerError, HandlerMissing or NotLoaded."""
        version = self._version or await self._available()
        if "scheduled" not in version.handlers:
            raise HandlerMissing(self._missing(version, "scheduled"))
        controller = ScheduledController(cron, scheduled_time_ms)
        body = json.dumps({"cron": cron, "scheduledTime": scheduled_time_ms}).encode()
        version.begin(controller)
        try:
            head = b"POST /scheduled HTTP/1.1\r\nHost: emulator\r\nContent-Length: %d\r\n\r\n" % len(body)
            answer = await version.control.send(head, body)
            content = await answer.read()
        except ConnectionLostError as error:
            raise self._failed(await self._lost(version, error), controller) from error
        finally:
            version.end(controller)
        if answer.status != 200:
            raise self._failed(simple_failure(content.decode("utf-8", "replace")), controller)
        said = read_result(content)
        if said.outcome != "ok":
            raise self._failed(self._failure_of(version, said.failure, said.outcome), controller)

    # Words

    def _on_line(self, version: Version, record: Mapping[str, Any]) -> None:
        """A line that the process wrote: of worker code, of workerd, or of our own main module."""
        text = str(record.get("message", ""))
        if text.startswith(version.token):
            described = msgspec.json.decode(text.removeprefix(version.token))
            self._bus.publish(
                HandlerFailed(self.config.name, described["trigger"], thrown(described, version.source, self._root))
            )
            return
        level = _LEVELS.get(str(record.get("level")), "info")
        if "source" in record:
            text = readable(text)
            if text.startswith(_UNCAUGHT):
                version.uncaught.append(text.removeprefix(_UNCAUGHT))
                asyncio.get_running_loop().call_later(_UNCAUGHT_SECONDS, self._forget_uncaught, version)
                return
        trigger = version.trigger()
        for line in text.split("\n"):
            self._bus.publish(WorkerOutput(self.config.name, trigger, level, line))

    def _uncaught(self, version: Version) -> Failure | None:
        """The error that workerd has just logged, if any."""
        version.process.read_output()
        return simple_failure(version.uncaught.pop()) if version.uncaught else None

    def _forget_uncaught(self, version: Version) -> None:
        """Nothing that failed has claimed an error: it is a line of output."""
        uncaught, version.uncaught = version.uncaught, []
        for text in uncaught:
            self._bus.publish(WorkerOutput(self.config.name, "", "error", text))

    async def _lost(self, version: Version, error: ConnectionLostError) -> Failure:
        """Why a connection was lost."""
        if await version.process.has_ended(_LOST_SECONDS):
            return simple_failure(f"workerd {version.process.exit_text()} while it ran the handler")
        return simple_failure(str(error))

    def _failure_of(self, version: Version, described: dict[str, Any] | None, outcome: str) -> Failure:
        if described is None:
            return simple_failure(f"the handler ended with the outcome {outcome}")
        return thrown(described, version.source, self._root)

    def _failed(self, failure: Failure, trigger: Any) -> HandlerError:
        """Tell the world that a handler failed."""
        self._bus.publish(HandlerFailed(self.config.name, trigger_text(trigger), failure))
        error = HandlerError(failure)
        error.__cause__ = JavaScriptError(failure.text)
        return error

    @property
    def _root(self) -> Path:
        return self.config.directory

    def _warn(self, text: str) -> None:
        self._notice("warning", text)

    def _notice(self, level: Level, text: str) -> None:
        self._bus.publish(Notice(level, text, self.config.name))

    def _missing(self, version: Version, event: str) -> str:
        article = "n" if event[0] in "aeiou" else ""
        has = " and ".join(each for each in ("fetch", "queue", "scheduled") if each in version.handlers)
        return (
            f"worker {self.config.name} has no {event} handler, it has {has}; "
            f"add a{article} {event} method to the default export"
        )
