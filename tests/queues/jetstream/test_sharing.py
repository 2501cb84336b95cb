"""Sessions that share one queue."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from msgspec.structs import replace

from emulator.base.clock import Timer, WallClock
from emulator.queues.declarations import Declared
from emulator.queues.jetstream.delivering import Consuming
from emulator.queues.message import Verdict, WorkerDelivery
from emulator.queues.settings import ConsumerSettings
from tests.queues.jetstream.sharing import AT_ONCE, PACE, Sharer, sharing, throw
from tests.support.nats_server import NatsServer, until


async def test_each_message_goes_to_one_of_the_sessions(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None, AT_ONCE, AT_ONCE]) as (producer, one, other):
        bodies = [str(number) for number in range(500)]
        for start in range(0, 500, 100):
            await producer.send(*bodies[start : start + 100])
        await until(lambda: len(one.got) + len(other.got) >= 500)
        assert sorted(one.delivered + other.delivered) == sorted(bodies)
        assert one.got
        assert other.got
        await until_count(producer, 0)


async def test_a_producer_that_starts_leaves_the_consumer_of_another_session(nats: NatsServer) -> None:
    address = nats.address()
    async with sharing(address, [AT_ONCE, None]) as (consumer, producer):
        assert producer.queues.states["orders"].worker == "mailer"
        await producer.send("one")
        await until(lambda: consumer.delivered == ["one"])


async def test_what_one_session_changes_acts_in_all(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None, AT_ONCE]) as (producer, consumer):
        await producer.queues.pause("orders")
        await until(lambda: consumer.queues.states["orders"].settings.delivery_paused)
        await producer.send("one")
        assert await producer.count() == 1
        assert consumer.got == []
        await producer.queues.resume("orders")
        await until(lambda: consumer.delivered == ["one"])

        consumer.answer = throw
        await producer.queues.set_consumer(
            "orders", replace(AT_ONCE, max_retries=0, dead_letter_queue="dead"), "mailer"
        )
        await until(lambda: "dead" in consumer.queues.states)
        await producer.send("two")
        await until(lambda: "two" in consumer.delivered)
        await until_count(producer, 1, "dead")

        await producer.queues.delete_queue("orders")
        await until(lambda: "orders" not in consumer.queues.states)


async def test_max_concurrency_holds_for_all_sessions_together(nats: NatsServer) -> None:
    settings = ConsumerSettings(max_batch_size=2, max_batch_timeout=0, max_concurrency=2)
    async with sharing(nats.address(), [None, settings, settings, settings]) as (producer, *consumers):
        most = 0

        def answer(_delivery: WorkerDelivery) -> Verdict:
            nonlocal most
            most = max(most, sum(each.running for each in consumers))
            return Verdict()

        for each in consumers:
            each.answer = answer
        await producer.send(*map(str, range(100)))
        await until(lambda: sum(len(each.got) for each in consumers) >= 100)
        assert most <= 2
        await until_count(producer, 0)


async def test_the_messages_of_a_session_that_dies_go_to_another_with_the_attempt_counted(nats: NatsServer) -> None:
    settings = replace(AT_ONCE, max_concurrency=1)
    async with sharing(nats.address(), [None]) as (producer,):
        address = producer.engine.connection.address
        dying = Sharer(address)
        dying.gate = asyncio.Event()
        await dying.begin(settings)
        await producer.send("one", "two")
        await until(lambda: dying.delivered == ["one", "two"])
        await dying.die()
        heir = Sharer(address)
        await heir.begin(settings)
        try:
            await until(lambda: len(heir.got) == 2)
            assert sorted(heir.got) == [("one", 2), ("two", 2)]
            await until_count(producer, 0)
        finally:
            await heir.close()


async def test_a_message_that_kills_its_session_each_time_is_a_dead_letter_in_the_end(nats: NatsServer) -> None:
    settings = replace(AT_ONCE, max_retries=1, dead_letter_queue="dead")
    async with sharing(nats.address(), [None]) as (producer,):
        address = producer.engine.connection.address
        for attempt in (1, 2):
            dying = Sharer(address)
            dying.gate = asyncio.Event()
            await dying.begin(settings)
            if attempt == 1:
                await producer.send("deadly")
            await until(lambda dying=dying: len(dying.got) == 1)
            assert dying.got == [("deadly", attempt)]
            await dying.die()
        heir = Sharer(address)
        await heir.begin(settings)
        try:
            await until_count(producer, 1, "dead")
            assert heir.got == []
            (letter,) = await producer.queues.waiting("dead")
            assert letter.dead_letter is not None
            assert [each.outcome for each in letter.dead_letter.attempts] == ["interrupted", "interrupted"]
        finally:
            await heir.close()


async def test_a_session_that_dies_between_the_two_steps_of_a_dead_letter_does_not_double_it(nats: NatsServer) -> None:
    settings = replace(AT_ONCE, max_retries=0, dead_letter_queue="dead")
    async with sharing(nats.address(), [None]) as (producer,):
        address = producer.engine.connection.address
        dying = Sharer(address)
        dying.answer = throw
        await dying.begin(settings)
        orders = dying.engine._queues["orders"]
        removing = asyncio.Event()

        async def never(_messages: object) -> None:
            removing.set()
            await asyncio.Event().wait()

        orders.remove = never  # type: ignore[method-assign, assignment]
        await producer.send("one")
        await removing.wait()
        assert await producer.bodies("dead") == ["one"]
        await dying.die()
        heir = Sharer(address)
        await heir.begin(settings)
        try:
            await until_count(producer, 0)
            assert await producer.bodies("dead") == ["one"]
        finally:
            await heir.close()


async def test_any_session_can_settle_a_lease(nats: NatsServer) -> None:
    settings = ConsumerSettings("http_pull", dead_letter_queue="dead", max_retries=0)
    async with sharing(nats.address(), [None, None]) as (one, other):
        await one.queues.set_consumer("orders", settings, "")
        await until(lambda: other.queues.states["orders"].consumer is not None)
        await one.send("acked", "retried")
        acked, retried = await one.queues.pull("orders", 2, 600_000)
        answer = await other.queues.acknowledge("orders", [acked.lease_id], [(retried.lease_id, None)])
        assert (answer.acked, answer.retried) == ([acked.lease_id], [retried.lease_id])
        assert await one.count() == 0
        assert await one.bodies("dead") == ["retried"]
        again = await one.queues.acknowledge("orders", [acked.lease_id])
        assert again.unknown == [acked.lease_id]


async def test_the_lease_of_a_session_that_is_gone_expires(nats: NatsServer) -> None:
    settings = ConsumerSettings("http_pull")
    async with sharing(nats.address(), [None]) as (staying,):
        leaving = Sharer(staying.engine.connection.address)
        await leaving.begin(None)
        await staying.queues.set_consumer("orders", settings, "")
        await until(lambda: leaving.queues.states["orders"].consumer is not None)
        await staying.send("one")
        (lease,) = await leaving.queues.pull("orders", 1, 1_000)
        await leaving.die()
        async with asyncio.timeout(20):
            while not (await staying.engine.leases("orders", [lease.lease_id]))[0].has_expired:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await until_bodies(staying, ["one"])
        assert (await staying.queues.waiting("orders"))[0].attempts == 1


async def test_a_session_that_ends_gives_back_what_it_had_not_delivered(nats: NatsServer) -> None:
    slow = ConsumerSettings(max_batch_size=10, max_batch_timeout=60)
    async with sharing(nats.address(), [None]) as (producer,):
        leaving = Sharer(producer.engine.connection.address)
        await leaving.begin(slow)
        await producer.send("one")
        (consumer,) = leaving.engine._consumers["orders"]
        assert isinstance(consumer, Consuming)
        await until(consumer.holds)
        await leaving.close()
        (waiting,) = await producer.queues.waiting("orders")
        assert (waiting.body, waiting.attempts, leaving.got) == (b"one", 0, [])


async def test_sessions_whose_clocks_differ_by_a_minute_agree(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None]) as (producer,):
        late = Sharer(producer.engine.connection.address, OtherClock(-60))
        await late.begin(AT_ONCE)
        try:
            await producer.send("now")
            started = time.monotonic()
            await producer.send("soon", delay=20)
            await until(lambda: late.delivered == ["now", "soon"])
            assert 20 * PACE <= time.monotonic() - started < 60 * PACE
            await producer.queues.set_consumer("orders", ConsumerSettings("http_pull"), "")
            await until(lambda: late.queues.states["orders"].worker == "")
            await producer.send("pulled")
            (lease,) = await late.queues.pull("orders", 1, 40_000)
            assert (await producer.queues.acknowledge("orders", [lease.lease_id])).acked == [lease.lease_id]
        finally:
            await late.close()


async def test_a_session_that_dies_between_a_retry_and_its_ack_loses_nothing(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None]) as (producer,):
        address = producer.engine.connection.address
        dying = Sharer(address)
        dying.answer = throw
        await dying.begin(replace(AT_ONCE, retry_delay=400))
        removing = asyncio.Event()

        async def never(_messages: object) -> None:
            removing.set()
            await asyncio.Event().wait()

        dying.engine._queues["orders"].remove = never  # type: ignore[method-assign, assignment]
        await producer.send("one")
        await removing.wait()
        await dying.die()
        heir = Sharer(address)
        heir.answer = throw
        await heir.begin(replace(AT_ONCE, retry_delay=400))
        try:
            await until(lambda: heir.got == [("one", 2)])  # the retry was stored, and the message was not acked
            await until_count(producer, 1)  # and its own retry is the same
        finally:
            await heir.close()


async def test_a_worker_that_does_not_consume_a_queue_any_more_lets_go_of_it(nats: NatsServer) -> None:
    async with sharing(nats.address(), [AT_ONCE, None]) as (consumer, other):
        await consumer.queues.close(1)
        changed = Sharer(other.engine.connection.address)
        changed.queues.attach("mailer", changed._deliver)
        await changed.queues.start()
        await changed.queues.begin([Declared("mailer")])
        assert changed.queues.states["orders"].consumer is None
        await changed.close()


async def test_a_queue_that_is_deleted_and_made_again_is_consumed_again(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None, AT_ONCE]) as (producer, consumer):
        for body in ("one", "two"):
            await producer.queues.delete_queue("orders")
            await producer.queues.create_queue("orders")
            await producer.queues.set_consumer("orders", AT_ONCE, "mailer")
            await producer.send(body)
            await until(lambda body=body: body in consumer.delivered)


async def test_a_large_queue_is_purged_and_redriven(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None, None]) as (one, other):
        await one.queues.create_queue("elsewhere")
        for _ in range(15):
            await one.send(*["x"] * 100)
        await one.send("later", delay=1000)
        await until(lambda: "elsewhere" in other.queues.states)
        redriven = await other.queues.redrive("orders", "elsewhere")
        assert redriven.moved == {"elsewhere": 1501}
        assert (await one.count(), await one.count("elsewhere")) == (0, 1501)
        assert await one.queues.purge("elsewhere") == 1501
        assert await other.count("elsewhere") == 0


class OtherClock(WallClock):
    """The machine's clock, set wrong by so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.now = lambda: time.time() + seconds

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback)


async def until_count(sharer: Sharer, count: int, queue: str = "orders") -> None:
    """Wait until a queue has so many messages."""
    async with asyncio.timeout(20):
        while queue not in sharer.queues.states or await sharer.count(queue) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_bodies(sharer: Sharer, bodies: list[str], queue: str = "orders") -> None:
    """Wait until these messages wait in a queue."""
    async with asyncio.timeout(20):
        while await sharer.bodies(queue) != bodies:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_changes_of_two_sessions_at_once_both_hold(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None, None]) as (one, other):
        for round_number in range(10):
            queue = f"queue-{round_number}"
            await one.queues.create_queue(queue)
            await until(lambda queue=queue: queue in other.queues.states)
            await asyncio.gather(
                one.queues.pause(queue),
                other.queues.set_consumer(queue, ConsumerSettings("http_pull"), ""),
                one.queues.set_consumer("orders", ConsumerSettings("http_pull", retry_delay=round_number), ""),
            )
            await one.engine.shared.bucket.read(f"queue.{queue}")
            state = one.queues.states[queue]
            assert state.settings.delivery_paused
            assert state.consumer is not None


async def test_a_queue_that_was_deleted_can_be_made_again_at_once(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None, None]) as (one, other):
        for _ in range(3):
            await one.queues.create_queue("again")
            await until(lambda: "again" in other.queues.states)
            await other.send("gone", queue="again")
            await other.queues.delete_queue("again")
            await until(lambda: "again" not in one.queues.states)
        await one.queues.create_queue("again")
        assert await one.count("again") == 0


async def test_a_lane_that_was_given_up_can_be_taken_again_at_once(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None, replace(AT_ONCE, max_concurrency=1)]) as (producer, consumer):
        for body in ("one", "two", "three"):
            await producer.send(body)
            await until(lambda body=body: body in consumer.delivered)
            consumer.queues.hold("mailer", held=True)
            await until(lambda: not consumer.engine.shared._own)
            consumer.queues.hold("mailer", held=False)


async def test_each_session_knows_which_others_produce_and_consume(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None, AT_ONCE, AT_ONCE]) as (producer, consumer, other):
        await until(lambda: len(producer.queues.users("orders").consumers) == 2)
        users = producer.queues.users("orders")
        assert len(users.producers) == 1
        assert users.producers[0].endswith(f"(process {os.getpid()})")
        await other.close()
        await until(lambda: len(consumer.queues.users("orders").consumers) == 1)


async def test_what_two_sessions_promote_at_once_is_promoted_once(nats: NatsServer) -> None:
    async with sharing(nats.address(), [None, None]) as (one, other):
        bodies = [str(number) for number in range(50)]
        await one.send(*bodies, delay=86_000)
        promoted = await asyncio.gather(one.queues.promote("orders"), other.queues.promote("orders"))
        assert sum(promoted) == 50
        counts = await one.queues.counts("orders")
        assert (counts.ready, counts.delayed, counts.in_flight) == (50, 0, 0)
        assert sorted(await other.bodies()) == sorted(bodies)


async def test_a_lease_is_known_to_all_sessions(nats: NatsServer) -> None:
    async with sharing(nats.address(), [ConsumerSettings("http_pull"), None]) as (one, other):
        await other.send("pulled", "waits")
        (pulled,) = await one.queues.pull("orders", 1, 600_000)
        await until(lambda: len(other.engine.shared.in_flight("orders")) == 1)
        (known,) = await other.queues.leased("orders")
        assert (known.lease_id, known.message.body) == (pulled.lease_id, b"pulled")
        counts = await other.queues.counts("orders")
        assert (counts.ready, counts.delayed, counts.in_flight) == (1, 0, 1)
