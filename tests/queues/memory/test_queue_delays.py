"""Delays: of a send, and of a retry."""

from __future__ import annotations

from tests.queues.memory.conversation import (
    T,
    ids,
    make_queue,
    message,
    messages,
    retried,
    returned,
    settle,
    take,
    threw,
)


def test_a_delayed_message_is_not_delivered_before_its_time() -> None:
    queue = make_queue()
    queue.enqueue(messages(1, delay=30), T)
    assert queue.take_batch(T + 29.999) is None
    assert queue.next_due() == T + 30
    assert len(take(queue, T + 30).batch.messages) == 1


def test_a_delayed_message_does_not_hold_up_the_others() -> None:
    queue = make_queue()
    late, now = message(delay=30), message()
    queue.enqueue([late, now], T)
    assert ids(take(queue).batch.messages) == [now.id]


def test_delayed_messages_become_ready_in_the_order_of_their_times() -> None:
    queue = make_queue(size=3)
    sent = [message(delay=30), message(delay=10), message(delay=20)]
    queue.enqueue(sent, T)
    assert ids(take(queue, T + 30).batch.messages) == ids([sent[1], sent[2], sent[0]])


def test_messages_with_the_same_delay_stay_in_order() -> None:
    queue = make_queue(size=20)
    sent = messages(20, delay=10)
    queue.enqueue(sent, T)
    assert ids(take(queue, T + 10).batch.messages) == ids(sent)


def test_a_delayed_message_does_not_count_towards_a_full_batch() -> None:
    queue = make_queue(size=2, timeout=60)
    queue.enqueue([message(), message(delay=30)], T)
    assert queue.take_batch(T) is None
    assert len(take(queue, T + 30).batch.messages) == 2


def test_a_retry_of_a_message_has_its_own_delay() -> None:
    queue = make_queue(retry_delay=5)
    a, b = messages(2)
    queue.enqueue([a, b], T)
    result = returned(delays={a.id: 60}, retry_all=True, retry_all_delay=30)
    assert retried(settle(queue, take(queue), result, T).retried) == [(a.id, 60), (b.id, 30)]


def test_a_retry_without_a_delay_takes_that_of_retry_all() -> None:
    queue = make_queue(retry_delay=5)
    a, b = messages(2)
    queue.enqueue([a, b], T)
    result = returned(retry=[a], retry_all=True, retry_all_delay=30)
    assert retried(settle(queue, take(queue), result, T).retried) == [(a.id, 30), (b.id, 30)]


def test_a_retry_all_without_a_delay_takes_that_of_the_consumer() -> None:
    queue = make_queue(retry_delay=5)
    (sent,) = messages(1)
    queue.enqueue([sent], T)
    assert retried(settle(queue, take(queue), returned(retry_all=True), T).retried) == [(sent.id, 5)]


def test_a_retry_after_an_exception_takes_the_delay_of_the_consumer() -> None:
    queue = make_queue(retry_delay=5)
    (sent,) = messages(1)
    queue.enqueue([sent], T)
    assert retried(settle(queue, take(queue), threw(), T).retried) == [(sent.id, 5)]
    assert queue.take_batch(T + 4.999) is None
    assert ids(take(queue, T + 5).batch.messages) == [sent.id]


def test_without_any_delay_a_retry_is_ready_at_once() -> None:
    queue = make_queue()
    queue.enqueue(messages(1), T)
    settle(queue, take(queue), returned(retry_all=True), T)
    assert queue.ready_count == 1


def test_a_retry_delay_of_0_overrides_the_default_of_the_consumer() -> None:
    queue = make_queue(retry_delay=60)
    a, b = messages(2)
    queue.enqueue([a, b], T)
    settlement = settle(queue, take(queue), returned(delays={a.id: 0}, retry_all=True), T)
    assert retried(settlement.retried) == [(a.id, 0), (b.id, 60)]
    assert ids(take(queue).batch.messages) == [a.id]


def test_a_retry_all_delay_of_0_overrides_the_default_of_the_consumer() -> None:
    queue = make_queue(retry_delay=60)
    queue.enqueue(messages(1), T)
    settle(queue, take(queue), returned(retry_all=True, retry_all_delay=0), T)
    assert queue.ready_count == 1


def test_a_message_that_threw_after_asking_for_a_delay_keeps_it() -> None:
    queue = make_queue()
    (sent,) = messages(1)
    queue.enqueue([sent], T)
    result = returned(delays={sent.id: 40}).failed("exception", "ValueError: no")
    assert retried(settle(queue, take(queue), result, T).retried) == [(sent.id, 40)]


def test_a_retried_message_waits_for_the_batch_timeout_again() -> None:
    queue = make_queue(timeout=5)
    queue.enqueue(messages(1), T)
    settle(queue, take(queue, T + 5), threw(), T + 6)
    assert queue.take_batch(T + 10.999) is None
    assert queue.next_due() == T + 11


def test_a_delay_runs_on_while_the_queue_is_paused() -> None:
    queue = make_queue(delivery_paused=True)
    queue.enqueue(messages(1, delay=30), T)
    queue.advance(T + 30)
    assert (queue.ready_count, queue.delayed_count) == (1, 0)
