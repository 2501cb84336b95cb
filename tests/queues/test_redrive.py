"""Redriving: dead letters go back to where they came from, and nothing is lost or doubled on the way."""

from __future__ import annotations

import pytest

from emulator.queues.errors import QueueError
from emulator.queues.events import MessagesSent
from emulator.queues.settings import ConsumerSettings, QueueSettings
from tests.queues.driving import Consumer, Driven, consume, throw


def bodies(driven: Driven, queue: str) -> list[bytes]:
    return [each.body for each in driven.broker.queue(queue).waiting()]


async def with_dead_letters(*messages: bytes, queue: str = "orders", driven: Driven | None = None) -> Driven:
    """A broker whose queue `queue` has failed on `messages`, which are in `dlq` now, and has no consumer any more."""
    driven = driven or Driven()
    consume(driven, Consumer(driven, throw), queue=queue, retries=1, dlq="dlq")
    driven.send(*messages, queue=queue)
    await driven.settle()
    driven.broker.remove_consumer(queue)
    return driven


async def test_dead_letters_go_back_with_their_ids_and_fresh_attempts() -> None:
    driven = await with_dead_letters(b"one", b"two")
    before = {each.id: each for each in driven.broker.queue("dlq").waiting()}
    await driven.advance(60)

    done = driven.broker.redrive("dlq")

    assert (done.moved, done.no_dead_letters, done.orphans) == ({"orders": 2}, 0, {})
    assert len(driven.broker.queue("dlq")) == driven.broker.queue("dlq").backlog_bytes == 0
    moved = list(driven.broker.queue("orders").waiting())
    assert [each.body for each in moved] == [b"one", b"two"]
    for each in moved:
        assert (each.attempts, each.failures, each.dead_letter) == (0, (), None)
        assert each.timestamp == before[each.id].timestamp
        assert each.enqueued_at == each.timestamp + 60
    assert (driven.published(MessagesSent)[-1].queue, driven.published(MessagesSent)[-1].source) == (
        "orders",
        "redrive",
    )


async def test_a_redriven_message_is_delivered_and_may_die_again() -> None:
    driven = await with_dead_letters(b"one")
    consumer = Consumer(driven, throw)
    consume(driven, consumer, retries=1, dlq="dlq")
    driven.broker.redrive("dlq")
    await driven.settle()
    assert consumer.attempts == [[1], [2]]
    assert bodies(driven, "dlq") == [b"one"]


async def test_dead_letters_of_several_queues_go_each_to_its_own() -> None:
    driven = await with_dead_letters(b"order")
    await with_dead_letters(b"mail", queue="mails", driven=driven)
    assert driven.broker.redrive("dlq").moved == {"orders": 1, "mails": 1}
    assert (bodies(driven, "orders"), bodies(driven, "mails")) == ([b"order"], [b"mail"])


async def test_what_is_no_dead_letter_or_has_no_home_stays() -> None:
    driven = await with_dead_letters(b"order")
    await with_dead_letters(b"mail", queue="mails", driven=driven)
    driven.send(b"plain", queue="dlq")
    driven.broker.delete_queue("mails")
    done = driven.broker.redrive("dlq")
    assert (done.moved, done.no_dead_letters, done.orphans) == ({"orders": 1}, 1, {"mails": 1})
    assert bodies(driven, "dlq") == [b"mail", b"plain"]


async def test_to_takes_everything_that_waits_delayed_messages_too() -> None:
    driven = await with_dead_letters(b"order")
    driven.send(b"plain", queue="dlq")
    driven.send(b"later", queue="dlq", delay=30)
    driven.broker.create_queue("slow")
    driven.broker.update_queue("slow", QueueSettings(delivery_delay=10))
    assert driven.broker.redrive("dlq", "slow").moved == {"slow": 3}
    assert len(driven.broker.queue("dlq")) == 0
    slow = driven.broker.queue("slow")
    assert (slow.ready_count, slow.delayed_count) == (0, 3)
    assert {each.ready_at - each.enqueued_at for each in slow.waiting()} == {10}


async def test_what_a_client_has_pulled_stays_until_its_lease_is_over() -> None:
    driven = await with_dead_letters(b"one", b"two")
    driven.broker.set_consumer("dlq", ConsumerSettings("http_pull", visibility_timeout_ms=1_000), "", None)
    (pulled,) = driven.broker.pull("dlq", 1)
    assert driven.broker.redrive("dlq").moved == {"orders": 1}
    await driven.advance(2)
    assert driven.broker.redrive("dlq").moved == {"orders": 1}
    assert driven.broker.acknowledge("dlq", [pulled.lease_id]).unknown == [pulled.lease_id]
    assert bodies(driven, "orders") == [b"two", b"one"]


@pytest.mark.parametrize(
    ("name", "to", "what"), [("nowhere", None, "nowhere"), ("dlq", "nowhere", "nowhere"), ("dlq", "dlq", "itself")]
)
async def test_a_refused_redrive_moves_nothing(name: str, to: str | None, what: str) -> None:
    driven = await with_dead_letters(b"one")
    with pytest.raises(QueueError, match=what):
        driven.broker.redrive(name, to)
    assert bodies(driven, "dlq") == [b"one"]
