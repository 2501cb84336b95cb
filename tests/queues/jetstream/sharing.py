"""Sessions that share queues in a NATS server whose seconds are short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from emulator.base.bus import Bus, Level
from emulator.base.clock import Clock
from emulator.queues.declarations import Declared
from emulator.queues.jetstream.address import Address
from emulator.queues.jetstream.engine import JetStreamEngine
from emulator.queues.message import NewMessage, Verdict, WorkerDelivery
from emulator.queues.service import Queues
from emulator.queues.settings import ConsumerSettings

PACE = 0.05
"""How many seconds of the server a second of a session takes."""

AT_ONCE = ConsumerSettings(max_batch_timeout=0)


class Sharer:
    """The queues of a session, and a worker `mailer` that notes what it gets and answers as `answer` says; with `gate`,
    only when that is set."""

    def __init__(self, address: Address, clock: Clock | None = None) -> None:
        self.told: list[str] = []
        self.bus = Bus()
        self.engine = JetStreamEngine(address, self._tell, clock, pace=PACE)
        self.queues = Queues(self.engine, self.bus, clock)
        self.answer: Callable[[WorkerDelivery], Verdict | None] = lambda _delivery: Verdict()
        self.gate: asyncio.Event | None = None
        self.got: list[tuple[str, int]] = []
        self.running = 0

    async def begin(self, consumes: ConsumerSettings | None = None, queue: str = "orders") -> None:
        """Start, as a session with the worker that consumes the queue, or with one that produces to it."""
        await self.queues.start()
        if consumes is not None:
            self.queues.attach("mailer", self._deliver)
            await self.queues.begin([Declared("mailer", consumes={queue: consumes})])
        else:
            await self.queues.begin([Declared("shop", produces=(queue,))])

    async def send(self, *bodies: str, queue: str = "orders", delay: int | None = None) -> None:
        await self.queues.send(queue, [NewMessage(body.encode(), "text", delay) for body in bodies], source="shop")

    async def count(self, queue: str = "orders") -> int:
        return (await self.queues.backlog(queue)).backlog_count

    async def bodies(self, queue: str = "orders") -> list[str]:
        return [each.body.decode() for each in await self.queues.waiting(queue)]

    async def close(self) -> None:
        """End as a session does."""
        await self.queues.close(5)
        await self.queues.end()

    async def die(self) -> None:
        """End as a process that is killed does: nothing more is said to the server."""
        await self.queues.end()

    @property
    def delivered(self) -> list[str]:
        return [body for body, _ in self.got]

    async def _deliver(self, delivery: WorkerDelivery) -> Verdict | None:
        self.got.extend((each.body.decode(), each.attempts) for each in delivery.messages)
        self.running += 1
        try:
            if self.gate is not None:
                await self.gate.wait()
            return self.answer(delivery)
        finally:
            self.running -= 1

    def _tell(self, _level: Level, text: str) -> None:
        self.told.append(text)


@asynccontextmanager
async def sharing(address: Address, consumers: Sequence[ConsumerSettings | None]) -> AsyncIterator[list[Sharer]]:
    """Sessions at this address, each with a consumer with these settings, or none."""
    sharers = [Sharer(address) for _ in consumers]
    try:
        for sharer, settings in zip(sharers, consumers, strict=True):
            await sharer.begin(settings)
        yield sharers
    finally:
        for sharer in sharers:
            await sharer.close()


def throw(_delivery: WorkerDelivery) -> Verdict:
    """The answer of a handler that raised."""
    return Verdict("exception", error="ValueError: no", traceback="Traceback ...")
