"""The end: what runs may finish, and nothing begins."""

from __future__ import annotations

import asyncio

from emulator.queues.events import BatchDelivered
from tests.queues.driving import Consumer, Driven, consume


async def test_close_lets_a_delivery_end() -> None:
    driven = Driven()
    gate = asyncio.Event()
    await consume(driven, Consumer(driven, gate=gate))
    await driven.send(b"one")
    await driven.settle()
    asyncio.get_running_loop().call_soon(gate.set)
    await driven.queues.close(60)
    assert await driven.count("orders") == 0
    assert len(driven.published(BatchDelivered)) == 1


async def test_close_cancels_what_does_not_end_in_time() -> None:
    driven = Driven()
    consumer = Consumer(driven, gate=asyncio.Event())
    await consume(driven, consumer)
    await driven.send(b"one")
    await driven.settle()
    await driven.queues.close(0)
    assert (consumer.cancelled, consumer.running) == (1, 0)
    assert await driven.count("orders") == 1
    assert driven.published(BatchDelivered) == []


async def test_closed_queues_start_no_more_deliveries() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer, timeout=5)
    await driven.send(b"one")
    await driven.advance(1)
    await driven.queues.close(0)
    await driven.send(b"two")
    await driven.advance(100)
    assert consumer.batches == []
    assert await driven.count("orders") == 2


async def test_close_with_nothing_under_way_returns_at_once() -> None:
    await Driven().queues.close(3600)


async def test_close_can_be_called_when_a_delivery_is_about_to_start() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, gate=asyncio.Event()))
    await driven.send(b"one")
    while driven.clock.run_due():
        pass
    await driven.queues.close(0)
    assert await driven.count("orders") == 1
