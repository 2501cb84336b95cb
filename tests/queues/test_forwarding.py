"""Messages on their way to the session that consumes their queue, and messages that come from another one."""

from __future__ import annotations

import pytest

from emulator.queues.errors import QueueError
from emulator.queues.events import BatchDelivered, MessagesForwarded, MessagesSent
from emulator.queues.message import Attempt, DeadLetter, QueueMessage
from tests.queues.driving import Consumer, Driven, T, consume, make_queue


def listening() -> Driven:
    driven = Driven()
    driven.bus.subscribe(MessagesForwarded, driven.events.append)
    return driven


async def test_messages_of_a_queue_without_a_consumer_go_to_where_it_has_one() -> None:
    driven = listening()
    elsewhere = Consumer(driven)
    await make_queue(driven)
    await driven.send(b"one", b"two")
    await driven.queues.forward("orders", elsewhere, "the other session")
    await driven.settle()
    assert elsewhere.batches == [[b"one", b"two"]]
    assert driven.queues.forwarded_to("orders") == "the other session"
    (forwarded,) = driven.published(MessagesForwarded)
    assert (forwarded.queue, [each.body for each in forwarded.messages]) == ("orders", [b"one", b"two"])
    assert driven.published(BatchDelivered) == []
    assert await driven.count() == 0


async def test_messages_that_were_not_taken_wait_with_no_attempt_used() -> None:
    driven = listening()
    await make_queue(driven)

    async def refuse(_delivery: object) -> None:
        await driven.queues.forward("orders", None)

    await driven.queues.forward("orders", refuse, "the other session")
    await driven.send(b"one")
    await driven.settle()
    assert [each.attempts for each in await driven.queues.waiting("orders")] == [0]
    assert driven.queues.forwarded_to("orders") == ""
    assert driven.published(MessagesForwarded) == []


async def test_a_consumer_here_comes_first_and_forwarding_goes_on_when_it_goes() -> None:
    driven = listening()
    here, elsewhere = Consumer(driven), Consumer(driven)
    await make_queue(driven)
    await driven.queues.forward("orders", elsewhere, "the other session")
    await consume(driven, here)
    assert driven.queues.forwarded_to("orders") == ""
    await driven.send(b"one")
    await driven.settle()
    await driven.queues.remove_consumer("orders")
    await driven.send(b"two")
    await driven.settle()
    assert (here.batches, elsewhere.batches) == ([[b"one"]], [[b"two"]])


async def test_forwarding_a_queue_that_is_gone_does_nothing() -> None:
    driven = Driven()
    await driven.queues.forward("nowhere", Consumer(driven), "the other session")
    with pytest.raises(QueueError, match="10104"):
        driven.queues.forwarded_to("nowhere")


async def test_a_message_from_another_session_keeps_its_id_and_history_and_starts_with_no_attempts() -> None:
    driven = Driven()
    await make_queue(driven)
    letter = DeadLetter("mails", T - 50, (Attempt(1, T - 60, "exception"),))
    failed = Attempt(1, T - 10, "retry")
    there = QueueMessage("a" * 32, b"one", "text", T - 100, T - 40, T + 900, 3, (failed,), letter, "shop")
    await driven.queues.accept("orders", [there])
    assert list(await driven.queues.waiting("orders")) == [
        QueueMessage("a" * 32, b"one", "text", T - 100, T, T, 0, (), letter, "shop")
    ]
    (sent,) = driven.published(MessagesSent)
    assert (sent.source, list(sent.messages)) == ("forwarded", list(await driven.queues.waiting("orders")))
