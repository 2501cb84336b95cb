"""A broker on a virtual clock and the event loop, taking turns, and a consumer that a test can watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TypeVar

from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.queues.events import BatchDelivered, MessagesDeadLettered, MessagesDropped, MessagesSent
from emulator.queues.memory.broker import Broker
from emulator.queues.memory.journal import Journal
from emulator.queues.message import Delivery, NewMessage, Verdict
from emulator.queues.settings import ConsumerSettings

E = TypeVar("E")

T = 1_800_000_000.0
"""When the clock starts, in seconds since the epoch."""

QUIET_ROUNDS = 8
MANY_CALLBACKS = 50_000


class Driven:
    """A broker whose time moves only when a test says so, and all that it published."""

    def __init__(self, *, listen: bool = True, journal: Journal | None = None, start: float = T, seed: int = 1) -> None:
        self.bus = Bus()
        self.clock = VirtualClock(start)
        self.broker = Broker(self.bus, self.clock, Random(seed), journal)
        self.events: list[object] = []
        if listen:
            for event_type in (MessagesSent, BatchDelivered, MessagesDeadLettered, MessagesDropped):
                self.bus.subscribe(event_type, self.events.append)

    @property
    def elapsed(self) -> float:
        return self.clock.now() - T

    def published(self, event_type: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, event_type)]

    def send(self, *bodies: bytes, queue: str = "orders", delay: int | None = None) -> None:
        self.broker.send(queue, [NewMessage(body, "text", delay) for body in bodies], source="shop")

    async def settle(self) -> None:
        """Let all happen that is due now. Fails when there is no end to it."""
        quiet = callbacks = 0
        while quiet < QUIET_ROUNDS:
            quiet += 1
            while self.clock.run_due():
                quiet = 0
                callbacks += 1
                assert callbacks < MANY_CALLBACKS, "the broker is in a busy loop"
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
        answer: Callable[[Delivery], Verdict | None] = lambda _delivery: Verdict(),
        gate: asyncio.Event | None = None,
    ) -> None:
        self.driven = driven
        self.answer = answer
        self.gate = gate
        self.batches: list[list[bytes]] = []
        self.attempts: list[list[int]] = []
        self.times: list[float] = []
        self.deliveries: list[Delivery] = []
        self.running = 0
        self.most_running = 0
        self.cancelled = 0

    async def __call__(self, delivery: Delivery) -> Verdict | None:
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


def consume(
    driven: Driven,
    consumer: Consumer,
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
    driven.broker.set_consumer(queue, settings, worker, consumer)


def throw(_delivery: Delivery) -> Verdict:
    """The answer of a handler that raised."""
    return Verdict("exception", error="ValueError: no", traceback="Traceback ...\nValueError: no")
