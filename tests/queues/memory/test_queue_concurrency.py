"""How many deliveries of one queue may run at once."""

from __future__ import annotations

from msgspec.structs import replace

from emulator.queues.memory.queue import Lease, MemoryQueue
from tests.queues.memory.conversation import T, make_queue, messages, returned, settle, take, threw


def take_all(queue: MemoryQueue) -> list[Lease]:
    leases = []
    while (lease := queue.take_batch(T)) is not None:
        leases.append(lease)
    return leases


def grow(queue: MemoryQueue, wanted: int) -> None:
    """Complete batches until `wanted` may run at once. There must be a backlog."""
    while queue.concurrency < wanted:
        settle(queue, take(queue), returned(), T)


def test_deliveries_start_with_one_at_a_time() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(5), T)
    assert len(take_all(queue)) == 1


def test_a_completed_batch_adds_a_delivery_while_a_full_batch_waits() -> None:
    queue = make_queue(size=2)
    queue.enqueue(messages(10), T)
    settle(queue, take(queue), returned(), T)
    assert len(take_all(queue)) == 2


def test_a_completed_batch_adds_none_while_less_than_a_full_batch_waits() -> None:
    queue = make_queue(size=2)
    queue.enqueue(messages(3), T)
    settle(queue, take(queue), returned(), T)
    assert queue.concurrency == 1


def test_concurrency_grows_by_one_a_batch() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(100), T)
    seen = []
    for _ in range(4):
        leases = take_all(queue)
        seen.append(len(leases))
        settle(queue, leases[0], returned(), T)
        for lease in leases[1:]:
            queue.release(lease)
    assert seen == [1, 2, 3, 4]


def test_concurrency_ends_at_250() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(700), T)
    grow(queue, 250)
    settle(queue, take(queue), returned(), T)
    assert queue.concurrency == 250
    assert len(take_all(queue)) == 250


def test_max_concurrency_1_is_strictly_serial() -> None:
    queue = make_queue(size=1, concurrency=1)
    queue.enqueue(messages(20), T)
    for _ in range(20):
        (lease,) = take_all(queue)
        settle(queue, lease, returned(), T)
    assert len(queue) == 0


def test_max_concurrency_limits_the_growth() -> None:
    queue = make_queue(size=1, concurrency=3)
    queue.enqueue(messages(50), T)
    for _ in range(10):
        settle(queue, take(queue), returned(), T)
    assert len(take_all(queue)) == 3


def test_a_throw_takes_one_delivery_away() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(50), T)
    grow(queue, 3)
    settle(queue, take(queue), threw(), T)
    assert queue.concurrency == 2


def test_concurrency_never_falls_below_one() -> None:
    queue = make_queue(size=1, retries=100)
    queue.enqueue(messages(1), T)
    for _ in range(5):
        settle(queue, take(queue), threw(), T)
    assert queue.concurrency == 1


def test_retries_that_the_handler_asked_for_are_no_failures() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(50), T)
    grow(queue, 3)
    lease = take(queue)
    settle(queue, lease, returned(retry=lease.batch.messages), T)
    settle(queue, take(queue), returned(retry_all=True), T)
    assert queue.concurrency == 5


def test_an_idle_queue_starts_with_one_again() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(4), T)
    grow(queue, 3)
    while (lease := queue.take_batch(T)) is not None:
        settle(queue, lease, returned(), T)
    queue.enqueue(messages(5), T)
    assert len(take_all(queue)) == 1


def test_a_lower_max_concurrency_acts_on_the_next_delivery() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(50), T)
    grow(queue, 5)
    assert queue.consumer is not None
    queue.consumer = replace(queue.consumer, max_concurrency=2)
    assert len(take_all(queue)) == 2


def test_concurrency_tells_no_more_than_max_concurrency() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(50), T)
    grow(queue, 5)
    assert queue.consumer is not None
    queue.consumer = replace(queue.consumer, max_concurrency=2)
    assert queue.concurrency == 2


def test_a_throw_takes_a_delivery_away_from_a_lower_max_concurrency() -> None:
    queue = make_queue(size=1)
    queue.enqueue(messages(50), T)
    grow(queue, 5)
    assert queue.consumer is not None
    queue.consumer = replace(queue.consumer, max_concurrency=2)
    settle(queue, take(queue), threw(), T)
    assert queue.concurrency == 1


def test_deliveries_under_way_stop_no_due_time_but_batches() -> None:
    queue = make_queue(size=1, concurrency=1)
    queue.enqueue(messages(5), T)
    lease = take(queue)
    assert queue.next_due() == lease.batch.expires_at
