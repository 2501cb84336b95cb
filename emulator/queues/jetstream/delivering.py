"""Delivers the messages of a queue to its consumer in this session: forms batches, runs them and settles them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Final, Protocol

import msgspec

from emulator.base.clock import Clock, Timer
from emulator.queues.contract import Recipient
from emulator.queues.declarations import QueueState
from emulator.queues.errors import QueueError
from emulator.queues.jetstream.connection import Connection
from emulator.queues.jetstream.errors import UnreachableError
from emulator.queues.jetstream.messages import Kept
from emulator.queues.jetstream.pulling import Puller
from emulator.queues.jetstream.queue import StreamQueue
from emulator.queues.jetstream.shared import Lane, Shared
from emulator.queues.jetstream.streams import IDLE_PRIORITY
from emulator.queues.message import Backlog, Batch, QueueMessage, Settlement
from emulator.queues.settings import HANDLER_TIMEOUT_SECONDS, MAX_CONCURRENCY, ConsumerSettings

IDLE_SECONDS: Final = 5.0
"""How long a request for messages stays open at the server, in real time."""

RETRY_SECONDS: Final = 0.25
ROUNDING_SECONDS: Final = 0.002
"""A time that is nearer than this has come."""


class Keeper(Protocol):
    """What a consumer needs of its engine."""

    @property
    def clock(self) -> Clock: ...
    @property
    def connection(self) -> Connection: ...
    @property
    def shared(self) -> Shared: ...

    def state_of(self, queue: str) -> QueueState | None: ...

    async def carry_out(self, queue: str, messages: Sequence[Kept], settlement: Settlement) -> None: ...

    async def give_back(self, queue: str, messages: Sequence[tuple[Kept, QueueMessage]]) -> None: ...

    async def settle_expired(self, queue: str, message: Kept) -> bool: ...


class Delivering(msgspec.Struct, gc=False):
    """A delivery under way: its batch, the messages as they are in the stream, and as they were before it. One that was
    cancelled settles nothing; how often its task was cancelled does not say that, as worker code may have done it."""

    batch: Batch
    kept: Sequence[Kept]
    lane: Lane
    task: asyncio.Task[None] | None = None
    timer: Timer | None = None
    is_over: bool = False
    is_cancelled: bool = False

    def cancel(self) -> None:
        if self.task is not None:
            self.is_cancelled = True
            self.task.cancel()


class Consuming:
    """The subscription of a `recipient` to a queue. See `emulator.queues.contract.Subscription`."""

    def __init__(self, keeper: Keeper, queue: StreamQueue, settings: ConsumerSettings, recipient: Recipient) -> None:
        self.queue = queue
        self.running: dict[int, Delivering] = {}
        self._keeper = keeper
        self._settings = settings
        self._recipient = recipient
        self._concurrency = 1
        self._held = False
        self._closed = False
        self._is_new = True
        self._wake_up = asyncio.Event()
        self._puller = self._new_puller()
        self._free_lanes: list[Lane] = []
        self._deadline = 0.0
        self._deadline_timer: Timer | None = None
        self._numbers = count(1)
        self._task = asyncio.create_task(self._run())

    def hold(self, held: bool) -> None:
        self._held = held
        self.wake()

    def close(self) -> None:
        self._closed = True
        self.wake()

    def wake(self) -> None:
        """Look again at what is to be done."""
        self._wake_up.set()

    def renew(self) -> None:
        """The connection was lost and is there again: the server has forgotten what it was asked."""
        self._is_new = True
        self.wake()

    @property
    def is_over(self) -> bool:
        """Whether it is closed and all its deliveries are settled."""
        return self._task.done() and not self.running

    async def ended(self) -> None:
        """Wait until no more deliveries begin. What arrived and was not delivered has been given back then."""
        await asyncio.wait([self._task])

    def holds(self) -> list[Kept]:
        """The messages that the server must not deliver to others now."""
        return [*self._puller.arrived, *(each for running in self.running.values() for each in running.kept)]

    def abandon(self) -> None:
        """End at once, as with the process."""
        self._closed = True
        self._task.cancel()
        for running in self.running.values():
            if running.timer is not None:
                running.timer.cancel()
            running.cancel()

    async def discard(self) -> None:
        """Ask for nothing more, after the queue was deleted."""
        await self._puller.close()

    def cancel(self) -> None:
        """Cancel the deliveries whose handlers run."""
        for running in self.running.values():
            if not running.is_over:
                running.cancel()

    async def give_back_running(self) -> None:
        """Let the messages of deliveries that were cancelled wait again, as if they had not begun."""
        for running in list(self.running.values()):
            if not running.is_over:
                running.is_over = True
                del self.running[running.batch.id]
                await self._give_back(running.kept)

    # The loop that forms batches

    async def _run(self) -> None:
        while not self._closed:
            try:
                await self._step()
            except QueueError:
                await self._pause(RETRY_SECONDS)
            except Exception as error:
                self._keeper.connection.report(error)
                await asyncio.sleep(10 * RETRY_SECONDS)
        if self._keeper.connection.is_up:  # else the server delivers again what has arrived, when it is back
            await self._insist(self._put_down)
            await self._insist(self._release_lanes)

    async def _step(self) -> None:
        self._wake_up.clear()
        if not self._may_pull():
            await self._put_down()
            await self._release_lanes()
            await self._wait()
            return
        if self._is_new:
            self._is_new = False
            await self._put_down()
        if len(self.running) >= self._limit():
            await self._wait()
            return
        lane = await self._lane()
        if lane is None:
            await self._wait()
            return
        is_full = await self._is_full()
        if not self._may_pull() or self._is_new:
            return  # this has changed meanwhile
        if is_full:
            await self._begin(lane)
        else:
            await self._wait()

    def _may_pull(self) -> bool:
        state = self._keeper.state_of(self.queue.name)
        is_paused = state is None or state.settings.delivery_paused
        return not (self._held or self._closed or is_paused) and self._keeper.connection.is_up

    def _limit(self) -> int:
        return min(self._concurrency, self._settings.max_concurrency or MAX_CONCURRENCY.high)

    async def _lane(self) -> Lane | None:
        if not self._free_lanes:
            lane = await self._keeper.shared.take_lane(self.queue.name, self._settings.max_concurrency)
            if lane is None:
                return None
            self._free_lanes.append(lane)
        return self._free_lanes[-1]

    async def _is_full(self) -> bool:
        """Whether a batch is to be delivered now; if not, what is missing has been asked for."""
        size, puller = self._settings.max_batch_size, self._puller
        now = self._keeper.clock.now()
        if not puller.arrived:
            self._deadline = 0.0
            if not puller.is_pulling:
                await self._ask_for_the_first(size)
            if not puller.arrived:
                return False
        if len(puller.arrived) >= size:
            return True
        if not self._deadline:
            age = puller.first_age_seconds / self._keeper.connection.pace
            self._deadline = now + max(0.0, self._settings.max_batch_timeout - age)
        if puller.is_pulling:
            return False
        remaining = self._deadline - now
        if remaining > ROUNDING_SECONDS:
            self._set_timer()
            seconds = min(max(remaining * self._keeper.connection.pace, ROUNDING_SECONDS), IDLE_SECONDS)
            await puller.pull(size - len(puller.arrived), wait_seconds=seconds)
            return False
        await self._pull_now(size - len(puller.arrived))
        return bool(puller.arrived)

    async def _ask_for_the_first(self, size: int) -> None:
        """Take what is there, and if that is nothing, wait for one message."""
        await self._pull_now(size)
        if not self._puller.arrived and self._may_pull():
            await self._puller.pull(1, wait_seconds=IDLE_SECONDS, priority=IDLE_PRIORITY)

    async def _pull_now(self, size: int) -> None:
        """Take what is there, without waiting for more."""
        puller = self._puller
        await puller.pull(size)
        while puller.is_pulling and not self._closed:
            self._wake_up.clear()
            await self._wait()

    async def _begin(self, lane: Lane) -> None:
        """Begin a delivery of what has arrived."""
        size = self._settings.max_batch_size
        arrived = self._puller.arrived
        chosen, self._puller.arrived = arrived[:size], arrived[size:]
        self._deadline = 0.0
        kept = await self._deliverable(chosen)
        if not kept:
            return
        shared, clock = self._keeper.shared, self._keeper.clock
        now = clock.now()
        self._free_lanes.remove(lane)
        name = self.queue.name
        messages = [each.begun(shared.interrupted_at(name, each.seq)) for each in kept]
        number = next(self._numbers)
        batch = Batch(number, name, messages, Backlog(0, 0, None), now, now + HANDLER_TIMEOUT_SECONDS)
        running = self.running[number] = Delivering(batch, kept, lane)
        try:
            has_lane = await shared.use_lane(lane, now, [each.seq for each in kept])
            running.batch = msgspec.structs.replace(batch, backlog=await self.queue.backlog(fresh=False))
        except QueueError:
            del self.running[number]
            self._free_lanes.append(lane)
            self._puller.arrived = [*kept, *self._puller.arrived]
            raise
        if not has_lane:
            del self.running[number]
            self._puller.arrived = [*kept, *self._puller.arrived]
            return
        running.timer = clock.call_at(batch.expires_at, lambda: self._time_out(running))
        running.task = asyncio.create_task(self._deliver(running))

    async def _deliverable(self, chosen: Sequence[Kept]) -> list[Kept]:
        """What is to be delivered of messages that have arrived: not what is under way here already, and not what a
        client had, whose lease has expired."""
        mine = {each.seq for running in self.running.values() for each in running.kept}
        kept = []
        for each in chosen:
            if each.seq in mine:
                continue
            if each.deliveries > 1 and await self._keeper.settle_expired(self.queue.name, each):
                continue
            kept.append(each)
        return kept

    # Deliveries

    async def _deliver(self, running: Delivering) -> None:
        settlement = await self._recipient.deliver(running.batch)
        if running.is_over or running.is_cancelled:
            return  # it has run too long, its queue was deleted or the engine closed: its decisions are too late
        await self._end(running, settlement)

    def _time_out(self, running: Delivering) -> None:
        if running.is_over or running.batch.id not in self.running:
            return
        settlement = self._recipient.time_out(running.batch)
        if isinstance(settlement, float):
            running.timer = self._keeper.clock.call_at(settlement, lambda: self._time_out(running))
            return
        running.is_over = True
        if running.task is not None:
            running.task.cancel()
        running.task = asyncio.create_task(self._end(running, settlement))

    async def _end(self, running: Delivering, settlement: Settlement | None) -> None:
        """Settle a delivery, or give it back if it was none."""
        running.is_over = True
        if running.timer is not None:
            running.timer.cancel()
        if settlement is None:
            await self._insist(lambda: self._give_back(running.kept))
        else:
            await self._insist(lambda: self._keeper.carry_out(self.queue.name, running.kept, settlement))
            self._adapt(settlement)
        self.running.pop(running.batch.id, None)
        self._free_lanes.append(running.lane)
        if self._closed and self._keeper.connection.is_up:
            await self._insist(self._release_lanes)
        if settlement is not None:
            self._recipient.settled(running.batch, settlement)
        self.wake()

    def _adapt(self, settlement: Settlement) -> None:
        if settlement.verdict.outcome != "ok":
            self._concurrency = max(1, self._concurrency - 1)
        elif self._puller.pending + len(self._puller.arrived) >= self._settings.max_batch_size:
            self._concurrency = min(self._concurrency + 1, MAX_CONCURRENCY.high)

    async def _release_lanes(self) -> None:
        while self._free_lanes:
            await self._keeper.shared.release_lane(self._free_lanes[-1])
            self._free_lanes.pop()

    async def _give_back(self, kept: Sequence[Kept]) -> None:
        await self._keeper.give_back(self.queue.name, [(each, _before(each)) for each in kept])

    async def _put_down(self) -> None:
        """Ask for nothing, and give back what has arrived."""
        puller = self._puller
        await puller.close()
        if puller.arrived:
            await self._give_back(puller.arrived)
            puller.arrived.clear()
        self._puller = self._new_puller()
        self._deadline = 0.0

    def _new_puller(self) -> Puller:
        return Puller(self._keeper.connection, self.queue.names, self.queue.codec, self.wake)

    # Waiting

    async def _wait(self) -> None:
        """Wait until something happens, or the open request is lost."""
        puller = self._puller
        seconds = None
        if puller.is_pulling:
            seconds = max(0.0, puller.lost_at - asyncio.get_running_loop().time()) + ROUNDING_SECONDS
        await self._pause(seconds)

    async def _pause(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake_up.wait()
        except TimeoutError:
            return

    def _set_timer(self) -> None:
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        self._deadline_timer = self._keeper.clock.call_at(self._deadline, self.wake)

    async def _insist(self, action: Callable[[], Awaitable[None]]) -> None:
        """Do something that cannot be refused: wait for the server if it is away."""
        while self._keeper.state_of(self.queue.name) is not None:
            try:
                await action()
            except UnreachableError:
                await asyncio.sleep(RETRY_SECONDS)
            except QueueError:
                await asyncio.sleep(10 * RETRY_SECONDS)  # no room: until there is some
            else:
                return


def _before(kept: Kept) -> QueueMessage:
    """A message as it was before the delivery that it is given back from: earlier ones that nobody settled count."""
    if kept.deliveries <= 1:
        return kept.message
    begun = kept.begun(None)
    return msgspec.structs.replace(begun, attempts=begun.attempts - 1)
