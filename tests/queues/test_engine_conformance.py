"""What every queue engine does, through the contract alone. Whoever writes one adds it to ENGINES."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from emulator.base.bus import Level
from emulator.base.clock import Clock, VirtualClock
from emulator.queues.contract import QueueEngine, Subscription
from emulator.queues.declarations import QueueState
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.jetstream.engine import JetStreamEngine
from emulator.queues.jetstream.streams import ACK_WAIT_SECONDS
from emulator.queues.memory.engine import MemoryEngine
from emulator.queues.memory.journal import Journal
from emulator.queues.message import (
    Backlog,
    Batch,
    Counts,
    LeasedMessage,
    NewMessage,
    QueueMessage,
    Settlement,
    Verdict,
)
from emulator.queues.settings import ConsumerSettings, QueueSettings
from emulator.queues.settlement import Terms, interrupted, moved, settle, settle_leases
from tests.queues.simple_engine import POLL_SECONDS, SimpleEngine
from tests.support.nats_server import NatsServer, nats_server

T = 1_800_000_000.0
QUIET_ROUNDS = 8
PACE = 0.05
"""How many seconds of a server a second of the tests takes."""

LONGEST = 90.0
"""How many seconds of a test are waited for in a server: more than the longest delay that is left to it."""

AT_ONCE = ConsumerSettings(max_batch_timeout=0)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@contextmanager
def _memory(_directory: Path) -> Iterator[Bench]:
    yield Bench(MemoryEngine)


@contextmanager
def _memory_with_a_journal(directory: Path) -> Iterator[Bench]:
    journals: list[Journal] = []

    def make(clock: Clock) -> MemoryEngine:
        for journal in journals:
            journal.close()
        journals.append(Journal(directory / "state"))
        return MemoryEngine(clock, journal=journals[-1])

    yield Bench(make)
    journals[-1].close()


@contextmanager
def _simple(_directory: Path) -> Iterator[Bench]:
    yield Bench(SimpleEngine, slack=POLL_SECONDS)


@contextmanager
def _jetstream(_directory: Path) -> Iterator[Bench]:
    server = _nats()
    address = server.address()
    yield JetStreamBench(lambda clock: JetStreamEngine(address, _tell, clock, pace=PACE), slack=25)


def _tell(level: Level, text: str) -> None:
    assert level == "info", text


@cache
def _nats() -> NatsServer:
    """The server of all tests of this process."""
    running = nats_server()
    atexit.register(running.__exit__, None, None, None)
    return running.__enter__()


ENGINES = [_memory, _memory_with_a_journal, _simple, _jetstream]


PERSISTENT = [_memory_with_a_journal, _jetstream]
"""Those of them whose messages survive the process."""


@pytest.fixture(params=ENGINES, ids=lambda make: make.__name__.strip("_"))
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """An engine that has not begun. It may be late by the `slack` of its bench, in seconds."""
    with request.param(tmp_path) as made:
        yield made
        await made.engine.end()


@pytest.fixture(params=PERSISTENT, ids=lambda make: make.__name__.strip("_"))
async def surviving(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """An engine with the queue `orders`, whose messages survive the process."""
    with request.param(tmp_path) as made:
        await made.begin()
        yield made
        await made.engine.end()


class Worker:
    """A consumer that notes what it gets and answers as `answer` says; with `gate`, only when that is set."""

    def __init__(
        self,
        bench: Bench,
        settings: ConsumerSettings = AT_ONCE,
        answer: Callable[[Batch], Verdict | None] = lambda _batch: Verdict(),
        gate: asyncio.Event | None = None,
    ) -> None:
        self.settings = settings
        self.answer = answer
        self.gate = gate
        self.batches: list[Batch] = []
        self.settlements: list[Settlement] = []
        self.running = self.most_running = self.cancelled = 0
        self.extended_to = 0.0
        self._bench = bench

    @property
    def bodies(self) -> list[list[bytes]]:
        return [[message.body for message in batch.messages] for batch in self.batches]

    async def deliver(self, batch: Batch) -> Settlement | None:
        self.batches.append(batch)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        verdict = self.answer(batch)
        return None if verdict is None else self._settle(batch, verdict)

    def time_out(self, batch: Batch) -> Settlement | float:
        if self.extended_to > self._bench.clock.now():
            return self.extended_to
        return self._settle(batch, Verdict("exceeded_wall_time", error="too long"))

    def settled(self, batch: Batch, settlement: Settlement) -> None:
        assert batch in self.batches
        self.settlements.append(settlement)

    def _settle(self, batch: Batch, verdict: Verdict) -> Settlement:
        return settle(batch.messages, batch.taken_at, verdict, self._bench.terms(batch.queue, self.settings))


class Bench:
    """An engine on a clock that a test moves, and the arbiter that it asks."""

    def __init__(self, make: Callable[[Clock], QueueEngine], slack: float = 0) -> None:
        self._make = make
        self.clock = VirtualClock(T)
        self.engine = make(self.clock)
        self.slack = slack
        self.recovery = 0.0
        """How long what another process had in flight may stay so after its end."""
        self.keeps_leases = False
        """Whether the leases of clients survive, too."""
        self.puller = ConsumerSettings("http_pull")
        self.expired_leases: list[LeasedMessage] = []
        self.settled_leases: list[LeasedMessage] = []
        self.expired: list[QueueMessage] = []
        self._numbers = count(1)

    def terms(self, queue: str, consumer: ConsumerSettings) -> Terms:
        retention = self.engine.states[queue].settings.message_retention_period
        return Terms(queue, consumer, self.clock.now(), retention)

    def lease_expired(self, queue: str, leases: Sequence[LeasedMessage]) -> Settlement:
        self.expired_leases.extend(leases)
        return settle_leases(leases, Verdict("lease_expired"), self.terms(queue, self.puller))

    def leases_settled(self, _queue: str, leases: Sequence[LeasedMessage], _settlement: Settlement) -> None:
        self.settled_leases.extend(leases)

    def messages_expired(self, _queue: str, messages: Sequence[QueueMessage]) -> None:
        self.expired.extend(messages)

    def states_changed(self, queue: str) -> None:
        raise AssertionError(f"nobody else has changed {queue}")

    async def begin(self) -> None:
        await self.engine.start(self)
        await self.make("orders")

    async def restart(self) -> None:
        """Go on with another engine on what this one has left, as after the end of the process."""
        await self.engine.end()
        self.clock = VirtualClock(self.clock.now() + 1)
        self.engine = self._make(self.clock)
        await self.engine.start(self)
        await self.advance(self.recovery)

    async def make(self, name: str, settings: QueueSettings | None = None) -> None:
        await self.engine.put([QueueState(name, T, T, settings or QueueSettings())])

    async def send(self, *bodies: bytes, queue: str = "orders", delay: int | None = None) -> list[str]:
        """Send messages, and return their ids."""
        ids = [f"{next(self._numbers):032x}" for _ in bodies]
        messages = [NewMessage(body, "text", delay) for body in bodies]
        await self.engine.send(queue, messages, ids, at=self.clock.now(), delay_seconds=0, source="shop")
        return ids

    async def waiting(self, queue: str = "orders") -> list[bytes]:
        return [message.body for message in await self.engine.peek(queue)]

    async def count(self, queue: str = "orders") -> int:
        return (await self.engine.backlog(queue)).backlog_count

    async def consume(self, worker: Worker, queue: str = "orders") -> Subscription:
        return await self.engine.consume(queue, worker.settings, worker)

    async def rest(self) -> None:
        """Let what is due now happen, as late as the engine may be."""
        await self.advance(self.slack)

    async def advance(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        while True:
            await self._run_due()
            due = self.clock.next_timer()
            if due is None or due > end:
                self.clock.move_to(end)
                return
            self.clock.move_to(due)

    async def _run_due(self) -> None:
        quiet = 0
        while quiet < QUIET_ROUNDS:
            quiet = 0 if self.clock.run_due() else quiet + 1
            await asyncio.sleep(0)


class JetStreamBench(Bench):
    """An engine in a server, whose time nobody moves: its seconds are shorter, and it is waited for."""

    def __init__(self, make: Callable[[Clock], QueueEngine], slack: float) -> None:
        super().__init__(make, slack)
        self.recovery = ACK_WAIT_SECONDS + slack
        self.keeps_leases = True

    async def rest(self) -> None:
        await super().advance(0)
        await asyncio.sleep(2 * PACE)
        await super().advance(0)

    async def advance(self, seconds: float) -> None:
        await super().advance(seconds)
        # A little less than it takes at the server's pace, so that nothing that is due after that comes too early.
        await asyncio.sleep(min(seconds, LONGEST) * PACE * 0.8)
        await super().advance(0)

    async def _run_due(self) -> None:
        engine = self.engine
        assert isinstance(engine, JetStreamEngine)
        quiet, before = 0, -1
        while quiet < QUIET_ROUNDS:
            said = engine.connection._client.stats["in_msgs"] + engine.connection._client.stats["out_msgs"]
            quiet = 0 if self.clock.run_due() or said != before else quiet + 1
            before = said
            await asyncio.sleep(0.003)


@pytest.fixture
async def begun(bench: Bench) -> Bench:
    """An engine with the queue `orders`."""
    await bench.begin()
    return bench


def throw(_batch: Batch) -> Verdict:
    return Verdict("exception", error="ValueError: no", traceback="Traceback ...")


async def test_states_are_those_that_were_put_in_the_order_of_their_making(begun: Bench) -> None:
    engine = begun.engine
    await begun.make("mails")
    changed = replace(engine.states["orders"], modified_at=T + 1, settings=QueueSettings(5))
    await engine.put([changed, QueueState("more", T, T)])
    assert list(engine.states) == ["orders", "mails", "more"]
    assert engine.states["orders"] == changed


async def test_a_queue_that_is_not_there_is_an_error_everywhere(begun: Bench) -> None:
    engine = begun.engine
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: engine.drop("nowhere"),
        lambda: engine.send("nowhere", [], [], at=T, delay_seconds=0, source=""),
        lambda: engine.insert("nowhere", []),
        lambda: engine.consume("nowhere", AT_ONCE, Worker(begun)),
        lambda: engine.pull("nowhere", 1, 1.0),
        lambda: engine.leases("nowhere", ["x"]),
        lambda: engine.peek("nowhere"),
        lambda: engine.backlog("nowhere"),
        lambda: engine.counts("nowhere"),
        lambda: engine.find("nowhere", ["x"]),
        lambda: engine.promote("nowhere"),
        lambda: engine.purge("nowhere"),
        lambda: engine.move("nowhere", lambda _message: None),
    ]
    for call in calls:
        with pytest.raises(QueueError) as caught:
            await call()
        assert caught.value.code is QueueErrorCode.QUEUE_NOT_FOUND


async def test_a_sent_message_waits_as_it_was_sent(begun: Bench) -> None:
    backlog = await begun.engine.send(
        "orders", [NewMessage(b"{}", "json")], ["0" * 32], at=T, delay_seconds=0, source="shop"
    )
    assert backlog == Backlog(1, 2, T)
    assert list(await begun.engine.peek("orders")) == [QueueMessage("0" * 32, b"{}", "json", T, T, T, source="shop")]
    assert await begun.engine.backlog("orders") == backlog


async def test_a_message_keeps_what_caused_it_through_retries_and_moves(begun: Bench) -> None:
    sent = NewMessage(b"one", "text", traceparent=TRACEPARENT)
    await begun.engine.send("orders", [sent], ["a" * 32], at=T, delay_seconds=0, source="shop")
    assert await begun.engine.backlog("orders") == Backlog(1, 3, T)
    worker = Worker(begun, replace(AT_ONCE, max_retries=1, dead_letter_queue="dead"), throw)
    await begun.consume(worker)
    await begun.advance(10)
    assert [batch.messages[0].traceparent for batch in worker.batches] == [TRACEPARENT] * 2
    (letter,) = await begun.engine.peek("dead")
    assert letter.traceparent == TRACEPARENT
    await begun.engine.move("dead", lambda message: ("orders", moved(message, T, 60)))
    (back,) = await begun.engine.peek("orders")
    assert back.traceparent == TRACEPARENT


async def test_a_delay_is_the_messages_own_else_that_of_the_send(begun: Bench) -> None:
    messages = [NewMessage(b"none", "text"), NewMessage(b"own", "text", 10), NewMessage(b"at once", "text", 0)]
    await begun.engine.send("orders", messages, ["a" * 32, "b" * 32, "c" * 32], at=T, delay_seconds=20, source="")
    assert await begun.waiting() == [b"at once", b"own", b"none"]
    assert [each.ready_at for each in await begun.engine.peek("orders")] == [T, T + 10, T + 20]


async def test_a_delayed_message_is_never_early(begun: Bench) -> None:
    worker = Worker(begun)
    await begun.consume(worker)
    await begun.send(b"later", delay=30)
    await begun.advance(29.9)
    assert worker.batches == []
    await begun.advance(0.1 + begun.slack)
    assert worker.bodies == [[b"later"]]


async def test_messages_that_are_ready_go_out_together_and_in_order(begun: Bench) -> None:
    worker = Worker(begun)
    await begun.send(b"one", b"two")
    await begun.send(b"three")
    await begun.consume(worker)
    await begun.rest()
    assert worker.bodies == [[b"one", b"two", b"three"]]
    assert await begun.count() == 0


async def test_a_full_batch_does_not_wait_and_the_rest_does(begun: Bench) -> None:
    worker = Worker(begun, ConsumerSettings(max_batch_size=2, max_batch_timeout=5))
    await begun.consume(worker)
    await begun.send(b"one", b"two", b"three")
    await begun.advance(2)
    assert worker.bodies == [[b"one", b"two"]]
    await begun.advance(3 + begun.slack)
    assert worker.bodies == [[b"one", b"two"], [b"three"]]


async def test_a_batch_tells_its_queue_its_times_and_the_backlog(begun: Bench) -> None:
    worker = Worker(begun, ConsumerSettings(max_batch_size=1, max_batch_timeout=0, max_concurrency=1))
    await begun.consume(worker)
    await begun.send(b"one", b"three")
    await begun.rest()
    await begun.rest()
    first = worker.batches[0]
    assert (first.queue, first.backlog.backlog_count, first.backlog.backlog_bytes) == ("orders", 2, 8)
    assert T <= first.taken_at <= T + begun.slack
    assert first.expires_at == first.taken_at + 900
    assert len({batch.id for batch in worker.batches}) == 2


async def test_a_batch_that_may_run_longer_is_asked_about_again(begun: Bench) -> None:
    worker = Worker(begun, gate=asyncio.Event())
    await begun.consume(worker)
    await begun.send(b"one")
    await begun.rest()
    worker.extended_to = begun.clock.now() + 2000
    await begun.advance(1999 - begun.slack)
    assert (worker.running, worker.cancelled, worker.settlements) == (1, 0, [])
    await begun.advance(1 + 2 * begun.slack)
    assert worker.cancelled == 1
    assert [each.verdict.outcome for each in worker.settlements] == ["exceeded_wall_time"]


async def test_each_message_is_settled_as_it_is_said(begun: Bench) -> None:
    def answer(batch: Batch) -> Verdict:
        if len(worker.batches) > 1:
            return Verdict()
        _, now, later = (message.id for message in batch.messages)
        return Verdict(retry_messages={now: 0, later: 60})

    worker = Worker(begun, answer=answer)
    await begun.consume(worker)
    await begun.send(b"done", b"now", b"later")
    await begun.rest()
    await begun.rest()
    assert worker.bodies == [[b"done", b"now", b"later"], [b"now"]]
    assert await begun.waiting() == [b"later"]
    await begun.advance(60 + begun.slack)
    assert worker.bodies[2:] == [[b"later"]]
    assert worker.batches[2].messages[0].attempts == 2
    assert await begun.count() == 0


async def test_a_settlement_is_told_once_it_is_carried_out(begun: Bench) -> None:
    worker = Worker(begun)
    await begun.consume(worker)
    ids = await begun.send(b"one")
    await begun.rest()
    (settlement,) = worker.settlements
    assert [message.id for message in settlement.acked] == ids


async def test_attempts_are_counted_and_failures_kept(begun: Bench) -> None:
    worker = Worker(begun, replace(AT_ONCE, max_retries=2, retry_delay=10), throw)
    await begun.consume(worker)
    await begun.send(b"one")
    await begun.advance(60)
    messages = [batch.messages[0] for batch in worker.batches]
    assert [(message.attempts, len(message.failures)) for message in messages] == [(1, 0), (2, 1), (3, 2)]
    assert messages[2].failures[0].error == "ValueError: no"
    assert len(worker.settlements[2].dropped) == 1
    assert await begun.count() == 0


async def test_a_message_that_was_handed_out_never_changes(begun: Bench) -> None:
    worker = Worker(begun, replace(AT_ONCE, retry_delay=1), throw)
    await begun.consume(worker)
    await begun.send(b"one")
    peeked = list(await begun.engine.peek("orders"))
    before = [msgspec.json.encode(message) for message in peeked]
    await begun.rest()
    delivered = msgspec.json.encode(worker.batches[0].messages)
    await begun.advance(30)
    assert [msgspec.json.encode(message) for message in peeked] == before
    assert msgspec.json.encode(worker.batches[0].messages) == delivered


async def test_an_attempt_that_was_not_made_is_given_back(begun: Bench) -> None:
    def answer(_batch: Batch) -> Verdict | None:
        if len(worker.batches) == 1:
            subscription.hold(True)
            return None
        return Verdict()

    worker = Worker(begun, answer=answer)
    subscription = await begun.consume(worker)
    await begun.send(b"one")
    await begun.rest()
    assert [message.attempts for message in await begun.engine.peek("orders")] == [0]
    assert worker.settlements == []
    subscription.hold(False)
    await begun.rest()
    assert [batch.messages[0].attempts for batch in worker.batches] == [1, 1]


async def test_letters_are_in_the_dead_letter_queue_which_is_made_if_need_be(begun: Bench) -> None:
    worker = Worker(begun, replace(AT_ONCE, max_retries=0, dead_letter_queue="dead"), throw)
    await begun.consume(worker)
    (dead,) = await begun.send(b"one")
    await begun.rest()
    assert "dead" in begun.engine.states
    (letter,) = await begun.engine.peek("dead")
    assert (letter.id, letter.body, letter.attempts, letter.timestamp) == (dead, b"one", 0, T)
    assert letter.dead_letter is not None
    assert (letter.dead_letter.queue, letter.dead_letter.last_error) == ("orders", "ValueError: no")
    assert await begun.count() == 0


async def test_a_delivery_that_takes_too_long_is_cancelled_and_settled(begun: Bench) -> None:
    worker = Worker(begun, gate=asyncio.Event())
    await begun.consume(worker)
    await begun.send(b"one")
    await begun.advance(899)
    assert (worker.running, worker.cancelled) == (1, 0)
    await begun.advance(1 + 2 * begun.slack)
    assert worker.cancelled == 1
    assert [settlement.verdict.outcome for settlement in worker.settlements] == ["exceeded_wall_time"]
    assert [batch.messages[0].attempts for batch in worker.batches] == [1, 2]
    await begun.engine.close(0)


async def test_a_delivery_in_which_a_task_group_failed_is_settled(begun: Bench) -> None:
    async def fail() -> None:
        raise ValueError

    class Grouping(Worker):
        async def deliver(self, batch: Batch) -> Settlement | None:
            with suppress(ExceptionGroup):
                async with (
                    asyncio.TaskGroup() as group
                ):  # before Python 3.13, it leaves its task's count of cancellations
                    group.create_task(fail())
            return await super().deliver(batch)

    worker = Grouping(begun)
    await begun.consume(worker)
    await begun.send(b"one")
    await begun.advance(1)
    assert [settlement.verdict.outcome for settlement in worker.settlements] == ["ok"]
    assert await begun.count() == 0


async def test_a_delivery_that_breaks_without_a_word_ends_with_its_lease(begun: Bench) -> None:
    class NoException(BaseException):
        pass

    class Breaking(Worker):
        async def deliver(self, batch: Batch) -> Settlement | None:
            if not self.batches:
                self.batches.append(batch)
                raise NoException
            return await super().deliver(batch)

    worker = Breaking(begun)
    await begun.consume(worker)
    await begun.send(b"one")
    await begun.advance(1)
    assert (len(worker.batches), worker.settlements) == (1, [])
    await begun.advance(900 + 2 * begun.slack)
    assert [settlement.verdict.outcome for settlement in worker.settlements] == ["exceeded_wall_time", "ok"]
    assert await begun.count() == 0


async def test_a_paused_queue_delivers_when_it_is_resumed(begun: Bench) -> None:
    worker = Worker(begun)
    await begun.consume(worker)
    await begun.make("orders", QueueSettings(delivery_paused=True))
    await begun.send(b"one")
    await begun.advance(60)
    assert worker.batches == []
    await begun.make("orders")
    await begun.rest()
    assert worker.bodies == [[b"one"]]


async def test_a_held_subscription_delivers_when_it_is_let_go(begun: Bench) -> None:
    worker = Worker(begun)
    subscription = await begun.consume(worker)
    subscription.hold(True)
    await begun.send(b"one")
    await begun.advance(60)
    assert worker.batches == []
    subscription.hold(False)
    await begun.rest()
    assert [batch.messages[0].attempts for batch in worker.batches] == [1]


async def test_a_closed_subscription_begins_nothing_and_settles_what_it_began(begun: Bench) -> None:
    gate = asyncio.Event()
    worker = Worker(begun, replace(AT_ONCE, max_batch_size=1), gate=gate)
    subscription = await begun.consume(worker)
    await begun.send(b"one", b"two")
    await begun.rest()
    subscription.close()
    gate.set()
    await begun.advance(60)
    assert worker.bodies == [[b"one"]]
    assert len(worker.settlements) == 1
    assert await begun.waiting() == [b"two"]


async def test_the_next_subscription_goes_on_with_its_own_settings(begun: Bench) -> None:
    first, second = Worker(begun, replace(AT_ONCE, max_batch_timeout=60)), Worker(begun)
    (await begun.consume(first)).close()
    await begun.send(b"one")
    await begun.consume(second)
    await begun.rest()
    assert (first.bodies, second.bodies) == ([], [[b"one"]])


async def test_max_concurrency_1_is_strictly_serial(begun: Bench) -> None:
    worker = Worker(begun, replace(AT_ONCE, max_batch_size=1, max_concurrency=1))
    await begun.consume(worker)
    await begun.send(*[b"%d" % number for number in range(9)])
    await begun.advance(9 * begun.slack)
    assert (len(worker.batches), worker.most_running) == (9, 1)


async def test_deliveries_of_a_backlog_come_to_overlap_up_to_max_concurrency(begun: Bench) -> None:
    gate = asyncio.Event()

    def answer(_batch: Batch) -> Verdict:
        if len(worker.batches) == 5:
            worker.gate = gate
        return Verdict()

    worker = Worker(begun, replace(AT_ONCE, max_batch_size=1, max_concurrency=3), answer)
    await begun.consume(worker)
    await begun.send(*[b"x"] * 20)
    await begun.advance(20 * begun.slack)
    assert worker.running == 3
    gate.set()
    await begun.advance(20 * begun.slack)
    assert (worker.most_running, await begun.count()) == (3, 0)


async def test_a_pull_leases_what_is_ready_to_one_client(begun: Bench) -> None:
    await begun.send(b"one", b"two", b"three")
    await begun.send(b"later", delay=60)
    first = await begun.engine.pull("orders", 2, 30.0)
    rest = await begun.engine.pull("orders", 10, 5.0)
    assert [each.message.body for each in (*first, *rest)] == [b"one", b"two", b"three"]
    assert len({each.lease_id for each in (*first, *rest)}) == 3
    assert [(each.message.attempts, each.taken_at, each.expires_at) for each in rest] == [(1, T, T + 5)]
    assert await begun.waiting() == [b"later"]
    assert await begun.count() == 4


async def test_leases_are_settled_as_it_is_said(begun: Bench) -> None:
    await begun.send(b"done", b"later", b"held")
    done, later, _ = await begun.engine.pull("orders", 3, 600.0)
    found = await begun.engine.leases("orders", [later.lease_id, "nonsense", done.lease_id, later.lease_id])
    assert [each.lease_id for each in found] == [later.lease_id, done.lease_id]
    verdict = Verdict(retry_messages={later.message.id: 60})
    await begun.engine.settle("orders", found, settle_leases(found, verdict, begun.terms("orders", begun.puller)))
    assert await begun.waiting() == [b"later"]
    assert await begun.count() == 2
    assert await begun.engine.leases("orders", [done.lease_id, later.lease_id]) == []
    assert [each.lease_id for each in begun.settled_leases] == [later.lease_id, done.lease_id]
    assert await begun.engine.pull("orders", 9, 1.0) == []
    await begun.advance(60 + begun.slack)
    (again,) = await begun.engine.pull("orders", 9, 1.0)
    assert (again.message.body, again.message.attempts) == (b"later", 2)


async def test_a_lease_that_runs_out_is_settled_by_the_arbiter(begun: Bench) -> None:
    begun.puller = ConsumerSettings("http_pull", max_retries=1, dead_letter_queue="dead")
    await begun.send(b"one")
    (lease,) = await begun.engine.pull("orders", 1, 30.0)
    await begun.advance(29.9)
    assert await begun.waiting() == []
    await begun.advance(0.1 + begun.slack)
    assert await begun.waiting() == [b"one"]
    assert [each.lease_id for each in begun.expired_leases] == [lease.lease_id]
    assert [each.lease_id for each in begun.settled_leases] == [lease.lease_id]
    await begun.engine.pull("orders", 1, 30.0)
    await begun.advance(30 + begun.slack)
    assert (await begun.count(), await begun.waiting("dead")) == (0, [b"one"])


async def test_an_expired_lease_is_good_until_somebody_else_has_the_message(begun: Bench) -> None:
    await begun.send(b"one", b"two")
    late, lost = await begun.engine.pull("orders", 2, 1.0)
    await begun.advance(1 + begun.slack)
    (found,) = await begun.engine.leases("orders", [late.lease_id])
    assert found.has_expired
    settlement = settle_leases([found], Verdict(), begun.terms("orders", begun.puller))
    await begun.engine.settle("orders", [found], settlement)
    assert await begun.waiting() == [b"two"]
    await begun.engine.pull("orders", 1, 60.0)
    assert await begun.engine.leases("orders", [late.lease_id, lost.lease_id]) == []
    assert await begun.count() == 1


async def test_all_leases_are_those_that_have_not_expired_the_oldest_first(begun: Bench) -> None:
    assert await begun.engine.leases("orders") == []
    await begun.send(b"short", b"done", b"long")
    await begun.engine.pull("orders", 1, 1.0)
    done = await begun.engine.pull("orders", 1, 600.0)
    (first,) = await begun.engine.pull("orders", 1, 600.0)
    await begun.advance(1 + begun.slack)
    (second,) = await begun.engine.pull("orders", 5, 600.0)
    await begun.engine.settle("orders", done, settle_leases(done, Verdict(), begun.terms("orders", begun.puller)))
    leases = await begun.engine.leases("orders")
    assert [each.lease_id for each in leases] == [first.lease_id, second.lease_id]
    assert [(each.message.body, each.message.attempts) for each in leases] == [(b"long", 1), (b"short", 2)]
    assert not any(each.has_expired for each in leases)
    now = begun.clock.now()
    assert now + 500 < leases[0].expires_at < leases[1].expires_at < now + 601


async def test_the_counts_say_how_many_messages_are_in_which_state(begun: Bench) -> None:
    assert await counts(begun) == (0, 0, 0)
    await begun.send(b"one", b"two", b"three")
    await begun.send(b"later", b"too", delay=60)
    assert await counts(begun) == (3, 2, 0)
    await begun.engine.pull("orders", 1, 600.0)
    assert await counts(begun) == (2, 2, 1)
    worker = Worker(begun, gate=asyncio.Event())
    (await begun.consume(worker)).close()
    assert await counts(begun) == (2, 2, 1)
    await begun.advance(60 + begun.slack)
    assert await counts(begun) == (4, 0, 1)
    await begun.engine.purge("orders")
    assert await counts(begun) == (0, 0, 1)


async def counts(bench: Bench) -> tuple[int, int, int]:
    """How many messages are ready, delayed and in flight."""
    found: Counts = await bench.engine.counts("orders")
    assert found.ready + found.delayed + found.in_flight == await bench.count()
    return found.ready, found.delayed, found.in_flight


async def test_promoted_messages_are_delivered_at_once_behind_the_ready_ones_in_the_order_of_their_time(
    begun: Bench,
) -> None:
    await begun.send(b"last", delay=90)
    await begun.send(b"later", delay=80)
    await begun.send(b"ready")
    promoted = await begun.engine.promote("orders")
    assert [(each.body, each.ready_at) for each in promoted] == [(b"later", T), (b"last", T)]
    assert await begun.waiting() == [b"ready", b"later", b"last"]
    assert await counts(begun) == (3, 0, 0)
    assert await begun.engine.promote("orders") == []
    worker = Worker(begun)
    await begun.consume(worker)
    await begun.rest()
    assert worker.bodies == [[b"ready", b"later", b"last"]]
    assert [each.attempts for each in worker.batches[0].messages] == [1, 1, 1]
    await begun.advance(60 + begun.slack)
    assert len(worker.batches) == 1


async def test_only_the_chosen_ones_of_the_delayed_messages_are_promoted(begun: Bench) -> None:
    (chosen,) = await begun.send(b"chosen", delay=60)
    await begun.send(b"waits", delay=60)
    (ready,) = await begun.send(b"ready")
    promoted = await begun.engine.promote("orders", {chosen, ready, "nonsense"})
    assert [each.body for each in promoted] == [b"chosen"]
    assert await counts(begun) == (2, 1, 0)
    assert await begun.waiting() == [b"ready", b"chosen", b"waits"]


async def test_a_promoted_retry_keeps_its_attempts_and_may_be_delayed_again_until_the_same_time(begun: Bench) -> None:
    def retry(batch: Batch) -> Verdict:
        return Verdict(retry_messages={batch.messages[0].id: 600 if len(worker.batches) == 1 else 500})

    worker = Worker(begun, answer=retry)
    await begun.consume(worker)
    await begun.send(b"one")
    await begun.rest()
    await begun.advance(100 - begun.slack)
    (promoted,) = await begun.engine.promote("orders")
    assert (promoted.attempts, len(promoted.failures)) == (1, 1)
    await begun.rest()
    assert [batch.messages[0].attempts for batch in worker.batches] == [1, 2]
    assert await begun.waiting() == [b"one"]
    assert await counts(begun) == (0, 1, 0)
    await begun.engine.promote("orders")
    await begun.rest()
    assert [batch.messages[0].attempts for batch in worker.batches] == [1, 2, 3]


async def test_a_purge_leaves_what_is_in_flight(begun: Bench) -> None:
    await begun.send(b"pulled", b"one", b"two")
    await begun.send(b"later", delay=60)
    await begun.engine.pull("orders", 1, 60.0)
    chosen = (await begun.engine.peek("orders", 1))[0].id
    assert [each.body for each in await begun.engine.purge("orders", {chosen, "nonsense"})] == [b"one"]
    assert {each.body for each in await begun.engine.purge("orders")} == {b"two", b"later"}
    assert (await begun.waiting(), await begun.count()) == ([], 1)
    assert await begun.engine.purge("orders") == []


async def test_a_peek_shows_as_many_as_it_is_asked_for_and_leaves_them(begun: Bench) -> None:
    await begun.send(b"later", delay=60)
    await begun.send(b"one", b"two")
    assert [each.body for each in await begun.engine.peek("orders", 2)] == [b"one", b"two"]
    assert await begun.waiting() == [b"one", b"two", b"later"]
    assert {each.attempts for each in await begun.engine.peek("orders")} == {0}


async def test_waiting_messages_are_found_by_their_ids(begun: Bench) -> None:
    (pulled,) = await begun.send(b"pulled")
    await begun.engine.pull("orders", 1, 600.0)
    (later,) = await begun.send(b"later", delay=60)
    one, _ = await begun.send(b"one", b"two")
    waiting = {each.id: each for each in await begun.engine.peek("orders")}
    found = await begun.engine.find("orders", [later, pulled, one, "nonsense"])
    assert {each.id: each for each in found} == {each: waiting[each] for each in (one, later)}
    assert await begun.engine.find("orders", [pulled]) == []


async def test_a_move_takes_what_waits_to_where_it_belongs(begun: Bench) -> None:
    await begun.make("mails")
    await begun.send(b"pulled", b"mail", b"stays", b"mail too")
    await begun.engine.pull("orders", 1, 60.0)
    asked: list[bytes] = []

    def route(message: QueueMessage) -> tuple[str, QueueMessage] | None:
        asked.append(message.body)
        return ("mails", moved(message, T, 30)) if b"mail" in message.body else None

    entered = await begun.engine.move("orders", route)
    assert asked == [b"mail", b"stays", b"mail too"]
    assert {name: [each.body for each in messages] for name, messages in entered.items()} == {
        "mails": [b"mail", b"mail too"]
    }
    assert (await begun.waiting(), await begun.waiting("mails")) == ([b"stays"], [b"mail", b"mail too"])
    assert {each.ready_at for each in await begun.engine.peek("mails")} == {T + 30}
    assert await begun.count() == 2
    await begun.send(b"chosen", b"not chosen")
    chosen = {each.id for each in await begun.engine.peek("orders") if each.body == b"chosen"}
    asked.clear()
    await begun.engine.move("orders", route, chosen)
    assert asked == [b"chosen"]


async def test_an_inserted_message_is_as_it_was_made_also_when_it_comes_twice(begun: Bench) -> None:
    worker = Worker(begun)
    message = QueueMessage("d" * 32, b"one", "text", T - 100, T, T, 2, source="elsewhere")
    await begun.engine.insert("orders", [message])
    await begun.engine.insert("orders", [message])
    assert list(await begun.engine.peek("orders")) == [message, message]
    await begun.consume(worker)
    await begun.rest()
    assert [each.attempts for batch in worker.batches for each in batch.messages] == [3, 3]
    assert await begun.count() == 0


async def test_a_message_that_is_there_twice_is_retried_twice(begun: Bench) -> None:
    worker = Worker(begun, replace(AT_ONCE, retry_delay=60), throw)
    message = QueueMessage("d" * 32, b"one", "text", T, T, T)
    await begun.engine.insert("orders", [message, message])
    await begun.consume(worker)
    await begun.rest()
    assert await begun.waiting() == [b"one", b"one"]


async def test_a_dropped_queue_is_gone_with_all_that_was_in_it(begun: Bench) -> None:
    worker = Worker(begun, gate=asyncio.Event())
    await begun.consume(worker)
    await begun.send(b"one")
    await begun.rest()
    await begun.engine.drop("orders")
    await begun.advance(1_000)
    assert (worker.cancelled, worker.settlements) == (1, [])
    assert "orders" not in begun.engine.states
    with pytest.raises(QueueError):
        await begun.send(b"two")
    await begun.make("orders")
    assert await begun.count() == 0


async def test_what_waits_too_long_is_gone_and_told_once(begun: Bench) -> None:
    await begun.make("orders", QueueSettings(message_retention_period=60))
    await begun.send(b"pulled", b"ready")
    await begun.engine.pull("orders", 1, 600.0)
    await begun.send(b"delayed", delay=600)
    await begun.advance(59)
    assert begun.expired == []
    await begun.advance(1 + begun.slack)
    assert {each.body for each in begun.expired} == {b"ready", b"delayed"}
    await begun.advance(60)
    assert (len(begun.expired), await begun.count()) == (2, 1)


async def test_a_shorter_retention_period_acts_on_what_waits(begun: Bench) -> None:
    await begun.send(b"one")
    await begun.advance(100)
    await begun.make("orders", QueueSettings(message_retention_period=60))
    await begun.rest()
    assert [each.body for each in begun.expired] == [b"one"]


async def test_close_lets_a_delivery_end(begun: Bench) -> None:
    gate = asyncio.Event()
    worker = Worker(begun, gate=gate)
    await begun.consume(worker)
    await begun.send(b"one")
    await begun.rest()
    asyncio.get_running_loop().call_soon(gate.set)
    await begun.engine.close(60)
    assert (len(worker.settlements), await begun.count()) == (1, 0)


async def test_close_cancels_what_does_not_end_in_time_and_begins_nothing(begun: Bench) -> None:
    worker = Worker(begun, gate=asyncio.Event())
    await begun.consume(worker)
    await begun.send(b"one")
    await begun.rest()
    await begun.engine.close(0)
    assert (worker.cancelled, worker.running, worker.settlements) == (1, 0, [])
    await begun.send(b"two")
    await begun.advance(60)
    assert worker.bodies == [[b"one"]]
    assert await begun.count() == 2


async def test_what_was_accepted_and_not_settled_is_there_after_a_restart(surviving: Bench) -> None:
    await surviving.consume(Worker(surviving, ConsumerSettings(max_batch_size=1, max_batch_timeout=0)))
    await surviving.send(b"acked")
    await surviving.rest()
    await surviving.make("mails")
    await surviving.send(b"kept", b"delayed", queue="mails", delay=60)
    caused = NewMessage(b"caused", "text", 90, TRACEPARENT)
    await surviving.engine.send("mails", [caused], ["c" * 32], at=T, delay_seconds=0, source="shop")
    await surviving.restart()
    assert list(surviving.engine.states) == ["orders", "mails"]
    assert (await surviving.waiting(), await surviving.waiting("mails")) == ([], [b"kept", b"delayed", b"caused"])
    assert [each.traceparent for each in await surviving.engine.peek("mails")] == ["", "", TRACEPARENT]


async def test_what_was_promoted_is_ready_after_a_restart(surviving: Bench) -> None:
    worker = Worker(surviving, answer=lambda batch: Verdict(retry_messages={batch.messages[0].id: 600}))
    subscription = await surviving.consume(worker)
    await surviving.send(b"retried")
    await surviving.rest()
    subscription.close()
    await surviving.rest()
    await surviving.send(b"sent", b"later", delay=900)
    chosen = [each.id for each in await surviving.engine.peek("orders") if each.body != b"later"]
    await surviving.engine.promote("orders", chosen)
    before = await surviving.engine.peek("orders")

    await surviving.restart()

    assert list(await surviving.engine.peek("orders")) == list(before)
    assert [(each.body, each.attempts, len(each.failures)) for each in before] == [
        (b"retried", 1, 1),
        (b"sent", 0, 0),
        (b"later", 0, 0),
    ]
    assert [each.ready_at > surviving.clock.now() for each in before] == [False, False, True]


async def test_what_was_in_flight_at_the_end_of_the_process_has_failed_once_more(surviving: Bench) -> None:
    gate = asyncio.Event()
    running = Worker(surviving, gate=gate)
    await surviving.consume(running)
    await surviving.send(b"one", b"two")
    await surviving.rest()
    assert running.bodies == [[b"one", b"two"]]

    await surviving.restart()
    assert [(each.attempts, each.failures) for each in await surviving.engine.peek("orders")] == [
        (1, (interrupted(1, running.batches[0].taken_at),))
    ] * 2
    worker = Worker(surviving)
    await surviving.consume(worker)
    await surviving.rest()
    assert [[each.attempts for each in batch.messages] for batch in worker.batches] == [[2, 2]]
    await surviving.restart()
    assert await surviving.count() == 0


async def test_a_delivery_that_was_given_back_cancelled_or_pulled_does_not_count_after_a_restart(
    surviving: Bench,
) -> None:
    for queue in ("back", "cancelled", "pulled"):
        await surviving.make(queue)
        await surviving.send(b"one", queue=queue)

    def give_back(_batch: Batch) -> None:
        subscription.hold(True)

    subscription = await surviving.consume(Worker(surviving, answer=give_back), "back")
    cancelled = Worker(surviving, gate=asyncio.Event())
    await surviving.consume(cancelled, "cancelled")
    assert len(await surviving.engine.pull("pulled", 1, 600)) == 1
    await surviving.rest()
    await surviving.engine.close(0)
    assert cancelled.cancelled == 1

    await surviving.restart()
    for queue in ("back", "cancelled"):
        assert [(each.attempts, each.failures) for each in await surviving.engine.peek(queue)] == [(0, ())], queue
    pulled = [(each.attempts, each.failures) for each in await surviving.engine.peek("pulled")]
    assert pulled == ([] if surviving.keeps_leases else [(0, ())])
