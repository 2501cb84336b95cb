"""Receives an engine's batches and questions: runs consumers, settles messages by the rules, and publishes events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from emulator.base.bus import Bus
from emulator.base.clock import Clock
from emulator.base.failure import Failure
from emulator.queues.declarations import QueueState
from emulator.queues.events import (
    BatchDelivered,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesSent,
)
from emulator.queues.message import Batch, LeasedMessage, QueueMessage, Settlement, Verdict, WorkerDelivery
from emulator.queues.settings import ConsumerSettings
from emulator.queues.settlement import CLIENT_LATE, Terms, acks_all, parted, settle, settle_leases

Deliver = Callable[[WorkerDelivery], Awaitable[Verdict | None]]
"""Runs a consumer on a batch, and returns its decisions; None if the batch could not be delivered."""


class Settler:
    """Settles messages of the queues with these `states`, and publishes that. It is the arbiter of the session's
    engine.

    If a queue has lost its consumer, earlier leases are settled by the settings of that consumer.
    """

    def __init__(
        self, bus: Bus, clock: Clock, states: Mapping[str, QueueState], states_changed: Callable[[str], None]
    ) -> None:
        self._bus = bus
        self.clock = clock
        self._states = states
        self.states_changed = states_changed
        """Called with each queue that another process has changed."""
        self._pullers: dict[str, ConsumerSettings] = {}

    def pulls(self, queue: str, consumer: ConsumerSettings) -> None:
        """Remember that clients pull from a queue with these settings."""
        self._pullers[queue] = consumer

    def has_queue(self, queue: str) -> bool:
        """Whether the queue exists. A delivery may end after its queue was deleted."""
        return queue in self._states

    def settle_batch(
        self,
        batch: Batch,
        delivered: Sequence[QueueMessage],
        spent: Sequence[QueueMessage],
        verdict: Verdict,
        consumer: ConsumerSettings,
    ) -> Settlement:
        """The settlement of a batch: its messages `delivered` went to this consumer, and those in `spent` to nobody."""
        if not spent and acks_all(verdict):
            return Settlement(delivered, verdict=verdict)
        return settle(delivered, batch.taken_at, verdict, self._terms(batch.queue, consumer), spent)

    def settle_leases(self, queue: str, leases: Sequence[LeasedMessage], verdict: Verdict) -> Settlement:
        """The settlement of messages that clients have pulled."""
        consumer = self._pullers.get(queue) or ConsumerSettings("http_pull")
        return settle_leases(leases, verdict, self._terms(queue, consumer))

    def lease_expired(self, queue: str, leases: Sequence[LeasedMessage]) -> Settlement:
        return self.settle_leases(queue, leases, Verdict("lease_expired", error=CLIENT_LATE))

    def leases_settled(self, queue: str, leases: Sequence[LeasedMessage], settlement: Settlement) -> None:
        taken_at = min(each.taken_at for each in leases)
        messages = [each.message for each in leases]
        self.tell_delivered(queue, self._states[queue].worker, messages, settlement, taken_at)

    def messages_expired(self, queue: str, messages: Sequence[QueueMessage]) -> None:
        self._bus.publish(MessagesDropped(queue, messages, "expired"))

    def tell_sent(self, queue: str, messages: Sequence[QueueMessage], source: str) -> None:
        """Publish that messages entered a queue."""
        if self._bus.wants(MessagesSent):
            self._bus.publish(MessagesSent(queue, messages, source))

    def tell_delivered(
        self, queue: str, worker: str, messages: Sequence[QueueMessage], settlement: Settlement, taken_at: float
    ) -> None:
        """Publish that messages were settled together, and the result for those that were not acked."""
        if self._bus.wants(BatchDelivered):
            duration = self.clock.now() - taken_at
            event = BatchDelivered(queue, worker, messages, settlement.verdict, settlement, taken_at, duration)
            self._bus.publish(event)
        self._tell_lost(queue, settlement)

    def tell_forwarded(self, queue: str, settlement: Settlement, taken_at: float) -> None:
        """Publish that messages were forwarded to another session."""
        self._bus.publish(MessagesForwarded(queue, settlement.acked, self.clock.now() - taken_at))
        self._tell_lost(queue, settlement)

    def _tell_lost(self, queue: str, settlement: Settlement) -> None:
        if settlement.dropped:
            self._bus.publish(MessagesDropped(queue, settlement.dropped, "retries"))
        if settlement.expired:
            self._bus.publish(MessagesDropped(queue, settlement.expired, "expired"))
        if settlement.letters:
            target = settlement.dead_letter_queue
            self._bus.publish(MessagesDeadLettered(queue, target, settlement.letters))
            self.tell_sent(target, settlement.letters, "dead letter")

    def _terms(self, queue: str, consumer: ConsumerSettings) -> Terms:
        state = self._states[queue]
        consumer = state.consumer or consumer
        target = self._states.get(consumer.dead_letter_queue or "")
        letter_delay = 0 if target is None else target.settings.delivery_delay
        return Terms(queue, consumer, self.clock.now(), state.settings.message_retention_period, letter_delay)


class Consumption:
    """Delivers the batches of a queue to a worker with `deliver`. They are settled by the settings of the consumer that
    the queue has at that time, or by `settings` if it has no consumer any more."""

    def __init__(self, settler: Settler, queue: str, worker: str, settings: ConsumerSettings, deliver: Deliver) -> None:
        self.worker = worker
        self.settings = settings
        self._settler = settler
        self._queue = queue
        self._deliver = deliver
        self._running: dict[int, WorkerDelivery] = {}

    @property
    def in_flight(self) -> int:
        """How many messages the consumer has now."""
        return sum(len(delivery.messages) for delivery in self._running.values())

    def is_like(self, other: Consumption) -> bool:
        """Whether the other one does the same as this."""
        same = (self.worker, self.settings, self._deliver) == (other.worker, other.settings, other._deliver)
        return same and type(self) is type(other)

    async def deliver(self, batch: Batch) -> Settlement | None:
        delivered, spent = self._parted(batch)
        if not delivered:
            return self._settler.settle_batch(batch, delivered, spent, Verdict(), self.settings)
        delivery = self._running[batch.id] = WorkerDelivery(batch.queue, delivered, batch.backlog)
        verdict: Verdict | None
        try:
            verdict = await self._deliver(delivery)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # A consumer reports failures in its verdict; this one is broken.
            verdict = Verdict("exception", error=Failure.from_exception(error).summary)
        finally:
            del self._running[batch.id]
        if verdict is None or not self._settler.has_queue(self._queue):
            return None
        return self._settler.settle_batch(batch, delivered, spent, verdict, self.settings)

    def time_out(self, batch: Batch) -> Settlement | float:
        delivery = self._running.get(batch.id)
        if delivery is not None:
            due = batch.expires_at + delivery.held_seconds()
            if due > self._settler.clock.now():
                return due
        so_far = Verdict() if delivery is None else delivery.so_far()
        error = f"the handler ran longer than {batch.expires_at - batch.taken_at:,.0f} seconds"
        verdict = so_far.failed("exceeded_wall_time", error)
        return self._settler.settle_batch(batch, *self._parted(batch), verdict, self.settings)

    def settled(self, batch: Batch, settlement: Settlement) -> None:
        self._settler.tell_delivered(self._queue, self.worker, batch.messages, settlement, batch.taken_at)

    def _parted(self, batch: Batch) -> tuple[Sequence[QueueMessage], Sequence[QueueMessage]]:
        return parted(batch.messages, self.settings)


class Forwarding(Consumption):
    """Forwards the messages of a queue to the session that consumes it."""

    def _parted(self, batch: Batch) -> tuple[Sequence[QueueMessage], Sequence[QueueMessage]]:
        return batch.messages, ()  # that session counts its own deliveries

    def settled(self, batch: Batch, settlement: Settlement) -> None:
        self._settler.tell_forwarded(self._queue, settlement, batch.taken_at)
