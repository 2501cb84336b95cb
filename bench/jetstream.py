"""Queues in a NATS server on this machine, beside a bare program of nats-py that does the same with the same settings.

`python -m bench.jetstream MESSAGES WAITING` prints one JSON object. Bodies have 200 bytes. The two sides take turns.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import nats
from nats.aio.client import Client
from nats.js.api import AckPolicy

from emulator.base.bus import Bus
from emulator.queues.declarations import Declared
from emulator.queues.jetstream.engine import JetStreamEngine
from emulator.queues.jetstream.streams import ACK_WAIT_SECONDS, CONSUMER, make_stream, names_of
from emulator.queues.message import NewMessage, Verdict, WorkerDelivery
from emulator.queues.service import Queues
from emulator.queues.settings import ConsumerSettings
from emulator.server.serving import run
from tests.support.nats_server import NatsServer, nats_server

BATCH: Final = 100
BODY: Final = b"x" * 200
CLIENTS: Final = 32
ROUNDS: Final = 3
TRIPS: Final = 200
SENDS: Final = 100
"""How many messages each of CLIENTS sends, one after the other."""


class Bare:
    """nats-py alone, on a stream and a consumer that are made as those of a queue are."""

    def __init__(self, client: Client, queue: str) -> None:
        self._client = client
        self._names = names_of("bare", queue)

    async def flood(self, messages: int) -> float:
        """Messages a second, from atomic batches to acks."""
        client, subject = self._client, self._names.ready
        consumer = await client.jetstream().pull_subscribe_bind(consumer=CONSUMER, stream=self._names.stream)
        started = time.perf_counter()
        consuming = asyncio.create_task(self._consume(consumer, messages))
        for number in range(messages // BATCH):
            batch = {"Nats-Batch-Id": f"{id(self)}-{number}"}
            for index in range(1, BATCH):
                await client.publish(subject, BODY, headers={**batch, "Nats-Batch-Sequence": str(index)})
            last = {**batch, "Nats-Batch-Sequence": str(BATCH), "Nats-Batch-Commit": "1"}
            await client.request(subject, BODY, 5, headers=last)
        await consuming
        return messages / (time.perf_counter() - started)

    async def send(self) -> None:
        await self._client.request(self._names.ready, BODY, 5)

    async def _consume(self, consumer: Any, messages: int) -> None:
        count = 0
        while count < messages:
            fetched = await consumer.fetch(BATCH, timeout=5)
            for message in fetched:
                await message.ack()
            count += len(fetched)


class Ours:
    """The queue service on an engine. The worker `bench` consumes the queue `flood`."""

    def __init__(self, server: NatsServer) -> None:
        self.engine = JetStreamEngine(server.address(), lambda _level, _text: None)
        self.queues = Queues(self.engine, Bus())
        self._left = 0
        self._all_came = asyncio.Event()

    async def begin(self) -> None:
        await self.queues.start()
        self.queues.attach("bench", self._deliver)
        await self.queues.begin([Declared("bench", ("silent",), {"flood": ConsumerSettings(max_batch_size=BATCH)})])

    async def flood(self, messages: int) -> float:
        """Messages a second, from `sendBatch` to acks."""
        self._expect(messages)
        started = time.perf_counter()
        for _ in range(messages // BATCH):
            await self.queues.send("flood", [NewMessage(BODY, "bytes")] * BATCH, source="bench")
        await self._all_came.wait()
        while (await self.queues.backlog("flood")).backlog_count:  # noqa: ASYNC110 - acks set no event
            await asyncio.sleep(0)
        return messages / (time.perf_counter() - started)

    async def send(self) -> None:
        await self.queues.send("silent", [NewMessage(BODY, "bytes")], source="bench")

    async def latency_ms(self) -> float:
        """From a send to the handler, in the middle."""
        settings = ConsumerSettings(max_batch_size=BATCH, max_batch_timeout=0)
        await self.queues.set_consumer("flood", settings, "bench")
        times = []
        for _ in range(TRIPS):
            self._expect(1)
            started = time.perf_counter()
            await self.queues.send("flood", [NewMessage(BODY, "bytes")], source="bench")
            await self._all_came.wait()
            times.append(time.perf_counter() - started)
        return statistics.median(times) * 1000

    async def fill(self, waiting: int) -> None:
        """Let so many more messages wait in `silent`."""
        for _ in range(waiting // BATCH):
            await self.queues.send("silent", [NewMessage(BODY, "bytes")] * BATCH, source="bench")

    async def end(self) -> None:
        await self.queues.close(1)
        await self.queues.end()

    def _expect(self, messages: int) -> None:
        self._left = messages
        self._all_came.clear()

    async def _deliver(self, delivery: WorkerDelivery) -> Verdict:
        self._left -= len(delivery.messages)
        if self._left <= 0:
            self._all_came.set()
        return Verdict()


async def rate(send: Callable[[], Awaitable[None]]) -> float:
    """Messages a second that CLIENTS send at once, one by one."""

    async def one() -> None:
        for _ in range(SENDS):
            await send()

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CLIENTS)))
    return CLIENTS * SENDS / (time.perf_counter() - started)


async def measure(messages: int, waiting: int) -> dict[str, float]:
    """All rows."""
    with nats_server() as server:
        ours = Ours(server)
        await ours.begin()
        client = await nats.connect(server.url)
        connection = ours.engine.connection
        for queue in ("flood", "silent"):
            names = names_of("bare", queue)
            await make_stream(connection, names, 345_600)
            # The same consumer, but for its priorities, which nats-py cannot pull with.
            await client.jetstream().add_consumer(
                names.stream,
                durable_name=CONSUMER,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_SECONDS,
                max_ack_pending=-1,
                max_waiting=2000,
                filter_subject=names.ready,
            )
        flood, silent = Bare(client, "flood"), Bare(client, "silent")
        floods, sends = [], []
        for _ in range(ROUNDS):
            floods.append(await ours.flood(messages) / await flood.flood(messages))
            sends.append(await rate(ours.send) / await rate(silent.send))
        latency = await ours.latency_ms()
        few = statistics.median([await rate(ours.send) for _ in range(ROUNDS)])
        await ours.fill(waiting)
        many = statistics.median([await rate(ours.send) for _ in range(ROUNDS)])
        await client.close()
        await ours.end()
    return {
        "nats-flood": statistics.median(floods),
        "nats-send": statistics.median(sends),
        "nats-latency": latency,
        "nats-backlog": few / many,
    }


async def main() -> None:
    print(json.dumps(await measure(int(sys.argv[1]), int(sys.argv[2]))))


if __name__ == "__main__":
    run(main())
