"""Drives one queue on a clock: handles what is due, runs deliveries, and sets the timer for the next time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from emulator.base.clock import Clock, Timer
from emulator.queues.contract import Arbiter, Recipient
from emulator.queues.memory.entry import Entry, look_at_all
from emulator.queues.memory.queue import Lease, MemoryQueue, Pulled, Settled
from emulator.queues.message import LeasedMessage, Settlement
from emulator.queues.settings import ConsumerSettings

Keep = Callable[[str, Settled, Settlement | None, float], None]
"""Records that messages have left a queue or wait again, and at what time, and adds the dead letters of the settlement
to their queue. The settlement is None if messages left without one."""

Note = Callable[[str, Sequence[Entry], float | None], None]
"""Records that a delivery of messages of a queue begins at a time; None means that it did not happen after all."""

_NEVER: Final = float("inf")


class MemorySubscription:
    """The consumer that a driver delivers to. See `emulator.queues.contract.Subscription`."""

    __slots__ = ("_driver", "recipient", "settings")

    def __init__(self, driver: Driver, settings: ConsumerSettings, recipient: Recipient) -> None:
        self._driver = driver
        self.settings = settings
        self.recipient = recipient

    def hold(self, held: bool) -> None:
        if self._driver.subscription is self:
            self._driver.queue.held = held
            self._driver.wake()

    def close(self) -> None:
        if self._driver.subscription is self:
            self._driver.subscribe(None)


class RunningDelivery:
    """A delivery under way to a `recipient`. `is_over` says that its decisions are too late: its lease has expired, its
    queue was deleted or the engine closed. How often the task was cancelled does not say that, as worker code may have
    cancelled it, too: a `TaskGroup` does."""

    __slots__ = ("is_over", "recipient", "task")

    def __init__(self, task: asyncio.Task[None], recipient: Recipient) -> None:
        self.task = task
        self.recipient = recipient
        self.is_over = False

    def break_off(self) -> None:
        self.is_over = True
        self.task.cancel()


class Driver:
    """A queue, and the subscription that its messages are delivered to; None if nothing consumes it here.

    `arbiter` and `keep` are told what becomes of messages, and `note`, where messages are to survive the process, that
    a delivery begins, before it does. `running` has the deliveries under way, by the id of their batch.
    """

    __slots__ = (
        "_arbiter",
        "_awake",
        "_clock",
        "_keep",
        "_note",
        "_timer",
        "_timer_at",
        "queue",
        "running",
        "stopped",
        "subscription",
    )

    def __init__(self, queue: MemoryQueue, clock: Clock, arbiter: Arbiter, keep: Keep, note: Note | None) -> None:
        self.queue = queue
        self.subscription: MemorySubscription | None = None
        self.running: dict[int, RunningDelivery] = {}
        self.stopped = False
        self._clock = clock
        self._arbiter = arbiter
        self._keep = keep
        self._note = note
        self._awake = False
        self._timer: Timer | None = None
        self._timer_at = _NEVER

    def subscribe(self, subscription: MemorySubscription | None) -> None:
        """Deliver to this subscription from now on, or if it is None, do not deliver."""
        self.subscription = subscription
        self.queue.consumer = None if subscription is None else subscription.settings
        self.queue.held = False
        self.wake()

    def wake(self) -> None:
        """Look at the queue after the code that is running now, so that a burst of sends causes only one look."""
        if not self._awake and not self.stopped:
            self._awake = True
            self._clock.call_soon(self._pump)

    def stop(self) -> None:
        """Stop delivering. Deliveries under way continue."""
        self.stopped = True
        self._disarm()

    def catch_up(self, now: float) -> None:
        """Handle messages that have expired while they waited, and leases of clients that have expired."""
        self.delete_expired(now)
        expired = self.queue.expire_pulled(now)
        if expired:
            leases = [each.look() for each in expired]
            self.settle_pulled(expired, leases, self._arbiter.lease_expired(self.queue.name, leases), now)

    def give_up(self) -> None:
        """Take note of the deliveries under way as of ones that did not happen: they were broken off."""
        if self._note is not None:
            for lease in self.queue.leases:
                self._note(self.queue.name, lease.entries, None)

    def delete_expired(self, now: float) -> None:
        """Delete the messages that are older than the retention period."""
        expired = self.queue.advance(now)
        if expired:
            self._keep(self.queue.name, Settled(expired), None, now)
            self._arbiter.messages_expired(self.queue.name, look_at_all(expired))

    def settle_pulled(
        self, ended: Sequence[Pulled], leases: Sequence[LeasedMessage], settlement: Settlement, now: float
    ) -> None:
        """Carry out the settlement of pulled messages whose leases have just ended."""
        self._keep(self.queue.name, self.queue.settle_pulled(ended, settlement, now), settlement, now)
        self._arbiter.leases_settled(self.queue.name, leases, settlement)

    def _pump(self) -> None:
        """Handle everything that is due, and set the timer for the next thing."""
        self._awake = False
        if self.stopped:
            return
        queue = self.queue
        now = self._clock.now()
        self.catch_up(now)
        for lease in queue.expired_leases(now):
            self._time_out(lease, now)
        subscription = self.subscription
        if subscription is not None:
            recipient = subscription.recipient
            while (lease_taken := queue.take_batch(now)) is not None:
                if self._note is not None:
                    self._note(queue.name, lease_taken.entries, now)
                task = asyncio.get_running_loop().create_task(self._deliver(lease_taken, recipient))
                self.running[lease_taken.batch.id] = RunningDelivery(task, recipient)
        self._arm(now)

    def _time_out(self, lease: Lease, now: float) -> None:
        """Stop a delivery that has run too long. Decisions made in time are kept; the other messages have failed. One
        that a debugger has held may go on for longer."""
        running = self.running[lease.batch.id]
        settlement = running.recipient.time_out(lease.batch)
        if isinstance(settlement, float):
            lease.expires_at = settlement
            return
        running.break_off()
        self._settle(lease, running.recipient, settlement, now)

    async def _deliver(self, lease: Lease, recipient: Recipient) -> None:
        batch = lease.batch
        running = self.running[batch.id]
        try:
            settlement = await recipient.deliver(batch)
        except BaseException:
            if running.is_over:
                del self.running[batch.id]
            raise  # if it was not broken off, its lease expires
        del self.running[batch.id]
        if running.is_over:
            return
        if settlement is None:
            self.queue.release(lease)
            if self._note is not None:
                self._note(self.queue.name, lease.entries, None)
        else:
            self._settle(lease, recipient, settlement, self._clock.now())
        self.wake()

    def _settle(self, lease: Lease, recipient: Recipient, settlement: Settlement, now: float) -> None:
        self._keep(self.queue.name, self.queue.settle(lease, settlement, now), settlement, now)
        recipient.settled(lease.batch, settlement)

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
        self._timer_at = _NEVER

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = _NEVER
        self._pump()
