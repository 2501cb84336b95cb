"""Drives one queue on a clock: looks when something is due, runs deliveries, and sets the timer for the next look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from emulator.base.clock import Clock, Timer
from emulator.queues.contract import Arbiter, Recipient
from emulator.queues.memory.entry import Entry, look_at_all
from emulator.queues.memory.queue import Lease, Pulled, Queue, Settled
from emulator.queues.message import Leased, Settlement
from emulator.queues.settings import ConsumerSettings

Keep = Callable[[str, Settled, Settlement | None, float], None]
"""Takes note of messages of a queue that have left it or wait again, at a time, and lets the letters of the settlement
enter their dead letter queue. None: they left without one."""

Note = Callable[[str, Sequence[Entry], float | None], None]
"""Takes note that a delivery of messages of a queue begins, at a time; None: that it did not happen after all."""

_NEVER: Final = float("inf")


class Subscription:
    """What a driver delivers to. See `emulator.queues.contract.Subscription`."""

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


class Driver:
    """A queue, and what its messages are delivered to: None where nothing consumes it here.

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

    def __init__(self, queue: Queue, clock: Clock, arbiter: Arbiter, keep: Keep, note: Note | None) -> None:
        self.queue = queue
        self.subscription: Subscription | None = None
        self.running: dict[int, tuple[asyncio.Task[None], Recipient]] = {}
        self.stopped = False
        self._clock = clock
        self._arbiter = arbiter
        self._keep = keep
        self._note = note
        self._awake = False
        self._timer: Timer | None = None
        self._timer_at = _NEVER

    def subscribe(self, subscription: Subscription | None) -> None:
        """Deliver to this from now on; None: to nobody."""
        self.subscription = subscription
        self.queue.consumer = None if subscription is None else subscription.settings
        self.queue.held = False
        self.wake()

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
        """Do to messages that wait, or that clients have pulled, what the passing of time does to them."""
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
        self, ended: Sequence[Pulled], leases: Sequence[Leased], settlement: Settlement, now: float
    ) -> None:
        """Carry out what becomes of pulled messages whose leases have just ended."""
        self._keep(self.queue.name, self.queue.settle_pulled(ended, settlement, now), settlement, now)
        self._arbiter.leases_settled(self.queue.name, leases, settlement)

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
        subscription = self.subscription
        if subscription is not None:
            recipient = subscription.recipient
            while (lease_taken := queue.take_batch(now)) is not None:
                if self._note is not None:
                    self._note(queue.name, lease_taken.entries, now)
                task = asyncio.get_running_loop().create_task(self._deliver(lease_taken, recipient))
                self.running[lease_taken.batch.id] = (task, recipient)
        self._arm(now)

    def _time_out(self, lease: Lease, now: float) -> None:
        """Stop a delivery that has run too long. What was decided in time holds; the rest has failed."""
        task, recipient = self.running[lease.batch.id]
        settlement = recipient.time_out(lease.batch)
        task.cancel()
        self._settle(lease, recipient, settlement, now)

    async def _deliver(self, lease: Lease, recipient: Recipient) -> None:
        batch = lease.batch
        task, _ = self.running[batch.id]
        try:
            settlement = await recipient.deliver(batch)
        finally:
            del self.running[batch.id]
        if task.cancelling():
            return  # Its lease is over, its queue deleted or the engine closed: what it decided comes too late.
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
