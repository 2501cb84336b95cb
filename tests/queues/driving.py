"""The queue service on a virtual clock and the event loop, taking turns, and a consumer that a test can watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TypeVar

from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.base.coroutines import run_now
from emulator.queues.consumption import Deliver
from emulator.queues.events import BatchDelivered, MessagesDeadLettered, MessagesDropped, MessagesSent
from emulator.queues.memory.engine import MemoryEngine
from emulator.queues.memory.journal import Journal
from emulator.queues.message import NewMessage, Verdict, WorkerDelivery
from emulator.queues.service import Queues
from emulator.queues.settings import ConsumerSettings, QueueSettings

E = TypeVar("E")

T = 1_800_000_000.0
"""When the clock starts, in seconds since the epoch."""

QUIET_ROUNDS = 8
MANY_CALLBACKS = 50_000


class Driven:
    """Queues on a memory engine, whose time moves only when a test says so, and all that they published."""

    def __init__(self, *, listen: bool = True, journal: Journal | None = None, start: float = T, seed: int = 1) -> None:
        self.bus = Bus()
        self.clock = VirtualClock(start)
        self.engine = MemoryEngine(self.clock, journal=journal, random=Random(seed))
        self.queues = Queues(self.engine, self.bus, self.clock, Random(seed))
        run_now(self.queues.start())
        self.events: list[object] = []
        if listen:
            for event_type in (MessagesSent, BatchDelivered, MessagesDeadLettered, MessagesDropped):
                self.bus.subscribe(event_type, self.events.append)

    @property
    def elapsed(self) -> float:
        return self.clock.now() - T

    def published(self, event_type: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, event_type)]

    async def send(self, *bodies: bytes, queue: str = "orders", delay: int | None = None) -> None:
        await self.queues.send(queue, [NewMessage(body, "text", delay) for body in bodies], source="shop")

    async def bodies(self, queue: str = "orders") -> list[bytes]:
        """The bodies of what waits in a queue."""
        return [each.body for each in await self.queues.waiting(queue)]

    async def count(self, queue: str = "orders") -> int:
        """How many messages are in a queue, in flight included."""
        return (await self.queues.backlog(queue)).backlog_count

    async def settle(self) -> None:
        """Let all happen that is due now. Fails when there is no end to it."""
        quiet = callbacks = 0
        while quiet < QUIET_ROUNDS:
            quiet += 1
            while self.clock.run_due():
                quiet = 0
                callbacks += 1
                assert callbacks < MANY_CALLBACKS, "the queues are in a busy loop"
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and all happen that is due in them, each at its time."""
        end = self.clock.now() + seconds
        await self.settle()
        while (due := self.clock.next_timer()) is not None and due <= end:
            self.clock.move_to(due)
            await self.settle()
        self.clock.move_to(end)

    async def run_until_idle(self) -> None:
        """Let time pass until nothing is due any more."""
        await self.settle()
        while (due := self.clock.next_timer()) is not None:
            self.clock.move_to(due)
            await self.settle()


class Consumer:
    """A consumer that notes what it gets and answers as `answer` says; with `gate`, only when that is set."""

    def __init__(
        self,
        driven: Driven,
        answer: Callable[[WorkerDelivery], Verdict | None] = lambda _delivery: Verdict(),
        gate: asyncio.Event | None = None,
    ) -> None:
        self.driven = driven
        self.answer = answer
        self.gate = gate
        self.batches: list[list[bytes]] = []
        self.attempts: list[list[int]] = []
        self.times: list[float] = []
        self.deliveries: list[WorkerDelivery] = []
        self.running = 0
        self.most_running = 0
        self.cancelled = 0

    async def __call__(self, delivery: WorkerDelivery) -> Verdict | None:
        self.deliveries.append(delivery)
        self.batches.append([each.body for each in delivery.messages])
        self.attempts.append([each.attempts for each in delivery.messages])
        self.times.append(self.driven.elapsed)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
            return self.answer(delivery)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


async def consume(
    driven: Driven,
    consumer: Deliver,
    *,
    queue: str = "orders",
    worker: str = "mailer",
    size: int = 10,
    timeout: int = 0,
    retries: int = 3,
    dlq: str | None = None,
    concurrency: int | None = None,
    retry_delay: int = 0,
) -> None:
    """Let `consumer` consume a queue. A batch goes out at once unless `timeout` says otherwise."""
    settings = ConsumerSettings("worker", size, timeout, retries, dlq, concurrency, retry_delay)
    driven.queues.attach(worker, consumer)
    await make_queue(driven, queue)
    await driven.queues.set_consumer(queue, settings, worker)


async def make_queue(driven: Driven, name: str = "orders", settings: QueueSettings | None = None) -> None:
    """Let there be a queue of that name."""
    if name not in driven.queues.states:
        await driven.queues.create_queue(name, settings)


async def let_pull(
    driven: Driven,
    *,
    queue: str = "orders",
    retries: int = 3,
    dlq: str | None = None,
    visibility_ms: int = 30_000,
) -> None:
    """Let clients pull from a queue."""
    settings = ConsumerSettings(
        "http_pull", max_retries=retries, dead_letter_queue=dlq, visibility_timeout_ms=visibility_ms
    )
    await make_queue(driven, queue)
    await driven.queues.set_consumer(queue, settings, "")


def throw(_delivery: WorkerDelivery) -> Verdict:
    """The answer of a handler that raised."""
    return Verdict("exception", error="ValueError: no", traceback="Traceback ...\nValueError: no")
