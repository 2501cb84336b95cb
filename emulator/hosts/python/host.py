"""Runs a worker written in Python in this process, on the event loop's thread.

A host has one `_Version` of its worker at a time, and lets older ones finish what they run. `current` is set to the
invocation while its code runs, so that `workers.env`, `print` and lazy imports belong to it. An invocation ends when
the handler has returned, its `waitUntil` work is done and its answer has been streamed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from emulator.base.bus import Bus
from emulator.base.failure import Failure
from emulator.base.secrets import Secrets
from emulator.config.model import WorkerConfig
from emulator.hosts.host import CpuLimitExceeded, HandlerError, HandlerMissing, NotLoaded, Tunnel
from emulator.hosts.outbound import Outbound
from emulator.hosts.python.answers import InvocationStream, not_a_response, wrong_answer
from emulator.hosts.python.entrypoints import Handler, find_handlers, unlike_production
from emulator.hosts.python.failures import failure_of, is_the_workers, load_failure
from emulator.hosts.python.loader import WorkerModules, WorkerPackages, WorkerScope
from emulator.hosts.python.logging_isolation import forget_logging, own_logging
from emulator.hosts.python.output import flush_partial_lines, partial_lines, trigger_text
from emulator.hosts.python.watchdog import held_seconds
from emulator.hosts.reports import Reports
from emulator.hosts.triggers import EmailTrigger, FetchTrigger, QueueTrigger, ScheduledTrigger, Trigger, in_order
from emulator.queues.message import Cause, Outcome, Verdict
from emulator.wire.codec import decode
from emulator_runtime.hosting import (
    BatchMetrics,
    BodyUsedError,
    Decisions,
    FetchResponse,
    IncomingRequest,
    Invocation,
    JsException,
    Message,
    MessageBatch,
    Response,
    ScheduledController,
    current,
)

if TYPE_CHECKING:
    from emulator.hosts.python.stacks import Stacks

R = TypeVar("R")

NO_WAIT_FLAG: Final = "queue_consumer_no_wait_for_wait_until"
SIGNAL_FLAG: Final = "enable_request_signal"

_CANCEL_SECONDS: Final = 1.0
"""How long cancelled code may take to clean up before the host stops waiting for it."""


class _Version:
    """One version of a worker's code, with its running invocations.

    `loop` is its event loop. `running` maps the invocations whose handler or `waitUntil` work has not ended to the
    tasks that run them; `streams` counts the answers that are still being streamed. `stacks` are there where plain
    functions of the worker wait for an awaitable.
    """

    __slots__ = (
        "handlers",
        "loop",
        "modules",
        "retired",
        "running",
        "scope",
        "stacks",
        "streams",
        "waits_for_wait_until",
    )

    def __init__(
        self,
        modules: WorkerModules,
        scope: WorkerScope,
        handlers: Mapping[str, Handler],
        *,
        waits_for_wait_until: bool,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.waits_for_wait_until = waits_for_wait_until
        self.modules = modules
        self.scope = scope
        self.handlers = handlers
        self.running: dict[Invocation, asyncio.Task[Any] | None] = {}
        self.streams = 0
        self.retired = False
        self.stacks: Stacks | None = None
        if modules.may_wait:
            self.switch_stacks()
        scope.waiter = self

    def switch_stacks(self) -> Stacks:
        """Give every invocation from now on a stack of its own."""
        if self.stacks is None:
            from emulator.hosts.python.stacks import Stacks  # most workers do without greenlets

            self.stacks = Stacks(self.scope)
            self.handlers = self.stacks.handlers(self.handlers)
        return self.stacks

    def run_sync(self, awaitable: Awaitable[Any]) -> Any:
        """See `Waiter`. In a thread that the worker has started, the thread waits."""
        if self._is_on_loop():
            return self.switch_stacks().run_sync(awaitable)

        async def awaited() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result()

    def can_run_sync(self) -> bool:
        """See `Waiter`."""
        return not self._is_on_loop() or (self.stacks is not None and self.stacks.can_run_sync())

    def _is_on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return False


class PythonHost:
    """A host for a worker whose `main` is a Python module.

    `make_env` creates the worker's `env` for each version of its code, and `for_js` says what is behind names of the
    module `js`; `outbound` carries out the `fetch()` of worker
    code. Failures, without `secrets`, and warnings are published on `bus`; `timer` measures durations in seconds. With
    `has_locals`, failures have local variables. Only used on the event loop's thread.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        make_env: Callable[[WorkerConfig], Any],
        outbound: Outbound,
        bus: Bus,
        timer: Callable[[], float] = perf_counter,
        secrets: Secrets | None = None,
        has_locals: bool = False,
        for_js: Callable[[WorkerConfig], Mapping[str, Any]] = lambda _config: {},
    ) -> None:
        self.config = config
        self.failure: Failure | None = None
        self._make_env = make_env
        self._for_js = for_js
        self._outbound = outbound
        self._bus = bus
        secrets = secrets or Secrets()
        self._locals_without = secrets if has_locals else None
        self._reports = Reports(config.name, bus, secrets, timer)
        self._packages: WorkerPackages | None = None
        self._differences: frozenset[str] = frozenset()
        self._version: _Version | None = None
        self._retired: set[_Version] = set()
        self._drained: asyncio.Future[None] | None = None
        self._ways: Mapping[str, Callable[[Any], Coroutine[Any, Any, Any]]] = {
            FetchTrigger.handler: self._fetch,
            QueueTrigger.handler: self._queue,
            ScheduledTrigger.handler: self._scheduled,
            EmailTrigger.handler: self._email,
        }

    @property
    def handlers(self) -> Sequence[str]:
        """The handlers that the worker has, in the order of `triggers.HANDLERS`; none while it is not loaded."""
        return () if self._version is None else in_order(self._version.handlers)

    @property
    def files(self) -> frozenset[Path]:
        """The worker's own files that are loaded; empty while it is not loaded."""
        return frozenset[Path]() if self._version is None else self._version.modules.files

    def uploaded(self) -> Iterable[bytes]:
        """The content of each module that a deployment would send."""
        from emulator.hosts.python.upload import uploaded  # only `emulator check` asks

        return uploaded(self.config)

    @property
    def tunnels_websockets(self) -> bool:
        """Never: a handler answers with a WebSocket of its own."""
        return False

    def tunnel(self, _request: IncomingRequest) -> Tunnel | None:
        """There is none."""
        return None

    async def start(self) -> None:
        """Load the code. If that fails, sets `failure` and does not raise."""
        await self.reload(self.config)

    async def reload(self, config: WorkerConfig) -> None:
        """Load the code again, with `config`. Running invocations finish on the old code. Sets `failure` if the code
        fails to load."""
        failure = await self.try_reload(config)
        if failure is not None:
            self.fail(failure)

    async def try_reload(self, config: WorkerConfig) -> Failure | None:
        """Load the code again; when that fails, leave the old code in service and return why."""
        root = config.path.parent
        old = packages = self._packages
        if packages is None or packages.root != root or packages.is_of_one_version:
            packages = WorkerPackages(config.name, root, self._reports.warn)
        self.config = config
        try:
            loaded = self._load(config, packages)
            if isinstance(loaded, Failure):
                return loaded
            self._packages = packages
        finally:
            self._close_unused(packages)
        self._replace(loaded, None)
        if old is not None:
            self._close_unused(old)
        return None

    def fail(self, failure: Failure) -> None:
        """Take the old code out of service, as there is newer code that does not load."""
        self._replace(None, failure)

    def _replace(self, version: _Version | None, failure: Failure | None) -> None:
        """Let a version, or a failure, take the place of what is in service."""
        old, self._version = self._version, version
        self.failure = failure
        if old is not None:
            self._retire(old)

    async def stop(self, grace_seconds: float) -> None:
        """Let running invocations and `waitUntil` work finish for at most `grace_seconds`, then cancel them."""
        if self._version is not None:
            self._retire(self._version)
            self._version = None
            await asyncio.sleep(0)  # listeners hear that their WebSockets are lost
        if self.failure is None:
            self.failure = Failure("", "the worker has been stopped", (), "the worker has been stopped")
        if any(version.running for version in self._retired):
            self._drained = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._drained,), timeout=grace_seconds)
            if not self._drained.done():
                for version in self._retired:
                    for task in version.running.values():
                        if task is not None:
                            task.cancel()
                await asyncio.wait((self._drained,), timeout=_CANCEL_SECONDS)
            self._drained = None
        for version in list(self._retired):
            self._close(version)
        forget_logging(self)
        if self._packages is not None:
            self._packages.close()
            self._packages = None

    def _load(self, config: WorkerConfig, packages: WorkerPackages) -> _Version | Failure:
        """Run the worker's code and find its handlers, or report what is wrong with it."""
        modules = WorkerModules(config.name, config.main, packages, cpu_ms=config.cpu_ms)
        scope = WorkerScope(
            self._make_env(config),
            self._outbound,
            self._reports.warn,
            modules,
            self._bus,
            has_request_signal=SIGNAL_FLAG in config.compatibility_flags,
            has_flag=config.has_flag,
            for_js=self._for_js(config),
            on_error=lambda error, invocation: self._failed(error, trigger_text(invocation)),
        )
        invocation = Invocation(scope, None)
        token = current.set(invocation)
        try:
            with own_logging(self, config.name):
                module = modules.load()
            handlers = find_handlers(module, scope.env, config)
        except BaseException as error:
            for task in invocation.context.take_tasks():
                task.cancel()
            try:
                if not is_the_workers(error):
                    raise
                return load_failure(error, config)
            finally:
                modules.close()  # last, as its source is needed until then
        finally:
            current.reset(token)
            flush_partial_lines(invocation)
        differences = frozenset(unlike_production(module, handlers, config))
        for difference in sorted(differences - self._differences):
            self._reports.warn(difference)
        self._differences = differences
        version = _Version(
            modules, scope, handlers, waits_for_wait_until=NO_WAIT_FLAG not in config.compatibility_flags
        )
        scope.on_socket_closed = partial(self._socket_closed, version)
        self._end(version, invocation)
        return version

    def _retire(self, version: _Version) -> None:
        """Let a version finish its invocations, and close it after the last one. Its WebSockets end at once, as in
        production."""
        version.retired = True
        self._retired.add(version)
        for socket in tuple(version.scope.sockets):
            socket.lose()
        self._close_if_idle(version)

    def _close_if_idle(self, version: _Version) -> None:
        if version.running:
            return
        if not version.streams and not version.scope.sockets:
            self._close(version)
        drained = self._drained
        if drained is not None and not drained.done() and not any(other.running for other in self._retired):
            drained.set_result(None)

    def _close(self, version: _Version) -> None:
        if version.stacks is not None:
            version.stacks.close()
        version.modules.close()
        self._retired.discard(version)
        self._close_unused(version.modules.packages)

    def _close_unused(self, packages: WorkerPackages) -> None:
        """Close packages that belong neither to the version in service nor to one that still runs."""
        if packages is not self._packages and all(each.modules.packages is not packages for each in self._retired):
            packages.close()

    def invoke(self, entrypoint: str, trigger: Trigger[R]) -> Coroutine[Any, Any, R]:
        """Run the handler for `trigger` and return its result; see `WorkerHost.invoke`."""
        if entrypoint:
            raise self._reports.no_entrypoint(entrypoint)
        return self._ways[trigger.handler](trigger)

    async def _fetch(self, trigger: FetchTrigger) -> FetchResponse:
        version = self._version
        if version is None:
            raise self._not_loaded()
        handler = version.handlers.get("fetch")
        if handler is None:
            raise self._missing(version, "fetch")
        invocation = Invocation(version.scope, trigger)
        token = current.set(invocation)
        version.running[invocation] = asyncio.current_task(version.loop)
        try:
            response = handler.call(trigger.request, invocation.context)
            if type(response) is CoroutineType or hasattr(response, "__await__"):
                response = await response
            if isinstance(response, Response):
                if response.body_used:
                    raise BodyUsedError
                return self._streamed(version, invocation, response) if response.is_streaming else response
            error: BaseException = not_a_response(response, handler, self.config)
        except BaseException as raised:
            if not is_the_workers(raised):
                raise
            error = raised
        finally:
            current.reset(token)
            self._end(version, invocation)
        raise self._failed(error, trigger.text)

    async def _queue(self, trigger: QueueTrigger) -> Verdict:
        version = self._version
        if version is None:
            raise self._not_loaded()
        handler = version.handlers.get("queue")
        if handler is None:
            return Verdict("exception", error=str(self._missing(version, "queue")))
        decisions = Decisions(decode, version.scope.on_warning, self._cause)
        delivery = trigger.delivery
        metrics = delivery.metrics
        batch = MessageBatch(
            delivery.queue,
            [Message(message, decisions) for message in delivery.messages],
            BatchMetrics(metrics.backlog_count, metrics.backlog_bytes, metrics.oldest_message_timestamp),
            decisions,
        )
        delivery.so_far = partial(self._decided_so_far, decisions)
        held = held_seconds()
        delivery.held_seconds = lambda: held_seconds() - held
        failed = await self._run(version, handler, trigger, batch, wait=version.waits_for_wait_until)
        verdict = self._decided(decisions)
        decisions.acks, decisions.retries = set(), {}  # later decisions of the handler are ignored
        decisions.causes, decisions.retry_all_cause, decisions.described = {}, None, None
        if failed is None:
            return verdict
        failure = failed.failure
        outcome: Outcome = "exceeded_cpu" if failure.type == CpuLimitExceeded.__name__ else "exception"
        return verdict.failed(outcome, failure.summary, failure.text)

    async def _scheduled(self, trigger: ScheduledTrigger) -> None:
        await self._notify(trigger, ScheduledController(trigger.cron, trigger.scheduled_time_ms))

    async def _email(self, trigger: EmailTrigger) -> None:
        from emulator.hosts.python.email import message_of  # few workers have the handler

        await self._notify(trigger, message_of(trigger.email))

    async def _notify(self, trigger: Trigger[None], given: Any) -> None:
        """Call the handler for `trigger` with the arguments `given`; its result is not used."""
        with self._reports.finishing(trigger):
            version = self._version
            if version is None:
                raise self._not_loaded()
            handler = version.handlers.get(trigger.handler)
            if handler is None:
                raise self._missing(version, trigger.handler)
            failed = await self._run(version, handler, trigger, given, wait=True)
            if failed is not None:
                raise failed

    async def _run(
        self, version: _Version, handler: Handler, trigger: Trigger[Any], given: Any, *, wait: bool
    ) -> HandlerError | None:
        """Call a handler whose result is not used, and wait for its `waitUntil` work if asked to. Returns the first
        failure."""
        invocation = Invocation(version.scope, trigger)
        token = current.set(invocation)
        version.running[invocation] = asyncio.current_task(version.loop)
        failed: HandlerError | None = None
        try:
            try:
                returned = handler.call(given, invocation.context)
                if type(returned) is CoroutineType or hasattr(returned, "__await__"):
                    await returned
            except BaseException as error:
                if not is_the_workers(error):
                    raise
                failed = self._failed(error, trigger.text)
            if wait:
                failures = await self._wait_until(invocation, invocation.context.take_tasks())
                failed = failed or (failures[0] if failures else None)
            return failed
        finally:
            current.reset(token)
            self._end(version, invocation)

    def _end(self, version: _Version, invocation: Invocation) -> None:
        """The handler has ended: let its `waitUntil` work continue, and close a version that nothing else uses."""
        if partial_lines:
            flush_partial_lines(invocation)
        tasks = invocation.context.take_tasks()
        if tasks:
            self._finish_later(version, invocation, tasks)
            return
        version.running.pop(invocation, None)
        if version.retired:
            self._close_if_idle(version)

    def _socket_closed(self, version: _Version, invocation: Invocation) -> None:
        """A WebSocket is not open any more: if nothing else of its invocation runs, that has ended."""
        if invocation not in version.running:
            self._end(version, invocation)

    def _finish_later(self, version: _Version, invocation: Invocation, tasks: Sequence[asyncio.Future[Any]]) -> None:
        async def finish() -> None:
            try:
                await self._wait_until(invocation, tasks)
            finally:
                self._end(version, invocation)

        version.running[invocation] = asyncio.create_task(finish())

    async def _wait_until(self, invocation: Invocation, tasks: Sequence[asyncio.Future[Any]]) -> list[HandlerError]:
        """Wait for `waitUntil` work, including work that it adds. Cancels the work if it is cancelled itself."""
        failures: list[HandlerError] = []
        while tasks:
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)
                raise
            for task in tasks:
                error = None if task.cancelled() else task.exception()
                if error is not None:
                    trigger = f"waitUntil {trigger_text(invocation)}".rstrip()
                    failures.append(self._failed(error, trigger))
            tasks = invocation.context.take_tasks()
        return failures

    def _streamed(self, version: _Version, invocation: Invocation, response: Response) -> FetchResponse:
        """`response` with a body whose code runs as part of `invocation` and keeps its version open."""
        socket = response.raw_web_socket
        if socket is not None:
            from emulator.hosts.python.sockets import upgrade  # few workers have WebSockets

            try:
                return upgrade(invocation.trigger.request, response, socket)
            except JsException as error:
                raise wrong_answer(f"returned a WebSocket: {error}", version.handlers["fetch"], self.config) from None
        body = response.body
        if body is None or body.locked or body.disturbed:
            return response
        source = body.take()
        if isinstance(source, bytes):
            return response.replace_body(source)
        if version.stacks is not None:
            source = version.stacks.stream(source, invocation)
        version.streams += 1

        def ended(error: Exception | None) -> None:
            version.streams -= 1
            if error is not None:
                self._failed(error, trigger_text(invocation))
            self._end(version, invocation)

        return response.replace_body(InvocationStream(source, invocation, ended))

    def _failed(self, error: BaseException, trigger: str) -> HandlerError:
        """Report that worker code raised an exception. Returns the error to raise."""
        return self._reports.failed(failure_of(error, self.config, self._locals_without), trigger, error)

    def _decided(self, decisions: Decisions) -> Verdict:
        """The decisions of a handler so far."""
        return Verdict(
            "ok",
            decisions.ack_all,
            decisions.retry_all,
            decisions.retry_all_delay,
            decisions.acks,
            decisions.retries,
            causes=decisions.causes,
            retry_all_cause=decisions.retry_all_cause,
        )

    def _cause(self, error: BaseException) -> Cause:
        """Why a handler asks for a retry while it handles an exception."""
        return self._reports.cause(failure_of(error, self.config, self._locals_without))

    def _decided_so_far(self, decisions: Decisions) -> Verdict:
        """A copy of the decisions of a handler that still runs, which later calls do not change."""
        return msgspec.structs.replace(
            self._decided(decisions),
            explicit_acks=set(decisions.acks),
            retry_messages=dict(decisions.retries),
            causes=dict(decisions.causes),
        )

    def _not_loaded(self) -> NotLoaded:
        text = "the worker has not been started"
        return NotLoaded(self.failure or Failure("", text, (), text))

    def _missing(self, version: _Version, handler: str) -> HandlerMissing:
        return self._reports.missing(handler, in_order(version.handlers), "the class Default")
