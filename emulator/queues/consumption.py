"""Receives an engine's batches and questions: runs consumers, settles messages by the rules, and publishes events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from emulator.base.acts import Act, acting
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
    SendCounted,
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
        self.bus = bus
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
        *,
        act: Act | None = None,
    ) -> Settlement:
        """The settlement of a batch: its messages `delivered` went to this consumer in `act`, and those in `spent` to
        nobody."""
        if not spent and acks_all(verdict):
            return Settlement(delivered, verdict=verdict)
        settlement = settle(delivered, batch.taken_at, verdict, self._terms(batch.queue, consumer), spent)
        return settlement if act is None else _caused(settlement, act)

    def settle_leases(self, queue: str, leases: Sequence[LeasedMessage], verdict: Verdict) -> Settlement:
        """The settlement of messages that clients have pulled."""
        consumer = self._pullers.get(queue) or ConsumerSettings("http_pull")
        return settle_leases(leases, verdict, self._terms(queue, consumer))

    def lease_expired(self, queue: str, leases: Sequence[LeasedMessage]) -> Settlement:
        return self.settle_leases(queue, leases, Verdict("lease_expired", error=CLIENT_LATE))

    def leases_settled(self, queue: str, leases: Sequence[LeasedMessage], settlement: Settlement) -> None:
        taken_at = min(each.taken_at for each in leases)
        messages = [each.message for each in leases]
        act = None if self.bus.acts is None else self.bus.acts.begin(seconds_ago=self.clock.now() - taken_at)
        self.tell_delivered(queue, self._states[queue].worker, messages, settlement, taken_at, act=act)

    def messages_expired(self, queue: str, messages: Sequence[QueueMessage]) -> None:
        self.bus.publish(MessagesDropped(queue, messages, "expired"))

    def tell_sent(
        self, queue: str, messages: Sequence[QueueMessage], source: str, act: Act | None = None, *, location: str = ""
    ) -> None:
        """Publish that messages entered a queue."""
        if self.bus.wants(SendCounted):
            self.bus.publish(SendCounted(queue, source, len(messages)))
        if self.bus.wants(MessagesSent):
            self.bus.publish(MessagesSent(queue, messages, source, location, act=act))

    def tell_delivered(
        self,
        queue: str,
        worker: str,
        messages: Sequence[QueueMessage],
        settlement: Settlement,
        taken_at: float,
        *,
        act: Act | None = None,
    ) -> None:
        """Publish that messages were settled together, and the result for those that were not acked."""
        if self.bus.wants(BatchDelivered):
            duration = self.clock.now() - taken_at
            event = BatchDelivered(queue, worker, messages, settlement.verdict, settlement, taken_at, duration, act=act)
            self.bus.publish(event)
        self._tell_lost(queue, settlement, act)

    def tell_forwarded(
        self, queue: str, to: str, settlement: Settlement, taken_at: float, act: Act | None = None
    ) -> None:
        """Publish that messages were forwarded to another session, which `to` describes."""
        self.bus.publish(MessagesForwarded(queue, settlement.acked, self.clock.now() - taken_at, to, act=act))
        self._tell_lost(queue, settlement, act)

    def _tell_lost(self, queue: str, settlement: Settlement, act: Act | None = None) -> None:
        if settlement.dropped:
            self.bus.publish(MessagesDropped(queue, settlement.dropped, "retries", act=act))
        if settlement.expired:
            self.bus.publish(MessagesDropped(queue, settlement.expired, "expired", act=act))
        if settlement.letters:
            target = settlement.dead_letter_queue
            self.bus.publish(MessagesDeadLettered(queue, target, settlement.letters, act=act))
            self.tell_sent(target, settlement.letters, "dead letter", act)

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
        self._acts: dict[int, Act] = {}
        """The deliveries that are not settled yet, by the ids of their batches."""

    @property
    def in_flight(self) -> int:
        """How many messages the consumer has now."""
        return sum(len(delivery.messages) for delivery in self._running.values())

    @property
    def messages(self) -> Sequence[QueueMessage]:
        """The messages that the consumer has now."""
        return [message for delivery in self._running.values() for message in delivery.messages]

    @property
    def deliveries(self) -> int:
        """How many deliveries are under way."""
        return len(self._running)

    def is_like(self, other: Consumption) -> bool:
        """Whether the other one does the same as this."""
        same = (self.worker, self.settings, self._deliver) == (other.worker, other.settings, other._deliver)
        return same and type(self) is type(other)

    def deliver(self, batch: Batch) -> Coroutine[Any, Any, Settlement | None]:
        acts = self._settler.bus.acts
        return self._delivered(batch) if acts is None else self._acted(batch, acts.begin())

    async def _acted(self, batch: Batch, act: Act) -> Settlement | None:
        self._acts[batch.id] = act
        token = acting.set(act)
        settlement: Settlement | None = None
        try:
            settlement = await self._delivered(batch)
        finally:
            acting.reset(token)
            if settlement is None:
                self._acts.pop(batch.id, None)  # one whose lease has expired is settled by now
        return settlement

    async def _delivered(self, batch: Batch) -> Settlement | None:
        delivered, spent = self._parted(batch)
        if not delivered:
            return self._settle(batch, delivered, spent, Verdict())
        delivery = self._running[batch.id] = WorkerDelivery(batch.queue, delivered, batch.backlog)
        verdict: Verdict | None
        try:
            verdict = await self._deliver(delivery)
        except asyncio.CancelledError:
            verdict = Verdict("exception", error="the delivery was cancelled")  # the engine knows whether it did that
        except Exception as error:
            # A consumer reports failures in its verdict; this one is broken.
            verdict = Verdict("exception", error=Failure.from_exception(error).summary)
        finally:
            del self._running[batch.id]
        if verdict is None or not self._settler.has_queue(self._queue):
            return None
        return self._settle(batch, delivered, spent, verdict)

    def _settle(
        self, batch: Batch, delivered: Sequence[QueueMessage], spent: Sequence[QueueMessage], verdict: Verdict
    ) -> Settlement:
        act = self._acts.get(batch.id) if self._acts else None
        return self._settler.settle_batch(batch, delivered, spent, verdict, self.settings, act=act)

    def time_out(self, batch: Batch) -> Settlement | float:
        delivery = self._running.get(batch.id)
        if delivery is not None:
            due = batch.expires_at + delivery.held_seconds()
            if due > self._settler.clock.now():
                return due
        so_far = Verdict() if delivery is None else delivery.so_far()
        error = f"the handler ran longer than {batch.expires_at - batch.taken_at:,.0f} seconds"
        verdict = so_far.failed("exceeded_wall_time", error)
        return self._settle(batch, *self._parted(batch), verdict)

    def settled(self, batch: Batch, settlement: Settlement) -> None:
        act = self._ended(batch)
        self._settler.tell_delivered(self._queue, self.worker, batch.messages, settlement, batch.taken_at, act=act)

    def _ended(self, batch: Batch) -> Act | None:
        return self._acts.pop(batch.id, None) if self._acts else None

    def _parted(self, batch: Batch) -> tuple[Sequence[QueueMessage], Sequence[QueueMessage]]:
        return parted(batch.messages, self.settings)


class Forwarding(Consumption):
    """Forwards the messages of a queue to the session that consumes it, which `worker` describes."""

    def _parted(self, batch: Batch) -> tuple[Sequence[QueueMessage], Sequence[QueueMessage]]:
        return batch.messages, ()  # that session counts its own deliveries

    def settled(self, batch: Batch, settlement: Settlement) -> None:
        self._settler.tell_forwarded(self._queue, self.worker, settlement, batch.taken_at, self._ended(batch))


def _caused(settlement: Settlement, act: Act) -> Settlement:
    """A settlement of the delivery `act`, whose dead letters carry what caused them."""
    letters = [
        replace(each, traceparent=act.part(each.id).part("dead letter").traceparent) for each in settlement.letters
    ]
    return replace(settlement, letters=letters)
