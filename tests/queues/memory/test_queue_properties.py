"""The state machine of a queue against a plain model, with everything that can happen to it at random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from emulator.queues.memory.entry import DELAYED, GONE, LEASED, READY, Entry
from emulator.queues.memory.queue import Lease, Pulled
from emulator.queues.message import Counts as StateCounts
from emulator.queues.message import DeadLetter, QueueMessage, Settlement, Verdict
from emulator.queues.settings import ConsumerSettings, QueueSettings
from tests.queues.memory.conversation import Ended, Identified, PullQueue, T, ids, message, settle

WAITS = st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 5.0, 5.0, 29.5, 61.0, 901.0])
DELAYS = st.sampled_from([0, 0, 0, 1, 3, 30, 120, 2_000])
SELDOM = st.sampled_from([False, False, False, False, True])
CALLS = st.sampled_from(["none", "none", "ack", "retry", "retry later"])
BATCH_CALLS = st.sampled_from(["none", "none", "ack all", "retry all", "retry all later"])
CONSUMERS = st.builds(
    ConsumerSettings,
    type=st.sampled_from(["worker", "worker", "worker", "http_pull", "http_pull"]),
    max_batch_size=st.sampled_from([1, 2, 3, 7]),
    max_batch_timeout=st.sampled_from([0, 0, 1, 5]),
    max_retries=st.integers(0, 3),
    dead_letter_queue=st.sampled_from([None, "dead"]),
    max_concurrency=st.sampled_from([None, None, 1, 2, 3]),
    retry_delay=st.sampled_from([0, 0, 2, 50]),
)
VISIBILITIES = st.sampled_from([0, 500, 5_000, 30_000, 30_000, 600_000])
ANSWERS = st.sampled_from(["none", "ack", "ack", "retry", "retry later"])
RETENTIONS = st.sampled_from([60, 100, 1_000, 345_600, 345_600, 345_600])

LETTER = DeadLetter("mails", T, ())

Place = Literal["ready", "delayed", "leased", "acked", "dead", "dropped", "expired", "purged"]
WAITING: tuple[Place, ...] = ("ready", "delayed")
HELD: tuple[Place, ...] = ("ready", "delayed", "leased")
PLACES: dict[Place, int] = {"ready": READY, "delayed": DELAYED, "leased": LEASED}


@dataclass
class Known:
    """What the model knows of one message."""

    entry: Entry
    size: int
    timestamp: float
    enqueued_at: float
    ready_at: float
    place: Place
    attempts: int = 0
    failures: int = 0
    lease_id: str = ""
    """The last lease that a client pulled it with, if it still means something."""


class QueueMachine(RuleBasedStateMachine):
    """Every rule lets some time pass without telling the queue, does one thing, and compares. Then, as a driver would,
    the invariants do all that is due and look at everything. `consumer` is what the queue is configured with: a worker,
    which batches are delivered to, or clients that pull."""

    def __init__(self) -> None:
        super().__init__()
        self.now = T
        self.queue = PullQueue("orders")
        self.configure(ConsumerSettings(max_batch_size=3, max_batch_timeout=1))
        self.known: dict[str, Known] = {}
        self.leases: list[Lease] = []
        self.pulled: dict[str, Pulled] = {}

    def configure(self, consumer: ConsumerSettings | None) -> None:
        self.consumer = consumer
        self.queue.consumer = consumer if consumer is not None and consumer.type == "worker" else None
        if consumer is not None:
            self.queue.puller = consumer

    def held(self, *places: Place) -> list[Known]:
        """The messages in these places, in the order in which they entered the queue."""
        return [each for each in self.known.values() if each.place in places]

    def end(self, some: Iterable[Identified], place: Place) -> None:
        for each in some:
            assert self.known[each.id].place in HELD, f"{each.id} ended twice"
            self.known[each.id].place = place
            self.known[each.id].lease_id = ""

    def by_lease(self, lease_id: str) -> Known | None:
        """The message that a lease id stands for; None when it means nothing, or nothing any more."""
        return next((each for each in self.known.values() if each.lease_id == lease_id), None)

    def in_clients_hands(self) -> list[Pulled]:
        """What was pulled and is still leased, oldest pull first."""
        return [
            pulled
            for pulled in self.pulled.values()
            if (known := self.by_lease(pulled.lease_id)) is not None and known.place == "leased"
        ]

    def is_too_old(self, each: Known) -> bool:
        return each.enqueued_at + self.queue.settings.message_retention_period <= self.now

    def sweep(self) -> None:
        """Apply what the passing of time does. The queue tells about it when it is next asked to `advance`."""
        for each in self.held("delayed"):
            if each.ready_at <= self.now:
                each.place = "ready"
        self.end([each.entry for each in self.held(*WAITING) if self.is_too_old(each)], "expired")

    def batch_due(self) -> float | None:
        """When the next batch goes out if nothing else happens; None for never."""
        consumer = self.queue.consumer
        ready = self.held("ready")
        if consumer is None or not ready:
            return None
        if self.queue.held or self.queue.settings.delivery_paused:
            return None
        if len(self.leases) >= min(self.queue.concurrency, consumer.max_concurrency or 250):
            return None
        if len(ready) >= consumer.max_batch_size:
            return self.now
        return min(each.ready_at for each in ready) + consumer.max_batch_timeout

    def next_event(self) -> float | None:
        """When something next happens by itself; None for never."""
        times = [each.ready_at for each in self.held("delayed")]
        times += [each.enqueued_at + self.queue.settings.message_retention_period for each in self.held(*WAITING)]
        times += [lease.batch.expires_at for lease in self.leases]
        times += [each.expires_at for each in self.in_clients_hands()]
        due = self.batch_due()
        return min(times if due is None else [*times, due], default=None)

    @rule(
        wait=WAITS,
        delays=st.lists(DELAYS, min_size=1, max_size=8),
        size=st.integers(0, 9),
        age=st.sampled_from([0, 50]),
    )
    def enqueue(self, wait: float, delays: list[int], size: int, age: int) -> None:
        self.now += wait
        self.send(delays, size, age)

    def send(self, delays: list[int], size: int, age: int) -> None:
        sent = [message(b"x" * size, at=self.now, delay=delay, sent=self.now - age) for delay in delays]
        self.sweep()
        for each, delay in zip(sent, delays, strict=True):
            each.dead_letter = LETTER if age else None
            place: Place = "delayed" if delay else "ready"
            self.known[each.id] = Known(each, size, self.now - age, self.now, self.now + delay, place)
        self.queue.enqueue(sent, self.now)

    @rule(number=st.integers(10, 25))
    def enqueue_a_backlog(self, number: int) -> None:
        self.send([0] * number, 3, 0)

    @rule(wait=WAITS)
    def take(self, wait: float) -> None:
        self.now += wait
        self.take_batch()

    def take_batch(self) -> bool:
        self.sweep()
        due = self.batch_due()
        ready = self.held("ready")
        concurrency = self.queue.concurrency
        lease = self.queue.take_batch(self.now)
        assert (lease is not None) == (due is not None and due <= self.now)
        if lease is None:
            return False
        assert self.queue.consumer is not None
        assert len(lease.batch.messages) == min(len(ready), self.queue.consumer.max_batch_size)
        for each in lease.batch.messages:
            known = self.known[each.id]
            assert known.place == "ready", f"a message was delivered that is {known.place}"
            known.place = "leased"
            known.attempts += 1
            known.lease_id = ""
        last = max(self.known[each.id].ready_at for each in lease.batch.messages)
        assert all(last <= each.ready_at for each in self.held("ready"))
        self.leases.append(lease)
        assert len(self.leases) <= concurrency
        return True

    @precondition(lambda self: self.leases)
    @rule(wait=WAITS, data=st.data(), batch_call=BATCH_CALLS, throws=st.booleans())
    def settle(self, wait: float, data: st.DataObject, batch_call: str, throws: bool) -> None:
        self.now += wait
        lease = data.draw(st.sampled_from(self.leases))
        acks: set[str] = set()
        retries: dict[str, int | None] = {}
        retry_all_delay = data.draw(DELAYS) if batch_call.endswith("later") else None
        for each in lease.batch.messages:
            call = data.draw(CALLS)
            if call == "ack":
                acks.add(each.id)
            elif call != "none":
                retries[each.id] = data.draw(DELAYS) if call.endswith("later") else None
        result = Verdict(
            "exception" if throws else "ok",
            batch_call == "ack all",
            batch_call.startswith("retry"),
            retry_all_delay,
            acks,
            retries,
            "boom" if throws else "",
        )
        self.settle_lease(lease, result)

    def settle_lease(self, lease: Lease, result: Verdict) -> None:
        self.sweep()
        consumer = self.consumer or lease.settings
        delivering = self.queue.consumer or lease.settings
        most = delivering.max_concurrency or 250
        before, full = min(self.queue.concurrency, most), len(self.held("ready")) >= delivering.max_batch_size
        settlement = settle(self.queue, lease, result, self.now, consumer)
        self.leases.remove(lease)
        self.check_settlement(lease.batch.messages, result, settlement, consumer)
        self.check_that_it_ended(lease)
        if result.outcome == "ok":
            grown = min(before + 1, most) if full else before
            assert min(self.queue.concurrency, most) in (grown, 1)
        else:
            assert self.queue.concurrency == max(1, before - 1)

    def check_settlement(
        self,
        messages: Iterable[Identified],
        result: Verdict,
        settlement: Settlement,
        consumer: ConsumerSettings,
    ) -> None:
        """Compare what became of every message with what must become of it, and note it."""
        expected: dict[str, str] = {}
        for each in messages:
            verdict = self.verdict(each, result, consumer)
            expected[each.id] = verdict
            known = self.known[each.id]
            if verdict != "acked":
                known.failures += 1
            if verdict.startswith("retried"):
                known.ready_at = self.now + int(verdict.split()[1])
                known.place = "ready" if known.ready_at == self.now else "delayed"
        found = {each.id: f"retried {delay}" for each, delay in settlement.retried}
        places: list[tuple[Place, Iterable[QueueMessage]]] = [
            ("acked", settlement.acked),
            ("dead", settlement.dead),
            ("dropped", settlement.dropped),
            ("expired", settlement.expired),
        ]
        for place, some in places:
            assert not found.keys() & ids(some)
            found.update((each.id, place) for each in some)
            self.end(some, place)
        for each in (*settlement.dead, *settlement.dropped, *settlement.expired):
            known = self.known[each.id]
            assert (each.attempts, len(each.failures)) == (known.attempts, known.failures)
        assert found == expected
        assert len(found) == sum(map(len, (settlement.retried, *(some for _, some in places))))  # type: ignore[arg-type]

    def check_that_it_ended(self, lease: Lease) -> None:
        with pytest.raises(ValueError, match="ended already"):
            self.queue.settle(lease, Settlement(lease.batch.messages), self.now)
        with pytest.raises(ValueError, match="ended already"):
            self.queue.release(lease)

    def verdict(self, each: Identified, result: Verdict, consumer: ConsumerSettings) -> str:
        """What must become of one message of a batch, by the book."""
        delay: int | None = consumer.retry_delay
        if each.id in result.explicit_acks:
            return "acked"
        if each.id in result.retry_messages:
            own = result.retry_messages[each.id]
            shared = result.retry_all_delay if result.retry_all else None
            delay = next((value for value in (own, shared) if value is not None), delay)
        elif result.ack_all:
            return "acked"
        elif result.retry_all:
            delay = delay if result.retry_all_delay is None else result.retry_all_delay
        elif result.outcome == "ok":
            return "acked"
        known = self.known[each.id]
        if known.attempts >= 1 + consumer.max_retries:
            return "dead" if consumer.dead_letter_queue else "dropped"
        return "expired" if self.is_too_old(known) else f"retried {delay}"

    @precondition(lambda self: self.leases)
    @rule(wait=WAITS, data=st.data())
    def release(self, wait: float, data: st.DataObject) -> None:
        self.now += wait
        lease = data.draw(st.sampled_from(self.leases))
        self.queue.release(lease)
        self.check_that_it_ended(lease)
        self.leases.remove(lease)
        for each in lease.batch.messages:
            self.known[each.id].place = "ready"
            self.known[each.id].attempts -= 1

    @precondition(lambda self: self.leases)
    @rule()
    def finish_all(self) -> None:
        """Every handler returns, and the next batches go out at once."""
        for lease in list(self.leases):
            self.settle_lease(lease, Verdict())
        while self.take_batch():
            pass

    @rule(wait=WAITS, number=st.integers(1, 9), visibility_ms=VISIBILITIES)
    def pull(self, wait: float, number: int, visibility_ms: int) -> None:
        self.now += wait
        self.pull_messages(number, visibility_ms)

    def pull_messages(self, number: int, visibility_ms: int) -> None:
        self.sweep()
        ready = self.held("ready")
        pulled = self.queue.pull(self.now, number, visibility_ms / 1000)
        assert len(pulled) == min(len(ready), number)
        for each in pulled:
            known = self.known[each.entry.id]
            assert known.place == "ready", f"a message was pulled that is {known.place}"
            assert each.lease_id not in self.pulled
            assert (each.taken_at, each.expires_at) == (self.now, self.now + visibility_ms / 1000)
            known.place = "leased"
            known.attempts += 1
            known.lease_id = each.lease_id
            self.pulled[each.lease_id] = each
        if pulled:
            last = max(self.known[each.entry.id].ready_at for each in pulled)
            assert all(last <= each.ready_at for each in self.held("ready"))

    @precondition(lambda self: self.pulled)
    @rule(wait=WAITS, data=st.data())
    def acknowledge(self, wait: float, data: st.DataObject) -> None:
        """A client answers for some leases: for those that hold, that have expired, or that mean nothing any more."""
        self.now += wait
        acks: list[str] = []
        retries: list[tuple[str, int | None]] = []
        for lease_id in data.draw(st.lists(st.sampled_from([*self.pulled, "nonsense"]), max_size=6)):
            answer = data.draw(ANSWERS)
            if answer == "ack":
                acks.append(lease_id)
            elif answer != "none":
                retries.append((lease_id, data.draw(DELAYS) if answer.endswith("later") else None))
        self.answer(acks, retries)

    def answer(self, acks: list[str], retries: list[tuple[str, int | None]]) -> None:
        self.sweep()
        # What each answer must do, one after the other; the first one for a lease ends it.
        ended: list[Entry] = []
        again: dict[str, int | None] = {}
        unknown, expired = [], []
        for lease_id, is_ack, delay in [(each, True, None) for each in acks] + [
            (each, False, d) for each, d in retries
        ]:
            known = self.by_lease(lease_id)
            if known is None:
                unknown.append(lease_id)
            elif not is_ack and known.place != "leased":
                expired.append(lease_id)
            else:
                known.lease_id = ""
                ended.append(known.entry)
                if not is_ack:
                    again[known.entry.id] = delay
        done = self.queue.acknowledge(acks, retries, self.now)
        assert (list(done.unknown), list(done.expired)) == (unknown, expired)
        self.check_pulled(done, ended, Verdict(retry_messages=again))

    def check_pulled(self, done: Ended, ended: list[Entry], result: Verdict) -> None:
        assert [each.entry for each in done.leases] == ended
        assert not any(each.is_leased for each in done.leases)
        if ended:
            self.check_settlement(ended, result, done.settlement, self.queue.puller)

    @precondition(lambda self: self.in_clients_hands())
    @rule(wait=WAITS)
    def ack_all_pulled(self, wait: float) -> None:
        self.now += wait
        self.answer([each.lease_id for each in self.in_clients_hands()], [])

    @rule(wait=WAITS)
    def expire_leases(self, wait: float) -> None:
        self.now += wait
        self.expire_due_leases()
        self.expire_pulled()

    def expire_pulled(self) -> None:
        over = [each for each in self.in_clients_hands() if each.expires_at <= self.now]
        done = self.queue.expire(self.now)
        assert (done is not None) == bool(over)
        if done is not None:
            self.sweep()
            assert {each.lease_id for each in done.leases} == {each.lease_id for each in over}
            self.check_pulled(done, [each.entry for each in done.leases], Verdict("lease_expired"))

    def expire_due_leases(self) -> None:
        over = [lease for lease in self.leases if lease.batch.expires_at <= self.now]
        if over:
            self.sweep()
        assert list(self.queue.expired_leases(self.now)) == over
        for lease in over:
            self.settle_lease(lease, Verdict("exceeded_wall_time"))

    @rule(wait=WAITS, indeed=SELDOM)
    def purge(self, wait: float, indeed: bool) -> None:
        self.now += wait
        if indeed:
            purged = self.queue.purge()
            assert Counter(ids(purged)) == Counter(each.entry.id for each in self.held(*WAITING))
            self.end(purged, "purged")

    @precondition(lambda self: self.held(*WAITING))
    @rule(data=st.data())
    def purge_some(self, data: st.DataObject) -> None:
        chosen = set(data.draw(st.lists(st.sampled_from(list(self.known)), max_size=3)))
        purged = self.queue.purge(chosen)
        assert set(ids(purged)) == {each.entry.id for each in self.held(*WAITING) if each.entry.id in chosen}
        self.end(purged, "purged")

    @precondition(lambda self: self.held("delayed"))
    @rule(wait=WAITS, data=st.data())
    def promote(self, wait: float, data: st.DataObject) -> None:
        self.now += wait
        self.advance()
        chosen = data.draw(st.one_of(st.none(), st.lists(st.sampled_from(list(self.known)), max_size=3)))
        delayed = [each for each in self.held("delayed") if chosen is None or each.entry.id in chosen]
        promoted = self.queue.delayed(chosen)
        assert {each.id for each in promoted} == {each.entry.id for each in delayed}
        assert [each.ready_at for each in promoted] == sorted(each.ready_at for each in delayed)
        self.queue.promote(promoted, self.now)
        for each in delayed:
            each.place, each.ready_at = "ready", self.now

    @rule(wait=WAITS, paused=SELDOM, is_held=SELDOM)
    def stop_or_go(self, wait: float, paused: bool, is_held: bool) -> None:
        self.now += wait
        self.queue.settings = replace(self.queue.settings, delivery_paused=paused)
        self.queue.held = is_held

    @rule(wait=WAITS, retention=RETENTIONS)
    def change_settings(self, wait: float, retention: int) -> None:
        self.now += wait
        self.queue.settings = QueueSettings(message_retention_period=retention)

    @rule(wait=WAITS, consumer=st.one_of(*[CONSUMERS] * 7, st.none()))
    def change_consumer(self, wait: float, consumer: ConsumerSettings | None) -> None:
        self.now += wait
        self.configure(consumer)

    @rule(steps=st.integers(1, 6), answers=st.sampled_from(["ok", "exception"]))
    def live(self, steps: int, answers: Literal["ok", "exception"]) -> None:
        """Go from due time to due time, as a driver does, with a consumer that answers at once."""
        for _ in range(steps):
            due = self.queue.next_due()
            if due is None:
                return
            self.now = max(self.now, due)
            self.do_what_is_due()
            for lease in list(self.leases):
                self.settle_lease(lease, Verdict(answers))

    def do_what_is_due(self) -> None:
        self.advance()
        self.expire_due_leases()
        self.expire_pulled()
        while self.take_batch():
            pass
        self.advance()
        due = self.queue.next_due()
        assert due is None or due > self.now, "the queue is not done: a driver would spin"

    def advance(self) -> None:
        before = {each.entry.id for each in self.known.values() if each.place == "expired"}
        self.sweep()
        told = Counter(ids(self.queue.advance(self.now)))
        assert all(number == 1 for number in told.values())
        # Some may have expired in an earlier transition, which is told here too; nothing is told that did not expire.
        assert {each for each in told if self.known[each].place != "expired"} == set()
        now_expired = {each.entry.id for each in self.known.values() if each.place == "expired"} - before
        assert now_expired <= told.keys()

    @invariant()
    def everything_adds_up(self) -> None:
        self.advance()
        queue = self.queue
        ready, delayed, leased = self.held("ready"), self.held("delayed"), self.held("leased")
        waiting = ids(queue.waiting())
        assert len(waiting) == len(set(waiting))
        assert set(waiting[: len(ready)]) == {each.entry.id for each in ready}
        assert set(waiting[len(ready) :]) == {each.entry.id for each in delayed}
        in_flight = [each.id for lease in queue.leases for each in lease.batch.messages]
        in_flight += [each.entry.id for each in queue.pulled]
        assert Counter(in_flight) == Counter(each.entry.id for each in leased)
        assert list(queue.leases) == self.leases
        assert list(queue.pulled) == self.in_clients_hands()
        assert set(queue._pulled) == {each.lease_id for each in self.known.values() if each.lease_id}
        assert (queue.ready_count, queue.delayed_count, queue.in_flight_count) == (
            len(ready),
            len(delayed),
            len(leased),
        )
        assert len(queue) == len(ready) + len(delayed) + len(leased)
        retrying = sum(each.attempts > 0 for each in (*ready, *delayed))
        dead = sum(each.entry.dead_letter is not None for each in ready)
        assert queue.counts() == StateCounts(len(ready), len(delayed), len(leased), retrying, dead)
        for skip, most in ((0, 2), (1, 3), (len(ready), 1), (len(waiting) - 1, 2)):
            assert ids(queue.waiting(most, max(skip, 0))) == waiting[max(skip, 0) :][:most]

    @invariant()
    def messages_are_what_the_model_says(self) -> None:
        for each in self.known.values():
            assert each.entry.place == PLACES.get(each.place, GONE)
            assert each.entry.attempts == each.attempts
            if each.place in HELD:
                assert len(each.entry.failures) == each.failures
            if each.place in WAITING:
                assert each.entry.ready_at == each.ready_at

    @invariant()
    def ready_messages_are_in_the_order_in_which_they_became_ready(self) -> None:
        times = [each.ready_at for each in self.queue.waiting() if each.place == READY]
        assert times == sorted(times)

    @invariant()
    def metrics_are_those_of_the_model(self) -> None:
        metrics = self.queue.backlog()
        there = self.held(*HELD)
        assert metrics.backlog_count == len(there)
        assert metrics.backlog_bytes == sum(each.size for each in there)
        assert metrics.oldest_message_timestamp == (there[0].timestamp if there else None)

    @invariant()
    def the_next_due_time_is_no_lie(self) -> None:
        due, event = self.queue.next_due(), self.next_event()
        if event is not None:
            assert due is not None
            assert due <= event, "something happens before the queue says that it is due"
        if due is not None and due <= self.now:
            assert event is not None
            assert event <= self.now, "the queue says that something is due, and nothing is"


class PulledQueueMachine(QueueMachine):
    """As above, but most of the time the consumers are clients that pull."""

    def __init__(self) -> None:
        super().__init__()
        self.configure(ConsumerSettings("http_pull", max_retries=2, dead_letter_queue="dead"))

    @rule(wait=WAITS, consumer=CONSUMERS, to_worker=SELDOM)
    def change_consumer(self, wait: float, consumer: ConsumerSettings, to_worker: bool) -> None:
        self.now += wait
        self.configure(replace(consumer, type="worker" if to_worker else "http_pull"))

    @rule(number=st.integers(1, 5), visibility_ms=VISIBILITIES, slow=st.sampled_from([0.0, 0.0, 1.0, 60.0]))
    def be_too_slow(self, number: int, visibility_ms: int, slow: float) -> None:
        """A client pulls, and works for longer than its leases hold."""
        self.pull_messages(number, visibility_ms)
        self.now += visibility_ms / 1000 + slow
        self.do_what_is_due()

    @precondition(lambda self: self.latecomers())
    @rule(data=st.data(), acks=st.booleans())
    def come_too_late(self, data: st.DataObject, acks: bool) -> None:
        lease_ids = data.draw(st.lists(st.sampled_from(self.latecomers()), min_size=1, max_size=3))
        self.answer(lease_ids if acks else [], [] if acks else [(each, None) for each in lease_ids])

    def latecomers(self) -> list[str]:
        """The lease ids of clients that still believe in theirs: expired ones, and some that others have now."""
        held = {each.lease_id for each in self.in_clients_hands()}
        return [each for each in self.pulled if each not in held][-5:]


@pytest.mark.parametrize("machine", [QueueMachine, PulledQueueMachine])
def test_the_state_machine_of_a_queue_agrees_with_its_model(machine: type[QueueMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=150,
            stateful_step_count=50,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # to shrink a failure to its shortest form takes minutes: add Phase.shrink then
            suppress_health_check=list(HealthCheck),
        ),
    )
