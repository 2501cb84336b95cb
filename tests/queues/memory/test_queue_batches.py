"""When a batch goes out of the state machine, and what is in it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from emulator.queues.memory.queue import MemoryQueue
from emulator.queues.settings import (
    MAX_BATCH_SIZE,
    MAX_BATCH_TIMEOUT_SECONDS,
    MAX_CONCURRENCY,
    MAX_RETRIES,
    ConsumerSettings,
    QueueSettings,
)
from tests.queues.memory.conversation import T, ids, make_queue, message, messages, returned, settle, take, threw


def test_consumer_defaults_are_those_of_the_service() -> None:
    assert ConsumerSettings() == ConsumerSettings("worker", 10, 5, 3, None, None, 0, 30_000)
    assert QueueSettings() == QueueSettings(0, False, 345_600)


def test_ranges_of_settings_include_both_ends() -> None:
    for allowed, low, high in [
        (MAX_BATCH_SIZE, 1, 100),
        (MAX_BATCH_TIMEOUT_SECONDS, 0, 60),
        (MAX_RETRIES, 0, 100),
        (MAX_CONCURRENCY, 1, 250),
    ]:
        assert low in allowed
        assert high in allowed
        assert low - 1 not in allowed
        assert high + 1 not in allowed


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_a_range_holds_whole_numbers_only(value: object) -> None:
    assert value not in MAX_BATCH_SIZE


def test_a_full_batch_goes_out_at_once() -> None:
    queue = make_queue(size=3, timeout=60)
    queue.enqueue(messages(3), T)
    assert queue.next_due() == float("-inf")
    assert len(take(queue).batch.messages) == 3


def test_a_batch_that_is_not_full_waits_for_the_batch_timeout() -> None:
    queue = make_queue(size=3, timeout=5)
    queue.enqueue(messages(2), T)
    assert queue.take_batch(T + 4.999) is None
    assert queue.next_due() == T + 5
    assert len(take(queue, T + 5).batch.messages) == 2


def test_the_batch_timeout_counts_from_the_oldest_ready_message() -> None:
    queue = make_queue(size=3, timeout=5)
    queue.enqueue(messages(1), T)
    queue.enqueue(messages(1, at=T + 4), T + 4)
    assert queue.next_due() == T + 5
    assert len(take(queue, T + 5).batch.messages) == 2


def test_the_batch_timeout_starts_again_with_the_first_message_after_a_batch() -> None:
    queue = make_queue(size=10, timeout=5)
    queue.enqueue(messages(1), T)
    settle(queue, take(queue, T + 5), returned(), T + 5)
    queue.enqueue(messages(1, at=T + 20), T + 20)
    assert queue.next_due() == T + 25


def test_the_batch_timeout_of_a_delayed_message_counts_from_when_it_became_ready() -> None:
    queue = make_queue(size=10, timeout=5)
    queue.enqueue(messages(1, delay=10), T)
    assert queue.take_batch(T + 14) is None
    assert len(take(queue, T + 15).batch.messages) == 1


def test_with_a_batch_timeout_of_0_a_batch_goes_out_at_once() -> None:
    queue = make_queue(size=10, timeout=0)
    queue.enqueue(messages(1), T)
    assert len(take(queue).batch.messages) == 1


def test_a_batch_holds_at_most_max_batch_size_messages() -> None:
    queue = make_queue(size=4)
    queue.enqueue(messages(9), T)
    assert len(take(queue).batch.messages) == 4
    assert queue.ready_count == 5


def test_what_is_left_after_a_full_batch_waits_for_its_own_timeout() -> None:
    queue = make_queue(size=4, timeout=5)
    queue.enqueue(messages(5), T)
    lease = take(queue)
    settle(queue, lease, returned(), T)
    assert queue.take_batch(T) is None
    assert len(take(queue, T + 5).batch.messages) == 1


def test_an_empty_batch_is_never_delivered() -> None:
    queue = make_queue()
    assert queue.take_batch(T) is None
    assert queue.next_due() is None
    queue.enqueue([], T)
    assert queue.take_batch(T + 1000) is None


def test_messages_go_out_in_the_order_in_which_they_were_sent() -> None:
    queue = make_queue(size=3)
    sent = messages(6)
    queue.enqueue(sent[:2], T)
    queue.enqueue(sent[2:], T)
    first = take(queue)
    settle(queue, first, returned(), T)
    assert ids([*first.batch.messages, *take(queue).batch.messages]) == ids(sent)


def test_waiting_messages_are_listed_in_the_order_in_which_they_will_be_ready() -> None:
    queue = make_queue()
    late, soon, now = message(delay=20), message(delay=10), message()
    queue.enqueue([late, soon, now], T)
    assert ids(queue.waiting()) == ids([now, soon, late])


def test_the_first_delivery_is_attempt_1() -> None:
    queue = make_queue()
    queue.enqueue(messages(1), T)
    assert take(queue).batch.messages[0].attempts == 1


def test_each_delivery_is_one_more_attempt() -> None:
    queue = make_queue(retries=2)
    queue.enqueue(messages(1), T)
    seen = []
    for _ in range(3):
        lease = take(queue)
        seen.append(lease.batch.messages[0].attempts)
        settle(queue, lease, threw(), T)
    assert seen == [1, 2, 3]


def test_a_message_in_flight_is_not_delivered_a_second_time() -> None:
    queue = make_queue(concurrency=5)
    queue.enqueue(messages(1), T)
    take(queue)
    assert queue.take_batch(T + 100) is None


def test_a_queue_without_a_consumer_keeps_its_messages() -> None:
    queue = MemoryQueue("dead")
    queue.enqueue(messages(3), T)
    assert queue.take_batch(T + 1000) is None
    assert len(queue) == 3
    assert queue.next_due() == T + 345_600


def test_messages_that_wait_for_a_consumer_are_delivered_when_there_is_one() -> None:
    queue = MemoryQueue("orders")
    queue.enqueue(messages(3), T)
    queue.consumer = ConsumerSettings(max_batch_timeout=5)
    assert len(take(queue, T + 5).batch.messages) == 3


def test_a_new_batch_size_acts_on_what_waits_already() -> None:
    queue = make_queue(size=10, timeout=60)
    queue.enqueue(messages(3), T)
    assert queue.take_batch(T) is None
    assert queue.consumer is not None
    queue.consumer = replace(queue.consumer, max_batch_size=3)
    assert len(take(queue).batch.messages) == 3


def test_metrics_count_everything_that_is_not_settled() -> None:
    queue = make_queue(size=1)
    queue.enqueue([message(b"four"), message(b"seven77"), message(b"late", delay=60)], T)
    take(queue)
    metrics = queue.backlog()
    assert (metrics.backlog_count, metrics.backlog_bytes) == (3, 15)
    assert (queue.ready_count, queue.delayed_count, queue.in_flight_count) == (1, 1, 1)


def test_metrics_tell_the_timestamp_of_the_oldest_message() -> None:
    queue = make_queue(size=1)
    queue.enqueue([message()], T)
    queue.enqueue([message(at=T + 7)], T + 7)
    assert queue.backlog().oldest_message_timestamp == T
    settle(queue, take(queue, T + 8), returned(), T + 8)
    assert queue.backlog().oldest_message_timestamp == T + 7


def test_metrics_of_an_empty_queue_have_no_oldest_timestamp() -> None:
    queue = make_queue()
    queue.enqueue(messages(2), T)
    settle(queue, take(queue), returned(), T)
    metrics = queue.backlog()
    assert (metrics.backlog_count, metrics.backlog_bytes, metrics.oldest_message_timestamp) == (0, 0, None)
