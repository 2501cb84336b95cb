"""Pausing, holding and purging."""

from __future__ import annotations

from msgspec.structs import replace

from tests.queues.memory.conversation import T, ids, make_queue, message, messages, returned, settle, take, threw


def test_a_paused_queue_accepts_messages_and_delivers_none() -> None:
    queue = make_queue(delivery_paused=True)
    queue.enqueue(messages(100), T)
    assert queue.take_batch(T + 100) is None
    assert len(queue) == 100


def test_a_resumed_queue_delivers_what_waited() -> None:
    queue = make_queue(delivery_paused=True, timeout=5)
    sent = messages(2)
    queue.enqueue(sent, T)
    queue.settings = replace(queue.settings, delivery_paused=False)
    assert ids(take(queue, T + 5).batch.messages) == ids(sent)


def test_what_is_in_flight_when_the_queue_is_paused_is_settled() -> None:
    queue = make_queue()
    a, b = messages(2)
    queue.enqueue([a, b], T)
    lease = take(queue)
    queue.settings = replace(queue.settings, delivery_paused=True)
    settlement = settle(queue, lease, threw(ack=[a]), T)
    assert ids(settlement.acked) == [a.id]
    assert queue.take_batch(T) is None
    assert queue.ready_count == 1


def test_a_held_queue_delivers_none_and_uses_no_attempt() -> None:
    queue = make_queue()
    (sent,) = messages(1)
    queue.enqueue([sent], T)
    queue.held = True
    assert queue.take_batch(T + 100) is None
    assert sent.attempts == 0
    queue.held = False
    assert take(queue, T + 100).batch.messages[0].attempts == 1


def test_a_purge_deletes_what_is_ready_and_what_is_delayed() -> None:
    queue = make_queue()
    ready, delayed = message(), message(delay=60)
    queue.enqueue([delayed, ready], T)
    assert ids(queue.purge()) == ids([ready, delayed])
    assert (len(queue), queue.backlog().backlog_bytes, queue.next_due()) == (0, 0, None)
    assert queue.take_batch(T + 60) is None


def test_a_purge_leaves_what_is_in_flight() -> None:
    queue = make_queue(size=1)
    a, b = messages(2)
    queue.enqueue([a, b], T)
    lease = take(queue)
    assert ids(queue.purge()) == [b.id]
    assert queue.backlog().backlog_count == 1
    settle(queue, lease, threw(), T)
    assert ids(take(queue).batch.messages) == [a.id]


def test_a_purged_queue_is_as_good_as_new() -> None:
    queue = make_queue(size=2)
    queue.enqueue(messages(5), T)
    queue.enqueue(messages(5, delay=10), T)
    queue.purge()
    sent = messages(2, at=T + 10)
    queue.enqueue(sent, T + 10)
    lease = take(queue, T + 10)
    assert ids(lease.batch.messages) == ids(sent)
    settle(queue, lease, returned(), T + 10)
    assert queue.purge() == []


def test_what_passes_behind_a_lingering_message_is_forgotten() -> None:
    queue = make_queue(size=100)
    lingering = message(delay=300_000)
    queue.enqueue([lingering], T)
    for _ in range(50):
        queue.enqueue(messages(100), T)
        settle(queue, take(queue), returned(), T)
    assert len(queue._arrivals) < 1_200
    assert (len(queue), queue.backlog().oldest_message_timestamp) == (1, T)


def test_a_purge_of_many_keeps_the_books_straight() -> None:
    queue = make_queue(size=100, retention=60)
    queue.enqueue(messages(3_000, delay=50), T)
    queue.enqueue(messages(3_000, at=T + 1), T + 1)
    lease = take(queue, T + 1)
    assert len(queue.advance(T + 60)) == 3_000
    assert (len(queue), queue.ready_count, queue.in_flight_count) == (3_000, 2_900, 100)
    assert len(queue.purge()) == 2_900
    settle(queue, lease, threw(), T + 60)
    assert ids(queue.waiting()) == ids(lease.batch.messages)
    assert queue.backlog().backlog_bytes == 200
