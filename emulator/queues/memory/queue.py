"""The state machine of one queue.

It does no I/O and never looks at a clock: every transition takes the time (seconds since the epoch, never going back)
and
returns what happened. The broker drives it on a clock; tests drive it by hand.

A message is in exactly one place at any time:

    enqueue ──> DELAYED ──(ready_at passes)──> READY ──take_batch──> LEASED ──settle──┬─> gone: acked, dead, dropped
            └──────────────────────────────────> ^       or pull                      │
                                                 └── DELAYED <──────── retried ───────┘

READY    can be delivered. A batch is taken when `max_batch_size` of them wait, or when the oldest has been ready for
         `max_batch_timeout`. In the order in which they became ready.
DELAYED  becomes READY when its time comes. Both a send with a delay and a retry with one lead here.
LEASED   is in flight. A lease ends by `settle`, which is also how one ends whose time is up (`expired_leases`), or
         by `release`, when the delivery did not happen after all and the attempt is given back. What a client pulls
         has one lease for each message, which ends by `acknowledge` or, when its time is up, by `expire_pulled`.
gone     Left for good. It may still lie in one of the structures below, which skip it.

Deliveries stop while the queue is paused, has no consumer, or is held (its consumer cannot run at the moment); nothing
else does. Retention takes what is READY or DELAYED; what is LEASED is dropped when it would come back.

A client that acks too late has still done its work. So the lease of a pulled message is remembered after it expired,
until the message is leased again or gone, and ends it wherever it waits by then.

Two structures span the places: `_arrivals`, every message in the order of `enqueued_at`, gives the oldest message and
finds the expired ones; `_ready` and `_delayed` hold what waits. Removal from the middle only marks a message as gone,
and the structures are swept as they are read, so that every transition costs amortised constant time a message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from emulator.queues.message import (
    Acknowledgement,
    Attempt,
    Backlog,
    Lease,
    Message,
    PulledMessage,
    Settlement,
    Verdict,
)
from emulator.queues.settings import HANDLER_TIMEOUT_SECONDS, MAX_CONCURRENCY, ConsumerSettings, QueueSettings

GONE: Final = 0
READY: Final = 1
DELAYED: Final = 2
LEASED: Final = 3

DEFAULT_SETTINGS: Final = QueueSettings()

_AT_ONCE: Final = float("-inf")
_NEVER: Final = float("inf")


class Queue:
    """One queue. `settings` and `consumer` may be replaced at any time and act from the next transition on.

    `held` stops deliveries, as pausing does, while the consumer's code does not load. Lease ids count up from
    `first_serial`: one that a client kept from another run of the emulator must not fit a lease of this one.
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
        self._ready: deque[Message] = deque()
        self._ready_count = 0
        self._delayed: list[tuple[float, int, Message]] = []
        self._delayed_count = 0
        self._arrivals: deque[Message] = deque()
        self._leases: dict[int, Lease] = {}
        self._leased_count = 0
        self._pulled: dict[str, PulledMessage] = {}
        self._pull_expiries: list[tuple[float, int, PulledMessage]] = []
        self._pulled_count = 0
        self._puller = consumer
        self._bytes = 0
        self._serial = first_serial
        self._concurrency = 1
        self._swept_at = _AT_ONCE
        self._expired: list[Message] = []

    # What is in it

    def __len__(self) -> int:
        """Messages that are not settled: ready, delayed and in flight."""
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
    def pulled(self) -> Sequence[PulledMessage]:
        """The messages that clients have pulled and hold a lease on."""
        return tuple(each for each in self._pulled.values() if each.is_leased)

    @property
    def concurrency(self) -> int:
        """How many deliveries may run at once at the moment."""
        limit = self.consumer.max_concurrency if self.consumer is not None else None
        return min(self._concurrency, limit or MAX_CONCURRENCY.high)

    def waiting(self) -> Iterator[Message]:
        """The messages that are ready, in order, then the delayed ones by the time they are due."""
        yield from (message for message in self._ready if message.place == READY)
        yield from (message for _, _, message in sorted(self._delayed) if message.place == DELAYED)

    @property
    def backlog_bytes(self) -> int:
        """The bodies of everything that is not settled."""
        return self._bytes

    def metrics(self) -> Backlog:
        """The backlog: everything that is not settled."""
        oldest = self._oldest()
        return Backlog(len(self), self._bytes, None if oldest is None else oldest.timestamp)

    # Transitions

    def enqueue(self, messages: Sequence[Message], now: float) -> None:
        """Accept `messages`, none of which was enqueued before one that is here. Those whose `ready_at` is later than
        `now` are delayed until then."""
        self._sweep(now)
        ready = self._ready
        size = 0
        delayed = 0
        for message in messages:
            size += len(message.body)
            if message.ready_at <= now:
                message.place = READY
                ready.append(message)
            else:
                delayed += 1
                self._delay(message)
        self._arrivals.extend(messages)
        self._bytes += size
        self._ready_count += len(messages) - delayed

    def restore(self, messages: Iterable[Message], now: float) -> None:
        """Accept messages that waited here, or were in flight, when an earlier run of the emulator ended."""
        self.enqueue(sorted(messages, key=_enqueued_at), now)
        self._ready = deque(sorted(self._ready, key=_ready_at))

    def next_due(self) -> float | None:
        """When the machine next has something to do, with nothing else happening; None for never.

        Call `advance`, `expired_leases`, `expire_pulled` and `take_batch` then. The time may have passed already.
        """
        due = min(self._activity_due(), self._expiry_due())
        return None if due == _NEVER else due

    def next_activity(self) -> float | None:
        """As `next_due`, but without the deletion of messages that are older than the retention period."""
        due = self._activity_due()
        return None if due == _NEVER else due

    def advance(self, now: float) -> Sequence[Message]:
        """Make what is due ready, and delete what is older than the retention period. Returns what was deleted."""
        self._sweep(now)
        expired, self._expired = self._expired, []
        return expired

    def take_batch(self, now: float) -> Lease | None:
        """Lease the next batch for delivery, or None when none is to go out now. Counts as an attempt."""
        self._sweep(now)
        if self.consumer is None or self._batch_due() > now:
            return None
        ready = self._ready
        count = min(self.consumer.max_batch_size, self._ready_count)
        batch: list[Message] = []
        while len(batch) < count:
            message = ready.popleft()
            if message.place == READY:
                message.place = LEASED
                message.attempts += 1
                batch.append(message)
        self._ready_count -= count
        self._leased_count += count
        self._forget_leases(batch)
        self._serial += 1
        lease = Lease(self._serial, batch, self.consumer, now, now + HANDLER_TIMEOUT_SECONDS)
        self._leases[lease.id] = lease
        return lease

    def settle(self, lease: Lease, result: Verdict, now: float) -> Settlement:
        """End `lease` by what its delivery decided. Raises ValueError when it has ended before.

        In this order: a message's own `ack` or `retry`, the batch-wide call, the outcome. A message that is to be
        retried but has had `1 + max_retries` attempts is dead where there is a dead letter queue, else dropped.
        """
        self._end(lease)
        self._sweep(now)
        consumer = self.consumer or lease.consumer
        most = consumer.max_concurrency or MAX_CONCURRENCY.high
        if result.outcome == "ok":
            if self._ready_count >= consumer.max_batch_size:
                self._concurrency = min(self._concurrency + 1, most)
            elif not self._ready_count and not self._leases:
                self._concurrency = 1
            if not result.retry_messages and not result.retry_all:
                self._remove(lease.messages)
                return Settlement(lease.messages)
        else:
            self._concurrency = max(1, min(self._concurrency, most) - 1)
        leased = [(message, lease.taken_at) for message in lease.messages]
        return self._settle_each(leased, result, consumer, now)

    def expired_leases(self, now: float) -> Sequence[Lease]:
        """The leases whose time is up. They are to be settled now, by what was decided in time."""
        return [lease for lease in self._leases.values() if lease.expires_at <= now] if self._leases else ()

    def release(self, lease: Lease) -> None:
        """Take back a lease whose delivery never reached the handler: the attempt does not count."""
        self._end(lease)
        for message in lease.messages:
            message.attempts -= 1
            message.place = READY
        ready = self._ready
        # Of two deliveries under way the older one may come back first; its messages stay the first.
        in_order = not ready or lease.messages[-1].ready_at <= ready[0].ready_at
        ready.extendleft(reversed(lease.messages))
        if not in_order:
            self._ready = deque(sorted(ready, key=_ready_at))
        self._ready_count += len(lease.messages)

    def pull(self, now: float, batch_size: int, visibility_timeout_ms: int) -> Sequence[PulledMessage]:
        """Lease up to `batch_size` messages that are ready to a client, each for itself. Counts as an attempt.

        Neither concurrency nor the batch timeout matters. Nothing is leased while the queue is paused, or has no
        consumer of type `http_pull`.
        """
        self._sweep(now)
        consumer = self.consumer
        if consumer is None or consumer.type != "http_pull" or self.settings.delivery_paused:
            return ()
        self._puller = consumer
        expires_at = now + visibility_timeout_ms / 1000
        count = min(batch_size, self._ready_count)
        ready = self._ready
        pulled: list[PulledMessage] = []
        while len(pulled) < count:
            message = ready.popleft()
            if message.place == READY:
                self._forget_leases((message,))
                self._serial += 1
                message.place = LEASED
                message.attempts += 1
                message.lease_id = f"{message.id}{self._serial:016x}"
                each = PulledMessage(message.lease_id, message, now, expires_at)
                self._pulled[each.lease_id] = each
                heappush(self._pull_expiries, (expires_at, self._serial, each))
                pulled.append(each)
        self._ready_count -= count
        self._leased_count += count
        self._pulled_count += count
        return pulled

    def acknowledge(
        self, acks: Iterable[str], retries: Iterable[tuple[str, int | None]], now: float
    ) -> Acknowledgement:
        """End leases of pulled messages by what the client says: `acks` first, then `retries`, each with its delay in
        seconds (None: the consumer's).

        An ack is good for as long as the message is there and nobody else got it, also when its lease has expired. A
        retry needs a lease that holds: an expired one has given the message back already.
        """
        self._sweep(now)
        result = Verdict(error="the client that pulled it asked for a retry")
        ended: list[PulledMessage] = []
        unknown: list[str] = []
        expired: list[str] = []
        for lease_id in acks:
            each = self._pulled.get(lease_id)
            if each is None:
                unknown.append(lease_id)
            else:
                self._end_pulled(each)
                ended.append(each)
        for lease_id, delay_seconds in retries:
            each = self._pulled.get(lease_id)
            if each is None:
                unknown.append(lease_id)
            elif not each.is_leased:
                expired.append(lease_id)
            else:
                self._end_pulled(each)
                ended.append(each)
                result.retry_messages[each.message.id] = delay_seconds
        return Acknowledgement(ended, result, self._settle_pulled(ended, result, now), unknown, expired)

    def expire_pulled(self, now: float) -> Acknowledgement | None:
        """End the leases of pulled messages whose time is up: the attempt has failed. None when there is none."""
        expiries = self._pull_expiries
        ended: list[PulledMessage] = []
        while expiries and (expiries[0][0] <= now or not expiries[0][2].is_leased):
            each = heappop(expiries)[2]
            if each.is_leased:
                each.is_leased = False
                ended.append(each)
        if not ended:
            return None
        self._sweep(now)
        self._leased_count -= len(ended)
        self._pulled_count -= len(ended)
        result = Verdict("lease_expired", error="the client that pulled it did not acknowledge it in time")
        return Acknowledgement(ended, result, self._settle_pulled(ended, result, now))

    def purge(self, ids: Collection[str] | None = None) -> Sequence[Message]:
        """Delete what is ready or delayed, or of that only the messages called `ids`. What is in flight is left to its
        handler, or to the client that pulled it."""
        if ids is not None:
            return self._purge_some(ids)
        purged = list(self.waiting())
        self._remove(purged)
        self._ready.clear()
        self._delayed.clear()
        self._ready_count = self._delayed_count = 0
        return purged

    def unsettled(self) -> Sequence[Message]:
        """Everything that is here, in flight too, in the order in which it came."""
        return [message for message in self._arrivals if message.place != GONE]

    def discard(self) -> None:
        """Let go of everything, of what is in flight too: the queue is deleted."""
        for message in self._arrivals:
            message.place = GONE

    def withdraw(self, messages: Sequence[Message]) -> None:
        """Let go of `messages`, all of which are ready or delayed here: they go on elsewhere."""
        for message in messages:
            if message.place == READY:
                self._ready_count -= 1
            else:
                self._delayed_count -= 1
        self._remove(messages)

    # How

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
        """When the next batch goes out: minus infinity for at once, infinity for not until something else happens."""
        consumer = self.consumer
        if (
            not self._ready_count
            or consumer is None
            or consumer.type != "worker"
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
        # The oldest outlived the retention period in flight. The first one that can be deleted is behind it.
        waiting = (message for message in self._arrivals if message.place in (READY, DELAYED))
        first = next(waiting, None)
        return _NEVER if first is None else first.enqueued_at + retention

    def _sweep(self, now: float) -> None:
        """Move due messages from DELAYED to READY, and expired ones out."""
        delayed = self._delayed
        while delayed and (delayed[0][0] <= now or delayed[0][2].place != DELAYED):
            message = heappop(delayed)[2]
            if message.place == DELAYED:
                message.place = READY
                self._ready.append(message)
                self._delayed_count -= 1
                self._ready_count += 1
        self._swept_at = now
        oldest = self._oldest()
        if oldest is not None and self._is_expired(oldest, now):
            self._expire(now)

    def _is_expired(self, message: Message, now: float) -> bool:
        return message.enqueued_at + self.settings.message_retention_period <= now

    def _expire(self, now: float) -> None:
        expired = []
        for message in self._arrivals:
            if not self._is_expired(message, now):
                break
            if message.place == READY:
                self._ready_count -= 1
                expired.append(message)
            elif message.place == DELAYED:
                self._delayed_count -= 1
                expired.append(message)
        self._remove(expired)
        self._expired += expired

    def _oldest(self) -> Message | None:
        arrivals = self._arrivals
        while arrivals and arrivals[0].place == GONE:
            arrivals.popleft()
        return arrivals[0] if arrivals else None

    def _delay(self, message: Message) -> None:
        message.place = DELAYED
        self._serial += 1
        heappush(self._delayed, (message.ready_at, self._serial, message))
        self._delayed_count += 1

    def _end(self, lease: Lease) -> None:
        if self._leases.pop(lease.id, None) is not lease:
            raise ValueError(f"lease {lease.id} of queue {self.name} has ended already")
        self._leased_count -= len(lease.messages)

    def _end_pulled(self, each: PulledMessage) -> None:
        """Take a message that a client answers for out of its place; an expired one waits again."""
        message = each.message
        del self._pulled[each.lease_id]
        message.lease_id = ""
        if each.is_leased:
            each.is_leased = False
            self._leased_count -= 1
            self._pulled_count -= 1
        elif message.place == READY:
            self._ready_count -= 1
        else:
            self._delayed_count -= 1

    def _settle_pulled(self, ended: Sequence[PulledMessage], result: Verdict, now: float) -> Settlement:
        if len(self._pull_expiries) > 2 * self._pulled_count + 1024:
            self._pull_expiries = [entry for entry in self._pull_expiries if entry[2].is_leased]
            heapify(self._pull_expiries)
        if result.outcome == "ok" and not result.retry_messages:
            acked = [each.message for each in ended]
            self._remove(acked)
            return Settlement(acked)
        # There was a consumer when these were pulled, and its settings count where there is none any more.
        consumer = self.consumer or self._puller
        assert consumer is not None
        return self._settle_each([(each.message, each.taken_at) for each in ended], result, consumer, now)

    def _forget_leases(self, messages: Iterable[Message]) -> None:
        """Forget the expired leases of messages that are leased anew, or gone."""
        if self._pulled:
            for message in messages:
                if message.lease_id:
                    self._pulled.pop(message.lease_id, None)
                    message.lease_id = ""

    def _purge_some(self, ids: Collection[str]) -> Sequence[Message]:
        purged = [message for message in self._arrivals if message.place in (READY, DELAYED) and message.id in ids]
        self.withdraw(purged)
        return purged

    def _remove(self, messages: Sequence[Message]) -> None:
        self._forget_leases(messages)
        size = 0
        for message in messages:
            message.place = GONE
            size += len(message.body)
        self._bytes -= size
        # A message that lingers at the head must not keep everything that left behind it.
        if len(self._arrivals) > 2 * len(self) + 1024:
            self._arrivals = deque(message for message in self._arrivals if message.place != GONE)
        if len(self._ready) > 2 * self._ready_count + 1024:
            self._ready = deque(message for message in self._ready if message.place == READY)
        if len(self._delayed) > 2 * self._delayed_count + 1024:
            self._delayed = [entry for entry in self._delayed if entry[2].place == DELAYED]
            heapify(self._delayed)

    def _settle_each(
        self,
        leased: Iterable[tuple[Message, float]],
        result: Verdict,
        consumer: ConsumerSettings,
        now: float,
    ) -> Settlement:
        """What becomes of messages, each with the time at which it was leased."""
        acked_rest = result.ack_all or (result.outcome == "ok" and not result.retry_all)
        # A message's own retry without a delay takes the batch's; without one of those, the consumer's.
        default_delay = consumer.retry_delay
        if result.retry_all and result.retry_all_delay is not None:
            default_delay = result.retry_all_delay
        acked: list[Message] = []
        retried: list[tuple[Message, int]] = []
        dead: list[Message] = []
        dropped: list[Message] = []
        expired: list[Message] = []
        for message, taken_at in leased:
            own_retry = message.id in result.retry_messages
            if message.id in result.explicit_acks or (acked_rest and not own_retry):
                acked.append(message)
                continue
            delay = result.retry_messages.get(message.id)
            asked_for = own_retry or result.retry_all
            message.failures += (_attempt(message, taken_at, result, asked_for=asked_for),)
            if message.attempts > consumer.max_retries:
                (dead if consumer.dead_letter_queue else dropped).append(message)
            elif self._is_expired(message, now):
                expired.append(message)
            else:
                retried.append((message, default_delay if delay is None else delay))
        for message, delay_seconds in retried:
            message.ready_at = now + delay_seconds
            if delay_seconds:
                self._delay(message)
            else:
                message.place = READY
                self._ready.append(message)
                self._ready_count += 1
        for gone in (acked, dead, dropped, expired):
            self._remove(gone)
        return Settlement(acked, retried, dead, dropped, expired, consumer.dead_letter_queue or "")


def _enqueued_at(message: Message) -> float:
    return message.enqueued_at


def _ready_at(message: Message) -> float:
    return message.ready_at


def _attempt(message: Message, taken_at: float, result: Verdict, *, asked_for: bool) -> Attempt:
    outcome = "retry" if asked_for else result.outcome
    return Attempt(message.attempts, taken_at, outcome, result.error, result.traceback)
