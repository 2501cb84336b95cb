"""Runs a worker written in JavaScript, in a workerd process of its own.

A host has one `Version` at a time: a process, with its running invocations. A reload starts the next process before it
releases the old one, which ends after its requests, deliveries and `waitUntil` work. A process that dies is started
again, with growing pauses if that happens repeatedly; new invocations wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from emulator.base.bus import Bus, Level
from emulator.base.errors import EmulatorError
from emulator.base.failure import Failure
from emulator.base.secrets import Secrets
from emulator.base.words import without_credentials
from emulator.bindings.wiring import targets
from emulator.config.model import WorkerConfig
from emulator.hosts.events import FetchFinished, RuntimeExited, WorkerOutput
from emulator.hosts.host import (
    CpuLimitExceeded,
    HandlerError,
    HandlerMissing,
    JavaScriptError,
    NotLoaded,
    Tunnel,
)
from emulator.hosts.outbound import Outbound
from emulator.hosts.reports import Reports
from emulator.hosts.triggers import EmailTrigger, FetchTrigger, QueueTrigger, ScheduledTrigger, Trigger
from emulator.hosts.workerd.binding_server import BindingServer
from emulator.hosts.workerd.bundle import read_source
from emulator.hosts.workerd.client import ConnectionLostError, UploadBrokenError, WorkerdAnswer
from emulator.hosts.workerd.diagnostics import BuildError
from emulator.hosts.workerd.disconnects import Disconnects
from emulator.hosts.workerd.failures import HUNG_TEXT, logged, readable, simple_failure, thrown
from emulator.hosts.workerd.lanes import LANES, MARK, Lanes
from emulator.hosts.workerd.outbound_service import OutboundService
from emulator.hosts.workerd.protocol import (
    FAILURE_HEADER,
    HUNG,
    Ended,
    batch_request,
    decode_head,
    email_request,
    read_ended,
    scheduled_request,
)
from emulator.hosts.workerd.requests import is_refusal, response_of, send_request, upgrade_head
from emulator.hosts.workerd.sockets import SocketDirectory
from emulator.hosts.workerd.source import SCRIPT_NAME, Source
from emulator.hosts.workerd.tools import find_workerd
from emulator.hosts.workerd.version import Starter, Version, Wirings
from emulator.hosts.workerd.watchdog import ProcessWatchdog
from emulator.queues.message import Cause, Verdict
from emulator.wire.texts import read_json
from emulator_runtime.hosting import FetchResponse, IncomingRequest, ReadableStream, Request, find_header

if TYPE_CHECKING:
    from emulator.bindings.open_kinds import OpenKinds
    from emulator.hosts.workerd.inspector import Target
    from emulator.queues.service import Queues

R = TypeVar("R")

_RESTART_PAUSES: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a process is started again, by the number of recent deaths."""

_HEALTHY_SECONDS: Final = 10.0
"""If a process has lived for this long, its death counts as the first."""

_LEVELS: Final[dict[str, Level]] = {"debug": "debug", "warn": "warning", "error": "error", "fatal": "error"}
_FAILURE_HEADER: Final = FAILURE_HEADER.encode()
_UNCAUGHT_SECONDS: Final = 0.1
"""How long an error that workerd has logged is kept as the possible reason of a failure."""

_UNCAUGHT: Final = "Uncaught exception: "
_HUNG: Final = "NOSENTRY queue event aborted"
"""How a line of workerd's begins that says the same as the failure of a batch."""

_LOST_SECONDS: Final = 1.0
"""How long to wait, after a connection is lost, to see whether the process has died, which is then the reason."""


class WorkerdHost:
    """A host for a worker whose `main` is JavaScript.

    `queues` hold its deliveries while it is not loaded. `open_kinds` create its bindings, and `binding_server` answers
    them. `sockets` contains the sockets of all JavaScript workers in the session. `outbound` carries out its `fetch()`
    instead of the network. `target` is what debuggers reach of it, if they do. Failures, warnings and what worker code
    prints are published on `bus`, failures without `secrets`; `timer` measures durations in seconds. Only used on the
    event loop's thread.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        queues: Queues,
        open_kinds: OpenKinds,
        binding_server: BindingServer,
        sockets: SocketDirectory,
        bus: Bus,
        outbound: Outbound | None = None,
        timer: Callable[[], float] = perf_counter,
        secrets: Secrets | None = None,
        target: Target | None = None,
    ) -> None:
        self.config = config
        self.failure: Failure | None = None
        self._queues = queues
        self._open_kinds = open_kinds
        self._binding_server = binding_server
        self._is_served = False
        self._sockets = sockets
        self._bus = bus
        self._reports = Reports(config.name, bus, secrets or Secrets(), timer)
        self._version: Version | None = None
        self._retiring: dict[Version, asyncio.Task[None]] = {}
        self._restarting: asyncio.Task[None] | None = None
        self._deaths = 0
        self._outbound = OutboundService(outbound) if outbound is not None else None
        self._target = target
        self._starting = 0
        self._resting = 0
        self._source: Source | None = None
        self._wrong_files = frozenset[Path]()
        self._disconnects = Disconnects()
        self._settled = asyncio.Event()
        """Not set while the first process, or the next one after a death, is being started."""
        self._starter = Starter(
            sockets,
            on_line=self._on_line,
            on_exit=self._on_exit,
            warn=self._reports.warn,
            make_lanes=self._make_lanes,
            has_outbound=outbound is not None,
            has_inspector=target is not None,
        )
        self._ways: Mapping[str, Callable[[Any], Coroutine[Any, Any, Any]]] = {
            FetchTrigger.handler: self._fetch,
            QueueTrigger.handler: self._queue,
            ScheduledTrigger.handler: self._scheduled,
            EmailTrigger.handler: self._email,
        }
        sockets.join(config.name)

    @property
    def handlers(self) -> Sequence[str]:
        """The handlers that the worker has, in the order of `triggers.HANDLERS`; none while it is not loaded."""
        return () if self._version is None else self._version.handlers

    @property
    def files(self) -> frozenset[Path]:
        """The worker's own files, if they are known."""
        return self._wrong_files if self._source is None else self._source.inputs | self._wrong_files

    def uploaded(self) -> Iterable[bytes]:
        """The content of each module that a deployment would send."""
        modules = () if self._source is None else self._source.modules
        return (module.content for module in modules if module.name != SCRIPT_NAME)

    @property
    def calls_under_way(self) -> int:
        """How many operations of workerd are under way: starts, requests, deliveries and stops."""
        running = len(self._version.active) if self._version is not None else 0
        return self._starting + self._resting + running + len(self._retiring)

    def owns(self, descriptor: int) -> bool:
        """Whether a file descriptor belongs to a connection with a process of the session."""
        return self._sockets.has(descriptor)

    async def rest(self) -> None:
        """Wait until `waitUntil` work has ended."""
        if self._version is not None:
            self._resting += 1
            try:
                await self._version.rest()
            finally:
                self._resting -= 1

    @property
    def tunnels_websockets(self) -> bool:
        """Whether there is a process that can answer."""
        return self._version is not None and "fetch" in self._version.handlers

    def tunnel(self, request: IncomingRequest) -> Tunnel | None:
        """Begin a connection that becomes a WebSocket if the worker accepts it; None while there is no process."""
        version = self._version
        if version is None:
            return None
        return Tunnel(version.fetches.path, upgrade_head(request, version.cf_header))

    async def start(self) -> None:
        """Load the code. If that fails, sets `failure` and does not raise."""
        await self.reload(self.config)

    async def reload(self, config: WorkerConfig) -> None:
        """Start the code again, with `config`. Running invocations finish in the old process. Sets `failure` if the
        code fails to load."""
        failure = await self.try_reload(config)
        if failure is not None:
            self.fail(failure)

    async def try_reload(self, config: WorkerConfig) -> Failure | None:
        """Start the code anew; when that fails, leave the old process in service and return why."""
        await self._stop_restarting()
        self.config = config
        self._sockets.enter(config.name)
        wirings = self._open_kinds.wirings(config)
        self._sockets.join(config.name)
        for name, other in targets(wirings):
            found = self._sockets.find(name, other.worker)
            if isinstance(found, str):
                self._reports.warn(found)
        await self._serve(config, wirings)
        try:
            built = await self._build(config, wirings)
            self._deaths = 0
            if isinstance(built, Failure):
                return built
            self._adopt(built)
        finally:
            self._settled.set()
        return None

    def fail(self, failure: Failure) -> None:
        """Take the old process out of service, as there is newer code that does not run."""
        self._adopt(failure)
        self._settled.set()

    async def stop(self, grace_seconds: float) -> None:
        """Let running invocations and `waitUntil` work finish for at most `grace_seconds`, then end the process."""
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
        self._binding_server.disconnect(self.config.name)
        if self._is_served and self._outbound is not None:
            self._outbound.close()
        self._is_served = False
        self._disconnects.close()
        self._sockets.leave(self.config.name)

    async def _serve(self, config: WorkerConfig, wirings: Wirings) -> None:
        """Answer the worker's `fetch()` and its present bindings. Removed bindings of an older process fail from now
        on."""
        await self._binding_server.connect(config.name, wirings, self._sockets.bindings)
        if not self._is_served and self._outbound is not None:
            await self._outbound.start(self._sockets.outbound(config.name))
        self._is_served = True

    async def _build(self, config: WorkerConfig, wirings: Wirings) -> Version | Failure:
        """Start a process with the worker's present code, or report what is wrong with it."""
        self._starting += 1
        try:
            root = config.path.resolve().parent
            workerd = find_workerd(root)
            known = self._source.warnings if self._source is not None else ()
            source = self._source = await read_source(config, root)
            self._wrong_files = frozenset()
            for warning in source.warnings:
                if warning not in known:
                    self._reports.warn(warning)
            if self._target is not None:
                from emulator.hosts.workerd.debugging import with_maps  # debugging is rare

                source = with_maps(source)
            return await self._starter.start(config, wirings, workerd, source)
        except BuildError as error:
            self._wrong_files = error.files
            return error.failure
        except EmulatorError as error:
            return simple_failure(str(error))
        finally:
            self._starting -= 1

    def _adopt(self, built: Version | Failure) -> None:
        """Replace the old version with the new one, or set its failure."""
        old, self._version = self._version, None
        if isinstance(built, Failure):
            self.failure = built
        else:
            self.failure = None
            self._version = built
            built.watchdog = ProcessWatchdog(
                built, self.config.cpu_ms, self._reports.warn, partial(self._overspend, built), self._is_held
            )
            if built.debug is not None:
                built.debug.replace(self._sockets.service(self.config.name))
        if self._target is not None:
            self._target.runs_at(None if self._version is None else self._version.process.inspector_port)
        if old is not None:
            self._retire(old)

    def _retire(self, version: Version) -> None:
        """Let a process finish its invocations, then end it."""
        task = asyncio.ensure_future(self._finish(version))
        self._retiring[version] = task
        task.add_done_callback(lambda _task: self._retiring.pop(version, None))

    async def _finish(self, version: Version) -> None:
        try:
            if not await version.finish() and version.active:
                self._reports.warn("the old code did not stop by itself, so its process was ended")
        finally:
            await version.end_process()

    def _overspend(self, version: Version, suspects: Collection[Trigger[Any]]) -> None:
        """One of `suspects` has used up the CPU time that the worker may have: end the process, which is the only way
        to stop it. Those that have only waited for it fail, too."""
        version.overspent = suspects
        version.process.end_by_force()
        self._on_exit(version)  # so that nothing more is given to it

    def _on_exit(self, version: Version) -> None:
        """A process has ended by itself, or is about to."""
        version.forget()
        if version is not self._version:
            return
        self._version = None
        if self._target is not None:
            self._target.runs_at(None)
        self._settled.clear()
        loop = asyncio.get_running_loop()
        self._deaths = self._deaths + 1 if loop.time() - version.started_at < _HEALTHY_SECONDS else 1
        reason = (
            f"was ended, because a handler used {self._limit}" if version.overspent else version.process.exit_text()
        )
        self._restarting = loop.create_task(self._restart(reason))

    async def _restart(self, reason: str) -> None:
        while True:
            pause = _RESTART_PAUSES[min(self._deaths, len(_RESTART_PAUSES)) - 1]
            self._bus.publish(RuntimeExited(self.config.name, reason, pause))
            await asyncio.sleep(pause)
            built = await self._build(self.config, self._open_kinds.wirings(self.config))
            self._adopt(built)
            self._settled.set()
            self._queues.hold(self.config.name, held=self.failure is not None)
            if not isinstance(built, Failure):
                return
            self._deaths += 1
            reason = f"failed to start: {built.summary}"

    async def _stop_restarting(self) -> None:
        task, self._restarting = self._restarting, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait((task,))

    async def _available(self) -> Version:
        """The version to use. Waits for one that is being started. Raises NotLoaded."""
        while self._version is None:
            if self.failure is not None or self._settled.is_set():
                raise NotLoaded(self.failure or simple_failure("the worker has not been started"))
            await self._settled.wait()
        return self._version

    def invoke(self, entrypoint: str, trigger: Trigger[R]) -> Coroutine[Any, Any, R]:
        """Run the handler for `trigger` and return its result; see `WorkerHost.invoke`."""
        if entrypoint:
            raise self._reports.no_entrypoint(entrypoint)
        return self._ways[trigger.handler](trigger)

    async def _fetch(self, trigger: FetchTrigger) -> FetchResponse:
        """If the client goes away before there is an answer, the handler is cancelled as in production, and the
        returned answer is not used."""
        version = self._version or await self._available()
        if "fetch" not in version.handlers:
            raise self._missing(version, "fetch")
        request = trigger.request
        waiting = self._disconnects.begin(request)
        version.begin(trigger)
        response: FetchResponse | None = None
        try:
            try:
                answer = await send_request(version.fetches_for(trigger), request, version.cf_header)
                response = await self._answered(version, trigger, answer)
            except ConnectionLostError as error:
                raise self._failed(await self._lost(version, trigger, error), trigger) from error
            return response
        except UploadBrokenError:
            return _nobodys()
        except asyncio.CancelledError:
            if not waiting.was_left:
                raise
            waiting.task.uncancel()
            return _nobodys()
        finally:
            self._disconnects.end(waiting)
            if response is None or not response.is_streaming:
                version.end(trigger)

    async def _answered(self, version: Version, trigger: FetchTrigger, answer: WorkerdAnswer) -> FetchResponse:
        """The response for the caller. Raises HandlerError if the answer reports a failure."""
        if answer.status == 500:
            if find_header(answer.headers, _FAILURE_HEADER) == version.token.encode():
                raise self._failed(thrown(read_json(await answer.read()), version.source, self._root), trigger)
            if await is_refusal(answer):
                failure = self._uncaught(version) or simple_failure("workerd could not run the handler")
                raise self._failed(failure, trigger)
        if find_header(answer.headers, b"content-encoding") is not None:
            answer = await _for_client(version, trigger.request, answer)
        body = answer.body
        if isinstance(body, bytes):
            return response_of(answer, body)

        def ended(broke_off: bool) -> None:
            version.end(trigger)
            if broke_off:
                self._failed(self._uncaught(version) or simple_failure("the answer broke off"), trigger)

        response = response_of(answer, ReadableStream(body))
        body.when_ended(ended)
        return response

    async def _queue(self, trigger: QueueTrigger) -> Verdict:
        version = self._version or await self._available()
        if "queue" not in version.handlers:
            return Verdict("exception", error=str(self._missing(version, "queue")))
        verdict = Verdict("exception")
        if self._target is not None:
            held_seconds, held = self._target.held_seconds, self._target.held_seconds()
            trigger.delivery.held_seconds = lambda: held_seconds() - held
        try:
            ended = await self._deliver(version, trigger, *batch_request(trigger.delivery))
            verdict = self._with_causes(ended.verdict(), version, ended)
            failure = self._failure_of(version, ended)
        except HandlerError as error:
            failure = error.failure
            if failure.type == CpuLimitExceeded.__name__:
                verdict = Verdict("exceeded_cpu")
        else:
            if failure is not None:
                failure = self._failed(failure, trigger).failure
        if failure is None:
            return verdict
        return verdict.failed(verdict.outcome, failure.summary, failure.text)

    async def _scheduled(self, trigger: ScheduledTrigger) -> None:
        await self._notify(trigger, *scheduled_request(trigger))

    async def _email(self, trigger: EmailTrigger) -> None:
        await self._notify(trigger, *email_request(trigger.email))

    async def _notify(self, trigger: Trigger[None], head: bytes, body: bytes) -> None:
        """Run the handler for `trigger` by a request; its result is not used."""
        with self._reports.finishing(trigger):
            version = self._version or await self._available()
            if trigger.handler not in version.handlers:
                raise self._missing(version, trigger.handler)
            ended = await self._deliver(version, trigger, head, body)
            failure = self._failure_of(version, ended)
            if failure is not None:
                raise self._failed(failure, trigger)

    async def _deliver(self, version: Version, trigger: Trigger[Any], head: bytes, body: bytes) -> Ended:
        """Let the emulator's module in workerd run a handler, and return its report. Raises HandlerError if there is no
        valid report."""
        version.begin(trigger)
        try:
            answer = await version.control.send(version.headed(head, trigger), body)
            content = await answer.read()
        except ConnectionLostError as error:
            raise self._failed(await self._lost(version, trigger, error), trigger) from error
        finally:
            version.end(trigger)
        if answer.status != 200:
            raise self._failed(simple_failure(content.decode("utf-8", "replace")), trigger)
        return read_ended(content)

    def _on_line(self, version: Version, record: Mapping[str, Any]) -> None:
        """Handle a line that the process wrote: from worker code, workerd, or the emulator's main module."""
        text = str(record.get("message", ""))
        lane = 0
        if text.startswith(version.token):
            text = text.removeprefix(version.token)
            if not text.startswith(MARK):
                self._on_told(version, read_json(text))
                return
            number, _, text = text.removeprefix(MARK).partition(" ")
            lane = int(number)
        level = _LEVELS.get(str(record.get("level")), "info")
        if "source" in record:
            text = readable(text)
            if text.startswith(_HUNG):
                return
            if text.startswith(_UNCAUGHT):
                version.uncaught.append(text.removeprefix(_UNCAUGHT))
                asyncio.get_running_loop().call_later(_UNCAUGHT_SECONDS, self._forget_uncaught, version)
                return
        else:
            text = logged(text, version.source, self._root)
        act = version.act(lane)
        self._bus.publish(WorkerOutput(self.config.name, version.trigger(lane), level, text, act=act))

    def _on_told(self, version: Version, told: Mapping[str, Any]) -> None:
        """Handle what one of the emulator's modules tells: of a failure of `waitUntil`, or of a `fetch()`."""
        act, acts = version.act(told.get("lane") or 0), self._bus.acts
        if "fetched" not in told:
            failure = thrown(told, version.source, self._root)
            self._reports.publish_failure(failure, told["trigger"], act)
        elif self._bus.wants(FetchFinished):
            seconds = told["ms"] / 1000
            act = None if acts is None else acts.begin(act, seconds_ago=seconds)
            url, status, error = without_credentials(told["fetched"]), told.get("status", 0), told.get("error", "")
            self._bus.publish(FetchFinished(self.config.name, told["method"], url, status, seconds, error, act=act))

    def _make_lanes(self) -> Lanes | None:
        """What tells the invocations of a process apart. Debuggers show what a worker logs as it is, without marks."""
        acts, known = self._bus.follower, self._binding_server.lanes
        if acts is None:
            return None
        count = LANES if acts.is_exported else 0  # they take memory, and time at the start
        return Lanes(token_hex(4), known, self.config.name, is_watched=self._target is not None, count=count)

    def _uncaught(self, version: Version) -> Failure | None:
        """The error that workerd has logged a moment ago, if any."""
        version.process.read_output()
        return simple_failure(version.uncaught.pop()) if version.uncaught else None

    def _forget_uncaught(self, version: Version) -> None:
        """No failure has used this error, so it becomes a line of output."""
        uncaught, version.uncaught = version.uncaught, []
        for text in uncaught:
            self._bus.publish(WorkerOutput(self.config.name, "", "error", text))

    async def _lost(self, version: Version, trigger: Trigger[Any], error: ConnectionLostError) -> Failure:
        """Why a connection was lost."""
        if trigger in version.overspent:
            text = f"the handler used {self._limit}"
            return Failure(CpuLimitExceeded.__name__, text, (), text)
        if version.overspent:
            return simple_failure(f"workerd was ended while this waited, because another handler used {self._limit}")
        if await version.process.has_ended(_LOST_SECONDS):
            return simple_failure(f"workerd {version.process.exit_text()} while it ran the handler")
        return simple_failure(str(error))

    def _failure_of(self, version: Version, ended: Ended) -> Failure | None:
        """The failure of an invocation, or None if it succeeded."""
        if ended.outcome == "ok":
            return None
        if ended.failure is None and ended.outcome in HUNG:
            return simple_failure(HUNG_TEXT)
        if ended.failure is None:
            return simple_failure(f"the handler ended with the outcome {ended.outcome}")
        return thrown(ended.failure, version.source, self._root)

    def _with_causes(self, verdict: Verdict, version: Version, ended: Ended) -> Verdict:
        """`verdict` with the reasons for retries, as far as the worker has logged them."""
        if not ended.causes and ended.retry_all_cause is None:
            return verdict

        def cause_of(described: Mapping[str, Any]) -> Cause:
            return self._reports.cause(thrown(described, version.source, self._root))

        of_all = ended.retry_all_cause
        return msgspec.structs.replace(
            verdict,
            causes={message_id: cause_of(described) for message_id, described in ended.causes.items()},
            retry_all_cause=None if of_all is None else cause_of(of_all),
        )

    def _failed(self, failure: Failure, trigger: Trigger[Any]) -> HandlerError:
        """Report that a handler failed. Returns the error to raise."""
        return self._reports.failed(failure, trigger.text, JavaScriptError(failure.text))

    def _is_held(self) -> bool:
        """Whether a debugger holds the worker."""
        return self._target is not None and self._target.is_held

    @property
    def _limit(self) -> str:
        return f"more than {self.config.cpu_ms:,} ms of CPU time without a pause (limits.cpu_ms)"

    @property
    def _root(self) -> Path:
        return self.config.directory

    def _missing(self, version: Version, handler: str) -> HandlerMissing:
        return self._reports.missing(handler, version.handlers, "the default export")


async def _for_client(version: Version, request: Request, answer: WorkerdAnswer) -> WorkerdAnswer:
    """`answer`, or the same without a coding that the client has not asked for."""
    from emulator.hosts.workerd.encodings import plain_headers, unwanted_coding  # few answers have one

    coding = unwanted_coding(request.sent_headers, answer.headers)
    if not coding or answer.body == b"":
        return answer
    try:
        decoded = await version.control.send_stream(decode_head(coding), answer.chunks(), chunked=True)
    except UploadBrokenError as error:
        raise ConnectionLostError("the answer broke off") from error
    return WorkerdAnswer(answer.status, plain_headers(answer.headers), decoded.body)


def _nobodys() -> FetchResponse:
    """The answer to a client that has gone away."""
    return response_of(WorkerdAnswer(499, [], b""), b"")
