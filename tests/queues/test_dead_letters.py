"""Dead letters: what is kept of a message that failed too often."""

from __future__ import annotations

from emulator.queues.events import MessagesDropped
from emulator.queues.settings import QueueSettings
from tests.queues.driving import Consumer, Driven, T, consume, throw


async def test_a_dead_letter_keeps_its_id_body_and_time_and_starts_with_no_attempts() -> None:
    driven = Driven()
    consumer = Consumer(driven, throw)
    await consume(driven, consumer, retries=1, dlq="orders-dlq", retry_delay=10)
    await driven.send(b"one")
    await driven.advance(10)
    (letter,) = await driven.queues.waiting("orders-dlq")
    assert letter.id == consumer.deliveries[0].messages[0].id
    assert (letter.body, letter.content_type, letter.timestamp) == (b"one", "text", T)
    assert (letter.attempts, letter.failures, letter.enqueued_at) == (0, (), T + 10)
    assert await driven.count("orders") == 0


async def test_a_dead_letter_keeps_why() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retries=1, dlq="orders-dlq", retry_delay=10)
    await driven.send(b"one")
    await driven.advance(10)
    (letter,) = await driven.queues.waiting("orders-dlq")
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
    await consume(driven, Consumer(driven, throw), retries=0, dlq="orders-dlq")
    undertaker = Consumer(driven)
    await consume(driven, undertaker, queue="orders-dlq", worker="undertaker")
    await driven.send(b"one")
    await driven.settle()
    assert (undertaker.batches, undertaker.attempts) == ([[b"one"]], [[1]])


async def test_a_dead_letter_queue_that_was_deleted_is_made_again() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retries=0, dlq="orders-dlq")
    await driven.queues.delete_queue("orders-dlq")
    await driven.send(b"one")
    await driven.settle()
    assert await driven.count("orders-dlq") == 1


async def test_a_dead_letter_waits_for_the_delivery_delay_of_its_new_queue() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retries=0, dlq="orders-dlq")
    await driven.queues.update_queue("orders-dlq", QueueSettings(delivery_delay=60))
    await driven.send(b"one")
    await driven.settle()
    (letter,) = await driven.queues.waiting("orders-dlq")
    assert letter.ready_at == T + 60


async def test_a_dead_letter_is_kept_for_the_retention_period_of_its_new_queue() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retries=1, dlq="orders-dlq", retry_delay=50)
    await driven.queues.update_queue("orders-dlq", QueueSettings(message_retention_period=60))
    await driven.send(b"one")
    await driven.advance(109)
    assert await driven.count("orders-dlq") == 1
    await driven.advance(1)
    assert await driven.count("orders-dlq") == 0
    (dropped,) = driven.published(MessagesDropped)
    assert (dropped.queue, dropped.reason) == ("orders-dlq", "expired")


async def test_a_message_out_of_retries_is_dropped_where_there_is_no_dead_letter_queue() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retries=0)
    await driven.send(b"one")
    await driven.settle()
    (dropped,) = driven.published(MessagesDropped)
    assert (dropped.queue, dropped.reason, [each.body for each in dropped.messages]) == (
        "orders",
        "retries",
        [b"one"],
    )


async def test_a_message_remembers_its_source_as_a_dead_letter_too() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retries=0, dlq="orders-dlq")
    await driven.send(b"one")
    await driven.settle()
    assert (await driven.queues.peek("orders-dlq", 1))[0].source == "shop"
