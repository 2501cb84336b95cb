"""Pausing and holding deliveries."""

from __future__ import annotations

from emulator.queues.events import BatchDelivered
from emulator.queues.message import Verdict, WorkerDelivery
from tests.queues.driving import Consumer, Driven, consume


async def test_a_paused_queue_delivers_when_it_is_resumed() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer)
    await driven.queues.pause("orders")
    await driven.send(b"one")
    await driven.advance(100)
    assert consumer.batches == []
    await driven.queues.resume("orders")
    await driven.settle()
    assert consumer.batches == [[b"one"]]


async def test_deliveries_to_a_held_worker_wait_and_use_no_attempt() -> None:
    driven = Driven()
    held, other = Consumer(driven), Consumer(driven)
    await consume(driven, held)
    await consume(driven, other, queue="mails", worker="other")
    driven.queues.hold("mailer", held=True)
    await driven.send(b"one")
    await driven.send(b"two", queue="mails")
    await driven.advance(100)
    assert (held.batches, other.batches) == ([], [[b"two"]])
    driven.queues.hold("mailer", held=False)
    await driven.settle()
    assert (held.batches, held.attempts) == ([[b"one"]], [[1]])


async def test_a_batch_that_could_not_be_delivered_uses_no_attempt() -> None:
    driven = Driven()

    def answer(_delivery: WorkerDelivery) -> Verdict | None:
        if len(consumer.deliveries) == 1:
            driven.queues.hold("mailer", held=True)
            return None
        return Verdict()

    consumer = Consumer(driven, answer)
    await consume(driven, consumer, retries=0)
    await driven.send(b"one")
    await driven.settle()
    assert [(each.body, each.attempts) for each in await driven.queues.waiting("orders")] == [(b"one", 0)]
    assert driven.published(BatchDelivered) == []
    driven.queues.hold("mailer", held=False)
    await driven.settle()
    assert consumer.attempts[1:] == [[1]]
    assert await driven.count("orders") == 0


async def test_a_queue_that_changes_to_another_worker_is_not_held_for_the_first_one() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven))
    driven.queues.hold("mailer", held=True)
    other = Consumer(driven)
    await consume(driven, other, worker="other")
    await driven.send(b"one")
    await driven.settle()
    assert other.batches == [[b"one"]]


async def test_a_queue_that_comes_to_a_held_worker_is_held_too() -> None:
    driven = Driven()
    held = Consumer(driven)
    await consume(driven, held)
    driven.queues.hold("mailer", held=True)
    await consume(driven, held, queue="mails")
    await driven.send(b"one", queue="mails")
    await driven.settle()
    assert held.batches == []
