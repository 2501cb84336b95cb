"""Retries: when a message comes again, and what ends a delivery that does not."""

from __future__ import annotations

import asyncio

from emulator.queues.events import BatchDelivered
from emulator.queues.message import Verdict, WorkerDelivery
from tests.queues.driving import Consumer, Driven, consume, throw


async def test_a_failed_batch_is_delivered_again_after_the_retry_delay() -> None:
    driven = Driven()
    consumer = Consumer(driven, throw)
    await consume(driven, consumer, retries=2, retry_delay=30)
    await driven.send(b"one")
    await driven.run_until_idle()
    assert consumer.times == [0, 30, 60]
    assert consumer.attempts == [[1], [2], [3]]


async def test_a_message_asks_for_its_own_delay() -> None:
    driven = Driven()

    def answer(delivery: WorkerDelivery) -> Verdict:
        first = delivery.messages[0]
        return Verdict(retry_messages={first.id: 90} if first.attempts == 1 else {})

    consumer = Consumer(driven, answer)
    await consume(driven, consumer, retry_delay=30)
    await driven.send(b"one", b"two")
    await driven.run_until_idle()
    assert (consumer.batches, consumer.times) == ([[b"one", b"two"], [b"one"]], [0, 90])


async def test_a_consumer_that_raises_fails_its_batch() -> None:
    driven = Driven()

    def answer(delivery: WorkerDelivery) -> Verdict:
        raise KeyError("broken host")

    await consume(driven, Consumer(driven, answer), retries=0, dlq="orders-dlq")
    await driven.send(b"one")
    await driven.settle()
    (letter,) = await driven.queues.waiting("orders-dlq")
    assert letter.dead_letter is not None
    assert letter.dead_letter.last_error == "KeyError: 'broken host'"


async def test_a_consumer_that_ends_cancelled_fails_its_batch() -> None:
    driven = Driven()

    def answer(delivery: WorkerDelivery) -> Verdict:
        raise asyncio.CancelledError  # what awaiting a cancelled task of one's own does

    await consume(driven, Consumer(driven, answer), retries=0, dlq="orders-dlq")
    await driven.send(b"one")
    await driven.settle()
    assert await driven.count("orders-dlq") == 1


async def test_a_handler_is_cancelled_after_15_minutes_and_its_batch_delivered_again() -> None:
    driven = Driven()
    consumer = Consumer(driven, gate=asyncio.Event())
    await consume(driven, consumer)
    await driven.send(b"one")
    await driven.advance(899)
    assert (consumer.running, consumer.cancelled) == (1, 0)
    await driven.advance(1)
    assert consumer.cancelled == 1
    assert (consumer.times, consumer.attempts) == ([0, 900], [[1], [2]])
    await driven.queues.close(0)


async def test_a_handler_that_ran_too_long_is_told_as_such() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, gate=asyncio.Event()), retries=0, dlq="orders-dlq")
    await driven.send(b"one")
    await driven.advance(900)
    (event,) = driven.published(BatchDelivered)
    assert (event.verdict.outcome, event.duration) == ("exceeded_wall_time", 900)
    (letter,) = await driven.queues.waiting("orders-dlq")
    assert letter.dead_letter is not None
    assert "900 seconds" in letter.dead_letter.last_error


async def test_what_a_handler_acked_before_its_time_is_up_is_not_delivered_again() -> None:
    driven = Driven()
    consumer = Consumer(driven, gate=asyncio.Event())

    async def deliver(delivery: WorkerDelivery) -> Verdict | None:
        delivery.so_far = lambda: Verdict(explicit_acks={delivery.messages[0].id})
        return await consumer(delivery)

    await consume(driven, deliver)
    await driven.send(b"one", b"two")
    await driven.advance(900)
    assert consumer.batches == [[b"one", b"two"], [b"two"]]
    await driven.queues.close(0)


async def test_time_in_which_a_debugger_holds_a_handler_does_not_count() -> None:
    driven = Driven()
    consumer = Consumer(driven, gate=asyncio.Event())
    held = 0.0

    async def deliver(delivery: WorkerDelivery) -> Verdict | None:
        delivery.held_seconds = lambda: held
        return await consumer(delivery)

    await consume(driven, deliver, retries=0, dlq="orders-dlq")
    await driven.send(b"one")
    held = 2000.0
    await driven.advance(2000)
    held = 2500.5
    await driven.advance(1400)
    assert (consumer.running, consumer.cancelled) == (1, 0)
    await driven.advance(0.5)
    assert (consumer.running, consumer.cancelled) == (0, 1)
    (letter,) = await driven.queues.waiting("orders-dlq")
    assert letter.dead_letter is not None
    assert "longer than 900 seconds" in letter.dead_letter.last_error


async def test_what_a_handler_decides_after_its_time_is_up_counts_for_nothing() -> None:
    driven = Driven()
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))

    async def stubborn(delivery: WorkerDelivery) -> Verdict:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Verdict()
        raise AssertionError

    await consume(driven, stubborn, retries=0, dlq="dlq")
    await driven.send(b"one")
    await driven.advance(901)
    assert await driven.count("dlq") == 1
    assert await driven.count("orders") == 0
    assert len(driven.published(BatchDelivered)) == 1
    assert problems == []
