"""Runs a worker written in JavaScript, in a workerd process of its own.

A host holds one `_Version` at a time: a process, and what runs on it. A reload starts the next process before it lets
go of the old one, which ends when its requests, deliveries and `waitUntil` work have. A process that dies is started
again, with growing pauses when it dies again and again; what comes meanwhile waits for it.
"""

# ruff: noqa: SLF001 - a request is taken apart, and a response filled in, on the path of every request

from __future__ import annotations

import asyncio
import json
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.broker.message import Delivery, DeliveryResult, Outcome
from emulator.config.model import WorkerConfig
from emulator.errors import EmulatorError
from emulator.events import Bus, HandlerFailed, Level, Notice, WorkerOutput
from emulator.failure import Failure
from emulator.hosts.base import HandlerError, HandlerMissing, NotLoaded
from emulator.hosts.javascript.batches import batch_of
from emulator.hosts.javascript.bundle import BuildError, read_source
from emulator.hosts.javascript.client import Answer, Client, ConnectionLostError, request_head
from emulator.hosts.javascript.configuration import Settings, Sockets, write_configuration
from emulator.hosts.javascript.failures import not_started, readable, simple_failure, thrown
from emulator.hosts.javascript.process import WorkerdProcess, WorkerdStartError
from emulator.hosts.javascript.queue_service import QueueService
from emulator.hosts.javascript.sockets import SocketDirectory
from emulator.hosts.javascript.source import Source
from emulator.hosts.javascript.tools import find_workerd
from emulator.hosts.output import trigger_text
from emulator.hosts.scheduled import ScheduledController
from emulator.runtime.raw_headers import find
from emulator.runtime.streams import ReadableStream, read_all
from emulator.runtime.workers.request import Request
from emulator.runtime.workers.response import FetchResponse

if TYPE_CHECKING:
    from emulator.broker.broker import Broker

_RESTART_PAUSES: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a process is started again, by how often one has died lately."""

_HEALTHY_SECONDS: Final = 10.0
"""How long a process must live for its death to count as the first."""

_WATCH_SECONDS: Final = 0.05
"""How long a request takes that is worth asking whether its client still waits."""

_OUTCOMES: Final[dict[str, Outcome]] = {
    "ok": "ok",
    "exceededCpu": "exceeded_cpu",
    "exceededWallTime": "exceeded_wall_time",
}
_LEVELS: Final[dict[str, Level]] = {"debug": "debug", "warn": "warning", "error": "error", "fatal": "error"}
_FAILURE_HEADER: Final = b"x-emulator-failure"
_NEWEST_DATE: Final = re.compile(r'newest date supported by this server binary is "(\d{4}-\d\d-\d\d)"')
_newest_dates: Final[dict[Path, str]] = {}
"""The newest compatibility date of each workerd, once it has refused a newer one."""

_incoming_cf: Final[dict[str, bytes]] = {}
"""`request.cf` of requests that come in, as JSON, by version of HTTP."""

_SMALL_BYTES: Final = 16_384
"""An upload of at most this size is read before it is sent on, which saves a connection."""

_OLD_CODE_SECONDS: Final = 0.2
"""How long a reload waits for the old process to end, where other workers may be connected to it."""

_UNCAUGHT_SECONDS: Final = 0.1
"""How long an error that workerd has logged is kept for the failure that it may be the reason of."""

_UNCAUGHT: Final = "Uncaught exception: "
_REFUSED: Final = b"Internal Server Error"
"""The body, without a content type, of workerd's answer where the handler could not be run to its end."""

_LOST_SECONDS: Final = 1.0
"""How long after a connection the process that it led to may be found dead, in which case that is the reason."""


class _RetryBatch(msgspec.Struct, rename="camel", gc=False):
    retry: bool = False
    delay_seconds: int | None = None


class _Retry(msgspec.Struct, rename="camel", gc=False):
    msg_id: str
    delay_seconds: int | None = None


class _Result(msgspec.Struct, rename="camel", gc=False):
    """What workerd says of a batch: the outcome, and what the handler asked for."""

    outcome: str
    ack_all: bool = False
    retry_batch: _RetryBatch = msgspec.field(default_factory=_RetryBatch)
    explicit_acks: list[str] = []
    retry_messages: list[_Retry] = []
    failure: dict[str, Any] | None = None


class _Version:
    """A process, how to speak to it, and what runs on it.

    `active` holds what it was called with, and `last` what ended last: they tell to what a line of output belongs.
    `uncaught` are errors that workerd has logged a moment ago, and that may be the reason of a failure yet to be seen.
    """

    __slots__ = (
        "active",
        "cf_header",
        "control",
        "directory",
        "fetches",
        "handlers",
        "idle",
        "last",
        "process",
        "services",
        "source",
        "started_at",
        "token",
        "uncaught",
    )

    def __init__(self, process: WorkerdProcess, source: Source, directory: Path, settings: Settings) -> None:
        self.process = process
        self.source = source
        self.directory = directory
        self.token = settings.token.encode()
        self.cf_header = settings.cf_header.encode()
        self.fetches = Client(settings.sockets.fetch)
        self.control = Client(settings.sockets.control)
        self.services = settings.sockets.services
        self.handlers: frozenset[str] = frozenset()
        self.active: dict[int, Any] = {}
        self.last: Any = None
        self.uncaught: list[str] = []
        self.idle: asyncio.Future[None] | None = None
        self.started_at = 0.0

    def trigger(self) -> str:
        """What the line that the process has just written belongs to; empty where that cannot be told."""
        if not self.active:
            return trigger_text(self.last)
        texts = {trigger_text(trigger) for trigger in self.active.values()}
        return texts.pop() if len(texts) == 1 else ""

    def begin(self, trigger: Any) -> None:
        """A call with `trigger` begins."""
        self.active[id(trigger)] = trigger

    def end(self, trigger: Any) -> None:
        """It has ended. What it wrote has been written by now."""
        self.process.read_output()
        del self.active[id(trigger)]
        self.last = trigger
        if not self.active and self.idle is not None and not self.idle.done():
            self.idle.set_result(None)


class _Waiting:
    """A request whose answer is waited for: the task that waits, and the one that looks whether the client does."""

    __slots__ = ("gone", "is_old", "task", "watcher")

    def __init__(self, task: asyncio.Task[Any] | None) -> None:
        self.task = task
        self.watcher: asyncio.Task[None] | None = None
        self.is_old = False
        self.gone = False


class WorkerdHost:
    """A host for a worker whose `main` is JavaScript.

    `broker` is what its queue bindings send to, `sockets` where it meets the other JavaScript workers of its session.
    Failures, warnings and what worker code prints are published on `bus`. Used on the event loop's thread only.
    """

    def __init__(self, config: WorkerConfig, *, broker: Broker, sockets: SocketDirectory, bus: Bus) -> None:
        self.config = config
        self.failure: Failure | None = None
        self._broker = broker
        self._sockets = sockets
        self._bus = bus
        self._version: _Version | None = None
        self._queue_service: QueueService | None = None
        self._retiring: dict[_Version, asyncio.Task[None]] = {}
        self._restarting: asyncio.Task[None] | None = None
        self._deaths = 0
        self._starting = 0
        self._source: Source | None = None
        self._waiting: dict[Request, _Waiting] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        sockets.join(config.name, config.services)

    @property
    def handlers(self) -> frozenset[str]:
        """Which of `fetch`, `queue` and `scheduled` the worker has; empty while it is not loaded."""
        return frozenset[str]() if self._version is None else self._version.handlers

    @property
    def files(self) -> frozenset[Path]:
        """The worker's own files, as far as they are known."""
        return frozenset[Path]() if self._source is None else self._source.inputs

    @property
    def calls_under_way(self) -> int:
        """How much workerd is being waited for at the moment: starts, requests, deliveries."""
        running = len(self._version.active) if self._version is not None else 0
        return self._starting + running + sum(len(version.active) for version in self._retiring)

    # Life

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
        await self._serve_queues(config)
        built = await self._build(config)
        self._deaths = 0
        self._adopt(built)
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
        retiring = list(self._retiring.values())
        if retiring:
            await asyncio.wait(retiring, timeout=grace_seconds)
            for task in retiring:
                task.cancel()
            await asyncio.wait(retiring)
        if self._queue_service is not None:
            self._queue_service.close()
            self._queue_service = None
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._sockets.leave(self.config.name)

    async def _serve_queues(self, config: WorkerConfig) -> None:
        """Answer the queue bindings of `config`; those of an older process that are gone fail from here on."""
        if self._queue_service is None:
            self._queue_service = QueueService(self._broker, config.name)
            await self._queue_service.start(self._sockets.queues(config.name))
        self._queue_service.set_producers(config.producers)

    async def _build(self, config: WorkerConfig) -> _Version | Failure:
        """Start a process on the worker's code as it is now, or tell what is wrong with it."""
        self._starting += 1
        try:
            root = config.path.resolve().parent
            workerd = find_workerd(root)
            source = self._source = await read_source(config.main, root, config.compatibility_flags)
            return await self._start(config, workerd, source)
        except BuildError as error:
            return error.failure
        except EmulatorError as error:
            return simple_failure(str(error))
        finally:
            self._starting -= 1

    async def _start(self, config: WorkerConfig, workerd: Path, source: Source) -> _Version | Failure:
        date = config.compatibility_date or datetime.now(UTC).date().isoformat()
        newest = _newest_dates.get(workerd)
        if newest is not None:
            date = min(date, newest)
        directory = self._sockets.make_process_directory()
        entrypoints = sorted(self._sockets.entrypoints[config.name])
        services = {entrypoint: directory / f"service-{number}" for number, entrypoint in enumerate(entrypoints)}
        sockets = Sockets(directory / "fetch", directory / "control", services)
        settings = Settings(
            source=source,
            compatibility_date=date,
            compatibility_flags=sorted(config.compatibility_flags),
            texts={**{name: var for name, var in config.vars.items() if isinstance(var, str)}, **config.secrets},
            values={
                name: var
                for name, var in config.vars.items()
                if not isinstance(var, str) and name not in config.secrets
            },
            queues=[producer.binding for producer in config.producers],
            queue_service=self._sockets.queues(config.name),
            services={
                service.binding: self._sockets.service(service.service, service.entrypoint or "")
                for service in config.services
            },
            sockets=sockets,
            cf_header=f"x-cf-{token_hex(8)}",
            token=token_hex(16),
        )
        version: _Version | None = None

        def on_line(record: dict[str, Any]) -> None:
            self._on_line(version, source, settings.token, record)

        def on_exit() -> None:
            self._on_exit(version)

        process = WorkerdProcess(on_line, on_exit)
        version = _Version(process, source, directory, settings)
        loop = asyncio.get_running_loop()
        try:
            file = write_configuration(settings, directory)
            await process.start(workerd, file, sockets.names, self._sockets.path)
            answer = await version.control.send(b"GET /handlers HTTP/1.1\r\nHost: emulator\r\n\r\n")
            version.handlers = frozenset(json.loads(await answer.read()))
        except (WorkerdStartError, ConnectionLostError, ValueError) as error:
            await self._discard(version)
            newest_known = _NEWEST_DATE.search(str(error))
            if newest_known is not None and _newest_dates.get(workerd) is None:
                newest = _newest_dates[workerd] = newest_known[1]
                if config.compatibility_date:
                    self._warn(
                        f"compatibility_date {config.compatibility_date} is newer than this workerd, "
                        f"which runs the worker as of {newest}; a newer workerd comes with `npm update workerd`"
                    )
                return await self._start(config, workerd, source)
            return not_started(str(error), source, config.main, config.path.name)
        except BaseException:
            await self._discard(version)
            raise
        if not version.handlers:
            await self._discard(version)
            return _no_handlers(config)
        version.started_at = loop.time()
        return version

    def _adopt(self, built: _Version | Failure) -> None:
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

    def _retire(self, version: _Version) -> None:
        """Let a process finish what it runs, and end it."""
        task = asyncio.ensure_future(self._finish(version))
        self._retiring[version] = task
        task.add_done_callback(lambda _task: self._retiring.pop(version, None))

    async def _finish(self, version: _Version) -> None:
        try:
            while version.active:
                version.idle = asyncio.get_running_loop().create_future()
                await version.idle
            with suppress(ConnectionLostError):
                await version.control.send(b"GET /idle HTTP/1.1\r\nHost: emulator\r\n\r\n")
        finally:
            await self._discard(version)

    async def _discard(self, version: _Version) -> None:
        version.process.read_output()
        version.fetches.close()
        version.control.close()
        await version.process.kill()
        shutil.rmtree(version.directory, ignore_errors=True)

    # Death

    def _on_exit(self, version: _Version | None) -> None:
        """A process ended by itself."""
        if version is None:
            return
        version.fetches.close()
        version.control.close()
        shutil.rmtree(version.directory, ignore_errors=True)
        if version is not self._version:
            return
        self._version = None
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
            self._broker.hold(self.config.name, held=self.failure is not None)
            if not isinstance(built, Failure):
                return
            self._deaths += 1
            reason = f"does not start: {built.summary}"

    async def _stop_restarting(self) -> None:
        task, self._restarting = self._restarting, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait((task,))

    async def _available(self) -> _Version:
        """The process to use. One that is being started again is waited for. Raises NotLoaded."""
        while self._version is None:
            restarting = self._restarting
            if self.failure is not None or restarting is None or restarting.done():
                raise self._not_loaded()
            await asyncio.wait((restarting,))
        return self._version

    # Events

    async def fetch(self, request: Request) -> FetchResponse:
        """Run the `fetch` entrypoint. Raises HandlerError, HandlerMissing or NotLoaded.

        When the client goes away before there is an answer, the handler is cancelled as in production, and the answer
        is one that nobody reads.
        """
        version = self._version or await self._available()
        if "fetch" not in version.handlers:
            raise HandlerMissing(self._missing(version, "fetch"))
        waiting = _Waiting(asyncio.current_task())
        self._waiting[request] = waiting
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(_WATCH_SECONDS, self._sweep)
        version.begin(request)
        response: FetchResponse | None = None
        try:
            response = await self._answered(version, request, await self._send(version, request))
            return response
        except ConnectionLostError as error:
            raise self._failed(await self._lost(version, error), request) from error
        except asyncio.CancelledError:
            if not waiting.gone or waiting.task is None:
                raise
            waiting.task.uncancel()
            return _response(Answer(499, [], b""), b"")
        finally:
            del self._waiting[request]
            if waiting.watcher is not None:
                waiting.watcher.cancel()
            if response is None or not response.is_streaming:
                version.end(request)

    async def _answered(self, version: _Version, request: Request, answer: Answer) -> FetchResponse:
        """What the worker's answer is to the caller. Raises HandlerError where it tells of a failure."""
        if answer.status == 500:
            if find(answer.headers, _FAILURE_HEADER) == version.token:
                raise self._failed(thrown(json.loads(await answer.read()), version.source, self._root), request)
            if await _is_refusal(answer):
                failure = self._uncaught(version) or simple_failure("workerd could not run the handler")
                raise self._failed(failure, request)
        body = answer.body
        if isinstance(body, bytes):
            return _response(answer, body)

        def ended(broke_off: bool) -> None:
            version.end(request)
            if broke_off:
                self._failed(self._uncaught(version) or simple_failure("the answer broke off"), request)

        response = _response(answer, ReadableStream(body))
        body.when_ended(ended)
        return response

    async def _send(self, version: _Version, request: Request) -> Answer:
        method = request._method_text()
        raw = request._get_raw()
        cf = (version.cf_header, _cf(request))
        content = request._get_body()
        is_head = method == "HEAD"
        if content is None:
            return await version.fetches.send(request_head(method, request.url, raw, cf), is_head=is_head)
        length = find(raw, b"content-length")
        body = content if isinstance(content, bytes) else content.take()
        if not isinstance(body, bytes):
            if length is None or int(length) > _SMALL_BYTES:
                extra = (cf,) if length is not None else (cf, (b"transfer-encoding", b"chunked"))
                head = request_head(method, request.url, raw, *extra)
                return await version.fetches.send_stream(head, body, chunked=length is None, is_head=is_head)
            body = await read_all(body)
        extra = (cf,) if length is not None else (cf, (b"content-length", b"%d" % len(body)))
        return await version.fetches.send(request_head(method, request.url, raw, *extra), body, is_head=is_head)

    async def queue(self, delivery: Delivery) -> DeliveryResult:
        """Run the `queue` entrypoint and tell what it decided. A handler that throws is an outcome, not an exception.
        Raises NotLoaded, which the broker takes as "not delivered"."""
        version = self._version or await self._available()
        if "queue" not in version.handlers:
            return DeliveryResult("exception", error=self._missing(version, "queue"))
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
            return DeliveryResult("exception", error=failure.summary, traceback=failure.text)
        finally:
            version.end(delivery)
        if answer.status != 200:
            failure = simple_failure(content.decode("utf-8", "replace"))
            self._failed(failure, delivery)
            return DeliveryResult("exception", error=failure.summary, traceback=failure.text)
        said = msgspec.json.decode(content, type=_Result)
        result = DeliveryResult(
            _OUTCOMES.get(said.outcome, "exception"),
            said.ack_all,
            said.retry_batch.retry,
            said.retry_batch.delay_seconds,
            set(said.explicit_acks),
            {retry.msg_id: retry.delay_seconds for retry in said.retry_messages},
        )
        if result.outcome != "ok":
            failure = self._failure_of(version, said.failure, said.outcome)
            self._failed(failure, delivery)
            result.error = failure.summary
            result.traceback = failure.text
        return result

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
        said = msgspec.json.decode(content, type=_Result)
        if said.outcome != "ok":
            raise self._failed(self._failure_of(version, said.failure, said.outcome), controller)

    # Clients that go away

    def _sweep(self) -> None:
        """Look after the clients of requests that have been waiting since the last time."""
        self._sweeping = None
        for request, waiting in self._waiting.items():
            if waiting.is_old and waiting.watcher is None and request._receive is not None:
                waiting.watcher = asyncio.ensure_future(_cancel_when_gone(request, waiting))
            waiting.is_old = True
        if self._waiting:
            self._sweeping = asyncio.get_running_loop().call_later(_WATCH_SECONDS, self._sweep)

    # Words

    def _on_line(self, version: _Version | None, source: Source, token: str, record: dict[str, Any]) -> None:
        """A line that the process wrote: of worker code, of workerd, or of our own main module."""
        text = str(record.get("message", ""))
        if text.startswith(token):
            described = msgspec.json.decode(text.removeprefix(token))
            self._bus.publish(
                HandlerFailed(self.config.name, described["trigger"], thrown(described, source, self._root))
            )
            return
        level = _LEVELS.get(str(record.get("level")), "info")
        if "source" in record:
            text = readable(text)
            if version is not None and text.startswith(_UNCAUGHT):
                version.uncaught.append(text.removeprefix(_UNCAUGHT))
                asyncio.get_running_loop().call_later(_UNCAUGHT_SECONDS, self._forget_uncaught, version)
                return
        trigger = "" if version is None else version.trigger()
        for line in text.split("\n"):
            self._bus.publish(WorkerOutput(self.config.name, trigger, level, line))

    def _uncaught(self, version: _Version) -> Failure | None:
        """The error that workerd has just logged, if any."""
        version.process.read_output()
        return simple_failure(version.uncaught.pop()) if version.uncaught else None

    def _forget_uncaught(self, version: _Version) -> None:
        """Nothing that failed has claimed an error: it is a line of output."""
        uncaught, version.uncaught = version.uncaught, []
        for text in uncaught:
            self._bus.publish(WorkerOutput(self.config.name, "", "error", text))

    async def _lost(self, version: _Version, error: ConnectionLostError) -> Failure:
        """Why a connection was lost."""
        if await version.process.has_ended(_LOST_SECONDS):
            return simple_failure(f"workerd {version.process.exit_text()} while it ran the handler")
        return simple_failure(str(error))

    def _failure_of(self, version: _Version, described: dict[str, Any] | None, outcome: str) -> Failure:
        if described is None:
            return simple_failure(f"the handler ended with the outcome {outcome}")
        return thrown(described, version.source, self._root)

    def _failed(self, failure: Failure, trigger: Any) -> HandlerError:
        """Tell the world that a handler failed."""
        self._bus.publish(HandlerFailed(self.config.name, trigger_text(trigger), failure))
        return HandlerError(failure)

    @property
    def _root(self) -> Path:
        return self.config.directory

    def _warn(self, text: str) -> None:
        self._notice("warning", text)

    def _notice(self, level: Level, text: str) -> None:
        self._bus.publish(Notice(level, text, self.config.name))

    def _not_loaded(self) -> NotLoaded:
        return NotLoaded(self.failure or simple_failure("the worker has not been started"))

    def _missing(self, version: _Version, event: str) -> str:
        article = "n" if event[0] in "aeiou" else ""
        has = " and ".join(each for each in ("fetch", "queue", "scheduled") if each in version.handlers)
        return (
            f"worker {self.config.name} has no {event} handler, it has {has}; "
            f"add a{article} {event} method to the default export"
        )


async def _cancel_when_gone(request: Request, waiting: _Waiting) -> None:
    await request.client_gone()
    waiting.gone = True
    if waiting.task is not None:
        waiting.task.cancel()


async def _is_refusal(answer: Answer) -> bool:
    """Whether this is workerd's own answer to a request that it could not have answered by the worker."""
    headers = answer.headers
    if find(headers, b"content-type") is not None or find(headers, b"content-length") != b"%d" % len(_REFUSED):
        return False
    answer.body = await answer.read()
    return answer.body == _REFUSED


def _response(answer: Answer, body: bytes | ReadableStream) -> FetchResponse:
    response = FetchResponse.__new__(FetchResponse)
    response._fill(body, answer.headers, answer.status)
    return response


def _cf(request: Request) -> bytes:
    """`request.cf` as JSON."""
    if request._scope is None:
        return json.dumps(request.cf or {}).encode()
    version = str(request._scope.get("http_version", "1.1"))
    known = _incoming_cf.get(version)
    if known is None:
        known = _incoming_cf[version] = json.dumps(request.cf).encode()
    return known


def _no_handlers(config: WorkerConfig) -> Failure:
    return simple_failure(
        f"{config.main.name}: the default export has no handler; "
        "it needs a fetch, a queue or a scheduled method: export default { async fetch(request, env, ctx) { ... } }"
    )
