"""Making, changing and deleting queues, and giving them consumers."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

import pytest

from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.events import BatchDelivered
from emulator.queues.message import Verdict, WorkerDelivery
from emulator.queues.settings import QueueSettings
from tests.queues.driving import Consumer, Driven, T, consume, let_pull, throw


async def test_an_unknown_queue_is_an_error_of_the_service() -> None:
    queues = Driven().queues
    for call in (queues.backlog, queues.purge, queues.pause, queues.delete_queue, queues.remove_consumer):
        with pytest.raises(QueueError, match=r"Queue not found: nowhere \(10104\)") as caught:
            await call("nowhere")
        assert caught.value.code is QueueErrorCode.QUEUE_NOT_FOUND
    with pytest.raises(QueueError, match="10104"):
        queues.state_of("nowhere")


async def test_a_client_makes_a_queue_once() -> None:
    queues = Driven().queues
    assert await queues.create_queue("orders", QueueSettings(5))
    assert not await queues.create_queue("orders")
    assert list(queues.states) == ["orders"]
    assert queues.state_of("orders").settings.delivery_delay == 5


async def test_setting_a_consumer_makes_the_queue_and_its_dead_letter_queue() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven), dlq="orders-dlq")
    assert list(driven.queues.states) == ["orders", "orders-dlq"]
    assert driven.queues.state_of("orders").worker == "mailer"
    assert driven.queues.state_of("orders-dlq").worker == ""


async def test_a_removed_consumer_gets_nothing_more_and_the_queue_keeps_its_messages() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer)
    await driven.queues.remove_consumer("orders")
    await driven.send(b"one")
    await driven.advance(3600)
    assert consumer.batches == []
    assert await driven.count("orders") == 1
    assert driven.queues.state_of("orders").worker == ""


async def test_what_is_in_flight_when_its_consumer_is_removed_runs_on() -> None:
    driven = Driven()
    gate = asyncio.Event()
    consumer = Consumer(driven, throw, gate)
    await consume(driven, consumer, retries=0, dlq="orders-dlq")
    await driven.send(b"one")
    await driven.settle()
    await driven.queues.remove_consumer("orders")
    gate.set()
    await driven.settle()
    assert await driven.count("orders-dlq") == 1


async def test_new_consumer_settings_act_at_once() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer, timeout=60)
    await driven.send(b"one")
    await driven.advance(1)
    await consume(driven, consumer, timeout=2)
    await driven.advance(59)
    assert consumer.times == [2]


async def test_a_deleted_queue_is_gone() -> None:
    driven = Driven()
    consumer = Consumer(driven, gate=asyncio.Event())
    await consume(driven, consumer, size=1)
    await driven.send(b"one", b"two")
    await driven.settle()
    await driven.queues.delete_queue("orders")
    await driven.advance(1000)
    assert (consumer.batches, consumer.cancelled) == ([[b"one"]], 1)
    with pytest.raises(QueueError, match="10104"):
        await driven.send(b"three")
    assert driven.clock.next_timer() is None


async def test_what_a_handler_decides_after_its_queue_was_deleted_counts_for_nothing() -> None:
    driven = Driven()
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))

    async def stubborn(_delivery: WorkerDelivery) -> Verdict:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Verdict()
        raise AssertionError

    await consume(driven, stubborn)
    await driven.send(b"one")
    await driven.settle()
    await driven.queues.delete_queue("orders")
    await driven.settle()
    gc.collect()
    assert driven.published(BatchDelivered) == []
    assert problems == []


async def test_a_deleted_queue_delivers_nothing_that_was_just_sent() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    await consume(driven, consumer)
    await driven.send(b"one")
    await driven.queues.delete_queue("orders")
    await driven.advance(1000)
    assert consumer.batches == []
    assert driven.clock.next_timer() is None


async def test_a_delivery_that_never_starts_does_not_call_its_consumer() -> None:
    driven = Driven()
    calls: list[WorkerDelivery] = []

    def deliver(delivery: WorkerDelivery) -> Coroutine[Any, Any, Verdict | None]:
        calls.append(delivery)
        return Consumer(driven)(delivery)

    await consume(driven, deliver)
    await driven.send(b"one")
    while driven.clock.run_due():
        pass
    await driven.queues.delete_queue("orders")
    await driven.advance(1000)
    assert calls == []


async def test_a_queue_knows_when_it_was_made_and_changed() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.advance(10)
    await let_pull(driven)
    await driven.advance(10)
    await driven.queues.pause("orders")
    await driven.advance(10)
    await driven.queues.purge("orders")
    times = driven.queues.state_of("orders")
    assert (times.created_at, times.consumer_set_at, times.modified_at, times.purged_at) == (
        T,
        T + 10,
        T + 20,
        T + 30,
    )
    await driven.queues.remove_consumer("orders")
    assert driven.queues.state_of("orders").consumer_set_at is None
