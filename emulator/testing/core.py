"""What `Emulator` and `AsyncEmulator` share: a session on a loop that is run step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, Final, TypeVar

from emulator.broker.broker import Deliver
from emulator.broker.codec import encode
from emulator.broker.errors import QueueError
from emulator.broker.message import ContentType, DeliveryResult
from emulator.broker.message import Delivery as BrokerDelivery
from emulator.broker.message import Message as StoredMessage
from emulator.broker.message import Metrics as BrokerMetrics
from emulator.broker.queue import Queue
from emulator.config.model import WorkerConfig
from emulator.errors import EmulatorError, WorkerLoadError
from emulator.events import BatchDelivered, Bus, Notice
from emulator.failure import is_own
from emulator.hosts.base import HandlerError, HandlerMissing, Host
from emulator.hosts.output import install as install_output
from emulator.server.app import App
from emulator.server.control import make_control
from emulator.server.gateway import Gateway
from emulator.session import Session
from emulator.testing.chaos import Chaos, Disturber
from emulator.testing.loop import LoopClock, RealLoop, StuckError, VirtualLoop
from emulator.testing.outbound import Outbound, UnmatchedFetchError
from emulator.testing.records import Delivery, Message, QueueResult, RetryBatch, RetryMessage, at_time, look_at
from emulator.testing.timeline import Timeline

T = TypeVar("T")

recent_timelines: list[Timeline] = []
"""The timelines of the emulators of the running test, for its report. The pytest plugin clears it."""

IDLE_LIMIT: Final = 1_000
"""How many deliveries `run_until_idle` makes before it takes them for endless."""

MAX_STEPS: Final = 100_000
"""How many timers `run_until_idle` follows before it takes them for endless."""


MOST_TIMELINES: Final = 8
"""How many emulators of one test its report tells of."""


@dataclass(frozen=True)
class Settings:
    """What an emulator runs and how. `configs` is called when it opens, so that a broken configuration fails there."""

    configs: Callable[[], Sequence[WorkerConfig]]
    bindings: Mapping[str, Any] = field(default_factory=dict)
    raise_errors: bool = True
    real_time: bool = False
    chaos: Chaos | None = None


class Core:
    """An open emulator. Loads its workers when it is made: raises ConfigError or WorkerLoadError, and leaves nothing
    behind then. Everything runs on the thread that calls."""

    def __init__(self, settings: Settings) -> None:
        configs = settings.configs()
        self.bus = Bus()
        self.outbound = Outbound()
        self.loop = RealLoop() if settings.real_time else VirtualLoop(lambda: self.outbound.requests_outside)
        self.clock = LoopClock(self.loop)
        self.deliveries: list[Delivery] = []
        self.timeline = Timeline(self.bus, self.loop.time)
        if len(recent_timelines) < MOST_TIMELINES:
            recent_timelines.append(self.timeline)
        self.closed = False
        self._returned = 0
        self._faults: dict[str, list[Exception]] = {}
        self._disturber: Disturber | None = None
        self._restore_output = install_output(self.bus)
        self.bus.subscribe(BatchDelivered, self._delivered)
        try:
            self.session = Session(
                configs,
                self.bus,
                clock=self.clock,
                outbound=self.outbound,
                bindings=settings.bindings,
                around_delivery=lambda deliver: partial(self._deliver, deliver),
            )
            if settings.chaos is not None:
                self.set_chaos(settings.chaos)
            self.run(self.session.load())
            for host in self.session.hosts:
                if host.failure is not None:
                    text = f"worker {host.config.name} does not load: {host.failure.summary}"
                    raise WorkerLoadError(text, where=host.failure.location, hint=host.failure.text)
        except BaseException:
            self._tear_down()
            raise
        gateways = [Gateway(host, self.bus, raise_errors=settings.raise_errors) for host in self.session.hosts]
        self.app = App(gateways, lambda: make_control(self.bus), "localhost")

    def close(self) -> None:
        """Let what runs finish in no more time than it takes, cancel the rest, and close everything."""
        __tracebackhide__ = True
        if self.closed:
            return
        self.closed = True
        try:
            self.loop.complete(self._stop())
        finally:
            self._tear_down()

    async def _stop(self) -> None:
        await self.session.stop(0.0)
        await self.outbound.close()

    def _tear_down(self) -> None:
        self.closed = True
        self._restore_output()
        self.loop.finish()

    # Running

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end. What worker code raised comes out with the user's frames only."""
        __tracebackhide__ = True
        try:
            self.check_open()
            result = self.loop.complete(main)
        except StuckError:
            text = "worker code waits for something that can never happen: no timer is set, nothing else is under way"
            raise EmulatorError(text) from None
        except Exception as error:
            raise error.with_traceback(_user_frames(error)) from error.__cause__
        finally:
            main.close()
        self.check_fetches()
        return result

    def advance(self, seconds: float) -> list[Delivery]:
        """Move time, run all that falls due on the way, and return the deliveries since the last time they were."""
        __tracebackhide__ = True
        self.check_open()
        if seconds < 0:
            raise ValueError(f"time moves forward only: advance(seconds={seconds!r})")
        self.loop.advance_to(self.loop.time() + seconds)
        self.check_fetches()
        return self._new_deliveries()

    def run_until_idle(self, limit: int) -> list[Delivery]:
        """Jump from deadline to deadline until nothing is due but the deletion of old messages."""
        __tracebackhide__ = True
        self.check_open()
        begun = len(self.deliveries)
        for _ in range(MAX_STEPS):
            self.loop.advance_to(self.loop.time())
            if len(self.deliveries) - begun > limit:
                break
            due = self._next_due()
            if due is None:
                self.check_fetches()
                return self._new_deliveries()
            self.loop.advance_to(max(due, self.loop.time()))
        made = self.deliveries[begun:]
        counts: dict[str, int] = {}
        for delivery in made:
            counts[delivery.queue] = counts.get(delivery.queue, 0) + 1
        where = ", ".join(f"{number} on {queue}" for queue, number in counts.items()) or "none"
        last = "\n".join(f"  {delivery!r}" for delivery in made[-5:])
        raise EmulatorError(
            f"it never becomes idle: {len(made)} deliveries ({where}), and more is due. The last ones:\n{last}",
            hint="a higher run_until_idle(limit=) allows more; advance(seconds=) stops at a time",
        )

    def _next_due(self) -> float | None:
        queues = [queue.next_activity() for queue in self.session.broker.queues]
        timers = [self.loop.next_timer(self.clock.timers)]
        return min((due for due in (*queues, *timers) if due is not None), default=None)

    def _new_deliveries(self) -> list[Delivery]:
        new = self.deliveries[self._returned :]
        self._returned = len(self.deliveries)
        return new

    def check_open(self) -> None:
        """Raise EmulatorError when it is closed, or when a loop runs already on this thread."""
        __tracebackhide__ = True
        if self.closed:
            raise EmulatorError("this emulator is closed", hint="use it inside its `with` block, or inside the test")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise EmulatorError(
            "Emulator is for tests that are not async: this one runs on an event loop already",
            hint="use `async with AsyncEmulator(...) as emulator:` or the fixture async_emulator, and await",
        )

    def check_fetches(self) -> None:
        """Fail when worker code fetched what no route answers."""
        __tracebackhide__ = True
        unmatched, self.outbound.unmatched = self.outbound.unmatched, []
        if unmatched:
            raise UnmatchedFetchError(self.outbound.unmatched_text(unmatched[0]))

    # Queues

    def queue(self, name: str) -> Queue:
        """The broker's queue. Raises EmulatorError, which names the ones that are there."""
        __tracebackhide__ = True
        self.check_open()
        try:
            return self.session.broker.queue(name)
        except QueueError:
            there = ", ".join(queue.name for queue in self.session.broker.queues) or "none"
            raise EmulatorError(f"there is no queue {name!r}; the queues are: {there}") from None

    def messages(self, name: str) -> list[Message]:
        """What waits in a queue: the ready messages in order, then the delayed ones by the time they are due."""
        now = self.loop.time()
        return [
            look_at(message, name, "delayed" if message.ready_at > now else "ready")
            for message in self.queue(name).waiting()
        ]

    def in_flight(self, name: str) -> list[Message]:
        """What a handler has and has not settled yet."""
        leases = self.queue(name).leases
        return [look_at(message, name, "in flight") for lease in leases for message in lease.messages]

    def fail_next(self, name: str, number: int, error: Exception) -> None:
        """Let the next deliveries of a queue fail without running the handler."""
        self.queue(name)
        self._faults.setdefault(name, []).extend([error] * number)

    def set_chaos(self, chaos: Chaos) -> None:
        """Disturb deliveries from here on."""

        def report(text: str) -> None:
            self.bus.publish(Notice("debug", text))

        def max_retries(queue: str) -> int:
            consumer = self.session.broker.queue(queue).consumer
            return consumer.max_retries if consumer is not None else 0

        self.timeline.chaos = chaos
        self._disturber = Disturber(chaos, max_retries, report)

    async def _deliver(self, deliver: Deliver, delivery: BrokerDelivery) -> DeliveryResult | None:
        faults = self._faults.get(delivery.queue)
        if faults:
            error = faults.pop(0)
            return DeliveryResult("exception", error=f"{type(error).__name__}: {error}")
        if self._disturber is not None:
            return await self._disturber.around(deliver)(delivery)
        return await deliver(delivery)

    def _delivered(self, event: BatchDelivered) -> None:
        settlement = event.settlement
        pictures = {message.id: look_at(message, event.queue, "settled") for message in event.lease.messages}

        def group(messages: Iterable[StoredMessage]) -> list[Message]:
            return [pictures[message.id] for message in messages]

        self.deliveries.append(
            Delivery(
                event.queue,
                event.worker,
                list(pictures.values()),
                event.result.outcome,
                event.result.error,
                event.result.traceback,
                group(settlement.acked),
                group(message for message, _ in settlement.retried),
                group(settlement.dead),
                [*group(settlement.dropped), *group(settlement.expired)],
                {message.id: delay for message, delay in settlement.retried},
                at_time(event.lease.taken_at),
                event.duration,
            )
        )

    # Directly

    def dispatch_queue(
        self, name: str, messages: Iterable[Any], content_type: ContentType, metrics: BrokerMetrics | None = None
    ) -> QueueResult:
        """Run the consumer of a queue once, outside the broker."""
        __tracebackhide__ = True
        self.queue(name)
        worker = self.session.broker.consumer_of(name)
        if not worker:
            raise EmulatorError(f"queue {name!r} has no consumer that could be run")
        now = self.loop.time()
        batch = []
        for each in messages:
            if isinstance(each, StoredMessage):
                if not each.timestamp:
                    each.timestamp = now
                batch.append(each)
            else:
                batch.append(
                    StoredMessage(f"{len(batch):032x}", encode(each, content_type), content_type, now, now, now, 1)
                )
        size = sum(len(message.body) for message in batch)
        delivery = BrokerDelivery(name, batch, metrics or BrokerMetrics(len(batch), size, now))
        result = self.run(self._host(worker).queue(delivery))
        return QueueResult(
            result.outcome,
            result.ack_all,
            RetryBatch(result.retry_all, result.retry_all_delay),
            [message.id for message in batch if message.id in result.explicit_acks],
            [
                RetryMessage(message.id, result.retry_messages[message.id])
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

    async def _scheduled(self, host: Host, cron: str, at: float) -> None:
        try:
            await host.scheduled(cron, int(at * 1000))
        except HandlerError as error:
            raise (error.__cause__ or error) from None
        except HandlerMissing as error:
            raise EmulatorError(str(error)) from None

    def _host(self, worker: str | None) -> Host:
        hosts = self.session.hosts
        if worker is None:
            return hosts[0]
        for host in hosts:
            if host.config.name == worker:
                return host
        names = ", ".join(host.config.name for host in hosts)
        raise EmulatorError(f"there is no worker {worker!r}; the workers are: {names}")

    def override(self, worker: str | None, bindings: Mapping[str, Any]) -> None:
        """Put bindings into `env` over what is there; of all workers, or of one."""
        self.check_open()
        names = [self._host(worker).config.name] if worker is not None else list(self.session.envs)
        for name in names:
            vars(self.session.envs[name]).update(bindings)


def random_seed() -> int:
    """A seed short enough to be typed."""
    return SystemRandom().randrange(1_000_000)


def _user_frames(error: BaseException) -> Any:
    """The traceback of an error without the emulator's frames on top of the user's."""
    traceback = error.__traceback__
    while traceback is not None and (
        is_own(traceback.tb_frame.f_code.co_filename) or _is_standard(traceback.tb_frame.f_code.co_filename)
    ):
        traceback = traceback.tb_next
    return traceback


def _is_standard(file: str) -> bool:
    return Path(file).parent.name == "asyncio"
