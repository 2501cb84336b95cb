"""Redriving: dead letters go back to where they came from, and nothing is lost or doubled on the way."""

from __future__ import annotations

import pytest

from emulator.queues.errors import QueueError
from emulator.queues.events import MessagesSent
from emulator.queues.message import Backlog
from emulator.queues.settings import QueueSettings
from tests.queues.driving import Consumer, Driven, consume, let_pull, throw


async def with_dead_letters(*messages: bytes, queue: str = "orders", driven: Driven | None = None) -> Driven:
    """Queues of which `queue` has failed on `messages`, which are in `dlq` now, and has no consumer any more."""
    driven = driven or Driven()
    await consume(driven, Consumer(driven, throw), queue=queue, retries=1, dlq="dlq")
    await driven.send(*messages, queue=queue)
    await driven.settle()
    await driven.queues.remove_consumer(queue)
    return driven


async def test_dead_letters_go_back_with_their_ids_and_fresh_attempts() -> None:
    driven = await with_dead_letters(b"one", b"two")
    before = {each.id: each for each in await driven.queues.waiting("dlq")}
    await driven.advance(60)

    done = await driven.queues.redrive("dlq")

    assert (done.moved, done.no_dead_letters, done.orphans) == ({"orders": 2}, 0, {})
    assert (await driven.queues.backlog("dlq")) == Backlog(0, 0, None)
    moved = list(await driven.queues.waiting("orders"))
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
    await consume(driven, consumer, retries=1, dlq="dlq")
    await driven.queues.redrive("dlq")
    await driven.settle()
    assert consumer.attempts == [[1], [2]]
    assert await driven.bodies("dlq") == [b"one"]


async def test_dead_letters_of_several_queues_go_each_to_its_own() -> None:
    driven = await with_dead_letters(b"order")
    await with_dead_letters(b"mail", queue="mails", driven=driven)
    assert (await driven.queues.redrive("dlq")).moved == {"orders": 1, "mails": 1}
    assert (await driven.bodies("orders"), await driven.bodies("mails")) == ([b"order"], [b"mail"])


async def test_what_is_no_dead_letter_or_has_no_home_stays() -> None:
    driven = await with_dead_letters(b"order")
    await with_dead_letters(b"mail", queue="mails", driven=driven)
    await driven.send(b"plain", queue="dlq")
    await driven.queues.delete_queue("mails")
    done = await driven.queues.redrive("dlq")
    assert (done.moved, done.no_dead_letters, done.orphans) == ({"orders": 1}, 1, {"mails": 1})
    assert await driven.bodies("dlq") == [b"mail", b"plain"]


async def test_to_takes_everything_that_waits_delayed_messages_too() -> None:
    driven = await with_dead_letters(b"order")
    await driven.send(b"plain", queue="dlq")
    await driven.send(b"later", queue="dlq", delay=30)
    await driven.queues.create_queue("slow")
    await driven.queues.update_queue("slow", QueueSettings(delivery_delay=10))
    assert (await driven.queues.redrive("dlq", "slow")).moved == {"slow": 3}
    assert await driven.count("dlq") == 0
    slow = await driven.queues.waiting("slow")
    assert len(slow) == 3
    assert {each.ready_at - each.enqueued_at for each in slow} == {10}


async def test_what_a_client_has_pulled_stays_until_its_lease_is_over() -> None:
    driven = await with_dead_letters(b"one", b"two")
    await let_pull(driven, queue="dlq", visibility_ms=1_000)
    (pulled,) = await driven.queues.pull("dlq", 1)
    assert (await driven.queues.redrive("dlq")).moved == {"orders": 1}
    await driven.advance(2)
    assert (await driven.queues.redrive("dlq")).moved == {"orders": 1}
    assert (await driven.queues.acknowledge("dlq", [pulled.lease_id])).unknown == [pulled.lease_id]
    assert await driven.bodies("orders") == [b"two", b"one"]


@pytest.mark.parametrize(
    ("name", "to", "what"), [("nowhere", None, "nowhere"), ("dlq", "nowhere", "nowhere"), ("dlq", "dlq", "itself")]
)
async def test_a_refused_redrive_moves_nothing(name: str, to: str | None, what: str) -> None:
    driven = await with_dead_letters(b"one")
    with pytest.raises(QueueError, match=what):
        await driven.queues.redrive(name, to)
    assert await driven.bodies("dlq") == [b"one"]
