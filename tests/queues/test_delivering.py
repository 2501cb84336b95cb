"""Delivering: which messages go out together, when, and how many deliveries run at once."""

from __future__ import annotations

import asyncio

from tests.queues.driving import Consumer, Driven, consume, let_pull


async def test_a_sent_message_is_delivered_to_the_consumer() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer)
    await driven.send(b"one", b"two")
    await driven.settle()
    assert consumer.batches == [[b"one", b"two"]]
    assert consumer.deliveries[0].queue == "orders"
    assert await driven.count("orders") == 0


async def test_messages_sent_in_one_go_make_one_batch() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer)
    for body in (b"one", b"two", b"three"):
        await driven.send(body)
    await driven.settle()
    assert consumer.batches == [[b"one", b"two", b"three"]]


async def test_a_batch_goes_out_when_the_oldest_message_has_waited_for_the_batch_timeout() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer, timeout=5)
    await driven.send(b"one")
    await driven.advance(3)
    await driven.send(b"two")
    await driven.advance(60)
    assert (consumer.batches, consumer.times) == ([[b"one", b"two"]], [5])


async def test_a_full_batch_does_not_wait() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer, size=2, timeout=60)
    await driven.send(b"one", b"two", b"three")
    await driven.advance(60)
    assert consumer.batches == [[b"one", b"two"], [b"three"]]
    assert consumer.times == [0, 60]


async def test_a_delivery_tells_the_backlog_at_its_time() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer, size=2, concurrency=1)
    await driven.send(b"one", b"two", b"three")
    await driven.settle()
    assert [each.metrics.backlog_count for each in consumer.deliveries] == [3, 1]


async def test_a_queue_without_a_consumer_keeps_its_messages_until_there_is_one() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.send(b"one")
    await driven.advance(3600)
    consumer = Consumer(driven)
    await consume(driven, consumer, timeout=5)
    await driven.settle()
    assert consumer.batches == [[b"one"]]


async def test_a_pull_consumer_is_not_delivered_to() -> None:
    driven = Driven()
    await let_pull(driven)
    await driven.send(*[b"x"] * 50)
    await driven.advance(100)
    assert await driven.bodies() == [b"x"] * 50


async def test_max_concurrency_1_is_strictly_serial() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer, size=2, concurrency=1)
    await driven.send(*[b"%d" % number for number in range(40)])
    await driven.settle()
    assert consumer.most_running == 1
    assert [body for batch in consumer.batches for body in batch] == [b"%d" % number for number in range(40)]


async def test_max_concurrency_bounds_the_deliveries_under_way() -> None:
    driven = Driven()
    gate = asyncio.Event()
    consumer = Consumer(driven)
    await consume(driven, consumer, size=1, concurrency=3)
    await driven.send(*[b"x"] * 20)
    await driven.settle()
    await driven.send(*[b"x"] * 100)
    consumer.gate = gate
    await driven.settle()
    gate.set()
    await driven.settle()
    assert consumer.most_running <= 3
    assert await driven.count("orders") == 0


async def test_one_queue_does_not_wait_for_another() -> None:
    driven = Driven()
    gate = asyncio.Event()
    stuck, free = Consumer(driven, gate=gate), Consumer(driven)
    await consume(driven, stuck, queue="slow", worker="slow")
    await consume(driven, free)
    await driven.send(b"x", queue="slow")
    await driven.send(b"one")
    await driven.settle()
    assert (stuck.running, free.batches) == (1, [[b"one"]])
    gate.set()
    await driven.settle()
