"""A second queue engine, as plain as can be: lists, no journal, and a look at every queue a few times a second.

It is there to show that the contract asks for nothing that only the memory engine has: each of its calls suspends, what
is due happens up to POLL_SECONDS late, and a dead letter is inserted before the message that died is deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import msgspec

from emulator.base.clock import Clock
from emulator.queues.contract import Arbiter, QueueUsers, Recipient, Route
from emulator.queues.declarations import QueueState
from emulator.queues.errors import unknown_queue
from emulator.queues.message import Backlog, Batch, Counts, LeasedMessage, NewMessage, QueueMessage, Settlement
from emulator.queues.settings import HANDLER_TIMEOUT_SECONDS, MAX_CONCURRENCY, ConsumerSettings

POLL_SECONDS = 0.25
CANCEL_SECONDS = 1.0

replace = msgspec.structs.replace


@dataclass(eq=False)
class _Item:
    """A message; who has it, if anybody; and the last lease that a client had on it."""

    message: QueueMessage
    in_flight: bool = False
    lease: LeasedMessage | None = None


@dataclass(eq=False)
class _Running:
    batch: Batch
    items: list[_Item]
    recipient: Recipient
    task: asyncio.Task[None]
    expires_at: float


@dataclass(eq=False)
class _Subscription:
    settings: ConsumerSettings
    recipient: Recipient
    held: bool = False
    closed: bool = False

    def hold(self, held: bool) -> None:
        self.held = held

    def close(self) -> None:
        self.closed = True


@dataclass(eq=False)
class _Queue:
    state: QueueState
    items: list[_Item] = field(default_factory=list)
    subscription: _Subscription | None = None
    running: list[_Running] = field(default_factory=list)
    concurrency: int = 1

    def break_off(self) -> None:
        """Cancel the deliveries under way."""
        for running in self.running:
            running.task.cancel()
        self.running.clear()

    def waiting(self, now: float) -> list[_Item]:
        """Ready ones first, each kind in the order of its times."""
        there = [item for item in self.items if not item.in_flight]
        return sorted(there, key=lambda item: (item.message.ready_at > now, item.message.ready_at))

    def ready(self, now: float) -> list[_Item]:
        return [item for item in self.waiting(now) if item.message.ready_at <= now]

    def backlog(self) -> Backlog:
        messages = [item.message for item in self.items]
        oldest = min(messages, key=lambda message: message.enqueued_at, default=None)
        size = sum(len(message.body) for message in messages)
        return Backlog(len(messages), size, None if oldest is None else oldest.timestamp)


class SimpleEngine:
    """See `emulator.queues.contract.QueueEngine`."""

    is_shared = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queues: dict[str, _Queue] = {}
        self._states: dict[str, QueueState] = {}
        self._numbers = count(1)
        self._closed = False

    @property
    def states(self) -> Mapping[str, QueueState]:
        return self._states

    async def start(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._poll()

    def introduce(self, produces: Collection[str]) -> None:
        """Nobody else sees these queues."""

    def users(self, queue: str) -> QueueUsers:
        return QueueUsers()

    async def close(self, grace_seconds: float) -> None:
        self._closed = True
        tasks = [running.task for queue in self._queues.values() for running in queue.running]
        for seconds in (grace_seconds, CANCEL_SECONDS):
            if tasks:
                _, pending = await asyncio.wait(tasks, timeout=seconds)
                tasks = list(pending)
                for queue in self._queues.values():
                    queue.break_off()

    async def end(self) -> None:
        pass

    async def put(self, states: Sequence[QueueState]) -> bool:
        await asyncio.sleep(0)
        for state in states:
            self._states[state.name] = state
            self._queues.setdefault(state.name, _Queue(state)).state = state
        return True

    async def drop(self, queue: str) -> None:
        there = await self._queue(queue)
        there.break_off()
        del self._queues[queue], self._states[queue]

    async def send(
        self,
        queue: str,
        messages: Sequence[NewMessage],
        ids: Sequence[str],
        *,
        at: float,
        delay_seconds: float,
        source: str,
    ) -> Backlog:
        there = await self._queue(queue)
        for message_id, each in zip(ids, messages, strict=True):
            ready_at = at + (delay_seconds if each.delay_seconds is None else each.delay_seconds)
            made = QueueMessage(message_id, each.body, each.content_type, at, at, ready_at, source=source)
            message = replace(made, traceparent=each.traceparent)
            there.items.append(_Item(message))
        return there.backlog()

    async def insert(self, queue: str, messages: Sequence[QueueMessage]) -> None:
        (await self._queue(queue)).items.extend(map(_Item, messages))

    async def consume(self, queue: str, settings: ConsumerSettings, recipient: Recipient) -> _Subscription:
        there = await self._queue(queue)
        there.subscription = _Subscription(settings, recipient)
        return there.subscription

    async def pull(self, queue: str, count: int, visibility_seconds: float) -> Sequence[LeasedMessage]:
        there = await self._queue(queue)
        now = self._clock.now()
        self._expire(there, now)
        leases = []
        for item in there.ready(now)[:count]:
            self._take(item)
            item.lease = LeasedMessage(f"lease-{next(self._numbers)}", item.message, now, now + visibility_seconds)
            leases.append(item.lease)
        return leases

    async def leases(self, queue: str, lease_ids: Collection[str] | None = None) -> Sequence[LeasedMessage]:
        there = {item.lease.lease_id: item.lease for item in (await self._queue(queue)).items if item.lease is not None}
        if lease_ids is None:
            return sorted((each for each in there.values() if not each.has_expired), key=lambda each: each.taken_at)
        return [there[each] for each in dict.fromkeys(lease_ids) if each in there]

    async def settle(self, queue: str, leases: Sequence[LeasedMessage], settlement: Settlement) -> None:
        there = await self._queue(queue)
        wanted = {lease.lease_id for lease in leases}
        items = [item for item in there.items if item.lease is not None and item.lease.lease_id in wanted]
        for item in items:
            item.lease = None
        self._carry_out(there, items, settlement)
        self._arbiter.leases_settled(queue, leases, settlement)

    async def peek(self, queue: str, count: int | None = None, skip: int = 0) -> Sequence[QueueMessage]:
        there = await self._queue(queue)
        self._expire(there, self._clock.now())
        return [item.message for item in there.waiting(self._clock.now())[skip:][:count]]

    async def find(self, queue: str, ids: Collection[str]) -> Sequence[QueueMessage]:
        return [each for each in await self.peek(queue) if each.id in ids]

    async def backlog(self, queue: str) -> Backlog:
        there = await self._queue(queue)
        self._expire(there, self._clock.now())
        return there.backlog()

    async def counts(self, queue: str) -> Counts:
        there, now = await self._queue(queue), self._clock.now()
        self._expire(there, now)
        waiting, ready = len(there.waiting(now)), len(there.ready(now))
        return Counts(ready, waiting - ready, len(there.items) - waiting)

    async def promote(self, queue: str, ids: Collection[str] | None = None) -> Sequence[QueueMessage]:
        there, now = await self._queue(queue), self._clock.now()
        chosen = [
            item
            for item in there.waiting(now)
            if item.message.ready_at > now and (ids is None or item.message.id in ids)
        ]
        for item in chosen:
            item.message = replace(item.message, ready_at=now)
            there.items.remove(item)
        there.items += chosen
        return [item.message for item in chosen]

    async def purge(self, queue: str, ids: Collection[str] | None = None) -> Sequence[QueueMessage]:
        there = await self._queue(queue)
        gone = [item for item in there.waiting(self._clock.now()) if ids is None or item.message.id in ids]
        there.items = [item for item in there.items if item not in gone]
        return [item.message for item in gone]

    async def move(
        self, queue: str, route: Route, ids: Collection[str] | None = None
    ) -> Mapping[str, Sequence[QueueMessage]]:
        there = await self._queue(queue)
        moved: dict[str, list[QueueMessage]] = {}
        for item in there.waiting(self._clock.now()):
            target = route(item.message) if ids is None or item.message.id in ids else None
            if target is not None:
                self._queues[target[0]].items.append(_Item(target[1]))
                there.items.remove(item)
                moved.setdefault(target[0], []).append(target[1])
        return moved

    async def _queue(self, name: str) -> _Queue:
        await asyncio.sleep(0)
        if name not in self._queues:
            raise unknown_queue(name)
        return self._queues[name]

    def _poll(self) -> None:
        if self._closed:
            return
        now = self._clock.now()
        for queue in list(self._queues.values()):
            self._expire(queue, now)
            self._time_out(queue, now)
            while self._deliver(queue, now):
                pass
        self._clock.call_at(now + POLL_SECONDS, self._poll)

    def _expire(self, queue: _Queue, now: float) -> None:
        """End the leases of clients that are late, and drop what is too old."""
        items = [
            item
            for item in queue.items
            if item.lease is not None and not item.lease.has_expired and item.lease.expires_at <= now
        ]
        if items:
            leases = [item.lease for item in items if item.lease is not None]
            for item, lease in zip(items, leases, strict=True):
                item.lease = replace(lease, has_expired=True)
            settlement = self._arbiter.lease_expired(queue.state.name, leases)
            self._carry_out(queue, items, settlement)
            self._arbiter.leases_settled(queue.state.name, leases, settlement)
        oldest = now - queue.state.settings.message_retention_period
        old = [item for item in queue.items if not item.in_flight and item.message.enqueued_at <= oldest]
        if old:
            queue.items = [item for item in queue.items if item not in old]
            self._arbiter.messages_expired(queue.state.name, [item.message for item in old])

    def _time_out(self, queue: _Queue, now: float) -> None:
        for running in [each for each in queue.running if each.expires_at <= now]:
            settlement = running.recipient.time_out(running.batch)
            if isinstance(settlement, float):
                running.expires_at = settlement
                continue
            queue.running.remove(running)
            running.task.cancel()
            self._settled(queue, running, settlement)

    def _deliver(self, queue: _Queue, now: float) -> bool:
        subscription, ready = queue.subscription, queue.ready(now)
        if subscription is None or subscription.closed or subscription.held or not ready:
            return False
        settings = subscription.settings
        limit = min(queue.concurrency, settings.max_concurrency or MAX_CONCURRENCY.high)
        is_due = len(ready) >= settings.max_batch_size or ready[0].message.ready_at + settings.max_batch_timeout <= now
        if queue.state.settings.delivery_paused or len(queue.running) >= limit or not is_due:
            return False
        items = ready[: settings.max_batch_size]
        for item in items:
            self._take(item)
            item.lease = None
        messages = [item.message for item in items]
        expires_at = now + HANDLER_TIMEOUT_SECONDS
        batch = Batch(next(self._numbers), queue.state.name, messages, queue.backlog(), now, expires_at)
        run = self._run(queue, batch, subscription.recipient)
        queue.running.append(_Running(batch, items, subscription.recipient, asyncio.create_task(run), expires_at))
        return True

    async def _run(self, queue: _Queue, batch: Batch, recipient: Recipient) -> None:
        settlement = await recipient.deliver(batch)
        running = next((each for each in queue.running if each.batch is batch), None)
        if running is None:
            return  # its decisions are too late
        queue.running.remove(running)
        if settlement is not None:
            self._settled(queue, running, settlement)
            return
        for item in running.items:
            item.in_flight = False
            item.message = replace(item.message, attempts=item.message.attempts - 1)

    def _settled(self, queue: _Queue, running: _Running, settlement: Settlement) -> None:
        if settlement.verdict.outcome != "ok":
            queue.concurrency = max(1, queue.concurrency - 1)
        elif len(queue.ready(self._clock.now())) >= len(running.items):
            queue.concurrency = min(queue.concurrency + 1, MAX_CONCURRENCY.high)
        self._carry_out(queue, running.items, settlement)
        running.recipient.settled(running.batch, settlement)

    def _take(self, item: _Item) -> None:
        item.in_flight = True
        item.message = replace(item.message, attempts=item.message.attempts + 1)

    def _carry_out(self, queue: _Queue, items: Sequence[_Item], settlement: Settlement) -> None:
        now = self._clock.now()
        if settlement.letters:
            name = settlement.dead_letter_queue
            state = self._states.setdefault(name, QueueState(name, now, now))
            target = self._queues.setdefault(name, _Queue(state))
            target.items.extend(map(_Item, settlement.letters))
        remaining = list(items)
        for message, _ in settlement.retried:
            item = next(each for each in remaining if each.message.id == message.id)
            remaining.remove(item)
            item.message, item.in_flight = message, False
        queue.items = [item for item in queue.items if item not in remaining]
