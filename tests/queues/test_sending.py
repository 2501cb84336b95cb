"""Sending: ids, delays, and what the service refuses."""

from __future__ import annotations

import asyncio

import pytest

from emulator.queues import checks
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.message import NewMessage
from emulator.queues.settings import QueueSettings
from tests.queues.driving import Consumer, Driven, T, consume


async def test_a_message_gets_32_hex_digits_and_the_time_of_its_sending() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.send(*[b"x"] * 50)
    sent = list(await driven.queues.waiting("orders"))
    assert len({each.id for each in sent}) == 50
    assert all(len(each.id) == 32 and int(each.id, 16) >= 0 for each in sent)
    assert all(each.timestamp == T for each in sent)


async def test_a_seeded_random_gives_the_same_ids_again() -> None:
    ids = []
    for _ in range(2):
        driven = Driven(seed=7)
        await driven.queues.create_queue("orders")
        await driven.send(b"one", b"two")
        ids.append([each.id for each in await driven.queues.waiting("orders")])
    assert ids[0] == ids[1]


async def test_the_delay_of_a_message_is_its_own_else_the_batchs_else_the_queues() -> None:
    driven = Driven()
    queues = driven.queues
    consumer = Consumer(driven)
    await consume(driven, consumer)
    await queues.update_queue("orders", QueueSettings(delivery_delay=40))
    own, none = NewMessage(b"own", "text", 10), NewMessage(b"none", "text")
    await queues.send("orders", [own, none], source="", batch_delay_seconds=20)
    await queues.send("orders", [none], source="")
    await driven.run_until_idle()
    assert consumer.times == [10, 20, 40]


async def test_a_delay_of_0_overrides_every_default() -> None:
    driven = Driven()
    queues = driven.queues
    consumer = Consumer(driven)
    await consume(driven, consumer)
    await queues.update_queue("orders", QueueSettings(delivery_delay=40))
    now = NewMessage(b"now", "text", 0)
    await queues.send("orders", [now], source="", batch_delay_seconds=20)
    await queues.send("orders", [NewMessage(b"batch", "text")], source="", batch_delay_seconds=0)
    await driven.run_until_idle()
    assert consumer.times == [0]
    assert consumer.batches == [[b"now", b"batch"]]


async def test_send_returns_the_backlog() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.send(b"four")
    await driven.advance(9)
    metrics = await driven.queues.send("orders", [NewMessage(b"seven77", "text")], source="")
    assert (metrics.backlog_count, metrics.backlog_bytes, metrics.oldest_message_timestamp) == (2, 11, T)
    assert await driven.queues.backlog("orders") == metrics


async def test_a_refused_batch_leaves_nothing_behind() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    with pytest.raises(QueueError):
        await driven.queues.send("orders", [NewMessage(b"", "text"), NewMessage(b"", "text", 86_401)], source="")
    assert await driven.count("orders") == 0
    assert driven.events == []


async def test_a_backlog_over_25_gb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_BACKLOG_BYTES", 10)
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.send(b"0123456789")
    with pytest.raises(QueueError, match=r"\(10251\)$") as caught:
        await driven.send(b"1")
    assert caught.value.code is QueueErrorCode.QUEUE_STORAGE_LIMIT_EXCEEDED


async def test_deliveries_of_a_backlog_overlap() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer, size=1)
    await driven.send(*[b"x"] * 6)
    await driven.settle()
    consumer.gate = asyncio.Event()
    for _ in range(5):
        await driven.send(*[b"x"] * 10)
        await driven.settle()
        consumer.gate.set()
        consumer.gate = asyncio.Event()
        await driven.settle()
    assert consumer.most_running > 1
    consumer.gate.set()
    await driven.settle()
