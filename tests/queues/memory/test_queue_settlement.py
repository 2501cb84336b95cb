"""What becomes of the messages of a batch: acks and retries by message, by batch, and by outcome."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from emulator.queues.message import DeadLetter, Verdict
from tests.queues.memory.conversation import T, ids, make_queue, messages, retried, returned, settle, take, threw


def test_everything_is_acked_when_the_handler_returns() -> None:
    queue = make_queue()
    sent = messages(3)
    queue.enqueue(sent, T)
    settlement = settle(queue, take(queue), returned(), T)
    assert ids(settlement.acked) == ids(sent)
    assert len(queue) == 0


def test_everything_is_retried_when_the_handler_throws() -> None:
    queue = make_queue()
    sent = messages(3)
    queue.enqueue(sent, T)
    settlement = settle(queue, take(queue), threw(), T)
    assert retried(settlement.retried) == [(each.id, 0) for each in sent]
    assert ids(take(queue).batch.messages) == ids(sent)


@pytest.mark.parametrize("outcome", ["exception", "exceeded_cpu", "exceeded_wall_time", "lease_expired"])
def test_every_failed_outcome_retries_the_batch(outcome: str) -> None:
    queue = make_queue()
    queue.enqueue(messages(1), T)
    settlement = settle(queue, take(queue), Verdict(outcome), T)  # type: ignore[arg-type]
    assert len(settlement.retried) == 1
    assert settlement.retried[0][0].failures[0].outcome == outcome


def test_acked_message_is_not_redelivered_when_the_handler_throws() -> None:
    queue = make_queue()
    a, b, c = messages(3)
    queue.enqueue([a, b, c], T)
    settlement = settle(queue, take(queue), threw(ack=[b]), T)
    assert ids(settlement.acked) == [b.id]
    assert ids(take(queue).batch.messages) == [a.id, c.id]


def test_a_retried_message_is_redelivered_when_the_handler_returns() -> None:
    queue = make_queue()
    a, b, c = messages(3)
    queue.enqueue([a, b, c], T)
    settlement = settle(queue, take(queue), returned(retry=[b]), T)
    assert ids(settlement.acked) == [a.id, c.id]
    assert ids(take(queue).batch.messages) == [b.id]


def test_an_ack_of_a_message_is_stronger_than_retry_all() -> None:
    queue = make_queue()
    a, b = messages(2)
    queue.enqueue([a, b], T)
    settlement = settle(queue, take(queue), returned(ack=[a], retry_all=True), T)
    assert ids(settlement.acked) == [a.id]
    assert retried(settlement.retried) == [(b.id, 0)]


def test_a_retry_of_a_message_is_stronger_than_ack_all() -> None:
    queue = make_queue()
    a, b = messages(2)
    queue.enqueue([a, b], T)
    settlement = settle(queue, take(queue), returned(retry=[a], ack_all=True), T)
    assert ids(settlement.acked) == [b.id]
    assert retried(settlement.retried) == [(a.id, 0)]


def test_ack_all_is_stronger_than_an_exception() -> None:
    queue = make_queue()
    queue.enqueue(messages(2), T)
    settlement = settle(queue, take(queue), threw(ack_all=True), T)
    assert len(settlement.acked) == 2
    assert len(queue) == 0


def test_ack_all_spares_the_retried_message_when_the_handler_throws() -> None:
    queue = make_queue()
    a, b = messages(2)
    queue.enqueue([a, b], T)
    settlement = settle(queue, take(queue), threw(ack_all=True, retry=[b]), T)
    assert ids(settlement.acked) == [a.id]
    assert retried(settlement.retried) == [(b.id, 0)]


def test_retry_all_retries_a_batch_whose_handler_returned() -> None:
    queue = make_queue()
    sent = messages(2)
    queue.enqueue(sent, T)
    settlement = settle(queue, take(queue), returned(retry_all=True), T)
    assert settlement.acked == []
    assert ids(take(queue).batch.messages) == ids(sent)


def test_a_decision_about_a_message_of_another_batch_is_ignored() -> None:
    queue = make_queue(size=1, concurrency=2)
    a, b = messages(2)
    queue.enqueue([a, b], T)
    first = take(queue)
    settlement = settle(queue, first, returned(ack=[b], retry=[b]), T)
    assert ids(settlement.acked) == [a.id]
    assert ids(queue.waiting()) == [b.id]


def test_a_message_is_delivered_at_most_1_plus_max_retries_times() -> None:
    queue = make_queue(retries=3)
    queue.enqueue(messages(1), T)
    deliveries = 0
    while (lease := queue.take_batch(T)) is not None:
        deliveries += 1
        settlement = settle(queue, lease, threw(), T)
    assert deliveries == 4
    assert len(settlement.dropped) == 1


def test_with_max_retries_0_a_message_is_delivered_once() -> None:
    queue = make_queue(retries=0)
    queue.enqueue(messages(1), T)
    settlement = settle(queue, take(queue), returned(retry_all=True), T)
    assert len(settlement.dropped) == 1
    assert queue.take_batch(T) is None


def test_after_the_last_failure_a_message_is_dropped_where_there_is_no_dead_letter_queue() -> None:
    queue = make_queue(retries=0)
    queue.enqueue(messages(2), T)
    settlement = settle(queue, take(queue), threw(), T)
    assert (len(settlement.dropped), settlement.dead, settlement.dead_letter_queue) == (2, [], "")
    assert queue.backlog().backlog_bytes == 0


def test_after_the_last_failure_a_message_goes_to_the_dead_letter_queue() -> None:
    queue = make_queue(retries=0, dlq="orders-dlq")
    sent = messages(2)
    queue.enqueue(sent, T)
    settlement = settle(queue, take(queue), threw(), T)
    assert ids(settlement.dead) == ids(sent)
    assert (settlement.dropped, settlement.dead_letter_queue) == ([], "orders-dlq")
    assert len(queue) == 0


def test_a_batch_can_be_acked_retried_and_dead_at_once() -> None:
    queue = make_queue(retries=1, dlq="orders-dlq")
    old, fresh, done = messages(3)
    queue.enqueue([old], T)
    settle(queue, take(queue), threw(), T)
    queue.enqueue([fresh, done], T)
    settlement = settle(queue, take(queue), threw(ack=[done]), T)
    assert ids(settlement.acked) == [done.id]
    assert retried(settlement.retried) == [(fresh.id, 0)]
    assert ids(settlement.dead) == [old.id]


def test_an_ack_on_the_last_attempt_is_no_dead_letter() -> None:
    queue = make_queue(retries=0, dlq="orders-dlq")
    sent = messages(1)
    queue.enqueue(sent, T)
    settlement = settle(queue, take(queue), threw(ack=sent), T)
    assert (ids(settlement.acked), settlement.dead) == (ids(sent), [])


def test_a_message_keeps_the_time_and_outcome_of_every_failed_attempt() -> None:
    queue = make_queue(retries=5)
    (sent,) = messages(1)
    queue.enqueue([sent], T)
    settle(queue, take(queue), threw(error="KeyError: 'x'"), T + 1)
    settle(queue, take(queue, T + 2), returned(retry=[sent]), T + 3)
    assert [(each.number, each.at, each.outcome, each.error) for each in sent.failures] == [
        (1, T, "exception", "KeyError: 'x'"),
        (2, T + 2, "retry", ""),
    ]
    assert "KeyError" in sent.failures[0].traceback


def test_an_acked_message_leaves_no_failure_behind() -> None:
    queue = make_queue()
    a, b = messages(2)
    queue.enqueue([a, b], T)
    settle(queue, take(queue), threw(ack=[a]), T)
    assert a.failures == ()
    assert len(b.failures) == 1


def test_a_dead_letter_tells_the_last_error() -> None:
    queue = make_queue(retries=1)
    (sent,) = messages(1)
    queue.enqueue([sent], T)
    settle(queue, take(queue), threw(error="KeyError: 'x'"), T)
    (dropped,) = settle(queue, take(queue), returned(retry=[sent]), T).dropped
    assert DeadLetter("orders", T, dropped.failures).last_error == "KeyError: 'x'"
    assert DeadLetter("orders", T, dropped.failures[1:]).last_error == "the handler called retry()"
    assert DeadLetter("orders", T, ()).last_error == ""


def test_settings_in_force_at_the_settlement_decide() -> None:
    queue = make_queue(retries=3)
    queue.enqueue(messages(1), T)
    lease = take(queue)
    assert queue.consumer is not None
    queue.consumer = replace(queue.consumer, max_retries=0, dead_letter_queue="orders-dlq")
    settlement = settle(queue, lease, threw(), T)
    assert (len(settlement.dead), settlement.dead_letter_queue) == (1, "orders-dlq")


def test_a_lease_that_outlives_its_consumer_is_settled_by_the_settings_it_was_taken_with() -> None:
    queue = make_queue(retries=0, dlq="orders-dlq")
    queue.enqueue(messages(1), T)
    lease = take(queue)
    queue.consumer = None
    assert len(settle(queue, lease, threw(), T).dead) == 1


def test_a_lease_is_settled_once() -> None:
    queue = make_queue()
    queue.enqueue(messages(1), T)
    lease = take(queue)
    settle(queue, lease, returned(), T)
    with pytest.raises(ValueError, match="ended already"):
        settle(queue, lease, threw(), T)
    with pytest.raises(ValueError, match="ended already"):
        queue.release(lease)
    assert len(queue) == 0
