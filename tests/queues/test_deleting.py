"""Purging, and the retention period."""

from __future__ import annotations

import asyncio

from emulator.queues.events import MessagesDropped
from emulator.queues.settings import QueueSettings
from tests.queues.driving import Consumer, Driven, consume, throw


async def test_a_purge_deletes_what_waits_and_tells_it() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.send(b"one")
    await driven.send(b"two", delay=60)
    assert await driven.queues.purge("orders") == 2
    await driven.settle()
    (dropped,) = driven.published(MessagesDropped)
    assert (dropped.queue, dropped.reason, len(dropped.messages)) == ("orders", "purged", 2)
    assert driven.clock.next_timer() is None
    assert await driven.queues.purge("orders") == 0
    assert len(driven.published(MessagesDropped)) == 1


async def test_messages_older_than_the_retention_period_are_deleted_and_told() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.queues.update_queue("orders", QueueSettings(message_retention_period=60))
    await driven.send(b"one")
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
    await consume(driven, Consumer(driven, throw, gate))
    await driven.queues.update_queue("orders", QueueSettings(message_retention_period=60))
    await driven.send(b"one")
    await driven.advance(100)
    gate.set()
    await driven.settle()
    assert [each.reason for each in driven.published(MessagesDropped)] == ["expired"]


async def test_single_messages_can_be_purged() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.send(b"one", b"two")
    one = (await driven.queues.peek("orders", 1))[0]
    assert await driven.queues.purge_messages("orders", {one.id, "nonsense"}) == [one]
    (dropped,) = driven.published(MessagesDropped)
    assert (dropped.reason, list(dropped.messages)) == ("purged", [one])
    assert driven.queues.state_of("orders").purged_at is None
