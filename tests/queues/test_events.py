"""What the queues publish, and when."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from emulator.queues import consumption
from emulator.queues.events import BatchDelivered, MessagesDeadLettered, MessagesSent
from emulator.queues.message import Verdict, WorkerDelivery
from tests.queues.driving import Consumer, Driven, consume, throw


async def test_sent_messages_are_told_with_their_source() -> None:
    driven = Driven()
    await driven.queues.create_queue("orders")
    await driven.send(b"one", b"two")
    (sent,) = driven.published(MessagesSent)
    assert (sent.queue, sent.source, [each.body for each in sent.messages]) == ("orders", "shop", [b"one", b"two"])


async def test_a_settled_batch_is_told_with_its_settlement_and_duration() -> None:
    driven = Driven()
    gate = asyncio.Event()

    def answer(delivery: WorkerDelivery) -> Verdict:
        return Verdict(retry_messages={delivery.messages[0].id: 60})

    await consume(driven, Consumer(driven, answer, gate))
    await driven.send(b"one", b"two")
    await driven.advance(3)
    gate.set()
    await driven.settle()
    (event,) = driven.published(BatchDelivered)
    assert (event.queue, event.worker, event.duration) == ("orders", "mailer", 3)
    assert [each.body for each in event.settlement.acked] == [b"two"]
    assert [(each.body, delay) for each, delay in event.settlement.retried] == [(b"one", 60)]


async def test_a_dead_letter_is_told_before_it_is_told_as_sent() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retries=0, dlq="orders-dlq")
    await driven.send(b"one")
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

    monkeypatch.setattr(consumption, "MessagesSent", refuse)
    monkeypatch.setattr(consumption, "BatchDelivered", refuse)
    driven = Driven(listen=False)
    consumer = Consumer(driven)
    await consume(driven, consumer)
    await driven.send(b"one")
    await driven.settle()
    assert consumer.batches == [[b"one"]]
    assert await driven.count("orders") == 0


async def test_what_an_event_carries_never_changes() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retries=2, retry_delay=10)
    await driven.send(b"one")
    await driven.settle()
    (sent,), (delivered,) = driven.published(MessagesSent), driven.published(BatchDelivered)
    before = [msgspec.json.encode(each) for each in ([*sent.messages], delivered.messages, delivered.settlement)]
    await driven.run_until_idle()
    assert len(driven.published(BatchDelivered)) == 3
    assert [
        msgspec.json.encode(each) for each in ([*sent.messages], delivered.messages, delivered.settlement)
    ] == before
    assert [each.attempts for each in (*sent.messages, *delivered.messages)] == [0, 1]
