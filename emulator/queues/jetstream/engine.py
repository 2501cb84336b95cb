"""The queue engine in a NATS server. Its queues are shared by all sessions that give the same address and prefix.

Messages survive sessions, and the server as far as its disk does. Delivery is at least once; `docs/jetstream.md` says
when a message can come twice. Where the server does not answer, methods raise QueueError 15000; what a send has asked
for may have happened nevertheless.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from secrets import token_hex
from typing import Any, Final

from msgspec.structs import replace

from emulator.base.clock import Clock, Timer, WallClock
from emulator.base.errors import EmulatorError
from emulator.queues.contract import Arbiter, QueueUsers, Recipient, Route
from emulator.queues.declarations import QueueState
from emulator.queues.errors import QueueError, unknown_queue
from emulator.queues.jetstream.address import Address
from emulator.queues.jetstream.connection import SCAN_COUNT, Connection, Tell
from emulator.queues.jetstream.delivering import Consuming
from emulator.queues.jetstream.messages import Kept, Tokens
from emulator.queues.jetstream.pulling import Puller
from emulator.queues.jetstream.queue import Ending, StreamQueue
from emulator.queues.jetstream.shared import BEAT_SECONDS, LeaseRecord, Shared
from emulator.queues.jetstream.streams import ACK_WAIT_SECONDS, drop_stream, make_stream, names_of
from emulator.queues.message import Backlog, Counts, LeasedMessage, NewMessage, QueueMessage, Settlement
from emulator.queues.settings import ConsumerSettings
from emulator.queues.settlement import is_expired

CANCEL_SECONDS: Final = 1.0
"""How long a cancelled handler may take to end before the engine stops waiting for it."""

OTHERS_WAIT_SECONDS: Final = 1.0
"""How much later than the session that a client pulled through the others see to its lease."""

LATE_SECONDS: Final = 0.05
"""How late the server may find what was sent, in real time."""

MOST_REMEMBERED: Final = 1_000
"""How many messages are remembered that clients have pulled."""

LOOK_SECONDS: Final = 60.0
"""How often each queue is looked at for messages that are too old, at least."""

_NS: Final = 10**9


class JetStreamEngine:
    """See `emulator.queues.contract.QueueEngine`. `tell` is told, in a sentence, when the server goes away and is back.

    `pace` is how many seconds of the server a second of the clock takes; see Connection.
    """

    is_shared: Final = True

    def __init__(self, address: Address, tell: Tell, clock: Clock | None = None, *, pace: float = 1.0) -> None:
        self.clock = clock or WallClock()
        self.connection = Connection(address, tell, pace=pace)
        self.shared = Shared(self.connection, token_hex(8), self._states_changed, self._lanes_changed)
        self._arbiter: Arbiter | None = None
        self._queues: dict[str, StreamQueue] = {}
        self._consumers: dict[str, list[Consuming]] = {}
        self._tokens = Tokens()
        self._produces: Sequence[str] = ()
        self._keeping: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._pulled = asyncio.Event()
        self._pulled_here: OrderedDict[str, Kept] = OrderedDict()
        """Messages that clients have pulled through this session, by token, so that they need not be read again."""
        self._timers: dict[str, Timer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = self._ended = False

    @property
    def states(self) -> Mapping[str, QueueState]:
        return self.shared.states

    def state_of(self, queue: str) -> QueueState | None:
        """The state of a queue, if there is one."""
        return self.shared.states.get(queue)

    async def start(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        await self.connection.open()
        try:
            await self.shared.open()
            await self.connection.set_time(self.shared.bucket.stream)
            await self.shared.beat((), ())
        except QueueError as error:
            raise EmulatorError(
                f"the queue engine at {self.connection.address} cannot be used: {error.cause}"
            ) from None
        self.connection.returned.append(self._on_return)
        self._keeping = asyncio.create_task(self._keep())
        for queue in self.states:
            self._look(queue)

    def introduce(self, produces: Collection[str]) -> None:
        self._produces = sorted(produces)
        self._spawn(self._tell_others())

    def users(self, queue: str) -> QueueUsers:
        return self.shared.users(queue)

    async def close(self, grace_seconds: float) -> None:
        if self._closed:
            return
        self._closed = True
        consumers = [each for there in self._consumers.values() for each in there]
        for consumer in consumers:
            consumer.close()
        await _within(grace_seconds + CANCEL_SECONDS, [consumer.ended() for consumer in consumers])
        await _wait([*self._running()], grace_seconds)
        for consumer in consumers:
            consumer.cancel()
        await _wait([*self._running()], CANCEL_SECONDS)
        with suppress(QueueError):  # what cannot be given back now is delivered again
            for consumer in consumers:
                await consumer.give_back_running()
            await self.shared.leave()

    async def end(self) -> None:
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()
        for consumers in self._consumers.values():
            for consumer in consumers:
                consumer.abandon()
        tasks = [task for task in (self._keeping, *self._tasks, *self._running()) if task is not None]
        for task in tasks:
            task.cancel()
        await self.shared.bucket.unwatch()
        await self.connection.close()
        await _wait(tasks, CANCEL_SECONDS)

    async def put(self, states: Sequence[QueueState]) -> bool:
        revisions = self.shared.revisions(states)
        for state in states:
            there = self.state_of(state.name)
            kept = state.settings.message_retention_period
            if there is None or there.settings.message_retention_period != kept:
                await make_stream(self.connection, names_of(self.connection.address.prefix, state.name), kept)
        if not await self.shared.put_states(states, revisions):
            return False
        for state in states:
            self._apply(state.name)
        return True

    async def drop(self, queue: str) -> None:
        self._queue(queue)
        await self.shared.delete_state(queue)
        self._let_go(queue)
        for lease_id in list(self.shared.leases.get(queue, {})):
            await self.shared.end_lease(queue, lease_id)
        await drop_stream(self.connection, queue)

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
        there = self._queue(queue)
        there.check_room(messages)
        entering = []
        for message_id, each in zip(ids, messages, strict=True):
            delay = delay_seconds if each.delay_seconds is None else each.delay_seconds
            made = QueueMessage(
                message_id,
                each.body,
                each.content_type,
                at,
                at,
                at + delay,
                source=source,
                traceparent=each.traceparent,
            )
            entering.append((made, delay))
        await there.send(entering)
        return await there.backlog(fresh=False)

    async def insert(self, queue: str, messages: Sequence[QueueMessage]) -> None:
        now = self.clock.now()
        await self._queue(queue).send([(message, message.ready_at - now) for message in messages])

    async def consume(self, queue: str, settings: ConsumerSettings, recipient: Recipient) -> Consuming:
        there = self._queue(queue)
        consumers = self._consumers.setdefault(queue, [])
        consumers[:] = [each for each in consumers if not each.is_over]
        consumer = Consuming(self, there, settings, recipient)
        consumers.append(consumer)
        if self._closed:
            consumer.close()
        self._spawn(self._tell_others())
        return consumer

    async def pull(self, queue: str, count: int, visibility_seconds: float) -> Sequence[LeasedMessage]:
        there = self._queue(queue)
        taken = await self._pull(there, count)
        now, taken_at = self.clock.now(), self.connection.now()
        pace = self.connection.pace
        leased = []
        for kept in taken:
            if kept.deliveries > 1 and await self.settle_expired(queue, kept):
                continue
            message = kept.begun(self.shared.interrupted_at(queue, kept.seq))
            leased.append((kept, LeasedMessage(self._tokens.make(), message, now, now + visibility_seconds)))
        records = [
            (
                lease.lease_id,
                LeaseRecord(
                    self.shared.session,
                    kept.token,
                    kept.seq,
                    kept.reply,
                    taken_at,
                    taken_at + visibility_seconds * pace,
                    kept.deliveries,
                ),
            )
            for kept, lease in leased
        ]
        await asyncio.gather(*(self.shared.put_lease(queue, lease_id, record) for lease_id, record in records))
        hidden = round((visibility_seconds + ACK_WAIT_SECONDS) * pace * _NS)
        for kept, _ in leased:
            await self.connection.tell_delivery(kept.reply, b'-NAK {"delay": %d}' % hidden)
            self._pulled_here[kept.token] = kept
        while len(self._pulled_here) > MOST_REMEMBERED:
            self._pulled_here.popitem(last=False)
        await self._forget_leases(queue, [kept.token for kept, _ in leased])
        self._wake.set()
        return [lease for _, lease in leased]

    async def leases(self, queue: str, lease_ids: Collection[str] | None = None) -> Sequence[LeasedMessage]:
        there = self._queue(queue)
        if lease_ids is None:
            known = [(each.taken_at, lease_id) for name, lease_id, each in self._open_leases() if name == queue]
            lease_ids = [lease_id for _, lease_id in sorted(known)]
        found = await asyncio.gather(*(self._lease(there, each) for each in dict.fromkeys(lease_ids)))
        return [each for each in found if each is not None]

    async def settle(self, queue: str, leases: Sequence[LeasedMessage], settlement: Settlement) -> None:
        self._queue(queue)
        taken = await asyncio.gather(*(self._take_lease(queue, lease) for lease in leases))
        ended = [(lease, kept) for lease, kept in zip(leases, taken, strict=True) if kept is not None]
        if len(ended) < len(leases):
            settlement = _only(settlement, {lease.message.id for lease, _ in ended})
        if ended:
            await self.carry_out(queue, [kept for _, kept in ended], settlement)
            self._ask().leases_settled(queue, [lease for lease, _ in ended], settlement)

    async def peek(self, queue: str, count: int | None = None, skip: int = 0) -> Sequence[QueueMessage]:
        end = None if count is None else skip + count
        waiting = await self._waiting(self._queue(queue), end)
        return [self._shown(queue, each) for each in waiting[skip:end]]

    async def find(self, queue: str, ids: Collection[str]) -> Sequence[QueueMessage]:
        waiting = await self._waiting(self._queue(queue))
        return [self._shown(queue, each) for each in waiting if each.message.id in ids]

    async def backlog(self, queue: str) -> Backlog:
        return await self._queue(queue).backlog()

    async def counts(self, queue: str) -> Counts:
        return await self._queue(queue).counts(len(self.shared.in_flight(queue)))

    async def promote(self, queue: str, ids: Collection[str] | None = None) -> Sequence[QueueMessage]:
        there, now = self._queue(queue), self.clock.now()
        delayed = [kept for kept in await there.delayed() if ids is None or kept.message.id in ids]
        return await there.promote([(kept, replace(kept.message, ready_at=now)) for kept in delayed])

    async def purge(self, queue: str, ids: Collection[str] | None = None) -> Sequence[QueueMessage]:
        there = self._queue(queue)
        waiting = [each for each in await self._waiting(there) if ids is None or each.message.id in ids]
        if ids is None and waiting and not self.shared.in_flight(queue):
            await there.remove_all(max(each.seq for each in waiting))
        else:
            await there.remove(waiting)
        return [each.message for each in waiting]

    async def move(
        self, queue: str, route: Route, ids: Collection[str] | None = None
    ) -> Mapping[str, Sequence[QueueMessage]]:
        there = self._queue(queue)
        leaving: list[Kept] = []
        entering: dict[str, list[QueueMessage]] = {}
        for kept in await self._waiting(there):
            routed = route(kept.message) if ids is None or kept.message.id in ids else None
            if routed is not None:
                leaving.append(kept)
                entering.setdefault(routed[0], []).append(routed[1])
        for target, messages in entering.items():
            await self.insert(target, messages)
        await there.remove(leaving)
        return entering

    # What consumers need

    async def carry_out(self, queue: str, messages: Sequence[Kept], settlement: Settlement) -> None:
        """Carry out a settlement of messages: what takes their place first, and then they are gone. Raises QueueError
        if it has to be tried again, which doubles nothing."""
        tokens: dict[str, list[str]] = {}
        for each in messages:
            tokens.setdefault(each.message.id, []).append(each.token)
        if settlement.letters:
            target = await self._letter_queue(settlement.dead_letter_queue)
            now = self.clock.now()
            await target.end_with(
                [
                    Ending(tokens[letter.id].pop(0), "dead", letter, letter.ready_at - now)
                    for letter in settlement.letters
                ]
            )
        there = self._queue(queue)
        if settlement.retried:
            await there.end_with(
                [Ending(tokens[message.id].pop(0), "again", message, delay) for message, delay in settlement.retried]
            )
        await there.remove(messages)

    async def give_back(self, queue: str, messages: Sequence[tuple[Kept, QueueMessage]]) -> None:
        """Let messages wait again, as they are given here."""
        there = self._queue(queue)
        await there.end_with([Ending(kept.token, "back", message, 0) for kept, message in messages])
        await there.remove([kept for kept, _ in messages])

    async def settle_expired(self, queue: str, message: Kept) -> bool:
        """If a client had this message, whose delivery begins, settle that lease: nobody did when it expired. Returns
        whether that was so."""
        for lease_id, lease in list(self.shared.leases.get(queue, {}).items()):
            if lease.seq == message.seq and not lease.has_expired:
                await self._expire(queue, lease_id, lease)
                return True
        return False

    # Waiting messages and leases

    async def _waiting(self, queue: StreamQueue, count: int | None = None) -> list[Kept]:
        """The messages that wait, ready ones first; at least `count` if there are so many."""
        in_flight = self.shared.in_flight(queue.name)
        enough = None if count is None else count + len(in_flight)
        ready = [each for each in await queue.ready(enough) if each.seq not in in_flight]
        if count is None or len(ready) < count:
            ready.extend(await queue.delayed())
        return ready

    def _shown(self, queue: str, kept: Kept) -> QueueMessage:
        """A waiting message as it is, or as it will be, if a session has died that delivered it."""
        at = self.shared.interrupted_at(queue, kept.seq)
        if at is None:
            return kept.message
        return replace(replace(kept, deliveries=2).begun(at), attempts=kept.message.attempts + 1)

    async def _pull(self, queue: StreamQueue, count: int) -> list[Kept]:
        """Take what is there. The server may not have noticed yet what was sent a moment ago: if something may be
        there, it is asked once more, and has a moment to find it."""
        puller = Puller(self.connection, queue.names, queue.codec, self._pulled.set)
        for wait_seconds in (0.0, LATE_SECONDS):
            await puller.pull(count, wait_seconds=wait_seconds)
            while puller.is_pulling:
                self._pulled.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LATE_SECONDS):
                        await self._pulled.wait()
            backlog = await queue.backlog()
            if puller.arrived or backlog.backlog_count <= len(self.shared.in_flight(queue.name)):
                break
        await puller.close()
        return puller.arrived

    async def _take_lease(self, queue: str, lease: LeasedMessage) -> Kept | None:
        """End a lease, and return its message; None if somebody else has ended it."""
        record = self.shared.leases.get(queue, {}).get(lease.lease_id)
        if record is None or not await self.shared.end_lease(queue, lease.lease_id):
            return None
        return Kept(record.seq, record.token, lease.message, reply="" if record.has_expired else record.reply)

    async def _lease(self, queue: StreamQueue, lease_id: str) -> LeasedMessage | None:
        record = await self.shared.find_lease(queue.name, lease_id)
        if record is None:
            return None
        kept = self._pulled_here.get(record.token) or await queue.get(record.seq)
        if record.has_expired:
            if kept is None or kept.token != record.token:
                kept = next((each for each in await queue.ready() if each.token == record.token), None)
            if kept is None or kept.seq in self.shared.in_flight(queue.name):
                return None
        if kept is None:
            return None
        return self._leased(queue.name, lease_id, record, kept)

    def _leased(self, queue: str, lease_id: str, record: LeaseRecord, kept: Kept) -> LeasedMessage:
        message = kept.message
        if not record.has_expired:
            message = replace(kept, deliveries=record.deliveries).begun(self.shared.interrupted_at(queue, kept.seq))
        taken_at, expires_at = self._here(record.taken_at), self._here(record.expires_at)
        return LeasedMessage(lease_id, message, taken_at, expires_at, record.has_expired)

    def _here(self, server_time: float) -> float:
        """A time of the server by the clock of this session."""
        return self.clock.now() + (server_time - self.connection.now()) / self.connection.pace

    async def _expire(self, queue: str, lease_id: str, lease: LeaseRecord) -> None:
        """Settle a lease that has expired, if no other session does."""
        if not await self.shared.expire_lease(queue, lease_id, lease):
            return
        there = self._queues.get(queue)
        kept = None if there is None else await there.get(lease.seq)
        if there is None or kept is None:
            await self.shared.end_lease(queue, lease_id)
            return
        leased = [self._leased(queue, lease_id, lease, kept)]
        settlement = self._ask().lease_expired(queue, leased)
        ended = Kept(lease.seq, lease.token, leased[0].message, reply=lease.reply)
        if settlement.retried:
            await self._wait_again(there, lease_id, lease, settlement)
            await there.remove([ended])
        else:
            await self.carry_out(queue, [ended], settlement)
            await self.shared.end_lease(queue, lease_id)
        self._ask().leases_settled(queue, leased, settlement)

    async def _wait_again(self, queue: StreamQueue, lease_id: str, lease: LeaseRecord, settlement: Settlement) -> None:
        """Let the message of an expired lease wait again, and note which one it is now, for a late ack."""
        message, delay = settlement.retried[0]
        token = self._tokens.make()
        outgoing = queue.codec.write(message, token, delay_seconds=delay, once=f"{lease.token}.again")
        ack = await self.connection.publish(outgoing)
        await self.shared.put_lease(
            queue.name, lease_id, replace(lease, token=token, seq=ack.seq, reply="", has_expired=True)
        )

    async def _forget_leases(self, queue: str, tokens: Sequence[str]) -> None:
        """Forget the expired leases of messages that somebody else has now."""
        for lease_id, lease in list(self.shared.leases.get(queue, {}).items()):
            if lease.has_expired and lease.token in tokens:
                await self.shared.end_lease(queue, lease_id)

    # What goes on by itself

    async def _keep(self) -> None:
        """Do what is due again and again: say that this session is alive, keep what it holds, and end leases."""
        beat = BEAT_SECONDS * self.connection.pace
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + beat
        while True:
            self._wake.clear()
            is_due = loop.time() >= beat_at
            if is_due:
                beat_at = loop.time() + beat
            try:
                if self.connection.is_up:
                    await self._expire_leases()
                    if is_due:
                        await self._beat()
            except QueueError:
                pass  # while the server is away, nothing can be kept
            except Exception as error:
                self.connection.report(error)
            seconds = min(beat_at - loop.time(), self._next_expiry() - self.connection.now())
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.005, seconds) if self.connection.is_up else beat):
                    await self._wake.wait()

    async def _beat(self) -> None:
        if self.shared.bucket.is_deaf:
            await self.shared.bucket.watch()
        if not self._closed:
            await self._say_hello()
            await self.shared.renew_lanes()
        for consumers in self._consumers.values():
            for consumer in consumers:
                for kept in consumer.holds():
                    await self.connection.tell_delivery(kept.reply, b"+WPI")
        self.shared.forget_the_dead()

    async def _say_hello(self) -> None:
        consumes = [name for name, there in self._consumers.items() if any(not each.is_over for each in there)]
        await self.shared.beat(self._produces, consumes)

    async def _tell_others(self) -> None:
        with suppress(QueueError):  # the next time that this session says that it is alive
            await self._say_hello()

    def _due(self, lease: LeaseRecord) -> float:
        wait = 0.0 if lease.session == self.shared.session else OTHERS_WAIT_SECONDS * self.connection.pace
        return lease.expires_at + wait

    def _open_leases(self) -> Iterable[tuple[str, str, LeaseRecord]]:
        for queue, leases in list(self.shared.leases.items()):
            for lease_id, lease in list(leases.items()):
                if not lease.has_expired:
                    yield queue, lease_id, lease

    def _next_expiry(self) -> float:
        return min((self._due(lease) for _, _, lease in self._open_leases()), default=float("inf"))

    async def _expire_leases(self) -> None:
        now = self.connection.now()
        for queue, lease_id, lease in self._open_leases():
            if self._due(lease) <= now:
                await self._expire(queue, lease_id, lease)

    def _look(self, queue: str) -> None:
        """Delete what is too old in a queue, now and when that is due again."""
        self._spawn(self._delete_expired(queue))

    async def _delete_expired(self, queue: str) -> None:
        due = self.clock.now() + LOOK_SECONDS
        with suppress(QueueError):
            due = min(due, await self._delete_old(queue))
        timer = self._timers.pop(queue, None)
        if timer is not None:
            timer.cancel()
        if not self._ended and self.state_of(queue) is not None:
            self._timers[queue] = self.clock.call_at(due, lambda: self._look(queue))

    async def _delete_old(self, queue: str) -> float:
        """Delete what is too old, tell of it, and return when the next message will be."""
        there, state = self._queues.get(queue), self.state_of(queue)
        if there is None or state is None:
            return float("inf")
        retention = state.settings.message_retention_period
        first, count, now = 1, 1, self.clock.now()
        while part := await there.oldest(count, first):
            old = list(takewhile(lambda kept: is_expired(kept.message, retention, now), part))
            in_flight = self.shared.in_flight(queue)
            waiting = [kept for kept in old if kept.seq not in in_flight]
            done = await asyncio.gather(*(self.connection.delete(there.names.stream, kept.seq) for kept in waiting))
            gone = [kept.message for kept, is_deleted in zip(waiting, done, strict=True) if is_deleted]
            if gone:
                self._ask().messages_expired(queue, gone)
            if len(old) < len(part):
                return part[len(old)].message.enqueued_at + retention
            first, count = part[-1].seq + 1, SCAN_COUNT
        return now + retention

    # Changes of queues

    def _apply(self, queue: str) -> None:
        if queue not in self._queues:
            self._queues[queue] = StreamQueue(self.connection, queue, self._tokens)
        for consumer in self._consumers.get(queue, ()):
            consumer.wake()
        self._look(queue)

    def _let_go(self, queue: str) -> None:
        """The queue has been deleted."""
        self._queues.pop(queue, None)
        timer = self._timers.pop(queue, None)
        if timer is not None:
            timer.cancel()
        for consumer in self._consumers.pop(queue, ()):
            consumer.abandon()
            self._spawn(consumer.discard())

    def _states_changed(self, queue: str) -> None:
        if self.state_of(queue) is None:
            self._let_go(queue)
        elif self._keeping is None:
            self._queues[queue] = StreamQueue(self.connection, queue, self._tokens)
        else:
            self._apply(queue)
        if self._keeping is not None:
            self._ask().states_changed(queue)

    def _lanes_changed(self, queue: str) -> None:
        for consumer in self._consumers.get(queue, ()):
            consumer.wake()

    def _on_return(self) -> None:
        self._spawn(self._catch_up())

    async def _catch_up(self) -> None:
        """The connection is there again: what happened meanwhile is not known, and what was asked is forgotten."""
        with suppress(QueueError):
            await self.shared.bucket.watch()
            await self.connection.set_time(self.shared.bucket.stream)
            await self._beat()
        for consumers in self._consumers.values():
            for consumer in consumers:
                consumer.renew()
        self._wake.set()

    async def _letter_queue(self, name: str) -> StreamQueue:
        if name not in self._queues:
            now = self.clock.now()
            await self.put([QueueState(name, now, now)])
        return self._queue(name)

    def _queue(self, name: str) -> StreamQueue:
        queue = self._queues.get(name)
        if queue is None:
            raise unknown_queue(name)
        return queue

    def _ask(self) -> Arbiter:
        assert self._arbiter is not None, "start() comes first"
        return self._arbiter

    def _running(self) -> Iterable[asyncio.Task[None]]:
        for consumers in self._consumers.values():
            for consumer in consumers:
                for running in consumer.running.values():
                    if running.task is not None:
                        yield running.task

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._ended:
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _wait(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)


async def _within(seconds: float, work: Sequence[Coroutine[Any, Any, None]]) -> None:
    await _wait([asyncio.create_task(each) for each in work], seconds)


def _only(settlement: Settlement, ids: Collection[str]) -> Settlement:
    """What a settlement says of the messages with these ids."""

    def left(messages: Sequence[QueueMessage]) -> list[QueueMessage]:
        return [each for each in messages if each.id in ids]

    return replace(
        settlement,
        acked=left(settlement.acked),
        retried=[(message, delay) for message, delay in settlement.retried if message.id in ids],
        dead=left(settlement.dead),
        dropped=left(settlement.dropped),
        expired=left(settlement.expired),
        letters=left(settlement.letters),
    )
