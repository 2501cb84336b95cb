"""The broker on a virtual clock: deliveries, retries, dead letters, pauses, events, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest

from emulator.base.bus import Bus
from emulator.queues import checks
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.events import BatchDelivered, MessagesDeadLettered, MessagesDropped, MessagesSent
from emulator.queues.memory import broker as broker_module
from emulator.queues.memory.broker import Broker
from emulator.queues.message import Delivery, NewMessage, Verdict
from emulator.queues.settings import ConsumerSettings, QueueSettings
from tests.queues.driving import Consumer, Driven, T, consume, throw


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


# Queues


def test_an_unknown_queue_is_an_error_of_the_service() -> None:
    broker = Broker(Bus())
    for call in (broker.queue, broker.metrics, broker.purge, broker.pause, broker.delete_queue, broker.consumer_of):
        with pytest.raises(QueueError, match=r"Queue not found: nowhere \(10104\)") as caught:
            call("nowhere")
        assert caught.value.code is QueueErrorCode.QUEUE_NOT_FOUND


def test_a_queue_is_made_once() -> None:
    broker = Broker(Bus())
    assert broker.create_queue("orders") is broker.create_queue("orders")
    assert [queue.name for queue in broker.queues] == ["orders"]


async def test_setting_a_consumer_makes_the_queue_and_its_dead_letter_queue() -> None:
    driven = Driven()
    consume(driven, Consumer(driven), dlq="orders-dlq")
    assert [queue.name for queue in driven.broker.queues] == ["orders", "orders-dlq"]
    assert driven.broker.consumer_of("orders") == "mailer"
    assert driven.broker.consumer_of("orders-dlq") == ""


# Sending and delivering


async def test_a_sent_message_is_delivered_to_the_consumer() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer)
    driven.send(b"one", b"two")
    await driven.settle()
    assert consumer.batches == [[b"one", b"two"]]
    assert consumer.deliveries[0].queue == "orders"
    assert len(driven.broker.queue("orders")) == 0


async def test_a_message_gets_32_hex_digits_and_the_time_of_its_sending() -> None:
    driven = Driven()
    driven.broker.create_queue("orders")
    driven.send(*[b"x"] * 50)
    sent = list(driven.broker.queue("orders").waiting())
    assert len({each.id for each in sent}) == 50
    assert all(len(each.id) == 32 and int(each.id, 16) >= 0 for each in sent)
    assert all(each.timestamp == T for each in sent)


def test_a_seeded_random_gives_the_same_ids_again() -> None:
    ids = []
    for _ in range(2):
        broker = Broker(Bus(), Driven().clock, Random(7))
        broker.create_queue("orders")
        broker.send("orders", [NewMessage(b"", "text")], source="")
        ids.append([each.id for each in broker.queue("orders").waiting()])
    assert ids[0] == ids[1]


async def test_messages_sent_in_one_go_make_one_batch() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer)
    for body in (b"one", b"two", b"three"):
        driven.send(body)
    await driven.settle()
    assert consumer.batches == [[b"one", b"two", b"three"]]


async def test_a_batch_goes_out_when_the_oldest_message_has_waited_for_the_batch_timeout() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer, timeout=5)
    driven.send(b"one")
    await driven.advance(3)
    driven.send(b"two")
    await driven.advance(60)
    assert (consumer.batches, consumer.times) == ([[b"one", b"two"]], [5])


async def test_a_full_batch_does_not_wait() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer, size=2, timeout=60)
    driven.send(b"one", b"two", b"three")
    await driven.advance(60)
    assert consumer.batches == [[b"one", b"two"], [b"three"]]
    assert consumer.times == [0, 60]


async def test_the_delay_of_a_message_is_its_own_else_the_batchs_else_the_producers_else_the_queues() -> None:
    driven = Driven()
    broker = driven.broker
    consumer = Consumer(driven)
    consume(driven, consumer)
    broker.update_queue("orders", QueueSettings(delivery_delay=40))
    own, none = NewMessage(b"own", "text", 10), NewMessage(b"none", "text")
    broker.send("orders", [own, none], source="", batch_delay_seconds=20, producer_delay_seconds=30)
    broker.send("orders", [none], source="", producer_delay_seconds=30)
    broker.send("orders", [none], source="")
    await driven.run_until_idle()
    assert consumer.times == [10, 20, 30, 40]


async def test_a_delay_of_0_overrides_every_default() -> None:
    driven = Driven()
    broker = driven.broker
    consumer = Consumer(driven)
    consume(driven, consumer)
    broker.update_queue("orders", QueueSettings(delivery_delay=40))
    now = NewMessage(b"now", "text", 0)
    broker.send("orders", [now], source="", batch_delay_seconds=20, producer_delay_seconds=30)
    broker.send("orders", [NewMessage(b"batch", "text")], source="", batch_delay_seconds=0, producer_delay_seconds=30)
    broker.send("orders", [NewMessage(b"producer", "text")], source="", producer_delay_seconds=0)
    await driven.run_until_idle()
    assert consumer.times == [0]
    assert consumer.batches == [[b"now", b"batch", b"producer"]]


async def test_send_returns_the_backlog() -> None:
    driven = Driven()
    driven.broker.create_queue("orders")
    driven.send(b"four")
    await driven.advance(9)
    metrics = driven.broker.send("orders", [NewMessage(b"seven77", "text")], source="")
    assert (metrics.backlog_count, metrics.backlog_bytes, metrics.oldest_message_timestamp) == (2, 11, T)
    assert driven.broker.metrics("orders") == metrics


async def test_a_delivery_tells_the_backlog_at_its_time() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer, size=2, concurrency=1)
    driven.send(b"one", b"two", b"three")
    await driven.settle()
    assert [each.metrics.backlog_count for each in consumer.deliveries] == [3, 1]


async def test_a_refused_batch_leaves_nothing_behind() -> None:
    driven = Driven()
    driven.broker.create_queue("orders")
    with pytest.raises(QueueError):
        driven.broker.send("orders", [NewMessage(b"", "text"), NewMessage(b"", "text", 86_401)], source="")
    assert driven.broker.metrics("orders").backlog_count == 0
    assert driven.events == []


async def test_a_backlog_over_25_gb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_BACKLOG_BYTES", 10)
    driven = Driven()
    driven.broker.create_queue("orders")
    driven.send(b"0123456789")
    with pytest.raises(QueueError, match=r"\(10251\)$") as caught:
        driven.send(b"1")
    assert caught.value.code is QueueErrorCode.QUEUE_STORAGE_LIMIT_EXCEEDED


async def test_a_queue_without_a_consumer_keeps_its_messages_until_there_is_one() -> None:
    driven = Driven()
    driven.broker.create_queue("orders")
    driven.send(b"one")
    await driven.advance(3600)
    consumer = Consumer(driven)
    consume(driven, consumer, timeout=5)
    await driven.settle()
    assert consumer.batches == [[b"one"]]


async def test_a_removed_consumer_gets_nothing_more_and_the_queue_keeps_its_messages() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer)
    driven.broker.remove_consumer("orders")
    driven.send(b"one")
    await driven.advance(3600)
    assert consumer.batches == []
    assert driven.broker.metrics("orders").backlog_count == 1
    assert driven.broker.consumer_of("orders") == ""


async def test_what_is_in_flight_when_its_consumer_is_removed_runs_on() -> None:
    driven = Driven()
    gate = asyncio.Event()
    consumer = Consumer(driven, throw, gate)
    consume(driven, consumer, retries=0, dlq="orders-dlq")
    driven.send(b"one")
    await driven.settle()
    driven.broker.remove_consumer("orders")
    gate.set()
    await driven.settle()
    assert driven.broker.metrics("orders-dlq").backlog_count == 1


async def test_new_consumer_settings_act_at_once() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer, timeout=60)
    driven.send(b"one")
    await driven.advance(1)
    consume(driven, consumer, timeout=2)
    await driven.advance(59)
    assert consumer.times == [2]


async def test_a_pull_consumer_is_not_delivered_to() -> None:
    driven = Driven()
    driven.broker.set_consumer("orders", ConsumerSettings(type="http_pull"), "mailer", None)
    driven.send(*[b"x"] * 50)
    await driven.advance(100)
    assert driven.broker.queue("orders").ready_count == 50


# Retries and dead letters


async def test_a_failed_batch_is_delivered_again_after_the_retry_delay() -> None:
    driven = Driven()
    consumer = Consumer(driven, throw)
    consume(driven, consumer, retries=2, retry_delay=30)
    driven.send(b"one")
    await driven.run_until_idle()
    assert consumer.times == [0, 30, 60]
    assert consumer.attempts == [[1], [2], [3]]


async def test_a_message_asks_for_its_own_delay() -> None:
    driven = Driven()

    def answer(delivery: Delivery) -> Verdict:
        first = delivery.messages[0]
        return Verdict(retry_messages={first.id: 90} if first.attempts == 1 else {})

    consumer = Consumer(driven, answer)
    consume(driven, consumer, retry_delay=30)
    driven.send(b"one", b"two")
    await driven.run_until_idle()
    assert (consumer.batches, consumer.times) == ([[b"one", b"two"], [b"one"]], [0, 90])


async def test_a_dead_letter_keeps_its_id_body_and_time_and_starts_with_no_attempts() -> None:
    driven = Driven()
    consumer = Consumer(driven, throw)
    consume(driven, consumer, retries=1, dlq="orders-dlq", retry_delay=10)
    driven.send(b"one")
    await driven.advance(10)
    (letter,) = driven.broker.queue("orders-dlq").waiting()
    assert letter.id == consumer.deliveries[0].messages[0].id
    assert (letter.body, letter.content_type, letter.timestamp) == (b"one", "text", T)
    assert (letter.attempts, letter.failures, letter.enqueued_at) == (0, (), T + 10)
    assert driven.broker.metrics("orders").backlog_count == 0


async def test_a_dead_letter_keeps_why() -> None:
    driven = Driven()
    consume(driven, Consumer(driven, throw), retries=1, dlq="orders-dlq", retry_delay=10)
    driven.send(b"one")
    await driven.advance(10)
    (letter,) = driven.broker.queue("orders-dlq").waiting()
    why = letter.dead_letter
    assert why is not None
    assert (why.queue, why.died_at, why.last_error) == ("orders", T + 10, "ValueError: no")
    assert [(each.number, each.at, each.outcome) for each in why.attempts] == [
        (1, T, "exception"),
        (2, T + 10, "exception"),
    ]
    assert why.attempts[-1].traceback.startswith("Traceback")


async def test_a_dead_letter_is_delivered_to_the_consumer_of_its_new_queue() -> None:
    driven = Driven()
    consume(driven, Consumer(driven, throw), retries=0, dlq="orders-dlq")
    undertaker = Consumer(driven)
    consume(driven, undertaker, queue="orders-dlq", worker="undertaker")
    driven.send(b"one")
    await driven.settle()
    assert (undertaker.batches, undertaker.attempts) == ([[b"one"]], [[1]])


async def test_a_dead_letter_queue_that_was_deleted_is_made_again() -> None:
    driven = Driven()
    consume(driven, Consumer(driven, throw), retries=0, dlq="orders-dlq")
    driven.broker.delete_queue("orders-dlq")
    driven.send(b"one")
    await driven.settle()
    assert driven.broker.metrics("orders-dlq").backlog_count == 1


async def test_a_dead_letter_waits_for_the_delivery_delay_of_its_new_queue() -> None:
    driven = Driven()
    consume(driven, Consumer(driven, throw), retries=0, dlq="orders-dlq")
    driven.broker.update_queue("orders-dlq", QueueSettings(delivery_delay=60))
    driven.send(b"one")
    await driven.settle()
    assert driven.broker.queue("orders-dlq").delayed_count == 1


async def test_a_dead_letter_is_kept_for_the_retention_period_of_its_new_queue() -> None:
    driven = Driven()
    consume(driven, Consumer(driven, throw), retries=1, dlq="orders-dlq", retry_delay=50)
    driven.broker.update_queue("orders-dlq", QueueSettings(message_retention_period=60))
    driven.send(b"one")
    await driven.advance(109)
    assert driven.broker.metrics("orders-dlq").backlog_count == 1
    await driven.advance(1)
    assert driven.broker.metrics("orders-dlq").backlog_count == 0
    (dropped,) = driven.published(MessagesDropped)
    assert (dropped.queue, dropped.reason) == ("orders-dlq", "expired")


async def test_a_message_out_of_retries_is_dropped_where_there_is_no_dead_letter_queue() -> None:
    driven = Driven()
    consume(driven, Consumer(driven, throw), retries=0)
    driven.send(b"one")
    await driven.settle()
    (dropped,) = driven.published(MessagesDropped)
    assert (dropped.queue, dropped.reason, [each.body for each in dropped.messages]) == (
        "orders",
        "retries",
        [b"one"],
    )


async def test_a_consumer_that_raises_fails_its_batch() -> None:
    driven = Driven()

    def answer(delivery: Delivery) -> Verdict:
        raise KeyError("broken host")

    consume(driven, Consumer(driven, answer), retries=0, dlq="orders-dlq")
    driven.send(b"one")
    await driven.settle()
    (letter,) = driven.broker.queue("orders-dlq").waiting()
    assert letter.dead_letter is not None
    assert letter.dead_letter.last_error == "KeyError: 'broken host'"


async def test_a_consumer_that_ends_cancelled_fails_its_batch() -> None:
    driven = Driven()

    def answer(delivery: Delivery) -> Verdict:
        raise asyncio.CancelledError  # what awaiting a cancelled task of one's own does

    consume(driven, Consumer(driven, answer), retries=0, dlq="orders-dlq")
    driven.send(b"one")
    await driven.settle()
    assert driven.broker.metrics("orders-dlq").backlog_count == 1


# Concurrency


async def test_deliveries_of_a_backlog_overlap() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer, size=1)
    driven.send(*[b"x"] * 6)
    await driven.settle()
    consumer.gate = asyncio.Event()
    for _ in range(5):
        driven.send(*[b"x"] * 10)
        await driven.settle()
        consumer.gate.set()
        consumer.gate = asyncio.Event()
        await driven.settle()
    assert consumer.most_running > 1
    consumer.gate.set()
    await driven.settle()


async def test_max_concurrency_1_is_strictly_serial() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer, size=2, concurrency=1)
    driven.send(*[b"%d" % number for number in range(40)])
    await driven.settle()
    assert consumer.most_running == 1
    assert [body for batch in consumer.batches for body in batch] == [b"%d" % number for number in range(40)]


async def test_max_concurrency_bounds_the_deliveries_under_way() -> None:
    driven = Driven()
    gate = asyncio.Event()
    consumer = Consumer(driven)
    consume(driven, consumer, size=1, concurrency=3)
    driven.send(*[b"x"] * 20)
    await driven.settle()
    driven.send(*[b"x"] * 100)
    consumer.gate = gate
    await driven.settle()
    gate.set()
    await driven.settle()
    assert consumer.most_running <= 3
    assert len(driven.broker.queue("orders")) == 0


async def test_one_queue_does_not_wait_for_another() -> None:
    driven = Driven()
    gate = asyncio.Event()
    stuck, free = Consumer(driven, gate=gate), Consumer(driven)
    consume(driven, stuck, queue="slow", worker="slow")
    consume(driven, free)
    driven.send(b"x", queue="slow")
    driven.send(b"one")
    await driven.settle()
    assert (stuck.running, free.batches) == (1, [[b"one"]])
    gate.set()
    await driven.settle()


# Leases


async def test_a_handler_is_cancelled_after_15_minutes_and_its_batch_delivered_again() -> None:
    driven = Driven()
    consumer = Consumer(driven, gate=asyncio.Event())
    consume(driven, consumer)
    driven.send(b"one")
    await driven.advance(899)
    assert (consumer.running, consumer.cancelled) == (1, 0)
    await driven.advance(1)
    assert consumer.cancelled == 1
    assert (consumer.times, consumer.attempts) == ([0, 900], [[1], [2]])
    await driven.broker.close(0)


async def test_a_handler_that_ran_too_long_is_told_as_such() -> None:
    driven = Driven()
    consume(driven, Consumer(driven, gate=asyncio.Event()), retries=0, dlq="orders-dlq")
    driven.send(b"one")
    await driven.advance(900)
    (event,) = driven.published(BatchDelivered)
    assert (event.result.outcome, event.duration) == ("exceeded_wall_time", 900)
    (letter,) = driven.broker.queue("orders-dlq").waiting()
    assert letter.dead_letter is not None
    assert "900 seconds" in letter.dead_letter.last_error


async def test_what_a_handler_acked_before_its_time_is_up_is_not_delivered_again() -> None:
    driven = Driven()
    consumer = Consumer(driven, gate=asyncio.Event())

    async def deliver(delivery: Delivery) -> Verdict | None:
        delivery.so_far = lambda: Verdict(explicit_acks={delivery.messages[0].id})
        return await consumer(delivery)

    driven.broker.set_consumer("orders", ConsumerSettings(max_batch_timeout=0), "mailer", deliver)
    driven.send(b"one", b"two")
    await driven.advance(900)
    assert consumer.batches == [[b"one", b"two"], [b"two"]]
    await driven.broker.close(0)


async def test_what_a_handler_decides_after_its_time_is_up_counts_for_nothing() -> None:
    driven = Driven()
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))

    async def stubborn(delivery: Delivery) -> Verdict:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Verdict()
        raise AssertionError

    driven.broker.set_consumer(
        "orders", ConsumerSettings(max_batch_timeout=0, max_retries=0, dead_letter_queue="dlq"), "mailer", stubborn
    )
    driven.send(b"one")
    await driven.advance(901)
    assert driven.broker.metrics("dlq").backlog_count == 1
    assert driven.broker.metrics("orders").backlog_count == 0
    assert len(driven.published(BatchDelivered)) == 1
    assert problems == []


# Pause, hold, purge, delete


async def test_a_paused_queue_delivers_when_it_is_resumed() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer)
    driven.broker.pause("orders")
    driven.send(b"one")
    await driven.advance(100)
    assert consumer.batches == []
    driven.broker.resume("orders")
    await driven.settle()
    assert consumer.batches == [[b"one"]]


async def test_deliveries_to_a_held_worker_wait_and_use_no_attempt() -> None:
    driven = Driven()
    held, other = Consumer(driven), Consumer(driven)
    consume(driven, held)
    consume(driven, other, queue="mails", worker="other")
    driven.broker.hold("mailer", held=True)
    driven.send(b"one")
    driven.send(b"two", queue="mails")
    await driven.advance(100)
    assert (held.batches, other.batches) == ([], [[b"two"]])
    driven.broker.hold("mailer", held=False)
    await driven.settle()
    assert (held.batches, held.attempts) == ([[b"one"]], [[1]])


async def test_a_batch_that_could_not_be_delivered_uses_no_attempt() -> None:
    driven = Driven()

    def answer(_delivery: Delivery) -> Verdict | None:
        if len(consumer.deliveries) == 1:
            driven.broker.hold("mailer", held=True)
            return None
        return Verdict()

    consumer = Consumer(driven, answer)
    consume(driven, consumer, retries=0)
    driven.send(b"one")
    await driven.settle()
    assert driven.broker.queue("orders").ready_count == 1
    assert driven.published(BatchDelivered) == []
    driven.broker.hold("mailer", held=False)
    await driven.settle()
    assert consumer.attempts[1:] == [[1]]
    assert driven.broker.metrics("orders").backlog_count == 0


async def test_a_queue_that_changes_to_another_worker_is_not_held_for_the_first_one() -> None:
    driven = Driven()
    consume(driven, Consumer(driven))
    driven.broker.hold("mailer", held=True)
    other = Consumer(driven)
    consume(driven, other, worker="other")
    driven.send(b"one")
    await driven.settle()
    assert other.batches == [[b"one"]]


async def test_a_queue_that_comes_to_a_held_worker_is_held_too() -> None:
    driven = Driven()
    held = Consumer(driven)
    consume(driven, held)
    driven.broker.hold("mailer", held=True)
    consume(driven, held, queue="mails")
    driven.send(b"one", queue="mails")
    await driven.settle()
    assert held.batches == []


async def test_a_purge_deletes_what_waits_and_tells_it() -> None:
    driven = Driven()
    driven.broker.create_queue("orders")
    driven.send(b"one")
    driven.send(b"two", delay=60)
    assert driven.broker.purge("orders") == 2
    await driven.settle()
    (dropped,) = driven.published(MessagesDropped)
    assert (dropped.queue, dropped.reason, len(dropped.messages)) == ("orders", "purged", 2)
    assert driven.clock.next_timer() is None
    assert driven.broker.purge("orders") == 0
    assert len(driven.published(MessagesDropped)) == 1


async def test_messages_older_than_the_retention_period_are_deleted_and_told() -> None:
    driven = Driven()
    driven.broker.create_queue("orders")
    driven.broker.update_queue("orders", QueueSettings(message_retention_period=60))
    driven.send(b"one")
    await driven.advance(59)
    assert driven.published(MessagesDropped) == []
    await driven.advance(1)
    (dropped,) = driven.published(MessagesDropped)
    assert (dropped.queue, dropped.reason, [each.body for each in dropped.messages]) == (
        "orders",
        "expired",
        [b"one"],
    )
    assert driven.clock.next_timer() is None


async def test_a_message_that_expired_in_flight_is_told_once() -> None:
    driven = Driven()
    gate = asyncio.Event()
    consume(driven, Consumer(driven, throw, gate))
    driven.broker.update_queue("orders", QueueSettings(message_retention_period=60))
    driven.send(b"one")
    await driven.advance(100)
    gate.set()
    await driven.settle()
    assert [each.reason for each in driven.published(MessagesDropped)] == ["expired"]


async def test_a_deleted_queue_is_gone() -> None:
    driven = Driven()
    consumer = Consumer(driven, gate=asyncio.Event())
    consume(driven, consumer, size=1)
    driven.send(b"one", b"two")
    await driven.settle()
    driven.broker.delete_queue("orders")
    await driven.advance(1000)
    assert (consumer.batches, consumer.cancelled) == ([[b"one"]], 1)
    with pytest.raises(QueueError, match="10104"):
        driven.send(b"three")
    assert driven.clock.next_timer() is None


async def test_a_deleted_queue_delivers_nothing_that_was_just_sent() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer)
    driven.send(b"one")
    driven.broker.delete_queue("orders")
    await driven.advance(1000)
    assert consumer.batches == []
    assert driven.clock.next_timer() is None


async def test_a_delivery_that_never_starts_does_not_call_its_consumer() -> None:
    driven = Driven()
    calls: list[Delivery] = []

    def deliver(delivery: Delivery) -> Coroutine[Any, Any, Verdict | None]:
        calls.append(delivery)
        return Consumer(driven)(delivery)

    driven.broker.set_consumer("orders", ConsumerSettings(max_batch_timeout=0), "mailer", deliver)
    driven.send(b"one")
    while driven.clock.run_due():
        pass
    driven.broker.delete_queue("orders")
    await driven.advance(1000)
    assert calls == []


# Events


async def test_sent_messages_are_told_with_their_source() -> None:
    driven = Driven()
    driven.broker.create_queue("orders")
    driven.send(b"one", b"two")
    (sent,) = driven.published(MessagesSent)
    assert (sent.queue, sent.source, [each.body for each in sent.messages]) == ("orders", "shop", [b"one", b"two"])


async def test_a_settled_batch_is_told_with_its_settlement_and_duration() -> None:
    driven = Driven()
    gate = asyncio.Event()

    def answer(delivery: Delivery) -> Verdict:
        return Verdict(retry_messages={delivery.messages[0].id: 60})

    consume(driven, Consumer(driven, answer, gate))
    driven.send(b"one", b"two")
    await driven.advance(3)
    gate.set()
    await driven.settle()
    (event,) = driven.published(BatchDelivered)
    assert (event.queue, event.worker, event.duration) == ("orders", "mailer", 3)
    assert [each.body for each in event.settlement.acked] == [b"two"]
    assert [(each.body, delay) for each, delay in event.settlement.retried] == [(b"one", 60)]


async def test_a_dead_letter_is_told_before_it_is_told_as_sent() -> None:
    driven = Driven()
    consume(driven, Consumer(driven, throw), retries=0, dlq="orders-dlq")
    driven.send(b"one")
    await driven.settle()
    assert [type(event) for event in driven.events] == [
        MessagesSent,
        BatchDelivered,
        MessagesDeadLettered,
        MessagesSent,
    ]
    (dead,) = driven.published(MessagesDeadLettered)
    assert (dead.queue, dead.to) == ("orders", "orders-dlq")
    arrived = driven.published(MessagesSent)[1]
    assert (arrived.queue, arrived.source) == ("orders-dlq", "dead letter")
    assert list(arrived.messages) == list(dead.messages)


async def test_no_event_of_the_hot_path_is_made_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("an event was made for nobody")

    monkeypatch.setattr(broker_module, "MessagesSent", refuse)
    monkeypatch.setattr(broker_module, "BatchDelivered", refuse)
    driven = Driven(listen=False)
    consumer = Consumer(driven)
    consume(driven, consumer)
    driven.send(b"one")
    await driven.settle()
    assert consumer.batches == [[b"one"]]
    assert driven.broker.metrics("orders").backlog_count == 0


# The end


async def test_close_lets_a_delivery_end() -> None:
    driven = Driven()
    gate = asyncio.Event()
    consume(driven, Consumer(driven, gate=gate))
    driven.send(b"one")
    await driven.settle()
    asyncio.get_running_loop().call_soon(gate.set)
    await driven.broker.close(60)
    assert driven.broker.metrics("orders").backlog_count == 0
    assert len(driven.published(BatchDelivered)) == 1


async def test_close_cancels_what_does_not_end_in_time() -> None:
    driven = Driven()
    consumer = Consumer(driven, gate=asyncio.Event())
    consume(driven, consumer)
    driven.send(b"one")
    await driven.settle()
    await driven.broker.close(0)
    assert (consumer.cancelled, consumer.running) == (1, 0)
    assert driven.broker.metrics("orders").backlog_count == 1
    assert driven.published(BatchDelivered) == []


async def test_a_closed_broker_starts_no_more_deliveries() -> None:
    driven = Driven()
    consumer = Consumer(driven)
    consume(driven, consumer, timeout=5)
    driven.send(b"one")
    await driven.advance(1)
    await driven.broker.close(0)
    driven.send(b"two")
    await driven.advance(100)
    assert consumer.batches == []
    assert driven.broker.metrics("orders").backlog_count == 2


def test_close_with_nothing_under_way_returns_at_once() -> None:
    run(Driven().broker.close(3600))


async def test_close_can_be_called_when_a_delivery_is_about_to_start() -> None:
    driven = Driven()
    consume(driven, Consumer(driven, gate=asyncio.Event()))
    driven.send(b"one")
    while driven.clock.run_due():
        pass
    await driven.broker.close(0)
    assert driven.broker.metrics("orders").backlog_count == 1


# Pull consumers


def let_pull(driven: Driven, *, retries: int = 3, dlq: str | None = None, visibility_ms: int = 30_000) -> None:
    settings = ConsumerSettings(
        "http_pull", max_retries=retries, dead_letter_queue=dlq, visibility_timeout_ms=visibility_ms
    )
    driven.broker.set_consumer("orders", settings, "", None)


async def test_pulled_messages_are_acked_by_their_lease_ids() -> None:
    driven = Driven()
    let_pull(driven)
    driven.send(b"one", b"two")
    first, second = driven.broker.pull("orders")
    assert [first.message.body, second.message.body] == [b"one", b"two"]
    driven.broker.acknowledge("orders", [first.lease_id], [(second.lease_id, 60)])
    assert driven.broker.pull("orders") == []
    await driven.advance(60)
    assert [each.message.body for each in driven.broker.pull("orders")] == [b"two"]


async def test_a_pull_takes_five_messages_unless_it_says_otherwise() -> None:
    driven = Driven()
    let_pull(driven)
    driven.send(*[b"x"] * 20)
    assert (len(driven.broker.pull("orders")), len(driven.broker.pull("orders", 9))) == (5, 9)


async def test_the_visibility_timeout_is_the_pulls_else_the_consumers() -> None:
    driven = Driven()
    let_pull(driven, visibility_ms=2_000)
    driven.send(b"one", b"two")
    (own,) = driven.broker.pull("orders", 1, 500)
    (default,) = driven.broker.pull("orders", 1)
    assert (own.expires_at, default.expires_at) == (T + 0.5, T + 2)


async def test_a_lease_that_expires_is_settled_when_its_time_is_up_with_nobody_asking() -> None:
    driven = Driven()
    let_pull(driven, retries=0, dlq="orders-dlq")
    driven.send(b"one")
    driven.broker.pull("orders", 1, 5_000)
    await driven.advance(4.9)
    assert driven.published(BatchDelivered) == []
    await driven.advance(0.1)
    (delivered,) = driven.published(BatchDelivered)
    assert (delivered.result.outcome, delivered.duration) == ("lease_expired", 5)
    (letter,) = driven.broker.peek("orders-dlq", 10)
    assert letter.dead_letter is not None
    assert letter.dead_letter.last_error == "the client that pulled it did not acknowledge it in time"
    assert [attempt.outcome for attempt in letter.dead_letter.attempts] == ["lease_expired"]


async def test_an_expired_message_can_be_pulled_at_that_moment() -> None:
    driven = Driven()
    let_pull(driven)
    driven.send(b"one")
    driven.broker.pull("orders", 1, 0)
    (again,) = driven.broker.pull("orders")
    assert again.message.attempts == 2


async def test_settled_pulls_are_published_as_a_batch() -> None:
    driven = Driven()
    let_pull(driven)
    driven.send(b"one", b"two", b"three")
    one, two, three = driven.broker.pull("orders")
    driven.broker.acknowledge("orders", [one.lease_id, two.lease_id], [(three.lease_id, 7)])
    driven.broker.acknowledge("orders", [one.lease_id])
    (delivered,) = driven.published(BatchDelivered)
    assert [each.body for each in delivered.settlement.acked] == [b"one", b"two"]
    assert [(each.body, delay) for each, delay in delivered.settlement.retried] == [(b"three", 7)]


def test_a_paused_queue_refuses_to_be_pulled_from() -> None:
    driven = Driven()
    let_pull(driven)
    driven.broker.pause("orders")
    with pytest.raises(QueueError, match="queue_delivery_paused") as caught:
        driven.broker.pull("orders")
    assert caught.value.code is QueueErrorCode.QUEUE_DELIVERY_PAUSED


async def test_only_a_queue_with_a_pull_consumer_can_be_pulled_from() -> None:
    driven = Driven()
    driven.broker.create_queue("idle")
    consume(driven, Consumer(driven))
    for queue in ("idle", "orders"):
        with pytest.raises(QueueError, match="no consumer of type http_pull") as caught:
            driven.broker.pull(queue)
        assert caught.value.code is QueueErrorCode.HTTP_PULL_NOT_ENABLED


async def test_numbers_out_of_range_are_refused_and_change_nothing() -> None:
    driven = Driven()
    let_pull(driven)
    driven.send(b"one")
    for batch_size, visibility_ms in ((0, 1), (101, 1), (1, -1), (1, 43_200_001)):
        with pytest.raises(QueueError, match="must be a whole number"):
            driven.broker.pull("orders", batch_size, visibility_ms)
    (pulled,) = driven.broker.pull("orders")
    with pytest.raises(QueueError, match="0 to 86,400") as caught:
        driven.broker.acknowledge("orders", [pulled.lease_id], [("other", 86_401)])
    assert caught.value.code is QueueErrorCode.MESSAGE_METADATA_INVALID
    assert driven.broker.queue("orders").in_flight_count == 1


async def test_a_worker_that_does_not_load_does_not_keep_clients_from_pulling() -> None:
    driven = Driven()
    driven.broker.set_consumer("orders", ConsumerSettings("http_pull"), "mailer", None)
    driven.broker.hold("mailer", held=True)
    driven.send(b"one")
    assert len(driven.broker.pull("orders")) == 1


async def test_a_peek_shows_what_waits_and_leaves_it() -> None:
    driven = Driven()
    driven.broker.create_queue("orders")
    driven.send(b"later", delay=60)
    driven.send(b"one", b"two")
    for _ in range(2):
        assert [each.body for each in driven.broker.peek("orders", 100)] == [b"one", b"two", b"later"]
    assert [each.body for each in driven.broker.peek("orders", 1)] == [b"one"]
    assert all(each.attempts == 0 for each in driven.broker.peek("orders", 100))


async def test_single_messages_can_be_purged() -> None:
    driven = Driven()
    driven.broker.create_queue("orders")
    driven.send(b"one", b"two")
    one = driven.broker.peek("orders", 1)[0]
    assert driven.broker.purge_messages("orders", {one.id, "nonsense"}) == [one]
    (dropped,) = driven.published(MessagesDropped)
    assert (dropped.reason, list(dropped.messages)) == ("purged", [one])
    assert driven.broker.state_of("orders").purged_at is None


async def test_a_message_remembers_its_source_as_a_dead_letter_too() -> None:
    driven = Driven()
    consume(driven, Consumer(driven, throw), retries=0, dlq="orders-dlq")
    driven.send(b"one")
    await driven.settle()
    assert driven.broker.peek("orders-dlq", 1)[0].source == "shop"


async def test_a_queue_knows_when_it_was_made_and_changed() -> None:
    driven = Driven()
    driven.broker.create_queue("orders")
    await driven.advance(10)
    let_pull(driven)
    await driven.advance(10)
    driven.broker.pause("orders")
    await driven.advance(10)
    driven.broker.purge("orders")
    times = driven.broker.state_of("orders")
    assert (times.created_at, times.consumer_set_at, times.modified_at, times.purged_at) == (
        T,
        T + 10,
        T + 20,
        T + 30,
    )
    driven.broker.remove_consumer("orders")
    assert driven.broker.state_of("orders").consumer_set_at is None
