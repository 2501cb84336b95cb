"""Leases: their expiry, and their release when a delivery did not happen."""

from __future__ import annotations

from emulator.queues.message import Verdict
from tests.queues.memory.conversation import T, ids, make_queue, message, messages, retried, returned, settle, take

FIFTEEN_MINUTES = 900.0
TIMED_OUT = Verdict("exceeded_wall_time")


def test_a_lease_holds_for_15_minutes() -> None:
    queue = make_queue()
    queue.enqueue(messages(1), T)
    lease = take(queue)
    assert (lease.batch.taken_at, lease.batch.expires_at) == (T, T + FIFTEEN_MINUTES)
    assert queue.next_due() == T + FIFTEEN_MINUTES
    assert not queue.expired_leases(T + FIFTEEN_MINUTES - 0.001)
    assert queue.expired_leases(T + FIFTEEN_MINUTES) == [lease]


def test_an_expired_lease_fails_its_messages() -> None:
    queue = make_queue(retry_delay=5)
    sent = messages(2)
    queue.enqueue(sent, T)
    lease = take(queue)
    settlement = settle(queue, lease, TIMED_OUT, T + FIFTEEN_MINUTES)
    assert retried(settlement.retried) == [(each.id, 5) for each in sent]


def test_an_expired_lease_counts_as_an_attempt() -> None:
    queue = make_queue(retries=0, dlq="orders-dlq")
    (sent,) = messages(1)
    queue.enqueue([sent], T)
    settlement = settle(queue, take(queue), TIMED_OUT, T + FIFTEEN_MINUTES)
    assert ids(settlement.dead) == [sent.id]
    assert settlement.dead[0].failures[0].outcome == "exceeded_wall_time"


def test_what_was_acked_before_the_time_was_up_is_not_redelivered() -> None:
    queue = make_queue()
    queue.enqueue(messages(2), T)
    lease = take(queue)
    first, second = lease.batch.messages
    decided = Verdict("exceeded_wall_time", explicit_acks={first.id})
    settlement = settle(queue, lease, decided, T + FIFTEEN_MINUTES)
    assert ids(settlement.acked) == [first.id]
    assert [message.id for message, _ in settlement.retried] == [second.id]


def test_an_expired_lease_takes_a_delivery_away() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(20), T)
    settle(queue, take(queue), returned(), T)
    settle(queue, take(queue), returned(), T)
    settle(queue, take(queue), TIMED_OUT, T + FIFTEEN_MINUTES)
    assert queue.concurrency == 2


def test_only_leases_whose_time_is_up_expire() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(20), T)
    settle(queue, take(queue), returned(), T)
    old = take(queue)
    young = take(queue, T + 1)
    assert queue.expired_leases(T + FIFTEEN_MINUTES) == [old]
    assert list(queue.leases) == [old, young]


def test_a_released_message_is_ready_again_and_the_attempt_is_given_back() -> None:
    queue = make_queue(retries=0, retry_delay=60)
    (sent,) = messages(1)
    queue.enqueue([sent], T)
    for _ in range(5):
        queue.release(take(queue))
    assert (sent.attempts, sent.failures, queue.ready_count) == (0, (), 1)
    assert take(queue).batch.messages[0].attempts == 1


def test_released_messages_go_before_the_others() -> None:
    queue = make_queue(size=2)
    sent = messages(4)
    queue.enqueue(sent, T)
    queue.release(take(queue))
    assert ids(queue.waiting()) == ids(sent)


def test_a_release_is_neither_success_nor_failure() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(20), T)
    settle(queue, take(queue), returned(), T)
    queue.release(take(queue))
    assert queue.concurrency == 2


def test_a_released_message_does_not_wait_for_the_batch_timeout_again() -> None:
    queue = make_queue(timeout=5)
    queue.enqueue(messages(1), T)
    queue.release(take(queue, T + 5))
    assert len(take(queue, T + 5).batch.messages) == 1


def test_released_messages_keep_their_order_whichever_delivery_is_released_first() -> None:
    queue = make_queue(size=1, timeout=5, concurrency=2)
    sent = [message(at=T + second) for second in range(5)]
    for each in sent:
        queue.enqueue([each], each.enqueued_at)
    settle(queue, take(queue, T + 5), returned(), T + 5)
    first, second = take(queue, T + 6), take(queue, T + 6)
    queue.release(first)
    queue.release(second)
    assert ids(queue.waiting()) == ids(sent[1:])
