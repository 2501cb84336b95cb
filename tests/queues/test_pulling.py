"""Clients that pull, acknowledge and peek."""

from __future__ import annotations

import pytest

from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.events import BatchDelivered
from emulator.queues.settings import ConsumerSettings
from tests.queues.driving import Consumer, Driven, T, consume, let_pull


async def test_pulled_messages_are_acked_by_their_lease_ids() -> None:
    driven = Driven()
    await let_pull(driven)
    await driven.send(b"one", b"two")
    first, second = await driven.queues.pull("orders")
    assert [first.message.body, second.message.body] == [b"one", b"two"]
    await driven.queues.acknowledge("orders", [first.lease_id], [(second.lease_id, 60)])
    assert await driven.queues.pull("orders") == []
    await driven.advance(60)
    assert [each.message.body for each in await driven.queues.pull("orders")] == [b"two"]


async def test_a_pull_takes_five_messages_unless_it_says_otherwise() -> None:
    driven = Driven()
    await let_pull(driven)
    await driven.send(*[b"x"] * 20)
    assert (len(await driven.queues.pull("orders")), len(await driven.queues.pull("orders", 9))) == (5, 9)


async def test_the_visibility_timeout_is_the_pulls_else_the_consumers() -> None:
    driven = Driven()
    await let_pull(driven, visibility_ms=2_000)
    await driven.send(b"one", b"two")
    (own,) = await driven.queues.pull("orders", 1, 500)
    (default,) = await driven.queues.pull("orders", 1)
    assert (own.expires_at, default.expires_at) == (T + 0.5, T + 2)


async def test_a_lease_that_expires_is_settled_when_its_time_is_up_with_nobody_asking() -> None:
    driven = Driven()
    await let_pull(driven, retries=0, dlq="orders-dlq")
    await driven.send(b"one")
    await driven.queues.pull("orders", 1, 5_000)
    await driven.advance(4.9)
    assert driven.published(BatchDelivered) == []
    await driven.advance(0.1)
    (delivered,) = driven.published(BatchDelivered)
    assert (delivered.verdict.outcome, delivered.duration) == ("lease_expired", 5)
    (letter,) = await driven.queues.peek("orders-dlq", 10)
    assert letter.dead_letter is not None
    assert letter.dead_letter.last_error == "the client that pulled it did not acknowledge it in time"
    assert [attempt.outcome for attempt in letter.dead_letter.attempts] == ["lease_expired"]


async def test_an_expired_message_can_be_pulled_at_that_moment() -> None:
    driven = Driven()
    await let_pull(driven)
    await driven.send(b"one")
    await driven.queues.pull("orders", 1, 0)
    (again,) = await driven.queues.pull("orders")
    assert again.message.attempts == 2


async def test_settled_pulls_are_published_as_a_batch() -> None:
    driven = Driven()
    await let_pull(driven)
    await driven.send(b"one", b"two", b"three")
    one, two, three = await driven.queues.pull("orders")
    await driven.queues.acknowledge("orders", [one.lease_id, two.lease_id], [(three.lease_id, 7)])
    await driven.queues.acknowledge("orders", [one.lease_id])
    (delivered,) = driven.published(BatchDelivered)
    assert [each.body for each in delivered.settlement.acked] == [b"one", b"two"]
    assert [(each.body, delay) for each, delay in delivered.settlement.retried] == [(b"three", 7)]


async def test_a_paused_queue_refuses_to_be_pulled_from() -> None:
    driven = Driven()
    await let_pull(driven)
    await driven.queues.pause("orders")
    with pytest.raises(QueueError, match="queue_delivery_paused") as caught:
        await driven.queues.pull("orders")
    assert caught.value.code is QueueErrorCode.QUEUE_DELIVERY_PAUSED


async def test_only_a_queue_with_a_pull_consumer_can_be_pulled_from() -> None:
    driven = Driven()
    await driven.queues.create_queue("idle")
    await consume(driven, Consumer(driven))
    for queue in ("idle", "orders"):
        with pytest.raises(QueueError, match="no consumer of type http_pull") as caught:
            await driven.queues.pull(queue)
        assert caught.value.code is QueueErrorCode.HTTP_PULL_NOT_ENABLED


async def test_numbers_out_of_range_are_refused_and_change_nothing() -> None:
    driven = Driven()
    await let_pull(driven)
    await driven.send(b"one")
    for batch_size, visibility_ms in ((0, 1), (101, 1), (1, -1), (1, 43_200_001)):
        with pytest.raises(QueueError, match="must be a whole number"):
            await driven.queues.pull("orders", batch_size, visibility_ms)
    (pulled,) = await driven.queues.pull("orders")
    with pytest.raises(QueueError, match="0 to 86,400") as caught:
        await driven.queues.acknowledge("orders", [pulled.lease_id], [("other", 86_401)])
    assert caught.value.code is QueueErrorCode.MESSAGE_METADATA_INVALID
    assert [each.body for each in driven.engine.in_flight("orders")] == [b"one"]


async def test_a_worker_that_does_not_load_does_not_keep_clients_from_pulling() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.queues.set_consumer("orders", ConsumerSettings("http_pull"), "mailer")
    driven.queues.hold("mailer", held=True)
    await driven.send(b"one")
    assert len(await driven.queues.pull("orders")) == 1


async def test_a_peek_shows_what_waits_and_leaves_it() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.send(b"later", delay=60)
    await driven.send(b"one", b"two")
    for _ in range(2):
        assert [each.body for each in await driven.queues.peek("orders", 100)] == [b"one", b"two", b"later"]
    assert [each.body for each in await driven.queues.peek("orders", 1)] == [b"one"]
    assert all(each.attempts == 0 for each in await driven.queues.peek("orders", 100))


async def test_acks_and_retries_are_good_when_the_consumer_is_gone_and_settled_by_its_settings() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.queues.set_consumer("orders", ConsumerSettings("http_pull", retry_delay=7), "")
    await driven.send(b"one", b"two")
    first, second = await driven.queues.pull("orders")
    await driven.queues.remove_consumer("orders")
    done = await driven.queues.acknowledge("orders", [first.lease_id], [(second.lease_id, None)])
    assert (done.acked, done.retried) == ([first.lease_id], [second.lease_id])
    (again,) = await driven.queues.waiting("orders")
    assert (again.body, again.ready_at) == (b"two", T + 7)
