"""Sessions that share a queue in a NATS server, under load, while sessions are killed, ended and replaced, the server
is killed and frozen, and the queue is paused: every message that was accepted is acked or a dead letter in the end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from emulator.queues.errors import QueueError
from emulator.queues.message import Verdict, WorkerDelivery
from emulator.queues.settings import ConsumerSettings
from tests.queues.jetstream.sharing import Sharer
from tests.support.nats_server import NatsServer, nats_server

CONSUMERS: Final = 3
DRAIN_SECONDS: Final = 60.0
"""How long it may take until nothing waits any more, after the last message was sent."""

HARM_SECONDS: Final = 1.5
"""How long nothing is harmed, at most."""


@dataclass
class Report:
    """What a trial found: how many messages were `accepted`, which of them are `lost`, how many ended more than once
    (`again`), which are dead letters twice (`doubled`), and what was done how often."""

    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    again: int = 0
    doubled: list[str] = field(default_factory=list)
    harms: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.complaints) and self.accepted > 0

    def __str__(self) -> str:
        harms = ", ".join(f"{name} {number}" for name, number in sorted(self.harms.items()))
        found = f"{self.accepted:,} messages accepted, {len(self.lost)} lost, {self.again} ended more than once"
        return f"{found}, {len(self.doubled)} dead letters twice ({harms}){''.join(self.complaints)}"


class Trial:
    """A server, a session that sends, and CONSUMERS that consume. `seed` says what is harmed when."""

    def __init__(self, server: NatsServer, seed: int) -> None:
        self._server = server
        self._random = Random(seed)
        self._address = server.address()
        self._settings = ConsumerSettings(
            max_batch_timeout=1, dead_letter_queue="dead", retry_delay=2, max_concurrency=self._random.choice([None, 2])
        )
        self._producer = Sharer(self._address)
        self._consumers: list[Sharer] = []
        self._everybody = [self._producer]
        self._accepted: list[str] = []
        self._ended: Counter[str] = Counter()
        self._harms: Counter[str] = Counter()
        self._is_over = False

    async def run(self, seconds: float) -> Report:
        """Send for so long, and wait for what was sent."""
        await self._producer.begin()
        for _ in range(CONSUMERS):
            await self._add_consumer()
        harming = asyncio.create_task(self._harm_now_and_then())
        deadline = time.monotonic() + seconds
        number = 0
        while time.monotonic() < deadline and not harming.done():
            bodies = [f"{number + index}" for index in range(self._random.choice([1, 1, 5, 50]))]
            number += len(bodies)
            with suppress(QueueError):
                await self._producer.send(*bodies, delay=self._random.choice([None, None, 3, 10]))
                self._accepted.extend(bodies)
            await asyncio.sleep(self._random.random() * 0.02)
        self._is_over = True
        await harming
        dead = await self._dead_letters()
        for sharer in self._everybody:
            await sharer.close()
        ended = self._ended + dead
        return Report(
            len(self._accepted),
            [body for body in self._accepted if not ended[body]],
            sum(ended[body] - 1 for body in self._accepted if ended[body]),
            [body for body, times in dead.items() if times > 1],
            self._harms,
            [text for sharer in self._everybody for text in sharer.told if "has failed" in text],
        )

    async def _dead_letters(self) -> Counter[str]:
        """The dead letters, when nothing else waits any more, or has waited for too long."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline:
            with suppress(QueueError):
                if not await self._producer.count():
                    break
            await asyncio.sleep(0.1)
        return Counter(await self._producer.bodies("dead"))

    async def _add_consumer(self) -> None:
        sharer = Sharer(self._address)

        async def deliver(delivery: WorkerDelivery) -> Verdict:
            await asyncio.sleep(self._random.random() * 0.02)
            return self._verdict(delivery)

        sharer._deliver = deliver  # type: ignore[method-assign]
        await sharer.begin(self._settings)
        self._consumers.append(sharer)
        self._everybody.append(sharer)

    def _verdict(self, delivery: WorkerDelivery) -> Verdict:
        """One of ten handlers throws, and one of ten asks for some of its messages again."""
        chance = self._random.random()
        if chance < 0.1:
            return Verdict("exception", error="ValueError: no")
        again: dict[str, int | None] = {}
        if chance < 0.2:
            again = {each.id: 3 for each in delivery.messages if self._random.random() < 0.5}
        self._ended.update(each.body.decode() for each in delivery.messages if each.id not in again)
        return Verdict(retry_messages=again)

    async def _harm_now_and_then(self) -> None:
        harms: list[Callable[[], Coroutine[Any, Any, None]]] = [
            self._kill_session,
            self._kill_session,
            self._end_session,
            self._kill_server,
            self._freeze_server,
            self._pause,
        ]
        while not self._is_over:
            await asyncio.sleep(self._random.random() * HARM_SECONDS)
            harm = self._random.choice(harms)
            self._harms[harm.__name__.strip("_")] += 1
            await harm()

    async def _kill_session(self) -> None:
        await self._consumers.pop(0).die()
        await self._add_consumer()

    async def _end_session(self) -> None:
        await self._consumers.pop(0).close()
        await self._add_consumer()

    async def _kill_server(self) -> None:
        self._server.kill()
        await asyncio.sleep(self._random.random() * 0.5)
        self._server.start()

    async def _freeze_server(self) -> None:
        self._server.freeze()
        await asyncio.sleep(self._random.random() * 2)
        self._server.thaw()

    async def _pause(self) -> None:
        for change in (self._producer.queues.pause, self._producer.queues.resume):
            while True:
                with suppress(QueueError):
                    await change("orders")
                    break
                await asyncio.sleep(0.1)


def run(seconds: float, seed: int) -> Report:
    """Run a trial for so long."""
    with nats_server() as server:
        return asyncio.run(Trial(server, seed).run(seconds))
