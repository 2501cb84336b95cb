"""Runs a worker written in Python in this process, on the event loop's thread.

A host holds one `_Version` of its worker at a time, and lets older ones finish what they run. An invocation begins with
`current` set to it, so that `workers.env`, `print` and lazy imports know whose they are, and has ended when the handler
has returned, its `waitUntil` work is done and its answer has been streamed.
"""

from __future__ import annotations

import asyncio
import linecache
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.base.bus import Bus, Notice
from emulator.base.failure import Failure, Frame, plain_name
from emulator.config.model import WorkerConfig
from emulator.hosts.events import HandlerFailed
from emulator.hosts.host import CpuLimitExceeded, HandlerError, HandlerMissing, NotLoaded, Tunnel
from emulator.hosts.python.entrypoints import Event, Handler, find_handlers, ignored_functions, shown_path
from emulator.hosts.python.loader import WorkerModules, WorkerPackages, WorkerScope
from emulator.hosts.python.logs import forget_logging, own_logging
from emulator.hosts.python.output import flush_partial_lines, partial_lines, trigger_text
from emulator.queues.message import Delivery, Outcome, Verdict
from emulator.wire.codec import decode
from emulator_runtime.errors import BodyUsedError
from emulator_runtime.invocation import Invocation, current
from emulator_runtime.streams import close_source
from emulator_runtime.workers.queue import BatchMetrics, Decisions, Message, MessageBatch
from emulator_runtime.workers.response import Response
from emulator_runtime.workers.scheduled import ScheduledController

if TYPE_CHECKING:
    from emulator_runtime.workers.request import Request

NO_WAIT_FLAG: Final = "queue_consumer_no_wait_for_wait_until"

_CANCEL_SECONDS: Final = 1.0
"""How long what was cancelled may take to clean up before it is left behind."""


class _Version:
    """One version of a worker's code, and what runs on it.

    `running` counts its invocations whose handler or `waitUntil` work has not ended, and `streams` the answers that it
    still produces. `background` holds the tasks that wait for `waitUntil` work.
    """

    __slots__ = (
        "background",
        "fetch",
        "handlers",
        "modules",
        "queue",
        "retired",
        "running",
        "scheduled",
        "scope",
        "streams",
        "waits_for_wait_until",
    )

    def __init__(
        self,
        modules: WorkerModules,
        scope: WorkerScope,
        handlers: dict[Event, Handler],
        *,
        waits_for_wait_until: bool,
    ) -> None:
        self.waits_for_wait_until = waits_for_wait_until
        self.modules = modules
        self.scope = scope
        self.handlers = frozenset(handlers)
        self.fetch = handlers.get("fetch")
        self.queue = handlers.get("queue")
        self.scheduled = handlers.get("scheduled")
        self.running = 0
        self.streams = 0
        self.background: set[asyncio.Task[None]] = set()
        self.retired = False


class PythonHost:
    """A host for a worker whose `main` is a Python module.

    `make_env` makes the worker's `env`, anew for each version of its code; `outbound` carries out the `fetch()` of
    worker code. Failures and warnings are published on `bus`. Used on the event loop's thread only.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        make_env: Callable[[WorkerConfig], Any],
        outbound: Callable[[Request], Awaitable[Response]],
        bus: Bus,
    ) -> None:
        self.config = config
        self.failure: Failure | None = None
        self._make_env = make_env
        self._outbound = outbound
        self._bus = bus
        self._packages: WorkerPackages | None = None
        self._version: _Version | None = None
        self._retired: set[_Version] = set()
        self._drained: asyncio.Future[None] | None = None

    @property
    def handlers(self) -> frozenset[str]:
        """Which of `fetch`, `queue` and `scheduled` the worker has; empty while it is not loaded."""
        return frozenset[str]() if self._version is None else self._version.handlers

    @property
    def files(self) -> frozenset[Path]:
        """The worker's own files that are loaded; empty while it is not loaded."""
        return frozenset[Path]() if self._version is None else self._version.modules.files

    # Life

    @property
    def calls_under_way(self) -> int:
        """None: the code runs in this process."""
        return 0

    @property
    def takes_websockets(self) -> bool:
        """Not yet."""
        return False

    def tunnel(self, _request: Request) -> Tunnel | None:
        """There is none."""
        return None

    async def start(self) -> None:
        """Load the code. Does not raise when it does not load: `failure` is set."""
        await self.reload(self.config)

    async def reload(self, config: WorkerConfig) -> None:
        """Load the code again, with `config`. What runs finishes on the old code. `failure` tells how it went."""
        if self._packages is not None and self._packages.directory != config.directory:
            self._packages.close()
            self._packages = None
        if self._packages is None:
            self._packages = WorkerPackages(config.name, config.directory)
        self.config = config
        old, self._version = self._version, None
        loaded = self._load(config, self._packages)
        if isinstance(loaded, Failure):
            self.failure = loaded
        else:
            self.failure = None
            self._version = loaded
        if old is not None:
            self._retire(old)

    async def stop(self, grace_seconds: float) -> None:
        """Let what runs, `waitUntil` work included, finish for at most `grace_seconds`, then cancel it."""
        if self._version is not None:
            self._retire(self._version)
            self._version = None
        if self.failure is None:
            self.failure = Failure("", "the worker has been stopped", (), "the worker has been stopped")
        if any(version.running for version in self._retired):
            self._drained = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._drained,), timeout=grace_seconds)
            if not self._drained.done():
                for task in self._running_tasks():
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
        """Run the worker's code and find its handlers, or tell what is wrong with it."""
        modules = WorkerModules(config.name, config.main, packages, cpu_ms=config.cpu_ms)
        scope = WorkerScope(self._make_env(config), self._outbound, self._warn, modules, self._bus)
        invocation = Invocation(scope, None)
        token = current.set(invocation)
        root = config.path.parent
        try:
            with own_logging(self, config.name):
                module = modules.load()
            handlers = find_handlers(module, scope.env, root)
        except BaseException as error:
            for task in invocation.context.take_tasks():
                task.cancel()
            try:
                if not _is_the_workers(error):
                    raise
                return _load_failure(error, config)
            finally:
                modules.close()  # last, as its source is needed until then
        finally:
            current.reset(token)
            flush_partial_lines(invocation)
        for name in ignored_functions(module):
            place = shown_path(str(config.main), root)
            self._warn(f"{place}: {name} is never called, because the module has a class Default")
        version = _Version(
            modules, scope, handlers, waits_for_wait_until=NO_WAIT_FLAG not in config.compatibility_flags
        )
        version.running += 1
        self._end(version, invocation)
        return version

    def _retire(self, version: _Version) -> None:
        """Let a version finish what it runs, and be gone with the last of it."""
        version.retired = True
        self._retired.add(version)
        self._close_if_idle(version)

    def _close_if_idle(self, version: _Version) -> None:
        if version.running:
            return
        if not version.streams:
            self._close(version)
        drained = self._drained
        if drained is not None and not drained.done() and not any(other.running for other in self._retired):
            drained.set_result(None)

    def _close(self, version: _Version) -> None:
        version.modules.close()
        self._retired.discard(version)

    # Events

    async def rest(self) -> None:
        """Nothing to wait for: `waitUntil` work runs on this event loop."""

    async def fetch(self, request: Request) -> Response:
        """Run the `fetch` entrypoint. Raises HandlerError, HandlerMissing or NotLoaded."""
        version = self._version
        if version is None:
            raise self._not_loaded()
        handler = version.fetch
        if handler is None:
            raise HandlerMissing(self._missing(version, "fetch"))
        invocation = Invocation(version.scope, request)
        token = current.set(invocation)
        version.running += 1
        try:
            response = handler.call(request, invocation.context)
            if type(response) is CoroutineType or hasattr(response, "__await__"):
                response = await response
            if isinstance(response, Response):
                if response.body_used:
                    raise BodyUsedError
                return self._streamed(version, invocation, response) if response.is_streaming else response
            error: BaseException = _not_a_response(response, handler, self.config)
        except BaseException as raised:
            if not _is_the_workers(raised):
                raise
            error = raised
        finally:
            current.reset(token)
            self._end(version, invocation)
        raise HandlerError(self._failed(error, trigger_text(request))) from error

    async def queue(self, delivery: Delivery) -> Verdict:
        """Run the `queue` entrypoint and tell what it decided. A handler that raises is an outcome, not an exception.
        Raises NotLoaded when the batch is to wait."""
        version = self._version
        if version is None:
            raise self._not_loaded()
        handler = version.queue
        if handler is None:
            return Verdict("exception", error=self._missing(version, "queue"))
        decisions = Decisions(decode, version.scope.on_warning)
        metrics = delivery.metrics
        batch = MessageBatch(
            delivery.queue,
            [Message(message, decisions) for message in delivery.messages],
            BatchMetrics(metrics.backlog_count, metrics.backlog_bytes, metrics.oldest_message_timestamp),
            decisions,
        )
        delivery.so_far = partial(_decided_so_far, decisions)
        failed = await self._run(version, handler, batch, wait=version.waits_for_wait_until)
        verdict = _decided(decisions)
        decisions.acks, decisions.retries = set(), {}  # what the handler says from now on comes too late
        if failed is None:
            return verdict
        failure = failed.failure
        outcome: Outcome = "exceeded_cpu" if failure.type == CpuLimitExceeded.__name__ else "exception"
        return verdict.failed(outcome, failure.summary, failure.text)

    async def scheduled(self, cron: str, scheduled_time_ms: int) -> None:
        """Run the `scheduled` entrypoint. Raises HandlerError, HandlerMissing or NotLoaded."""
        version = self._version
        if version is None:
            raise self._not_loaded()
        if version.scheduled is None:
            raise HandlerMissing(self._missing(version, "scheduled"))
        controller = ScheduledController(cron, scheduled_time_ms)
        failed = await self._run(version, version.scheduled, controller, wait=True)
        if failed is not None:
            raise failed

    async def _run(self, version: _Version, handler: Handler, trigger: Any, *, wait: bool) -> HandlerError | None:
        """Call a handler that answers nobody, and wait for its `waitUntil` work if so wished. The first failure."""
        invocation = Invocation(version.scope, trigger)
        token = current.set(invocation)
        version.running += 1
        failed: HandlerError | None = None
        try:
            try:
                returned = handler.call(trigger, invocation.context)
                if type(returned) is CoroutineType or hasattr(returned, "__await__"):
                    await returned
            except BaseException as error:
                if not _is_the_workers(error):
                    raise
                failed = _handler_error(self._failed(error, trigger_text(trigger)), error)
            if wait:
                failures = await self._wait_until(invocation, invocation.context.take_tasks())
                failed = failed or (failures[0] if failures else None)
            return failed
        finally:
            current.reset(token)
            self._end(version, invocation)

    # The end of an invocation

    def _end(self, version: _Version, invocation: Invocation) -> None:
        """The handler has ended: what it has left for `waitUntil` goes on, and a version that was waited for closes."""
        if partial_lines:
            flush_partial_lines(invocation)
        tasks = invocation.context.take_tasks()
        if tasks:
            self._finish_later(version, invocation, tasks)
        version.running -= 1
        if version.retired:
            self._close_if_idle(version)

    def _finish_later(self, version: _Version, invocation: Invocation, tasks: Sequence[asyncio.Future[Any]]) -> None:
        async def finish() -> None:
            try:
                await self._wait_until(invocation, tasks)
            finally:
                self._end(version, invocation)

        version.running += 1
        finishing = asyncio.create_task(finish())
        version.background.add(finishing)
        finishing.add_done_callback(version.background.discard)

    def _running_tasks(self) -> set[asyncio.Task[Any]]:
        """The tasks in which worker code runs. Looked for in all tasks of the loop, as this is needed once, and keeping
        a record of them would cost every invocation."""
        codes = (PythonHost.fetch.__code__, PythonHost._run.__code__)
        found: set[asyncio.Task[Any]] = {task for version in self._retired for task in version.background}
        for task in asyncio.all_tasks():
            coroutine: Any = task.get_coro()
            while coroutine is not None:
                frame = getattr(coroutine, "cr_frame", None)
                if frame is not None and frame.f_code in codes and frame.f_locals.get("self") is self:
                    found.add(task)
                coroutine = getattr(coroutine, "cr_await", None)
        return found

    async def _wait_until(self, invocation: Invocation, tasks: Sequence[asyncio.Future[Any]]) -> list[HandlerError]:
        """Wait for `waitUntil` work, and for what that adds to it. Cancels it when it is cancelled itself."""
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
                    trigger = f"waitUntil {trigger_text(invocation.trigger)}".rstrip()
                    failures.append(_handler_error(self._failed(error, trigger), error))
            tasks = invocation.context.take_tasks()
        return failures

    def _streamed(self, version: _Version, invocation: Invocation, response: Response) -> Response:
        """`response` with a body whose code runs as part of `invocation`, and keeps its version open."""
        body = response.body
        if body is None or body.locked or body.disturbed:
            return response
        source = body.take()
        if isinstance(source, bytes):
            return response.replace_body(source)
        version.streams += 1

        def ended(error: Exception | None) -> None:
            version.streams -= 1
            version.running += 1
            if error is not None:
                self._failed(error, trigger_text(invocation.trigger))
            self._end(version, invocation)

        return response.replace_body(_InvocationStream(source, invocation, ended))

    def _failed(self, error: BaseException, trigger: str) -> Failure:
        """Describe what worker code raised, and tell the world."""
        failure = error.failure if isinstance(error, _DescribedError) else _failure(error, self.config)
        self._bus.publish(HandlerFailed(self.config.name, trigger, failure))
        return failure

    # Words

    def _warn(self, text: str) -> None:
        self._bus.publish(Notice("warning", text, self.config.name))

    def _not_loaded(self) -> NotLoaded:
        text = "the worker has not been started"
        return NotLoaded(self.failure or Failure("", text, (), text))

    def _missing(self, version: _Version, event: Event) -> str:
        article = "n" if event[0] in "aeiou" else ""
        has = " and ".join(each for each in ("fetch", "queue", "scheduled") if each in version.handlers)
        return (
            f"worker {self.config.name} has no {event} handler, it has {has}; "
            f"add a{article} {event} method to the class Default, or a function on_{event}"
        )


class _InvocationStream:
    """The body of an answer, produced by worker code after its handler has returned."""

    __slots__ = ("__weakref__", "_ended", "_invocation", "_source")

    def __init__(
        self, source: AsyncIterator[bytes], invocation: Invocation, ended: Callable[[Exception | None], None]
    ) -> None:
        self._source = source
        self._invocation = invocation
        self._ended: Callable[[Exception | None], None] | None = ended

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        token = current.set(self._invocation)
        try:
            return await self._source.__anext__()
        except StopAsyncIteration:
            self._end(None)
            raise
        except Exception as error:
            self._end(error)
            raise
        finally:
            current.reset(token)

    async def aclose(self) -> None:
        """Nobody reads on, which worker code sees as the end of its generator."""
        token = current.set(self._invocation)
        try:
            await close_source(self._source)
        finally:
            current.reset(token)
            self._end(None)

    def __del__(self) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(error)


class _DescribedError(TypeError):
    """An error that is not where it was raised: `failure` says where it is to be mended."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _is_the_workers(error: BaseException) -> bool:
    """Whether what came out of worker code is its failure, as nearly everything is, `sys.exit()` included, and not
    something that only goes through it: an interrupt, or the cancellation of the task that it runs in."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or bool(not task.cancelling())
    return not isinstance(error, (KeyboardInterrupt, GeneratorExit))


def _decided(decisions: Decisions) -> Verdict:
    """What a handler has asked for by now."""
    return Verdict(
        "ok",
        decisions.ack_all,
        decisions.retry_all,
        decisions.retry_all_delay,
        decisions.acks,
        decisions.retries,
    )


def _decided_so_far(decisions: Decisions) -> Verdict:
    """The same of a handler that still runs, whatever it goes on to say."""
    return msgspec.structs.replace(
        _decided(decisions), explicit_acks=set(decisions.acks), retry_messages=dict(decisions.retries)
    )


def _handler_error(failure: Failure, cause: BaseException) -> HandlerError:
    error = HandlerError(failure)
    error.__cause__ = cause
    return error


def _failure(error: BaseException, config: WorkerConfig) -> Failure:
    return Failure.from_exception(error, config.directory)


def _load_failure(error: BaseException, config: WorkerConfig) -> Failure:
    failure = _failure(error, config)
    if isinstance(error, SystemExit):
        failure = replace(failure, message=f"{error.code}: the module called sys.exit() while it was imported")
    return failure


def _not_a_response(value: Any, handler: Handler, config: WorkerConfig) -> _DescribedError:
    """The error of a `fetch` handler that returned something else, at the place where the handler is."""
    hint = ""
    if value is None:
        hint = "; is a return missing?"
    elif isinstance(value, (str, bytes)):
        hint = "; did you mean Response(...)?"
    elif isinstance(value, (dict, list)):
        hint = "; did you mean Response.json(...)?"
    elif isinstance(value, CoroutineType):
        value.close()
        hint = "; is an await missing?"
    place = f"{shown_path(handler.file, config.path.parent)}:{handler.line}"
    kind = "None" if value is None else plain_name(f"{type(value).__module__}.").removeprefix("builtins.")
    if value is not None:
        kind += type(value).__qualname__
    message = f"{handler.name} ({place}) must return a Response, not {kind}{hint}"
    lines = linecache.getlines(handler.file)
    code = lines[handler.line - 1].strip() if 0 < handler.line <= len(lines) else ""
    frame = Frame(handler.file, handler.line, handler.name, code, is_user=True, source=lines)
    text = f'File "{handler.file}", line {handler.line}, in {handler.name}\n    {code}\nTypeError: {message}'
    return _DescribedError(Failure("TypeError", message, (frame,), text))
