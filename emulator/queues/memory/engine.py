"""The embedded queue engine: keeps queues in this process's memory and, if messages must survive it, in a journal.

Its coroutines never suspend, except `close`: each is atomic for other tasks, and can be run without an event loop
(`emulator.base.coroutines.run_now`). Its methods are called on the event loop's thread.

Every message enters a `MemoryQueue` by `enqueue` and leaves it by a settlement, a purge or a move. Each queue has a
`Driver`, which runs its deliveries and timers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from emulator.base.clock import Clock, WallClock
from emulator.queues.checks import check_room
from emulator.queues.contract import Arbiter, QueueUsers, Recipient, Route
from emulator.queues.declarations import QueueState
from emulator.queues.errors import unknown_queue
from emulator.queues.memory.driver import Driver, MemorySubscription
from emulator.queues.memory.entry import Entry, entry_of, look, look_at_all
from emulator.queues.memory.queue import MemoryQueue, Settled
from emulator.queues.message import Backlog, Counts, LeasedMessage, NewMessage, QueueMessage, Settlement
from emulator.queues.settings import ConsumerSettings

if TYPE_CHECKING:
    from emulator.queues.memory.journal import Journal

CANCEL_SECONDS: Final = 1.0
"""How long, in real time, a cancelled handler may take to end before the engine stops waiting for it."""


class MemoryEngine:
    """See `emulator.queues.contract.QueueEngine`. `next_activity` and `in_flight` are its own.

    With a `journal`, recovered queues and messages exist from `start` on, and everything that is accepted, settled or
    changed is in the journal before the call returns. `random` chooses the beginning of lease ids; a test passes a
    seeded one.
    """

    is_shared: Final = False

    def __init__(
        self, clock: Clock | None = None, *, journal: Journal | None = None, random: Random | None = None
    ) -> None:
        self._clock = clock or WallClock()
        self._journal = journal
        self._random = random or Random()
        self._arbiter: Arbiter | None = None
        self._drivers: dict[str, Driver] = {}
        self._states: dict[str, QueueState] = {}
        self._shown = MappingProxyType(self._states)
        self._closed = False

    @property
    def states(self) -> Mapping[str, QueueState]:
        return self._shown

    async def start(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        if self._journal is not None:
            now = self._clock.now()
            for state, messages in self._journal.take_recovered():
                self._apply(state).queue.restore(messages, now)

    def introduce(self, produces: Collection[str]) -> None:
        """Nobody else sees these queues."""

    def users(self, queue: str) -> QueueUsers:  # noqa: ARG002 - the contract's
        return QueueUsers()

    async def close(self, grace_seconds: float) -> None:
        self._closed = True
        for driver in self._drivers.values():
            driver.stop()
        running = {each.task: each for driver in self._drivers.values() for each in driver.running.values()}
        if not running:
            return
        _, pending = await asyncio.wait(running, timeout=grace_seconds)
        for task in pending:
            running[task].break_off()
        if pending:
            await asyncio.wait(pending, timeout=CANCEL_SECONDS)
            for driver in self._drivers.values():
                driver.give_up()

    async def end(self) -> None:
        """There is nothing to let go of: whoever has opened the journal closes it."""

    async def put(self, states: Sequence[QueueState]) -> bool:
        if self._journal is not None:
            self._journal.changed(states)
        for state in states:
            self._apply(state)
        return True

    async def drop(self, queue: str) -> None:
        driver = self._driver(queue)
        if self._journal is not None:
            self._journal.deleted(queue, driver.queue.unsettled())
        driver.stop()
        for running in driver.running.values():
            running.break_off()
        driver.queue.discard()
        del self._drivers[queue], self._states[queue]

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
        driver = self._drivers.get(queue)
        if driver is None:
            raise unknown_queue(queue)
        held = driver.queue
        check_room(queue, held.backlog_bytes, messages)
        ready_at = at + delay_seconds
        entries: list[Entry] = []
        # A comprehension, which is a call of its own, would make a send of one message 4 % slower; strict=True 2 %.
        for message_id, message in zip(ids, messages):  # noqa: B905
            own = message.delay_seconds
            due = ready_at if own is None else at + own
            entry = Entry(message_id, message.body, message.content_type, source, at, at, due)
            if message.traceparent:
                entry.traceparent = message.traceparent
            entries.append(entry)
        if self._journal is not None:
            self._journal.enqueued(queue, entries)
        held.enqueue(entries, at)
        driver.wake()
        return held.backlog()

    async def insert(self, queue: str, messages: Sequence[QueueMessage]) -> None:
        driver = self._driver(queue)
        entries = [entry_of(message) for message in messages]
        if self._journal is not None:
            self._journal.enqueued(queue, entries)
        self._enqueue(driver, entries)

    async def consume(self, queue: str, settings: ConsumerSettings, recipient: Recipient) -> MemorySubscription:
        driver = self._driver(queue)
        subscription = MemorySubscription(driver, settings, recipient)
        driver.subscribe(subscription)
        return subscription

    async def pull(self, queue: str, count: int, visibility_seconds: float) -> Sequence[LeasedMessage]:
        driver = self._driver(queue)
        now = self._clock.now()
        driver.catch_up(now)
        pulled = driver.queue.pull(now, count, visibility_seconds)
        driver.wake()
        return [each.look() for each in pulled]

    async def leases(self, queue: str, lease_ids: Collection[str] | None = None) -> Sequence[LeasedMessage]:
        driver, now = self._driver(queue), self._clock.now()
        if lease_ids is None:
            driver.catch_up(now)
            return [each.look() for each in driver.queue.pulled]
        return [each.look() for each in driver.queue.find_pulled(lease_ids, now)]

    async def settle(self, queue: str, leases: Sequence[LeasedMessage], settlement: Settlement) -> None:
        driver = self._driver(queue)
        ended = driver.queue.end_pulled([each.lease_id for each in leases])
        driver.settle_pulled(ended, leases, settlement, self._clock.now())
        driver.wake()

    async def peek(self, queue: str, count: int | None = None, skip: int = 0) -> Sequence[QueueMessage]:
        driver = self._driver(queue)
        driver.catch_up(self._clock.now())
        return look_at_all(driver.queue.waiting(count, skip))

    async def find(self, queue: str, ids: Collection[str]) -> Sequence[QueueMessage]:
        driver = self._driver(queue)
        driver.catch_up(self._clock.now())
        return look_at_all(driver.queue.find(ids))

    async def backlog(self, queue: str) -> Backlog:
        driver = self._driver(queue)
        driver.delete_expired(self._clock.now())
        return driver.queue.backlog()

    async def counts(self, queue: str) -> Counts:
        driver = self._driver(queue)
        driver.catch_up(self._clock.now())
        return driver.queue.counts()

    async def promote(self, queue: str, ids: Collection[str] | None = None) -> Sequence[QueueMessage]:
        driver, now = self._driver(queue), self._clock.now()
        driver.catch_up(now)
        promoted = driver.queue.delayed(ids)
        if promoted:
            if self._journal is not None:
                self._journal.promoted(queue, promoted, now)
            driver.queue.promote(promoted, now)
            driver.wake()
        return look_at_all(promoted)

    async def purge(self, queue: str, ids: Collection[str] | None = None) -> Sequence[QueueMessage]:
        driver = self._driver(queue)
        purged = driver.queue.purge(ids)
        if purged and self._journal is not None:
            self._journal.settled(queue, purged)
        driver.wake()
        return look_at_all(purged)

    async def move(
        self, queue: str, route: Route, ids: Collection[str] | None = None
    ) -> Mapping[str, Sequence[QueueMessage]]:
        driver = self._driver(queue)
        driver.catch_up(self._clock.now())
        leaving: dict[str, list[Entry]] = {}
        entering: dict[str, list[QueueMessage]] = {}
        for entry in driver.queue.waiting():
            routed = route(look(entry)) if ids is None or entry.id in ids else None
            if routed is not None:
                target, message = routed
                leaving.setdefault(target, []).append(entry)
                entering.setdefault(target, []).append(message)
        entries = {target: [entry_of(message) for message in messages] for target, messages in entering.items()}
        if self._journal is not None:
            self._journal.moved(queue, {target: (leaving[target], entries[target]) for target in entries})
        for target, messages_there in entries.items():
            driver.queue.withdraw(leaving[target])
            self._enqueue(self._driver(target), messages_there)
        if entries:
            driver.wake()
        return entering

    def next_activity(self) -> float | None:
        """When something is due next, in seconds since the epoch, or None. The deletion of messages that are older than
        the retention period does not count."""
        due = (driver.queue.next_activity() for driver in self._drivers.values())
        return min((each for each in due if each is not None), default=None)

    def in_flight(self, queue: str) -> Sequence[QueueMessage]:
        """The messages that a handler or a client has and has not settled yet. Raises QueueError 10104 if the queue
        does not exist."""
        held = self._driver(queue).queue
        leased = [entry for lease in held.leases for entry in lease.entries]
        return look_at_all([*leased, *(each.entry for each in held.pulled)])

    def _driver(self, name: str) -> Driver:
        driver = self._drivers.get(name)
        if driver is None:
            raise unknown_queue(name)
        return driver

    def _apply(self, state: QueueState) -> Driver:
        driver = self._drivers.get(state.name)
        if driver is None:
            assert self._arbiter is not None, "start() comes first"
            first_serial = 0 if self._journal is None else self._random.getrandbits(48)
            queue = MemoryQueue(state.name, first_serial=first_serial)
            note = None if self._journal is None else self._note
            driver = self._drivers[state.name] = Driver(queue, self._clock, self._arbiter, self._keep, note)
            driver.stopped = self._closed
        else:
            driver.wake()
        self._states[state.name] = state
        driver.queue.settings = state.settings
        return driver

    def _enqueue(self, driver: Driver, entries: Sequence[Entry]) -> None:
        driver.queue.enqueue(entries, self._clock.now())
        driver.wake()

    def _note(self, queue: str, entries: Sequence[Entry], at: float | None) -> None:
        assert self._journal is not None
        if at is None:
            self._journal.given_back(queue, entries)
        else:
            self._journal.begun(queue, entries, at)

    def _keep(self, queue: str, settled: Settled, settlement: Settlement | None, now: float) -> None:
        letters = settlement.letters if settlement is not None else ()
        target = settlement.dead_letter_queue if settlement is not None and letters else ""
        entries = [entry_of(each) for each in letters]
        if self._journal is not None:
            self._journal.settled(queue, settled.gone, settled.again, target, entries)
        if entries:
            # A settlement cannot be refused: the queue is not written down here, the letters make it in the journal.
            driver = self._drivers.get(target) or self._apply(QueueState(target, now, now))
            self._enqueue(driver, entries)
