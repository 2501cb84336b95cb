"""Messages older than the retention period are deleted."""

from __future__ import annotations

from msgspec.structs import replace

from emulator.queues.memory.queue import MemoryQueue
from emulator.queues.settings import QueueSettings
from tests.queues.memory.conversation import T, ids, make_queue, message, messages, returned, settle, take, threw


def test_a_ready_message_is_deleted_at_the_end_of_the_retention_period() -> None:
    queue = MemoryQueue("dead", QueueSettings(message_retention_period=60))
    sent = messages(2)
    queue.enqueue(sent, T)
    assert queue.advance(T + 59.999) == []
    assert queue.next_due() == T + 60
    assert ids(queue.advance(T + 60)) == ids(sent)
    assert (len(queue), queue.backlog().backlog_bytes, queue.next_due()) == (0, 0, None)


def test_the_default_retention_is_four_days() -> None:
    queue = MemoryQueue("dead")
    queue.enqueue(messages(1), T)
    assert queue.advance(T + 4 * 86_400 - 1) == []
    assert len(queue.advance(T + 4 * 86_400)) == 1


def test_a_delayed_message_is_deleted_too() -> None:
    queue = make_queue(retention=60)
    (sent,) = messages(1, delay=600)
    queue.enqueue([sent], T)
    assert ids(queue.advance(T + 60)) == [sent.id]
    assert queue.take_batch(T + 600) is None


def test_a_message_that_waits_for_its_retry_is_deleted_too() -> None:
    queue = make_queue(retention=60, retry_delay=600)
    (sent,) = messages(1)
    queue.enqueue([sent], T)
    settle(queue, take(queue), threw(), T + 1)
    assert queue.next_due() == T + 60
    assert ids(queue.advance(T + 60)) == [sent.id]


def test_retention_counts_from_when_the_message_entered_this_queue() -> None:
    queue = MemoryQueue("dead", QueueSettings(message_retention_period=60))
    queue.enqueue([message(sent=T - 1000)], T)
    assert queue.advance(T + 59) == []
    assert len(queue.advance(T + 60)) == 1


def test_a_message_in_flight_is_not_deleted() -> None:
    queue = make_queue(retention=60)
    queue.enqueue(messages(1), T)
    lease = take(queue)
    assert queue.advance(T + 60) == []
    assert len(settle(queue, lease, returned(), T + 61).acked) == 1


def test_a_message_that_outlived_the_retention_period_in_flight_is_not_retried() -> None:
    queue = make_queue(retention=60)
    sent = messages(1)
    queue.enqueue(sent, T)
    settlement = settle(queue, take(queue), threw(), T + 60)
    assert (ids(settlement.expired), settlement.retried) == (ids(sent), [])
    assert len(queue) == 0


def test_a_message_out_of_retries_and_out_of_time_is_a_dead_letter() -> None:
    queue = make_queue(retention=60, retries=0, dlq="orders-dlq")
    queue.enqueue(messages(1), T)
    settlement = settle(queue, take(queue), threw(), T + 60)
    assert (len(settlement.dead), settlement.expired) == (1, [])


def test_an_expired_message_is_not_delivered_however_late_one_looks() -> None:
    queue = make_queue(retention=60, delivery_paused=True)
    old, new = message(), message(at=T + 59)
    queue.enqueue([old], T)
    queue.enqueue([new], T + 59)
    queue.settings = replace(queue.settings, delivery_paused=False)
    assert ids(take(queue, T + 60).batch.messages) == [new.id]
    assert ids(queue.advance(T + 60)) == [old.id]


def test_a_message_that_is_behind_one_in_flight_expires_on_time() -> None:
    queue = make_queue(retention=60, size=1, concurrency=1)
    first, second = message(), message(at=T + 10)
    queue.enqueue([first], T)
    take(queue)
    queue.enqueue([second], T + 10)
    assert queue.advance(T + 69) == []
    assert queue.next_due() == T + 70
    assert ids(queue.advance(T + 70)) == [second.id]


def test_the_queue_has_nothing_to_do_about_expired_messages_in_flight() -> None:
    queue = make_queue(retention=60)
    queue.enqueue(messages(1), T)
    lease = take(queue)
    queue.advance(T + 60)
    assert queue.next_due() == lease.batch.expires_at


def test_a_released_message_that_is_too_old_expires() -> None:
    queue = make_queue(retention=60)
    sent = messages(1)
    queue.enqueue(sent, T)
    lease = take(queue)
    queue.release(lease)
    assert ids(queue.advance(T + 60)) == ids(sent)
    assert queue.take_batch(T + 60) is None


def test_a_shorter_retention_period_acts_on_what_waits() -> None:
    queue = MemoryQueue("dead")
    queue.enqueue(messages(1), T)
    queue.enqueue(messages(1, at=T + 100), T + 100)
    queue.settings = QueueSettings(message_retention_period=60)
    assert len(queue.advance(T + 100)) == 1
    assert queue.next_due() == T + 160


def test_a_longer_retention_period_acts_on_what_waits() -> None:
    queue = MemoryQueue("dead", QueueSettings(message_retention_period=60))
    queue.enqueue(messages(1), T)
    queue.settings = QueueSettings(message_retention_period=1_209_600)
    assert queue.advance(T + 61) == []
    assert queue.next_due() == T + 1_209_600


def test_a_paused_queue_still_deletes_what_is_too_old() -> None:
    queue = make_queue(retention=60, delivery_paused=True)
    queue.enqueue(messages(1), T)
    assert queue.next_due() == T + 60
    assert len(queue.advance(T + 60)) == 1


def test_each_expired_message_is_told_once() -> None:
    queue = MemoryQueue("dead", QueueSettings(message_retention_period=60))
    queue.enqueue(messages(2), T)
    queue.enqueue(messages(1, at=T + 60), T + 60)
    assert len(queue.advance(T + 60)) == 2
    assert queue.advance(T + 60) == []
