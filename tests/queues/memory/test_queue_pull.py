"""Pull consumers: leases that clients hold, what ends them, and what comes too late."""

from __future__ import annotations

from emulator.queues.memory.queue import Pulled
from emulator.queues.settings import ConsumerSettings, QueueSettings
from tests.queues.memory.conversation import PullQueue, T, ids, message, messages, retried, take

VISIBILITY_MS = 30_000
VISIBILITY = 30.0


def make_pull_queue(
    *, retries: int = 3, dlq: str | None = None, retry_delay: int = 0, retention: int = 345_600, size: int = 10
) -> PullQueue:
    consumer = ConsumerSettings(
        "http_pull", max_batch_size=size, max_retries=retries, dead_letter_queue=dlq, retry_delay=retry_delay
    )
    queue = PullQueue("orders", QueueSettings(message_retention_period=retention))
    queue.puller = consumer
    return queue


def pull(queue: PullQueue, now: float = T, number: int = 100, visibility_ms: int = VISIBILITY_MS) -> list[Pulled]:
    return list(queue.pull(now, number, visibility_ms / 1000))


def pull_one(queue: PullQueue, now: float = T, visibility_ms: int = VISIBILITY_MS) -> Pulled:
    (pulled,) = pull(queue, now, visibility_ms=visibility_ms)
    return pulled


def test_a_pull_leases_at_most_as_many_messages_as_it_asks_for() -> None:
    queue = make_pull_queue()
    sent = messages(7)
    queue.enqueue(sent, T)
    assert ids(each.entry for each in pull(queue, number=5)) == ids(sent[:5])
    assert ids(each.entry for each in pull(queue, number=5)) == ids(sent[5:])
    assert (queue.ready_count, queue.in_flight_count) == (0, 7)


def test_a_pull_answers_at_once_also_with_nothing() -> None:
    assert pull(make_pull_queue()) == []


def test_a_pull_waits_neither_for_a_full_batch_nor_for_the_batch_timeout() -> None:
    queue = make_pull_queue(size=10)
    queue.enqueue(messages(1), T)
    assert len(pull(queue)) == 1


def test_any_number_of_pulls_can_hold_leases_at_once() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(400), T)
    assert sum(len(pull(queue, number=1)) for _ in range(400)) == 400


def test_each_message_has_a_lease_id_of_its_own() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(20), T)
    lease_ids = {each.lease_id for each in pull(queue)}
    assert len(lease_ids) == 20
    assert all(lease_ids)


def test_a_pull_counts_as_an_attempt() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    assert pull_one(queue).entry.attempts == 1


def test_a_message_is_not_pulled_twice_within_its_lease() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    pull_one(queue)
    queue.expire(T + VISIBILITY - 0.001)
    assert pull(queue, T + VISIBILITY - 0.001) == []


def test_a_delayed_message_is_not_pulled_before_its_time() -> None:
    queue = make_pull_queue()
    queue.enqueue([message(delay=10)], T)
    assert pull(queue, T + 9) == []
    assert len(pull(queue, T + 10)) == 1


def test_a_pull_consumer_gets_no_deliveries() -> None:
    queue = make_pull_queue(size=1)
    queue.enqueue(messages(5), T)
    assert queue.take_batch(T + 60) is None


def test_an_acked_message_is_gone() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(2), T)
    first, second = pull(queue)
    done = queue.acknowledge([first.lease_id], [], T + 1)
    assert ids(done.settlement.acked) == [first.entry.id]
    assert list(queue.pulled) == [second]
    assert len(queue) == 1


def test_a_retried_message_is_ready_again() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    pulled = pull_one(queue)
    done = queue.acknowledge([], [(pulled.lease_id, None)], T + 1)
    assert [(each.id, delay) for each, delay in done.settlement.retried] == [(pulled.entry.id, 0)]
    assert pull_one(queue, T + 1).entry.attempts == 2
    assert pulled.entry.failures[0].outcome == "retry"


def test_a_retry_waits_for_its_own_delay_else_for_the_consumers() -> None:
    queue = make_pull_queue(retry_delay=60)
    queue.enqueue(messages(2), T)
    own, default = pull(queue)
    queue.acknowledge([], [(own.lease_id, 0), (default.lease_id, None)], T)
    assert ids(each.entry for each in pull(queue, T)) == [own.entry.id]
    assert ids(each.entry for each in pull(queue, T + 60)) == [default.entry.id]


def test_a_retry_past_max_retries_is_dead() -> None:
    queue = make_pull_queue(retries=0, dlq="orders-dlq")
    queue.enqueue(messages(1), T)
    pulled = pull_one(queue)
    settlement = queue.acknowledge([], [(pulled.lease_id, 5)], T).settlement
    assert (ids(settlement.dead), settlement.dead_letter_queue) == ([pulled.entry.id], "orders-dlq")
    assert len(queue) == 0


def test_unknown_lease_ids_are_told_and_change_nothing() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    pulled = pull_one(queue)
    done = queue.acknowledge(["nonsense"], [("more nonsense", 10)], T)
    assert (list(done.unknown), list(done.leases)) == (["nonsense", "more nonsense"], [])
    assert list(queue.pulled) == [pulled]


def test_a_lease_ends_once() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    lease_id = pull_one(queue).lease_id
    done = queue.acknowledge([lease_id, lease_id], [(lease_id, 5)], T)
    assert (len(done.settlement.acked), list(done.unknown)) == (1, [lease_id, lease_id])


def test_acks_are_accepted_while_the_queue_is_paused() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    pulled = pull_one(queue)
    queue.settings = QueueSettings(delivery_paused=True)
    assert queue.acknowledge([pulled.lease_id], [], T).settlement.acked


def test_acks_are_accepted_when_the_consumer_is_gone() -> None:
    queue = make_pull_queue(retry_delay=7)
    queue.enqueue(messages(2), T)
    first, second = pull(queue)
    queue.consumer = None
    settlement = queue.acknowledge([first.lease_id], [(second.lease_id, None)], T).settlement
    assert ids(settlement.acked) == [first.entry.id]
    assert retried(settlement.retried) == [(second.entry.id, 7)]


def test_a_message_that_is_not_acked_in_time_is_ready_again() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    pulled = pull_one(queue)
    assert queue.expire(T + VISIBILITY - 0.001) is None
    expired = queue.expire(T + VISIBILITY)
    assert expired is not None
    assert list(expired.leases) == [pulled]
    assert pull_one(queue, T + VISIBILITY).entry is pulled.entry


def test_an_expired_lease_counts_as_an_attempt() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    pulled = pull_one(queue)
    queue.expire(T + VISIBILITY)
    assert [attempt.outcome for attempt in pulled.entry.failures] == ["lease_expired"]
    assert pull_one(queue, T + VISIBILITY).entry.attempts == 2


def test_past_max_retries_an_expired_lease_is_a_dead_letter() -> None:
    queue = make_pull_queue(retries=1, dlq="orders-dlq")
    queue.enqueue(messages(1), T)
    for attempt in range(2):
        pull_one(queue, T + attempt * VISIBILITY)
        expired = queue.expire(T + (attempt + 1) * VISIBILITY)
    assert expired is not None
    assert len(expired.settlement.dead) == 1
    assert len(queue) == 0


def test_an_expired_lease_waits_for_the_consumers_retry_delay() -> None:
    queue = make_pull_queue(retry_delay=10)
    queue.enqueue(messages(1), T)
    pull_one(queue)
    queue.expire(T + VISIBILITY)
    assert pull(queue, T + VISIBILITY + 9) == []
    assert len(pull(queue, T + VISIBILITY + 10)) == 1


def test_each_pull_has_its_own_visibility_timeout() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(2), T)
    (long,) = pull(queue, number=1, visibility_ms=60_000)
    (short,) = pull(queue, number=1, visibility_ms=500)
    assert queue.next_due() == queue.next_activity() == T + 0.5
    expired = queue.expire(T + 0.5)
    assert expired is not None
    assert list(expired.leases) == [short]
    assert list(queue.pulled) == [long]
    assert queue.next_activity() == T + 60


def test_a_lease_that_has_ended_does_not_expire() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(2), T)
    first, second = pull(queue)
    queue.acknowledge([first.lease_id], [(second.lease_id, 3_600)], T)
    assert queue.next_activity() == T + 3_600
    assert queue.expire(T + VISIBILITY) is None


def test_a_late_ack_is_still_accepted() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    pulled = pull_one(queue)
    queue.expire(T + VISIBILITY)
    done = queue.acknowledge([pulled.lease_id], [], T + VISIBILITY + 5)
    assert ids(done.settlement.acked) == [pulled.entry.id]
    assert (len(queue), queue.backlog_bytes) == (0, 0)
    assert pull(queue, T + 3_600) == []


def test_a_late_ack_is_accepted_while_the_retry_is_delayed() -> None:
    queue = make_pull_queue(retry_delay=600)
    queue.enqueue(messages(1), T)
    pulled = pull_one(queue)
    queue.expire(T + VISIBILITY)
    assert queue.acknowledge([pulled.lease_id], [], T + VISIBILITY).settlement.acked
    assert (queue.delayed_count, len(queue)) == (0, 0)


def test_an_ack_after_the_time_but_before_anyone_looked_is_accepted() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    pulled = pull_one(queue)
    assert queue.acknowledge([pulled.lease_id], [], T + 2 * VISIBILITY).settlement.acked
    assert queue.expire(T + 2 * VISIBILITY) is None


def test_a_late_ack_of_a_message_that_another_client_has_is_unknown() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    late = pull_one(queue)
    queue.expire(T + VISIBILITY)
    holder = pull_one(queue, T + VISIBILITY)
    done = queue.acknowledge([late.lease_id], [], T + VISIBILITY)
    assert (list(done.unknown), list(queue.pulled)) == ([late.lease_id], [holder])


def test_a_late_ack_of_a_message_that_a_worker_has_is_unknown() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    late = pull_one(queue)
    queue.expire(T + VISIBILITY)
    queue.consumer = ConsumerSettings("worker", max_batch_timeout=0)
    lease = take(queue, T + VISIBILITY)
    assert list(queue.acknowledge([late.lease_id], [], T + VISIBILITY).unknown) == [late.lease_id]
    assert list(queue.leases) == [lease]


def test_a_late_retry_changes_nothing_and_is_told() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)
    late = pull_one(queue)
    queue.expire(T + VISIBILITY)
    done = queue.acknowledge([], [(late.lease_id, 600)], T + VISIBILITY)
    assert (list(done.expired), list(done.leases), queue.ready_count) == ([late.lease_id], [], 1)


def test_a_late_ack_of_a_message_that_is_gone_is_unknown() -> None:
    purged, expired, dead = make_pull_queue(), make_pull_queue(retention=60), make_pull_queue(retries=0)
    for queue in (purged, expired, dead):
        queue.enqueue(messages(1), T)
        late = pull_one(queue)
        queue.expire(T + VISIBILITY)
        if queue is purged:
            queue.purge()
        assert list(queue.acknowledge([late.lease_id], [], T + 100).unknown) == [late.lease_id]


def test_a_purge_leaves_what_is_pulled() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(3), T)
    (pulled,) = pull(queue, number=1)
    assert len(queue.purge()) == 2
    assert list(queue.pulled) == [pulled]


def test_single_messages_can_be_purged() -> None:
    queue = make_pull_queue()
    sent = [*messages(3), message(delay=60)]
    queue.enqueue(sent, T)
    assert ids(queue.purge({sent[1].id, sent[3].id, "nonsense"})) == [sent[1].id, sent[3].id]
    assert ids(queue.waiting()) == ids([sent[0], sent[2]])
    assert (queue.ready_count, queue.delayed_count) == (2, 0)
    assert ids(each.entry for each in pull(queue, T + 60)) == ids([sent[0], sent[2]])


def test_a_pulled_message_outlives_the_retention_period_in_flight_only() -> None:
    queue = make_pull_queue(retention=60)
    queue.enqueue(messages(1), T)
    pulled = pull_one(queue, visibility_ms=90_000)
    assert queue.advance(T + 61) == []
    expired = queue.expire(T + 90)
    assert expired is not None
    assert ids(expired.settlement.expired) == [pulled.entry.id]


def test_what_is_remembered_of_ended_leases_does_not_pile_up() -> None:
    queue = make_pull_queue()
    queue.enqueue(messages(1), T)  # lingers, so that nothing before it can be dropped from the front
    (lingering,) = pull(queue, visibility_ms=43_200_000)
    for _ in range(100):
        queue.enqueue(messages(100), T)
        queue.acknowledge([each.lease_id for each in pull(queue)], [], T)
    assert list(queue.pulled) == [lingering]
    assert len(queue._pulled) == 1
    assert len(queue._pull_expiries) < 2_000
