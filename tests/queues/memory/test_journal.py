"""The journal: what was accepted, settled or changed is there again after the process has ended, however it did."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.base.coroutines import run_now
from emulator.queues.declarations import Declared, Origin
from emulator.queues.errors import QueueError
from emulator.queues.memory import journal as journal_module
from emulator.queues.memory.entry import LEASED, Entry
from emulator.queues.memory.journal import Journal
from emulator.queues.message import NewMessage, Outcome, Verdict, WorkerDelivery
from emulator.queues.settings import ConsumerSettings, QueueSettings
from emulator.queues.settlement import interrupted
from tests.queues.driving import Consumer, Driven, T, consume, make_queue, throw

PULLED = ConsumerSettings("http_pull", max_retries=1, dead_letter_queue="dlq", visibility_timeout_ms=10_000)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def journals(directory: Path) -> Iterator[Callable[[], Journal]]:
    """Opens the journal, in place of the one that was open."""
    opened: list[Journal] = []

    def open_journal() -> Journal:
        for each in opened:
            each.close()
        opened.append(Journal(directory))
        return opened[-1]

    yield open_journal
    for each in opened:
        each.close()


Journals = Callable[[], Journal]


def what_waits(driven: Driven) -> dict[str, dict[str, tuple[Any, ...]]]:
    """What is in the queues, as it is to be after a restart: the handler that has a message has failed, and what a
    client has pulled has not been delivered."""
    return {
        name: {
            each.id: (
                each.body,
                each.content_type,
                each.timestamp,
                each.enqueued_at,
                each.ready_at,
                each.attempts - (each.place == LEASED and not each.begun_at),
                (*each.failures, interrupted(each.attempts, each.begun_at)) if each.begun_at else each.failures,
                each.dead_letter,
                each.source,
            )
            for each in driver.queue.unsettled()
        }
        for name, driver in driven.engine._drivers.items()
    }


async def test_messages_are_there_again_with_all_that_belongs_to_them(journals: Journals) -> None:
    driven = Driven(journal=journals())
    await driven.queues.create_queue("orders")
    await driven.queues.send("orders", [NewMessage(b"{}", "json"), NewMessage(b"\x00", "bytes", 60)], source="shop")
    await consume(driven, Consumer(driven, throw), queue="failing", retries=0, dlq="dlq")
    await driven.send(b"dead", queue="failing")
    await driven.settle()
    before = what_waits(driven)

    again = Driven(journal=journals(), start=T + 10, seed=2)

    assert what_waits(again) == before
    assert await again.bodies() == [b"{}", b"\x00"]
    assert [each.ready_at > T + 10 for each in await again.queues.waiting("orders")] == [False, True]
    [letter] = await again.queues.waiting("dlq")
    assert letter.dead_letter is not None
    assert letter.dead_letter.last_error == "ValueError: no"


async def test_a_message_that_was_acked_does_not_come_back(journals: Journals) -> None:
    driven = Driven(journal=journals())
    await consume(driven, Consumer(driven), size=2)
    await driven.send(b"one", b"two", b"three")
    await driven.settle()
    assert await Driven(journal=journals()).bodies() == []


async def test_a_settlement_with_half_of_a_surrogate_pair_in_its_error_is_kept(journals: Journals) -> None:
    def fail(delivery: WorkerDelivery) -> Verdict:
        verdict = Verdict(explicit_acks={delivery.messages[0].id})
        return verdict.failed("exception", "Error: \ud83d", "Traceback \ud83d")

    driven = Driven(journal=journals())
    await consume(driven, Consumer(driven, fail), queue="failing", size=2, retries=1, dlq="dlq", retry_delay=10)
    await driven.send(b"acked", b"dead", queue="failing")
    await driven.settle()
    [again] = await Driven(journal=journals()).queues.waiting("failing")
    assert (again.body, again.failures[0].error) == (b"dead", "Error: \ufffd")

    driven = Driven(journal=journals(), start=T + 20)
    await consume(driven, Consumer(driven, throw), queue="failing", retries=1, dlq="dlq")
    await driven.settle()
    [letter] = await Driven(journal=journals()).queues.waiting("dlq")
    assert letter.dead_letter is not None
    assert [each.error for each in letter.dead_letter.attempts] == ["Error: \ufffd", "ValueError: no"]


async def test_every_delivery_that_the_end_of_the_process_interrupted_counts(journals: Journals) -> None:
    runs = []
    for number in (1, 2):
        driven = Driven(journal=journals(), start=T + number)
        consumer = Consumer(driven, gate=asyncio.Event())
        await consume(driven, consumer)
        if number == 1:
            await driven.send(b"one")
        await driven.settle()
        assert consumer.attempts == [[number]]
        runs.append(driven)

    again = Driven(journal=journals())
    [message] = await again.queues.waiting("orders")
    assert (message.attempts, message.ready_at) == (2, T + 1)
    assert message.failures == (interrupted(1, T + 1), interrupted(2, T + 2))
    for driven in runs:
        await driven.queues.close(0)


async def test_an_interrupted_delivery_counts_after_the_journal_was_cleaned_too(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 2_000)
    monkeypatch.setattr(journal_module, "FREE_BYTES", 4_000)
    journal = journals()
    driven = Driven(journal=journal)
    await consume(driven, Consumer(driven, gate=asyncio.Event()), size=1)
    await driven.send(b"one")
    await driven.settle()
    await driven.queues.create_queue("others")
    for _ in range(50):
        await driven.send(b"x" * 500, queue="others")
        await driven.queues.purge("others")
    assert min(int(path.stem[-8:]) for path in journal.directory.glob("journal-*.log")) > 1

    [message] = await Driven(journal=journals()).queues.waiting("orders")
    assert message.failures == (interrupted(1, T),)
    await driven.queues.close(0)


async def test_a_delivery_that_was_settled_given_back_or_broken_off_is_not_counted_twice(journals: Journals) -> None:
    driven = Driven(journal=journals())
    await consume(driven, Consumer(driven, throw), queue="failing", retry_delay=600)

    async def give_back(delivery: WorkerDelivery) -> None:
        given_back.append(len(delivery.messages))
        await driven.queues.pause("held")

    given_back: list[int] = []
    await consume(driven, give_back, queue="held")
    await consume(driven, Consumer(driven, gate=asyncio.Event()), queue="running")
    for queue in ("failing", "held", "running"):
        await driven.send(b"one", queue=queue)
    await driven.settle()
    assert given_back == [1]
    await driven.queues.close(0)

    again = Driven(journal=journals())
    attempts = {name: [each.attempts for each in await again.queues.waiting(name)] for name in again.queues.states}
    assert attempts == {"failing": [1], "held": [0], "running": [0]}


async def test_a_delivery_whose_beginning_cannot_be_written_happens(journals: Journals) -> None:
    journal = journals()
    driven = Driven(journal=journal)
    consumer = Consumer(driven, throw)
    await consume(driven, consumer, retry_delay=600)
    await driven.send(b"one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal._log, "append", refuse)
        await driven.settle()
    assert consumer.attempts == [[1]]
    before = what_waits(driven)
    journal.close()
    assert what_waits(Driven(journal=journals())) == before


def refuse(_payloads: object) -> int:
    raise OSError(errno.ENOSPC, "no space left on device")


async def test_attempts_and_the_time_of_a_retry_survive(journals: Journals) -> None:
    driven = Driven(journal=journals())
    await consume(driven, Consumer(driven, throw), retry_delay=30, retries=2, dlq="dlq")
    await driven.send(b"one")
    await driven.settle()

    again = Driven(journal=journals())
    consumer = Consumer(again, throw)
    await consume(again, consumer, retry_delay=30, retries=2, dlq="dlq")
    await again.advance(100)

    assert (consumer.attempts, consumer.times[0]) == ([[2], [3]], 30)
    [letter] = await again.queues.waiting("dlq")
    assert letter.dead_letter is not None
    assert [each.number for each in letter.dead_letter.attempts] == [1, 2, 3]


async def test_retention_goes_on_over_a_restart(journals: Journals) -> None:
    driven = Driven(journal=journals())
    await driven.queues.create_queue("orders", QueueSettings(message_retention_period=100))
    await driven.send(b"old")
    await driven.advance(60)
    await driven.send(b"young")

    again = Driven(journal=journals(), start=T + 110)
    assert await again.count("orders") == 1
    assert await again.bodies() == [b"young"]

    last = Driven(journal=journals(), start=T + 110)
    assert await last.bodies() == [b"young"]


async def test_messages_come_back_in_their_order(journals: Journals) -> None:
    driven = Driven(journal=journals())
    await driven.queues.create_queue("orders")
    for number in range(5):
        await driven.send(b"%d" % number)
        await driven.advance(1)
    assert await Driven(journal=journals()).bodies() == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_lease_id_of_an_earlier_run_fits_no_lease(journals: Journals) -> None:
    driven = Driven(journal=journals())
    await driven.queues.create_queue("orders")
    await make_queue(driven)
    await driven.queues.set_consumer("orders", PULLED, "")
    await driven.send(b"one")
    [old] = await driven.queues.pull("orders")

    again = Driven(journal=journals(), seed=2)
    [new] = await again.queues.pull("orders")

    assert new.message.id == old.message.id
    assert (await again.queues.acknowledge("orders", [old.lease_id])).unknown == [old.lease_id]
    assert await again.count("orders") == 1


async def test_queues_settings_and_consumers_survive(journals: Journals) -> None:
    driven = Driven(journal=journals())
    declared = Declared("mailer", (), {"orders": ConsumerSettings(max_batch_size=3)})
    await driven.queues.begin([declared])
    await driven.queues.create_queue("orders", QueueSettings(5, delivery_paused=True, message_retention_period=77))
    await driven.queues.set_consumer("orders", PULLED, "")
    await driven.queues.create_queue("gone")
    await driven.queues.delete_queue("gone")
    await driven.queues.purge("orders")
    before = dict(driven.queues.states)
    assert list(before) == ["orders", "dlq"]
    assert before["orders"].origin == Origin(True, True, False, ConsumerSettings(max_batch_size=3), "mailer")

    again = Driven(journal=journals(), start=T + 50)

    assert dict(again.queues.states) == before
    assert again.queues.state_of("orders").consumer == PULLED


async def test_a_queue_that_was_deleted_and_made_again_is_empty(journals: Journals) -> None:
    driven = Driven(journal=journals())
    await driven.queues.create_queue("orders")
    await driven.send(b"one")
    await driven.queues.delete_queue("orders")
    await driven.queues.create_queue("orders")
    await driven.send(b"two")
    assert await Driven(journal=journals()).bodies() == [b"two"]


async def test_dead_letters_of_a_deleted_queue_are_kept_in_a_new_one(journals: Journals) -> None:
    driven = Driven(journal=journals())
    await consume(driven, Consumer(driven, throw), retries=0, dlq="dlq")
    await driven.queues.delete_queue("dlq")
    await driven.send(b"one")
    await driven.settle()
    assert await Driven(journal=journals()).bodies("dlq") == [b"one"]


async def test_a_restart_of_a_restart_changes_nothing(journals: Journals) -> None:
    driven = Driven(journal=journals())
    await driven.queues.create_queue("orders")
    await driven.send(b"one")
    driven = Driven(journal=journals(), seed=2)
    await driven.send(b"two")
    journals()
    assert await Driven(journal=journals()).bodies() == [b"one", b"two"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes segments of 4 kB, and cleans from 10 kB on."""
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 4_000)
    monkeypatch.setattr(journal_module, "FREE_BYTES", 10_000)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("lingering", [0, 200])
async def test_the_journal_stays_small_while_messages_pass_through(journals: Journals, lingering: int) -> None:
    journal = journals()
    driven = Driven(journal=journal, listen=False)
    await driven.queues.create_queue("lingering")
    for _ in range(lingering):
        await driven.send(b"l" * 100, queue="lingering")
    consumer = Consumer(driven)
    await consume(driven, consumer, size=100)
    largest = 0.0
    for _ in range(300):
        await driven.send(*[b"x" * 100] * 20)
        await driven.settle()
        largest = max(largest, journal.size)
    assert sum(map(len, consumer.batches)) == 6_000
    assert largest <= max(3 * (lingering + 20) * 170, 16_000)
    again = Driven(journal=journals())
    assert await again.count("lingering") == lingering
    assert await again.count("orders") == 0


@pytest.mark.usefixtures("small")
async def test_what_settles_in_any_order_is_cleaned_up(journals: Journals) -> None:
    journal = journals()
    driven = Driven(journal=journal)
    await make_queue(driven)
    await driven.queues.set_consumer("orders", PULLED, "")
    for _ in range(20):
        await driven.send(*[b"x" * 500] * 50)
    pulled = [each for _ in range(10) for each in await driven.queues.pull("orders", 100)]
    Random(1).shuffle(pulled)
    for each in pulled[:-10]:
        await driven.queues.acknowledge("orders", [each.lease_id])
        assert journal.size <= max(3 * journal.live_bytes, 16_000)
    left = {each.message.id for each in pulled[-10:]}
    again = Driven(journal=journals())
    assert {each.id for each in await again.queues.waiting("orders")} == left
    await driven.settle()


@pytest.mark.usefixtures("small")
async def test_a_purge_frees_the_disk_at_once(journals: Journals) -> None:
    journal = journals()
    driven = Driven(journal=journal)
    await driven.queues.create_queue("orders")
    for _ in range(50):
        await driven.send(*[b"x" * 1_000] * 100)
    assert journal.size > 5_000_000
    await driven.queues.purge("orders")
    assert journal.size < 200_000  # the record of the purge
    assert await Driven(journal=journals()).bodies() == []


async def test_on_a_full_disk_nothing_is_accepted_and_nothing_is_changed(small_disk: Path) -> None:
    journal = Journal(small_disk / "state")
    driven = Driven(journal=journal)
    await driven.queues.create_queue("orders")
    large = [NewMessage(b"x" * 50_000, "bytes")]
    refused = await until_refused(lambda _: driven.queues.send("orders", large, source="shop"))
    assert "no space left on device (10251)" in str(refused)
    assert await driven.count("orders") >= 3
    fill(small_disk)
    # The last page has room for some.
    await until_refused(lambda number: driven.queues.create_queue(f"queue-{number}"))
    before = what_waits(driven)
    for call in (
        lambda: driven.queues.create_queue("a-new-one-with-a-long-name"),
        lambda: driven.queues.set_consumer("orders", PULLED, ""),
        lambda: driven.queues.pause("orders"),
        lambda: driven.queues.purge("orders"),
    ):
        with pytest.raises(QueueError, match="10251"):
            await call()
    assert what_waits(driven) == before
    assert driven.queues.state_of("orders").consumer is None
    assert not driven.queues.state_of("orders").settings.delivery_paused
    journal.close()
    reopened = Journal(small_disk / "state")
    assert what_waits(Driven(journal=reopened)) == before
    reopened.close()


async def until_refused(call: Callable[[int], Awaitable[object]]) -> QueueError:
    for number in range(1_000):
        try:
            await call(number)
        except QueueError as error:
            return error
    raise AssertionError("nothing was refused")


def fill(disk: Path) -> None:
    """Leave not a byte free."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (4_096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


async def test_settlements_on_a_full_disk_are_written_when_there_is_room_again(small_disk: Path) -> None:
    journal = Journal(small_disk / "state")
    told: list[str] = []
    journal.on_trouble = told.append
    driven = Driven(journal=journal)
    await consume(driven, Consumer(driven, throw), queue="failing", retries=0, dlq="dlq")
    await driven.send(*[b"dead" * 200] * 5, queue="failing")
    await driven.send(*[b"x" * 1_000] * 5, queue="failing")
    fill(small_disk)
    await driven.settle()
    assert [await driven.count(name) for name in ("failing", "dlq")] == [0, 10]
    assert len(told) == 1
    assert "no space left on device" in told[0]

    (small_disk / "filler").unlink()
    await driven.send(b"one more", queue="dlq")
    assert len(told) == 2
    assert "again" in told[1]
    before = what_waits(driven)
    journal.close()
    reopened = Journal(small_disk / "state")
    assert what_waits(Driven(journal=reopened)) == before
    reopened.close()


# Anything, in any order, and then a crash

OPERATIONS = st.one_of(
    st.tuples(
        st.just("send"), st.sampled_from(["orders", "pulled", "dlq"]), st.integers(1, 5), st.sampled_from([0, 3])
    ),
    st.tuples(st.just("advance"), st.sampled_from([0, 1, 5, 20, 90])),
    st.tuples(st.just("answers"), st.integers(0, 2**16)),
    st.tuples(st.just("pull"), st.integers(1, 5)),
    st.tuples(st.just("acknowledge"), st.integers(0, 2**16)),
    st.tuples(st.just("purge"), st.sampled_from(["orders", "pulled", "dlq"])),
    st.tuples(st.just("purge some"), st.sampled_from(["orders", "pulled", "dlq"]), st.integers(0, 2**16)),
    st.tuples(st.just("redrive"), st.sampled_from([None, "orders", "elsewhere"])),
    st.tuples(st.just("delete"), st.sampled_from(["elsewhere", "dlq"])),
    st.tuples(st.just("pause"), st.sampled_from([True, False])),
    st.tuples(st.just("hours")),
    st.tuples(st.just("crash")),
)


class Run:
    """Queues under arbitrary operations, on a journal that is cleaned all the time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runs = 0
        self.answers = Random(0)
        self.choices = Random(0)
        self.leases: list[str] = []
        self.now = T
        self.open()

    def open(self) -> None:
        self.runs += 1
        self.journal = Journal(self.directory / str(self.runs))
        self.driven = Driven(journal=self.journal, start=self.now, seed=self.runs)
        run_now(self.declare())

    async def declare(self) -> None:
        queues = self.driven.queues
        queues.attach("mailer", self.deliver)
        consumes = {"orders": ConsumerSettings("worker", 3, 1, 2, "dlq"), "pulled": PULLED}
        await queues.begin([Declared("mailer", ("elsewhere", "dlq"), consumes)])
        await queues.update_queue("elsewhere", QueueSettings(2, message_retention_period=60))

    async def deliver(self, delivery: Any) -> Verdict | None:
        if self.answers.random() < 0.2:
            await asyncio.Event().wait()
        if self.answers.random() < 0.1:
            await asyncio.sleep(0)
            await self.driven.queues.pause("orders")
            return None
        outcomes: list[Outcome] = ["ok", "exception"]
        outcome = self.answers.choice(outcomes)
        acks: set[str] = set()
        retries: dict[str, int | None] = {}
        for each in delivery.messages:
            match self.answers.randrange(4):
                case 0:
                    acks.add(each.id)
                case 1:
                    retries[each.id] = self.answers.choice([None, 0, 7])
        return Verdict(outcome, explicit_acks=acks, retry_messages=retries, error="no")

    def some(self, messages: list[Entry]) -> list[str]:
        return [each.id for each in messages if self.choices.random() < 0.5]

    async def do(self, name: str, *arguments: Any) -> None:  # noqa: C901 - one case for each operation
        queues = self.driven.queues
        match name:
            case "send":
                queue, count, delay = arguments
                bodies = [b"x" * self.choices.randrange(300) for _ in range(count)]
                await queues.send(queue, [NewMessage(body, "bytes", delay) for body in bodies], source="shop")
            case "advance":
                await self.driven.advance(*arguments)
                self.now = self.driven.clock.now()
            case "answers":
                self.answers.seed(*arguments)
            case "pull":
                self.leases += [each.lease_id for each in await queues.pull("pulled", *arguments)]
            case "acknowledge":
                self.choices.seed(*arguments)
                self.choices.shuffle(self.leases)
                half = len(self.leases) // 2
                await queues.acknowledge("pulled", self.leases[:half], [(each, 4) for each in self.leases[half:-1]])
                self.leases = self.leases[-1:]
            case "purge":
                await queues.purge(*arguments)
            case "purge some":
                queue, seed = arguments
                self.choices.seed(seed)
                await queues.purge_messages(queue, self.some([*self.driven.engine._drivers[queue].queue.unsettled()]))
            case "redrive":
                await queues.redrive("dlq", *arguments)
            case "delete":
                await queues.delete_queue(*arguments)
                await queues.create_queue(*arguments)
            case "hours":
                await self.driven.advance(1_000)
                self.now = self.driven.clock.now()
            case "pause":
                await (queues.pause if arguments[0] else queues.resume)("orders")
            case "crash":
                self.crash()

    def crash(self) -> None:
        """Go on with a copy of the files as they are, as if the process had been killed."""
        before = what_waits(self.driven)
        old, new = self.directory / str(self.runs), self.directory / str(self.runs + 1)
        shutil.copytree(old, new)
        self.journal.close()
        self.open()
        assert self.journal.reports == []
        assert what_waits(self.driven) == before
        assert self.journal.size <= max(3 * self.journal.live_bytes, 24_000)


@settings(max_examples=120)
@given(st.lists(OPERATIONS, max_size=60))
def test_whatever_happens_a_crash_changes_nothing(operations: list[tuple[Any, ...]]) -> None:
    async def main(directory: Path) -> None:
        run = Run(directory)
        for operation in operations:
            await run.do(*operation)
        run.crash()
        await run.driven.queues.close(0)
        run.journal.close()

    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "SEGMENT_BYTES", 6_000)
        patch.setattr(journal_module, "FREE_BYTES", 12_000)
        asyncio.run(main(Path(name)))
