"""What `Emulator` and `AsyncEmulator` share: a session on a loop that is run step by step."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from pathlib import Path
from random import SystemRandom
from traceback import walk_tb
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from emulator.base.bus import Bus, Notice
from emulator.base.coroutines import run_now
from emulator.base.errors import EmulatorError, WorkerLoadError
from emulator.base.words import count
from emulator.bindings.queue.kit_values import (
    Delivery,
    Message,
    QueueResult,
    RetryBatch,
    RetryMessage,
    at_time,
    look_at,
    to_dispatch,
)
from emulator.config.model import WorkerConfig
from emulator.hosts.host import HandlerError, HandlerMissing, JavaScriptError, WorkerHost
from emulator.hosts.python.loader import OwnSource
from emulator.hosts.python.output import attach as attach_output
from emulator.hosts.python.output import redirected
from emulator.hosts.triggers import QueueTrigger, ScheduledTrigger
from emulator.log.recorder import Recorder
from emulator.queues.consumption import Deliver
from emulator.queues.declarations import QueueState
from emulator.queues.errors import QueueError
from emulator.queues.events import BatchDelivered
from emulator.queues.memory.engine import MemoryEngine
from emulator.queues.message import Cause, QueueMessage, Verdict, WorkerDelivery, backlog_of
from emulator.queues.service import Queues
from emulator.server.app import App
from emulator.server.gateway import Gateway
from emulator.session.session import Session
from emulator.storage.state import Snapshot, State
from emulator.testing.chaos import Chaos, Disturber
from emulator.testing.loop import EPOCH, EndlessError, LoopClock, RealLoop, StuckError, VirtualLoop
from emulator.testing.outbound import Outbound, UnmatchedFetchError
from emulator.testing.timeline import Timeline
from emulator.wire.codec import ContentType
from emulator_runtime.hosting import to_attribute_dict

if TYPE_CHECKING:
    from emulator.bindings.email.incoming import IncomingEmail
    from emulator.bindings.kind import OpenKind
    from emulator.dashboard.rows import MessageRow
    from emulator.dashboard.stories import Stories
    from emulator.dashboard.story import MessageStory, RequestStory
    from emulator_runtime.hosting import Request, Response

T = TypeVar("T")

IDLE_LIMIT: Final = 1_000
"""How many deliveries `run_until_idle` makes before it considers them endless."""

STEPS_PER_DELIVERY: Final = 10
"""How many times `run_until_idle` moves time, for each delivery that it may make, before it considers that endless."""

MOST_STORIES: Final = 3
"""Of how many messages the report of a failed test says why they failed."""

MOST_AT_ONE_TIME: Final = 10_000
"""How many deliveries may happen while time stands still before they are considered endless."""

REAL_STEP_SECONDS: Final = 0.02
"""How often, in real time, `run_until_idle` checks whether everything has ended."""


@dataclass(frozen=True)
class Opening:
    """What an emulator runs, and how. `configs` is called when the emulator opens, so that a broken configuration fails
    there."""

    configs: Callable[[], Sequence[WorkerConfig]]
    bindings: Mapping[str, Any] = field(default_factory=dict)
    raise_errors: bool = True
    real_time: bool = False
    chaos: Chaos | None = None
    crons: bool = True
    locals: bool = True
    state: Path | None = None


def _begun(archive: Path | None) -> State:
    """What bindings keep, in memory: what an archive contains, or nothing."""
    state = State()
    if archive is not None:
        from emulator.storage.archive import read_archive

        state.restore(read_archive(archive))
    return state


class Core:
    """An open emulator. It loads its workers when it is created; if that fails it raises ConfigError or WorkerLoadError
    and leaves nothing behind.

    Everything runs on the calling thread, and nothing runs between calls. Threads take turns with `exclusively`.
    """

    def __init__(self, settings: Opening) -> None:
        __tracebackhide__ = True
        check_no_loop()
        configs = settings.configs()
        self.bus = Bus()
        self.outbound = Outbound()
        self._session: Session | None = None
        self.loop = (
            RealLoop()
            if settings.real_time
            else VirtualLoop(self._is_busy_outside, self._is_accounted_for, self._recurring)
        )
        self.clock = LoopClock(self.loop)
        self.engine = MemoryEngine(self.clock)
        self.deliveries: list[Delivery] = []
        self.recorder = Recorder(self.bus, self.loop.time)
        self.timeline = Timeline(self.bus, self.loop.time, self._why_failed)
        self._held_back = 0
        """How many answers wait for the test to read more of them."""
        self._is_held = asyncio.Event()
        self.closed = False
        self.lock = threading.RLock()
        self._thread: ThreadPoolExecutor | None = None
        self._is_real = settings.real_time
        self._returned = 0
        self._begun = 0
        self._most: int | None = None
        self._last_time = 0.0
        self._at_one_time = 0
        self._faults: dict[str, list[Exception]] = {}
        self._disturber: Disturber | None = None
        self._detach_output = attach_output(self.bus, echo=True)
        self.bus.subscribe(BatchDelivered, self._delivered)
        try:
            self._session = Session(
                configs,
                self.bus,
                clock=self.clock,
                engine=self.engine,
                outbound=self._fetch,
                timer=self.loop.time,
                bindings=settings.bindings,
                around_delivery=lambda deliver: partial(self._deliver, deliver),
                state=_begun(settings.state),
                has_locals=settings.locals,
            )
            if settings.chaos is not None:
                self.set_chaos(settings.chaos)
            with redirected():
                self.loop.complete(self.session.load())
            if settings.crons:
                self.session.run_crons()
            for host in self.session.hosts:
                if host.failure is not None:
                    text = f"worker {host.config.name} failed to load: {host.failure.summary}"
                    raise WorkerLoadError(text, where=host.failure.location, hint=host.failure.text)
        except BaseException:
            self.close()
            raise
        gateways = [
            Gateway(
                host,
                self.bus,
                raise_errors=settings.raise_errors,
                timer=self.loop.time,
                fronts=self.session.open_kinds.front,
                tallies=self.session.open_kinds.tallies,
            )
            for host in self.session.hosts
        ]
        self.app = App(gateways, self._make_control)

    @property
    def session(self) -> Session:
        """The session that is run."""
        assert self._session is not None
        return self._session

    def snapshot(self) -> Snapshot:
        """What bindings keep now."""
        __tracebackhide__ = True
        self.check_open()
        return self.session.state.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Let bindings keep what they did at that moment."""
        __tracebackhide__ = True
        self.check_open()
        self.session.state.restore(snapshot)

    def open_kind(self, kind: str) -> OpenKind[Any]:
        """A binding kind in the session."""
        __tracebackhide__ = True
        self.check_open()
        return self.session.open_kinds[kind]

    def _is_busy_outside(self) -> object:
        """Whether the network, or another process that runs worker code, is being waited for."""
        if self.outbound.requests_outside or self._session is None:
            return self.outbound.requests_outside
        held_back = self._held_back + self._session.open_kinds.tallies.held
        return self._session.activity.calls_under_way > held_back

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        """In this context an answer waits for the test to read more of it, and nobody waits for what makes it."""
        self._held_back += 1
        self._is_held.set()
        try:
            yield
        finally:
            self._held_back -= 1
            if not self._held_back:
                self._is_held.clear()

    def _is_accounted_for(self, descriptor: int) -> bool:
        """Whether a connection is with such a process: the calls tell whether there is anything to wait for."""
        return self._session is not None and self._session.activity.owns(descriptor)

    def _make_control(self) -> Any:
        from emulator.dashboard.routes import Dashboard
        from emulator.server.control.app import make_control  # few tests use what is under /cdn-cgi/

        return make_control(self.session, routes_beside=Dashboard(self.session, self.recorder).routes())

    def close(self) -> None:
        """Let running code finish if that takes no time, cancel the rest, and close everything."""
        __tracebackhide__ = True
        if self.closed:
            return
        check_no_loop()
        self.closed = True
        self.timeline.close()
        try:
            with redirected():
                try:
                    self.loop.complete(self._stop())
                finally:
                    self.loop.finish()
        finally:
            self._detach_output()

    async def _stop(self) -> None:
        if self._session is not None:
            await self._session.stop(0.0)
        await self.outbound.close()

    def exclusively(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call `function`; no other thread does the same meanwhile."""
        __tracebackhide__ = True
        with self.lock:
            return function(*arguments)

    async def on_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call `function` on another thread, which is always the same one: a plain function of worker code that waits
        (`hosts/python/stacks.py`) cannot go on on another."""
        __tracebackhide__ = True
        return await on_thread(self.call_on_thread, function, *arguments)

    def call_on_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """What `on_thread` does, for a caller that cannot await."""
        __tracebackhide__ = True
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "emulator-testing")
        return self._thread.submit(copy_context().run, self.exclusively, function, *arguments).result()

    def end_thread(self) -> None:
        """End the thread of `on_thread`; not on that thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown()

    def run(
        self, main: Coroutine[Any, Any, T], *, check: bool = True, stuck: Callable[[], EmulatorError] | None = None
    ) -> T:
        """Run `main` to its end, and everything that is due then. An exception of worker code is raised with the user's
        frames only. Unless `check` is false, a `fetch()` that no route answers fails the test. `stuck` makes the error
        for when `main` cannot end."""
        __tracebackhide__ = True
        try:
            self.check_ready()
            with redirected():
                result = self.loop.complete(self._then_rest(main))
                self.loop.advance_to(self.loop.time())
        except StuckError:
            if stuck is not None:
                raise stuck() from None
            text = "worker code waits for something that can never happen: no timer is set and nothing else is running"
            raise EmulatorError(text) from None
        except EndlessError:
            raise self._endless() from None
        except Exception as error:
            if isinstance(error, JavaScriptError):
                self.check_fetches()  # JavaScript only sees that its fetch() failed
            if error in self.outbound.failures:
                self.outbound.failures.clear()
            error.__traceback__ = user_frames(error)
            raise
        finally:
            main.close()
        if check:
            self.check_fetches()
        return result

    async def _then_rest(self, main: Coroutine[Any, Any, T]) -> T:
        __tracebackhide__ = True
        result = await main
        if self.session.activity.is_empty:
            return result
        waiting = [asyncio.ensure_future(each) for each in (self.session.activity.rest(), self._is_held.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)
        return result

    def advance(self, seconds: float) -> list[Delivery]:
        """Move time, run everything that becomes due on the way, and return the deliveries since the last call."""
        __tracebackhide__ = True
        self.check_ready()
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"time only moves forward, by a number of seconds: not advance(seconds={seconds!r})")
        self._advance_to(self.loop.time() + seconds)
        self.check_fetches()
        return self._new_deliveries()

    def run_until_idle(self, limit: int) -> list[Delivery]:
        """Jump from deadline to deadline until nothing is due except the deletion of old messages."""
        __tracebackhide__ = True
        self.check_ready()
        self._begun = len(self.deliveries)
        self._most = self._begun + limit
        try:
            for _ in range(STEPS_PER_DELIVERY * (limit + 100)):
                self._advance_to(self.loop.time())
                due = self._next_due()
                if due is None:
                    self.check_fetches()
                    return self._new_deliveries()
                if len(self.deliveries) > self._most:
                    break
                now = self.loop.time()
                self._advance_to(min(due, now + REAL_STEP_SECONDS) if self._is_real else max(due, now))
        finally:
            self._most = None
        raise self._never_idle()

    def _advance_to(self, when: float) -> None:
        __tracebackhide__ = True
        try:
            with redirected():
                self.loop.advance_to(when)
        except EndlessError:
            raise self._endless() from None

    def _never_idle(self) -> EmulatorError:
        made = self.deliveries[self._begun :]
        if not made:
            return EmulatorError(
                f"it never becomes idle: worker code sets one timer after another, up to {at_time(self.loop.time())}",
                hint="advance(seconds=) stops at a given time.",
            )
        return EmulatorError(
            f"it never becomes idle: {_account(made)}, and more is due",
            hint="A higher run_until_idle(limit=) allows more; advance(seconds=) stops at a given time.",
        )

    def _endless(self) -> EmulatorError:
        """The error for worker code that never finishes."""
        if self._most is not None and len(self.deliveries) > self._most:
            return self._never_idle()
        if self._at_one_time > MOST_AT_ONE_TIME:
            made = self.deliveries[-self._at_one_time :]
            return EmulatorError(f"deliveries do not end while time stands still: {_account(made)}")
        passed = self.loop.time() - EPOCH
        return EmulatorError(
            f"worker code never finishes: {passed:,.0f} s of virtual time have passed, and it is still running",
            hint="This happens when a loop waits for something that only the test can do.",
        )

    def _recurring(self) -> Collection[Any]:
        """The timer that is set again and again, so that it ends no wait."""
        crons = None if self._session is None else self._session.crons
        return () if crons is None or crons.timer is None else (crons.timer,)

    def _next_due(self) -> float | None:
        timers = (self.engine.next_activity(), self.loop.next_timer(self.clock.timers))
        return min((due for due in timers if due is not None), default=None)

    def _new_deliveries(self) -> list[Delivery]:
        new = self.deliveries[self._returned :]
        self._returned = len(self.deliveries)
        return new

    def check_open(self) -> None:
        """Raise EmulatorError if the emulator is closed."""
        __tracebackhide__ = True
        if self.closed:
            raise EmulatorError("this emulator is closed", hint="Use it inside its `with` block, or inside the test.")

    def check_ready(self) -> None:
        """Raise EmulatorError if the emulator is closed or running, or if an event loop is already running on this
        thread."""
        __tracebackhide__ = True
        self.check_open()
        if self.loop.is_running():
            raise EmulatorError(
                "this emulator is running, and has called the test",
                hint="What it calls (an answer, a double) can inspect queues and send messages, but cannot run it.",
            )
        check_no_loop()

    def check_fetches(self) -> None:
        """Fail if worker code fetched something that no route answers, or if an assertion about its requests failed."""
        __tracebackhide__ = True
        failures = self.outbound.failures[:1]
        self.outbound.failures.clear()
        for failure in failures:
            if isinstance(failure, UnmatchedFetchError):
                raise failure.with_traceback(None)
            raise failure

    async def _fetch(self, request: Request) -> Response:
        """Carry out a `fetch()` of worker code, and note it in the timeline."""
        __tracebackhide__ = True
        what = f"{request.method} {request.url}"
        try:
            response = await self.outbound(request)
        except Exception as error:
            unmatched = isinstance(error, UnmatchedFetchError)
            why = "no route answers it" if unmatched else f"raised {type(error).__name__}: {error}"
            self.timeline.note("fetch", f"{what}: {why}")
            raise
        self.timeline.note("fetch", f"{what} {response.status}")
        return response

    @property
    def queues(self) -> Queues:
        """The queues of the session. The memory engine's coroutines do not suspend: `run_now` runs them."""
        return self.session.queues

    def state_of(self, name: str) -> QueueState:
        """What is known of a queue. Raises EmulatorError, which names the ones that are there."""
        __tracebackhide__ = True
        self.check_open()
        try:
            return self.queues.state_of(name)
        except QueueError:
            there = ", ".join(self.queues.states) or "none"
            raise EmulatorError(
                f"there is no queue {name!r}; the queues are: {there}",
                hint="A queue exists when a producer, a consumer or a dead_letter_queue of a configuration names it.",
            ) from None

    def messages(self, name: str) -> list[Message]:
        """The messages that wait in a queue: the ready ones in order, then the delayed ones by the time they are
        due."""
        now = self.loop.time()
        self.state_of(name)
        return [
            look_at(message, name, "delayed" if message.ready_at > now else "ready")
            for message in run_now(self.queues.waiting(name))
        ]

    def why(self, identifier: str) -> MessageStory:
        """What happened to a message, and why."""
        __tracebackhide__ = True
        self.check_open()
        return run_now(self._stories().message(identifier))

    def messages_by(self, text: str) -> list[MessageRow]:
        """The messages that a filter means."""
        __tracebackhide__ = True
        from emulator.dashboard.fields import MESSAGES
        from emulator.dashboard.filters import parse

        self.check_open()
        return run_now(self._stories().messages(parse(text, MESSAGES), sys.maxsize))

    def requests_by(self, text: str) -> list[RequestStory]:
        """The requests that a filter means."""
        __tracebackhide__ = True
        from emulator.dashboard.fields import REQUESTS
        from emulator.dashboard.filters import parse

        self.check_open()
        return [story for _, story in self._stories().requests(parse(text, REQUESTS), sys.maxsize)]

    def _stories(self) -> Stories:
        from emulator.dashboard.stories import Stories  # few tests ask

        return Stories(self.session, self.recorder, UTC)

    def _why_failed(self) -> list[str]:
        """The stories of the last messages that failed and were not acked after that, for the report of a test."""
        failed: dict[str, None] = {}
        for delivery in reversed(self.deliveries):
            for each in (*delivery.retried, *delivery.dead_lettered, *delivery.dropped):
                failed.setdefault(each.id)
        if not failed or self._session is None:
            return []
        stories = self._stories()
        told = []
        for identifier in failed:
            story = run_now(stories.message(identifier))
            if story.state != "acked":
                told.append(str(story))
            if len(told) == MOST_STORIES:
                break
        return told

    def in_flight(self, name: str) -> list[Message]:
        """The messages that a handler, or a client that pulls, has received and not settled yet."""
        self.state_of(name)
        return [look_at(message, name, "in flight") for message in self.engine.in_flight(name)]

    def fail_next(self, name: str, number: int, error: Exception) -> None:
        """Make the next deliveries of a queue fail without running the handler."""
        __tracebackhide__ = True
        self._consumer(name)
        if number < 1:
            raise ValueError(f"the number of deliveries to fail must be at least 1, not {number!r}")
        self._faults.setdefault(name, []).extend([error] * number)

    def set_chaos(self, chaos: Chaos) -> None:
        """Disturb deliveries from now on."""

        def report(text: str) -> None:
            self.bus.publish(Notice("debug", text))

        def max_retries(queue: str) -> int:
            consumer = self.queues.state_of(queue).consumer
            return consumer.max_retries if consumer is not None else 0

        self.timeline.chaos = chaos
        self._disturber = Disturber(chaos, max_retries, report)

    async def _deliver(self, deliver: Deliver, delivery: WorkerDelivery) -> Verdict | None:
        faults = self._faults.get(delivery.queue)
        if faults:
            error = faults.pop(0)
            return Verdict("exception", error=f"{type(error).__name__}: {error}")
        if self._disturber is not None:
            return await self._disturber.around(deliver)(delivery)
        return await deliver(delivery)

    def _delivered(self, event: BatchDelivered) -> None:
        self._record(event)
        now = self.loop.time()
        self._at_one_time = self._at_one_time + 1 if now == self._last_time else 1
        self._last_time = now
        too_many = self._most is not None and len(self.deliveries) > self._most
        if isinstance(self.loop, VirtualLoop) and (too_many or self._at_one_time > MOST_AT_ONE_TIME):
            self.loop.interrupt(EndlessError())

    def _record(self, event: BatchDelivered) -> None:
        settlement = event.settlement

        def group(messages: Iterable[QueueMessage]) -> list[Message]:
            return [look_at(message, event.queue, "settled") for message in messages]

        acked = group(settlement.acked)
        retried = group(message for message, _ in settlement.retried)
        dead = group(settlement.dead)
        dropped = group([*settlement.dropped, *settlement.expired])
        pictures = {message.id: message for message in (*acked, *retried, *dead, *dropped)}
        self.deliveries.append(
            Delivery(
                event.queue,
                event.worker,
                [pictures[message.id] for message in event.messages],
                event.verdict.outcome,
                event.verdict.error,
                event.verdict.traceback,
                acked,
                retried,
                dead,
                dropped,
                {message.id: delay for message, delay in settlement.retried},
                at_time(event.taken_at),
                event.duration,
            )
        )

    def dispatch_queue(self, name: str, messages: Iterable[Any], content_type: ContentType) -> QueueResult:
        """Run the consumer of a queue once, with messages that are in no queue."""
        __tracebackhide__ = True
        worker = self._consumer(name)
        if isinstance(messages, (str, bytes, Mapping)):
            raise TypeError(f"dispatch_queue() takes a list of bodies or messages, not a {type(messages).__name__}")
        now = self.loop.time()
        batch = [to_dispatch(each, number, content_type, now) for number, each in enumerate(messages, 1)]
        delivery = WorkerDelivery(name, batch, backlog_of(batch))
        result = self.run(self._host(worker).invoke("", QueueTrigger(delivery)))
        self.timeline.note("dispatch", f"{len(batch)} to the consumer of {name}, by the test: {result.outcome}")
        return QueueResult(
            result.outcome,
            result.ack_all,
            RetryBatch(
                result.retry_all,
                result.retry_all_delay,
                _error(result.retry_all_cause),
            ),
            [message.id for message in batch if message.id in result.explicit_acks],
            [
                RetryMessage(message.id, result.retry_messages[message.id], _error(result.causes.get(message.id)))
                for message in batch
                if message.id in result.retry_messages
            ],
            result.error,
            result.traceback,
        )

    def dispatch_scheduled(self, cron: str, at: float, worker: str | None) -> None:
        """Run a `scheduled` handler."""
        __tracebackhide__ = True
        self.run(self._scheduled(self._host(worker), cron, at))

    async def _scheduled(self, host: WorkerHost, cron: str, at: float) -> None:
        self.timeline.note("scheduled", f"{cron or 'no cron'} at {at_time(at):%Y-%m-%d %H:%M:%S}, by the test")
        raised: BaseException | None = None
        try:
            await host.invoke("", ScheduledTrigger(cron, round(at * 1000)))
        except HandlerError as error:
            raised = error.__cause__
        except HandlerMissing as error:
            raise EmulatorError(str(error)) from None
        if raised is not None:
            raise raised

    def dispatch_email(self, raw: bytes, sender: str, recipient: str, worker: str | None) -> IncomingEmail:
        """Run an `email` handler."""
        __tracebackhide__ = True
        return self.run(self._email(self._host(worker), raw, sender, recipient))

    async def _email(self, host: WorkerHost, raw: bytes, sender: str, recipient: str) -> IncomingEmail:
        from emulator.session.email import deliver_email  # few workers have the handler

        self.timeline.note("email", f"from {sender} to {recipient}, by the test")
        raised: BaseException | None = None
        try:
            return await deliver_email(self.session.open_kinds, host, sender, recipient, raw)
        except HandlerError as error:
            raised = error.__cause__
            if raised is None:
                raise
        except (HandlerMissing, ValueError) as error:
            raise EmulatorError(str(error)) from None
        raise raised

    def _consumer(self, name: str) -> str:
        """The worker that consumes a queue. Raises EmulatorError if there is none that can be run."""
        __tracebackhide__ = True
        state = self.state_of(name)
        consumer = state.consumer
        if consumer is None or consumer.type != "worker":
            raise EmulatorError(f"queue {name!r} has no consumer that can be run")
        return state.worker

    def _host(self, worker: str | None) -> WorkerHost:
        hosts = self.session.hosts
        if worker is None:
            return hosts[0]
        for host in hosts:
            if host.config.name == worker:
                return host
        names = ", ".join(host.config.name for host in hosts)
        raise EmulatorError(f"there is no worker {worker!r}; the workers are: {names}")

    def override(self, worker: str | None, bindings: Mapping[str, Any]) -> None:
        """Put bindings into `env`, replacing what is there, for all workers or for one. A dict becomes what a dict in
        `vars` becomes."""
        __tracebackhide__ = True
        self.check_open()
        names = [self._host(worker).config.name] if worker is not None else list(self.session.envs)
        if not names or names[0] not in self.session.envs:
            raise EmulatorError(
                f"the env of {worker or 'a JavaScript worker'} cannot be changed: its code runs in another process",
                hint="Give vars=, secrets=, queues= and bindings= when the emulator is created.",
            )
        for name in names:
            vars(self.session.envs[name]).update({key: to_attribute_dict(value) for key, value in bindings.items()})


def random_seed() -> int:
    """A seed short enough to be typed."""
    return SystemRandom().randrange(1_000_000)


def check_no_loop() -> None:
    """Raise EmulatorError if an event loop is already running on this thread, because no other could run to its end on
    it."""
    __tracebackhide__ = True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise EmulatorError(
        "Emulator is for tests that are not async: this one already runs on an event loop",
        hint="Use `async with AsyncEmulator(...) as emulator:`, or the fixture async_emulator, and await its methods.",
    )


async def on_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run a function of the core on another thread, so that the test's own event loop is free meanwhile."""
    __tracebackhide__ = True
    from anyio import to_thread

    try:
        return await to_thread.run_sync(partial(function, *arguments))
    except Exception as error:
        error.__traceback__ = user_frames(error)
        raise


def user_frames(error: BaseException) -> TracebackType | None:
    """The traceback of an error without the frames between the test and the first frame of the user's own code."""
    traceback = error.__traceback__
    while traceback is not None and _top_module(traceback) in _IN_BETWEEN:
        traceback = traceback.tb_next
    return traceback


def keep_sources(error: BaseException) -> None:
    """Let whatever reports `error` show the code of workers whose files are gone, because they were given in code."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        for frame, _ in walk_tb(link.__traceback__):
            loader = frame.f_globals.get("__loader__")
            if isinstance(loader, OwnSource) and not Path(loader.path).exists():
                loader.show_source()
        link = link.__cause__ or link.__context__


_IN_BETWEEN: Final = frozenset(
    {"anyio", "asyncio", "concurrent", "contextlib", "emulator", "emulator_runtime", "httpx"}
)


def _top_module(traceback: TracebackType) -> str:
    return str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


def _error(cause: Cause | None) -> str:
    return "" if cause is None else cause.error


def _account(deliveries: Sequence[Delivery]) -> str:
    """How many deliveries there were, on which queues, and the last of them."""
    counts = Counter(delivery.queue for delivery in deliveries)
    where = ", ".join(f"{number:,} on {queue}" for queue, number in counts.items())
    last = "\n".join(f"    {delivery!r}" for delivery in deliveries[-5:])
    return f"{count(len(deliveries), 'delivery', 'deliveries')} ({where}), the last of them\n{last}\n "
