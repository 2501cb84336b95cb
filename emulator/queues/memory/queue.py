"""The state machine of one queue.

It does no I/O and never reads a clock: every transition takes the time (in seconds since the epoch, never going back)
and returns what happened. A driver runs it on a clock; tests drive it by hand. It does not decide what happens to
delivered messages: a settlement does, and the queue carries it out.

A message is in exactly one place at any time:

    enqueue ──> DELAYED ──(ready_at passes)──> READY ──take_batch──> LEASED ──settle──┬─> gone: acked, dead, dropped
            └──────────────────────────────────> ^       or pull                      │
                                                 └── DELAYED <──────── retried ───────┘

READY    can be delivered. A batch is taken when `max_batch_size` of them wait, or when the oldest has been ready for
         `max_batch_timeout`. In the order in which they became ready.
DELAYED  becomes READY when its time comes, or by `promote`. Both a send with a delay and a retry with one lead here.
LEASED   is in flight. A lease ends by `settle`, which is also how one ends whose time is up (`expired_leases`), or
         by `release`, when the delivery did not happen after all and the attempt is given back. What a client pulls
         has one lease for each message, which ends by `end_pulled` or, when its time is up, by `expire_pulled`, and is
         settled then by `settle_pulled`.
gone     Left for good. It may still lie in one of the structures below, which skip it.

Deliveries stop while the queue is paused, has no consumer, or is held (its consumer cannot run); nothing else stops
them. Messages that exceed the retention period are deleted if they are READY or DELAYED; a LEASED one is dropped when
it would come back.

A client that acks too late has still done its work. So the lease of a pulled message is remembered after it has
expired, until the message is leased again or gone, and a late ack still removes the message.

`_arrivals` contains every message in the order of `enqueued_at`, to find the oldest message and the expired ones;
`_ready` and `_delayed` contain the waiting messages. Removal from the middle only marks a message as gone, and marked
messages are dropped when the structures are read, so every transition takes amortised constant time per message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from emulator.queues.memory.entry import DELAYED, GONE, LEASED, READY, Entry, look, look_at_all
from emulator.queues.message import Backlog, Batch, Counts, LeasedMessage, Settlement
from emulator.queues.settings import HANDLER_TIMEOUT_SECONDS, MAX_CONCURRENCY, ConsumerSettings, QueueSettings

DEFAULT_SETTINGS: Final = QueueSettings()

MANY: Final = 20_000
"""From so many on, the delayed messages are sorted to be read in order."""

_NOBODY: Final = Entry("", b"", "bytes", "", 0, 0, 0)
"""A message that is gone, in the place of one that has left the middle of a heap."""

_AT_ONCE: Final = float("-inf")
_NEVER: Final = float("inf")


class Lease(msgspec.Struct, eq=False):
    """The lease of one delivery: the `batch` as it was delivered, and the `entries` of its messages. `settings` are
    those of the consumer when the batch was taken; they apply if the queue has no consumer any more. `expires_at`, in
    seconds since the epoch, may be moved to a later time."""

    batch: Batch
    entries: list[Entry]
    settings: ConsumerSettings
    expires_at: float


class Pulled(msgspec.Struct, eq=False):
    """The lease of a client on a message. Times are in seconds since the epoch. `lease_id` does not reveal the client
    or the message; `is_leased` is false once the lease has ended or expired."""

    lease_id: str
    entry: Entry
    taken_at: float
    expires_at: float
    is_leased: bool = True

    def look(self) -> LeasedMessage:
        """The lease and its message as values."""
        return LeasedMessage(self.lease_id, look(self.entry), self.taken_at, self.expires_at, not self.is_leased)


class Settled(NamedTuple):
    """The messages of a settlement that have left the queue, and those that wait again."""

    gone: Sequence[Entry]
    again: Sequence[Entry] = ()


class MemoryQueue:
    """One queue. `settings` and `consumer` may be replaced at any time, and take effect at the next transition.

    `consumer` has the settings of the consumer, or is None if there is none. `held` stops deliveries, like a pause,
    while the consumer's code fails to load. Lease ids count up from `first_serial`, so that a lease id from another run
    of the emulator does not match a lease of this one.
    """

    def __init__(
        self,
        name: str,
        settings: QueueSettings = DEFAULT_SETTINGS,
        consumer: ConsumerSettings | None = None,
        first_serial: int = 0,
    ) -> None:
        self.name = name
        self.settings = settings
        self.consumer = consumer
        self.held = False
        self._ready: deque[Entry] = deque()
        self._ready_count = 0
        self._delayed: list[tuple[float, int, Entry]] = []
        self._delayed_count = 0
        self._arrivals: deque[Entry] = deque()
        self._leases: dict[int, Lease] = {}
        self._leased_count = 0
        self._pulled: dict[str, Pulled] = {}
        self._pull_expiries: list[tuple[float, int, Pulled]] = []
        self._pulled_count = 0
        self._retrying_count = 0
        """How many READY and DELAYED messages have been delivered before."""
        self._dead_count = 0
        """How many READY messages are dead letters."""
        self.backlog_bytes = 0
        """The total size in bytes of the bodies that are not settled."""
        self._serial = first_serial
        self._concurrency = 1
        self._swept_at = _AT_ONCE
        self._expired: list[Entry] = []

    def __len__(self) -> int:
        """The number of messages that are not settled: ready, delayed and in flight."""
        return self._ready_count + self._delayed_count + self._leased_count

    @property
    def ready_count(self) -> int:
        return self._ready_count

    @property
    def delayed_count(self) -> int:
        return self._delayed_count

    @property
    def in_flight_count(self) -> int:
        return self._leased_count

    @property
    def leases(self) -> Sequence[Lease]:
        """The deliveries under way, oldest first."""
        return tuple(self._leases.values())

    @property
    def pulled(self) -> Sequence[Pulled]:
        """The messages that clients have pulled and not settled."""
        return tuple(each for each in self._pulled.values() if each.is_leased)

    @property
    def concurrency(self) -> int:
        """How many deliveries may run at the same time at present."""
        limit = self.consumer.max_concurrency if self.consumer is not None else None
        return min(self._concurrency, limit or MAX_CONCURRENCY.high)

    def waiting(self, most: int | None = None, skip: int = 0) -> Iterator[Entry]:
        """The messages that are ready, in order, then the delayed ones by the time they are due: all, or `most` of
        them, behind the first `skip`."""
        end = None if most is None else skip + most
        there = (message for message in self._ready if message.place == READY)
        is_whole = len(self._ready) == self._ready_count  # which is faster to skip
        yield from islice(self._ready if is_whole else there, skip, end)
        first = max(skip - self._ready_count, 0)
        last = None if end is None else max(end - self._ready_count, 0)
        if last is None or last > MANY:
            self._delayed.sort()  # a sorted list is a heap, and is sorted faster the next time
            delayed: Iterable[tuple[float, int, Entry]] = self._delayed
        else:
            delayed = _in_order(self._delayed)
        if len(self._delayed) != self._delayed_count:
            delayed = (each for each in delayed if each[2].place == DELAYED)
        yield from (message for _, _, message in islice(delayed, first, last))

    def find(self, ids: Collection[str]) -> list[Entry]:
        """The waiting messages with these `ids`, in the order of arrival."""
        return [message for message in self._arrivals if message.place in (READY, DELAYED) and message.id in ids]

    def counts(self) -> Counts:
        """How many messages are in which state."""
        return Counts(
            self._ready_count, self._delayed_count, self._leased_count, self._retrying_count, self._dead_count
        )

    def backlog(self) -> Backlog:
        """The backlog: all messages that are not settled."""
        arrivals = self._arrivals
        oldest = arrivals[0] if arrivals and arrivals[0].place != GONE else self._oldest()
        count = self._ready_count + self._delayed_count + self._leased_count
        return Backlog(count, self.backlog_bytes, None if oldest is None else oldest.timestamp)

    def enqueue(self, messages: Sequence[Entry], now: float) -> None:
        """Accept `messages`, none of which was enqueued before a message of this queue. Those with a `ready_at` after
        `now` are delayed until then."""
        self._sweep(now)
        size = 0
        delayed = 0
        for message in messages:
            size += len(message.body)
            if message.ready_at <= now:
                message.place = READY
            else:
                delayed += 1
                self._delay(message)
            if message.attempts or message.dead_letter is not None:
                self._count(message, 1)
        self._ready.extend([message for message in messages if message.place == READY] if delayed else messages)
        self._arrivals.extend(messages)
        self.backlog_bytes += size
        self._ready_count += len(messages) - delayed

    def restore(self, messages: Iterable[Entry], now: float) -> None:
        """Accept messages that were waiting or in flight when an earlier run of the emulator ended."""
        self.enqueue(sorted(messages, key=_enqueued_at), now)
        self._ready = deque(sorted(self._ready, key=_ready_at))

    def next_due(self) -> float | None:
        """When something is due next, if nothing else happens; None if never.

        Call `advance`, `expired_leases`, `expire_pulled` and `take_batch` then. The time may have passed already.
        """
        due = min(self._activity_due(), self._expiry_due())
        return None if due == _NEVER else due

    def next_activity(self) -> float | None:
        """Like `next_due`, but ignores the deletion of messages that are older than the retention period."""
        due = self._activity_due()
        return None if due == _NEVER else due

    def advance(self, now: float) -> Sequence[Entry]:
        """Make due messages ready, and delete those that are older than the retention period. Returns the deleted
        messages."""
        self._sweep(now)
        expired, self._expired = self._expired, []
        return expired

    def take_batch(self, now: float) -> Lease | None:
        """Lease the next batch for delivery, or return None if none is due. Counts as an attempt."""
        self._sweep(now)
        if self.consumer is None or self._batch_due() > now:
            return None
        entries = self._take(self.consumer.max_batch_size)
        self._serial += 1
        messages = look_at_all(entries)
        batch = Batch(self._serial, self.name, messages, self.backlog(), now, now + HANDLER_TIMEOUT_SECONDS)
        lease = self._leases[batch.id] = Lease(batch, entries, self.consumer, batch.expires_at)
        return lease

    def settle(self, lease: Lease, settlement: Settlement, now: float) -> Settled:
        """End `lease`, and move each of its messages as `settlement` says. Raises ValueError if it has already
        ended."""
        self._end(lease)
        self._sweep(now)
        consumer = self.consumer or lease.settings
        most = consumer.max_concurrency or MAX_CONCURRENCY.high
        if settlement.verdict.outcome != "ok":
            self._concurrency = max(1, min(self._concurrency, most) - 1)
        elif self._ready_count >= consumer.max_batch_size:
            self._concurrency = min(self._concurrency + 1, most)
        elif not self._ready_count and not self._leases:
            self._concurrency = 1
        return self._carry_out(lease.entries, settlement, now)

    def expired_leases(self, now: float) -> Sequence[Lease]:
        """The leases that have expired. The caller must settle them now, by the decisions made in time, or move
        their end."""
        return [lease for lease in self._leases.values() if lease.expires_at <= now] if self._leases else ()

    def release(self, lease: Lease) -> None:
        """Take back a lease whose delivery did not reach the handler: the attempt does not count."""
        self._end(lease)
        entries = lease.entries
        for message in entries:
            message.attempts -= 1
            message.place = READY
            self._count(message, 1)
        ready = self._ready
        # Of two deliveries under way the older one may come back first; its messages stay the first.
        in_order = not ready or entries[-1].ready_at <= ready[0].ready_at
        ready.extendleft(reversed(entries))
        if not in_order:
            self._ready = deque(sorted(ready, key=_ready_at))
        self._ready_count += len(entries)

    def pull(self, now: float, count: int, visibility_seconds: float) -> Sequence[Pulled]:
        """Lease up to `count` ready messages to a client, each with its own lease. Counts as an attempt. Consumer,
        concurrency and batch timeout have no effect."""
        self._sweep(now)
        expires_at = now + visibility_seconds
        pulled: list[Pulled] = []
        for entry in self._take(count):
            self._serial += 1
            entry.lease_id = f"{entry.id}{self._serial:016x}"
            each = Pulled(entry.lease_id, entry, now, expires_at)
            self._pulled[each.lease_id] = each
            heappush(self._pull_expiries, (expires_at, self._serial, each))
            pulled.append(each)
        self._pulled_count += len(pulled)
        return pulled

    def find_pulled(self, lease_ids: Iterable[str], now: float) -> Sequence[Pulled]:
        """The known leases of pulled messages, each once. An expired lease is known until the message is leased again
        or gone."""
        self._sweep(now)
        return [self._pulled[each] for each in dict.fromkeys(lease_ids) if each in self._pulled]

    def end_pulled(self, lease_ids: Iterable[str]) -> Sequence[Pulled]:
        """End the known ones of these leases of pulled messages. The caller must settle the messages now."""
        ended = [self._pulled[each] for each in dict.fromkeys(lease_ids) if each in self._pulled]
        for each in ended:
            self._end_pulled(each)
        return ended

    def expire_pulled(self, now: float) -> Sequence[Pulled]:
        """End the leases of pulled messages that have expired. The caller must settle the messages now; the leases are
        remembered."""
        expiries = self._pull_expiries
        ended: list[Pulled] = []
        while expiries and (expiries[0][0] <= now or not expiries[0][2].is_leased):
            each = heappop(expiries)[2]
            if each.is_leased:
                each.is_leased = False
                ended.append(each)
        self._leased_count -= len(ended)
        self._pulled_count -= len(ended)
        return ended

    def settle_pulled(self, ended: Sequence[Pulled], settlement: Settlement, now: float) -> Settled:
        """Move the messages of leases that have just ended as `settlement` says."""
        if len(self._pull_expiries) > 2 * self._pulled_count + 1024:
            self._pull_expiries = [entry for entry in self._pull_expiries if entry[2].is_leased]
            heapify(self._pull_expiries)
        self._sweep(now)
        return self._carry_out([each.entry for each in ended], settlement, now)

    def purge(self, ids: Collection[str] | None = None) -> Sequence[Entry]:
        """Delete the ready and delayed messages, or only those with `ids`. Messages in flight stay with their handler,
        or the client that pulled them."""
        if ids is not None:
            return self._purge_some(ids)
        purged = list(self.waiting())
        self._remove(purged)
        self._ready.clear()
        self._delayed.clear()
        self._ready_count = self._delayed_count = self._retrying_count = self._dead_count = 0
        return purged

    def delayed(self, ids: Collection[str] | None = None) -> list[Entry]:
        """The delayed messages by the time they are due, or only those with `ids`."""
        if ids is None:
            return [message for _, _, message in sorted(self._delayed) if message.place == DELAYED]
        return sorted((message for message in self.find(ids) if message.place == DELAYED), key=_ready_at)

    def promote(self, messages: Sequence[Entry], now: float) -> None:
        """Make `messages`, all of which are delayed here, ready now, in this order."""
        for message in messages:
            message.ready_at = now
            message.place = READY
            if message.dead_letter is not None:
                self._dead_count += 1
        self._ready.extend(messages)
        self._ready_count += len(messages)
        self._delayed_count -= len(messages)
        # None may stay in the heap: it would be due again if it is delayed again.
        for at, (due, serial, message) in enumerate(self._delayed):
            if message.place != DELAYED:
                self._delayed[at] = due, serial, _NOBODY
        if not self._delayed_count:
            self._delayed.clear()

    def unsettled(self) -> Sequence[Entry]:
        """All messages, including those in flight, in the order of arrival."""
        return [message for message in self._arrivals if message.place != GONE]

    def discard(self) -> None:
        """Remove all messages, including those in flight, because the queue is deleted."""
        for message in self._arrivals:
            message.place = GONE

    def withdraw(self, messages: Sequence[Entry]) -> None:
        """Remove `messages`, all of which are ready or delayed here, because they move elsewhere."""
        for message in messages:
            self._leave(message)
        self._remove(messages)

    def _take(self, count: int) -> list[Entry]:
        """Take up to `count` ready messages, in order, for one more attempt."""
        count = min(count, self._ready_count)
        take = self._ready.popleft
        if len(self._ready) == self._ready_count:
            entries = [take() for _ in range(count)]
        else:
            entries = []
            while len(entries) < count:
                entry = take()
                if entry.place == READY:
                    entries.append(entry)
        if self._retrying_count or self._dead_count:
            for entry in entries:
                self._count(entry, -1)
        for entry in entries:
            entry.place = LEASED
            entry.attempts += 1
        self._ready_count -= count
        self._leased_count += count
        self._forget_leases(entries)
        return entries

    def _activity_due(self) -> float:
        due = self._batch_due()
        if self._delayed_count:
            due = min(due, self._delayed[0][0])
        for lease in self._leases.values():
            due = min(due, lease.expires_at)
        expiries = self._pull_expiries
        while expiries and not expiries[0][2].is_leased:
            heappop(expiries)
        return min(due, expiries[0][0]) if expiries else due

    def _batch_due(self) -> float:
        """When the next batch is due: minus infinity for now, infinity for not before something else happens."""
        consumer = self.consumer
        if (
            not self._ready_count
            or consumer is None
            or self.held
            or self.settings.delivery_paused
            or len(self._leases) >= self.concurrency
        ):
            return _NEVER
        if self._ready_count >= consumer.max_batch_size:
            return _AT_ONCE
        while self._ready[0].place != READY:
            self._ready.popleft()
        return self._ready[0].ready_at + consumer.max_batch_timeout

    def _expiry_due(self) -> float:
        retention = self.settings.message_retention_period
        oldest = self._oldest()
        if oldest is None:
            return _NEVER
        if oldest.enqueued_at + retention > self._swept_at:
            return oldest.enqueued_at + retention
        # The oldest exceeded the retention period in flight. The first one that can be deleted comes after it.
        waiting = (message for message in self._arrivals if message.place in (READY, DELAYED))
        first = next(waiting, None)
        return _NEVER if first is None else first.enqueued_at + retention

    def _sweep(self, now: float) -> None:
        """Move due messages from DELAYED to READY, and remove expired ones."""
        delayed = self._delayed
        while delayed and (delayed[0][0] <= now or delayed[0][2].place != DELAYED):
            message = heappop(delayed)[2]
            if message.place == DELAYED:
                message.place = READY
                self._ready.append(message)
                self._delayed_count -= 1
                self._ready_count += 1
                if message.dead_letter is not None:
                    self._dead_count += 1
        self._swept_at = now
        arrivals = self._arrivals
        oldest = arrivals[0] if arrivals and arrivals[0].place != GONE else self._oldest()
        if oldest is not None and oldest.enqueued_at + self.settings.message_retention_period <= now:
            self._expire(now)

    def _is_expired(self, message: Entry, now: float) -> bool:
        return message.enqueued_at + self.settings.message_retention_period <= now

    def _expire(self, now: float) -> None:
        expired = []
        for message in self._arrivals:
            if not self._is_expired(message, now):
                break
            if message.place in (READY, DELAYED):
                self._leave(message)
                expired.append(message)
        self._remove(expired)
        self._expired += expired

    def _oldest(self) -> Entry | None:
        arrivals = self._arrivals
        take = arrivals.popleft
        while arrivals:
            oldest = arrivals[0]
            if oldest.place != GONE:
                return oldest
            take()
        return None

    def _delay(self, message: Entry) -> None:
        message.place = DELAYED
        self._serial += 1
        heappush(self._delayed, (message.ready_at, self._serial, message))
        self._delayed_count += 1

    def _end(self, lease: Lease) -> None:
        if self._leases.pop(lease.batch.id, None) is not lease:
            raise ValueError(f"lease {lease.batch.id} of queue {self.name} has ended already")
        self._leased_count -= len(lease.entries)

    def _end_pulled(self, each: Pulled) -> None:
        """Take a message that a client settles out of its place; a message with an expired lease waits again."""
        message = each.entry
        del self._pulled[each.lease_id]
        message.lease_id = ""
        if each.is_leased:
            each.is_leased = False
            self._leased_count -= 1
            self._pulled_count -= 1
        else:
            self._leave(message)
        message.place = LEASED

    def _leave(self, message: Entry) -> None:
        """Count that a message waits no more."""
        self._count(message, -1)
        if message.place == READY:
            self._ready_count -= 1
        else:
            self._delayed_count -= 1

    def _count(self, message: Entry, change: int) -> None:
        """Count a message that has just begun to wait (1), or is about to end (-1), by what it has behind it."""
        if message.attempts:
            self._retrying_count += change
        if message.dead_letter is not None and message.place == READY:
            self._dead_count += change

    def _forget_leases(self, messages: Iterable[Entry]) -> None:
        """Forget the expired leases of messages that are leased again or gone."""
        if self._pulled:
            for message in messages:
                if message.lease_id:
                    self._pulled.pop(message.lease_id, None)
                    message.lease_id = ""

    def _purge_some(self, ids: Collection[str]) -> Sequence[Entry]:
        purged = self.find(ids)
        self.withdraw(purged)
        return purged

    def _remove(self, messages: Sequence[Entry]) -> None:
        self._forget_leases(messages)
        size = 0
        for message in messages:
            message.place = GONE
            size += len(message.body)
        self.backlog_bytes -= size
        # A message that stays at the head must not keep the messages that left after it in memory.
        if len(self._arrivals) > 2 * len(self) + 1024:
            self._arrivals = deque(message for message in self._arrivals if message.place != GONE)
        if len(self._ready) > 2 * self._ready_count + 1024:
            self._ready = deque(message for message in self._ready if message.place == READY)
        if len(self._delayed) > 2 * self._delayed_count + 1024:
            self._delayed = [entry for entry in self._delayed if entry[2].place == DELAYED]
            heapify(self._delayed)

    def _carry_out(self, entries: Sequence[Entry], settlement: Settlement, now: float) -> Settled:
        if len(settlement.acked) == len(entries):
            self._remove(entries)
            return Settled(entries)
        by_id: dict[str, list[Entry]] = {}
        for entry in reversed(entries):  # a message may be in a queue twice, and in one batch
            by_id.setdefault(entry.id, []).append(entry)
        again: list[Entry] = []
        for message, _ in settlement.retried:
            entry = by_id[message.id].pop()
            entry.failures = message.failures
            entry.ready_at = message.ready_at
            if message.ready_at > now:
                self._delay(entry)
            else:
                entry.place = READY
                self._ready.append(entry)
                self._ready_count += 1
            self._count(entry, 1)
            again.append(entry)
        gone = [entry for same in by_id.values() for entry in same]
        self._remove(gone)
        return Settled(gone, again)


def _in_order(heap: Sequence[tuple[float, int, Entry]]) -> Iterator[tuple[float, int, Entry]]:
    """The items of a heap in their order, each found when it is asked for. The heap must not change meanwhile."""
    next_ones = [(heap[0], 0)] if heap else []
    while next_ones:
        item, at = heappop(next_ones)
        yield item
        for below in range(2 * at + 1, min(2 * at + 3, len(heap))):
            heappush(next_ones, (heap[below], below))


def _enqueued_at(message: Entry) -> float:
    return message.enqueued_at


def _ready_at(message: Entry) -> float:
    return message.ready_at
