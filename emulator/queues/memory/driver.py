"""Drives one queue on a clock: looks when something is due, runs its consumer, and sets the timer for the next look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from emulator.base.clock import Clock, Timer
from emulator.queues.declarations import QueueState
from emulator.queues.memory.queue import Queue
from emulator.queues.message import Acknowledgement, Delivery, Lease, Message, Settlement, Verdict
from emulator.queues.settings import ConsumerSettings

Deliver = Callable[[Delivery], Awaitable[Verdict | None]]
"""Runs a consumer on a batch and tells what it decided; None when the batch could not be delivered at all."""

Settled = Callable[["Driver", Lease, Verdict, Settlement, float], None]
"""Is told of every settlement, with the time."""

Expired = Callable[["Driver", Sequence[Message]], None]
"""Is told of messages that are deleted because they are too old."""


class Driver:
    """A queue, its `state`, and what delivers its messages: None where nothing does.

    `forward` takes them to where there is a consumer for them, while there is none here; `forwarded_to` says where that
    is. `settled` and `expired` are told what happened. `running` has the deliveries under way, by the id of their
    lease.
    """

    __slots__ = (
        "_awake",
        "_clock",
        "_expired",
        "_settled",
        "_timer",
        "_timer_at",
        "deliver",
        "forward",
        "forwarded_to",
        "queue",
        "running",
        "state",
        "stopped",
    )

    def __init__(self, queue: Queue, state: QueueState, clock: Clock, settled: Settled, expired: Expired) -> None:
        self.queue = queue
        self.state = state
        self.deliver: Deliver | None = None
        self.forward: Deliver | None = None
        self.forwarded_to = ""
        self.running: dict[int, tuple[asyncio.Task[None], Delivery]] = {}
        self.stopped = False
        self._clock = clock
        self._settled = settled
        self._expired = expired
        self._awake = False
        self._timer: Timer | None = None
        self._timer_at = float("inf")

    def wake(self) -> None:
        """Look at the queue once what runs now has ended, so that a burst of sends is looked at once."""
        if not self._awake and not self.stopped:
            self._awake = True
            self._clock.call_soon(self._pump)

    def stop(self) -> None:
        """Begin nothing more. Deliveries under way run on."""
        self.stopped = True
        self._disarm()

    def catch_up(self, now: float) -> None:
        """Let what the passing of time does to messages that wait, or that clients have pulled, be done."""
        self.delete_expired(now)
        expired = self.queue.expire_pulled(now)
        if expired is not None:
            self.pulled_settled(expired, now)

    def delete_expired(self, now: float) -> None:
        """Delete the messages that are older than the retention period."""
        expired = self.queue.advance(now)
        if expired:
            self._expired(self, expired)

    def pulled_settled(self, acknowledgement: Acknowledgement, now: float) -> None:
        """Tell of pulled messages that were settled together as of a batch that was delivered."""
        ended = acknowledgement.ended
        messages = [each.message for each in ended]
        consumer = self.queue.consumer or ConsumerSettings("http_pull")
        taken_at, expires_at = min(each.taken_at for each in ended), max(each.expires_at for each in ended)
        lease = Lease(0, messages, consumer, taken_at, expires_at)
        self._settled(self, lease, acknowledgement.result, acknowledgement.settlement, now)

    def _pump(self) -> None:
        """Do all that is due, and come back when the next thing is."""
        self._awake = False
        if self.stopped:
            return
        queue = self.queue
        now = self._clock.now()
        self.catch_up(now)
        for lease in queue.expired_leases(now):
            self._time_out(lease, now)
        deliver = self.deliver if self.state.consumer is not None else self.forward
        if deliver is not None:
            while (taken := queue.take_batch(now)) is not None:
                delivery = Delivery(queue.name, taken.messages, queue.metrics())
                run = self._deliver(taken, deliver, delivery)
                self.running[taken.id] = (asyncio.get_running_loop().create_task(run), delivery)
        self._arm(now)

    def _time_out(self, lease: Lease, now: float) -> None:
        """Stop a handler that has run too long. What it has decided in time holds; the rest has failed."""
        task, delivery = self.running[lease.id]
        result = delivery.so_far()
        result.outcome = "exceeded_wall_time"
        result.error = f"the handler ran longer than {lease.expires_at - lease.taken_at:,.0f} seconds"
        task.cancel()
        self._settled(self, lease, result, self.queue.settle(lease, result, now), now)

    async def _deliver(self, lease: Lease, deliver: Deliver, delivery: Delivery) -> None:
        result: Verdict | None
        task, _ = self.running[lease.id]
        try:
            result = await deliver(delivery)
        except (
            Exception,
            asyncio.CancelledError,
        ) as error:  # a consumer tells its failures in the result; this one broke
            result = Verdict("exception", error=f"{type(error).__name__}: {error}")
        finally:
            del self.running[lease.id]
        if task.cancelling():
            return  # Its lease is over, its queue deleted or the broker closed: what it decided comes too late.
        now = self._clock.now()
        if result is None:
            self.queue.release(lease)
        else:
            self._settled(self, lease, result, self.queue.settle(lease, result, now), now)
        self.wake()

    def _arm(self, now: float) -> None:
        due = self.queue.next_due()
        if due is None:
            self._disarm()
            return
        if due == self._timer_at and self._timer is not None:
            return
        self._disarm()
        self._timer_at = due
        self._timer = self._clock.call_at(max(due, now), self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._timer_at = float("inf")

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = float("inf")
        self._pump()
