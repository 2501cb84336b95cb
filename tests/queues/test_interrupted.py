"""Messages whose handler ended the process: their attempts are used up, and they go the way of those that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.queues.events import MessagesDeadLettered, MessagesDropped
from emulator.queues.memory.journal import Journal
from emulator.queues.message import Delivery, Message, Verdict
from emulator.queues.settings import ConsumerSettings
from emulator.queues.settlement import INTERRUPTED, parted
from tests.queues.driving import Consumer, Driven, T, consume, make_queue

Runs = Callable[[], Driven]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Runs]:
    """Begins another run of the emulator on what the last one left when it was killed."""
    journals: list[Journal] = []

    def begin() -> Driven:
        for journal in journals:
            journal.close()
        journals.append(Journal(tmp_path / "state"))
        return Driven(journal=journals[-1], start=T + len(journals), seed=len(journals))

    yield begin
    for journal in journals:
        journal.close()


async def send_poison(run: Runs) -> None:
    driven = run()
    await make_queue(driven)
    await driven.send(b"poison")


async def be_killed(run: Runs, times: int, **consumer: Any) -> list[list[int]]:
    """Let the process end so often while the handler has what is in `orders`. Returns the attempts that it saw."""
    attempts = []
    for _ in range(times):
        driven = run()
        killer = Consumer(driven, gate=asyncio.Event())
        await consume(driven, killer, **consumer)
        await driven.settle()
        attempts += killer.attempts
    return attempts


async def test_a_message_whose_handler_ends_the_process_is_dead_after_its_last_attempt(run: Runs) -> None:
    await send_poison(run)
    assert await be_killed(run, 4, retries=3, dlq="dlq") == [[1], [2], [3], [4]]

    driven = run()
    consumer = Consumer(driven)
    await consume(driven, consumer, retries=3, dlq="dlq")
    await driven.settle()
    assert consumer.batches == []
    [letter] = await driven.queues.waiting("dlq")
    assert letter.dead_letter is not None
    assert letter.dead_letter.last_error == INTERRUPTED == "the emulator ended while the handler ran"
    assert [(each.number, each.outcome) for each in letter.dead_letter.attempts] == [
        (number, "interrupted") for number in (1, 2, 3, 4)
    ]
    assert [len(each.messages) for each in driven.published(MessagesDeadLettered)] == [1]
    assert await driven.count() == 0


async def test_without_a_dead_letter_queue_it_is_dropped(run: Runs) -> None:
    await send_poison(run)
    await be_killed(run, 2, retries=1)
    driven = run()
    await consume(driven, Consumer(driven), retries=1)
    await driven.settle()
    [lost] = driven.published(MessagesDropped)
    assert (lost.reason, [each.attempts for each in lost.messages]) == ("retries", [2])
    assert await driven.count() == 0


async def test_the_handler_is_given_the_others_of_its_batch(run: Runs) -> None:
    await send_poison(run)
    await be_killed(run, 2, retries=1, dlq="dlq")
    driven = run()
    consumer = Consumer(driven)
    await driven.send(b"fine", b"too")
    await consume(driven, consumer, retries=1, dlq="dlq")
    await driven.settle()
    assert consumer.batches == [[b"fine", b"too"]]
    assert (await driven.bodies("dlq"), await driven.count()) == ([b"poison"], 0)


async def test_what_is_spent_is_no_part_of_a_delivery_that_runs_out_of_time(run: Runs) -> None:
    await send_poison(run)
    await be_killed(run, 2, retries=1, dlq="dlq")
    driven = run()
    consumer = Consumer(driven, gate=asyncio.Event())
    await driven.send(b"slow")
    await consume(driven, consumer, retries=1, dlq="dlq", retry_delay=60)
    await driven.advance(901)
    [letter] = await driven.queues.waiting("dlq")
    assert letter.body == b"poison"
    assert letter.dead_letter is not None
    assert [each.outcome for each in letter.dead_letter.attempts] == ["interrupted", "interrupted"]
    assert await driven.bodies() == [b"slow"]


async def test_more_retries_give_it_another_attempt(run: Runs) -> None:
    await send_poison(run)
    await be_killed(run, 2, retries=1, dlq="dlq")
    driven = run()
    consumer = Consumer(driven)
    await consume(driven, consumer, retries=2, dlq="dlq")
    await driven.settle()
    assert (consumer.attempts, await driven.count()) == ([[3]], 0)


async def test_a_spent_message_that_is_given_back_stays_spent(run: Runs) -> None:
    await send_poison(run)
    await be_killed(run, 1, retries=0, dlq="dlq")
    driven = run()
    answers = iter((None, Verdict()))

    async def deliver(delivery: Delivery) -> Verdict | None:
        seen.append([message.body for message in delivery.messages])
        return next(answers)

    seen: list[list[bytes]] = []
    await driven.send(b"fine")
    await consume(driven, deliver, retries=0, dlq="dlq")
    await driven.settle()
    assert seen == [[b"fine"], [b"fine"]]
    assert (await driven.bodies("dlq"), await driven.count()) == ([b"poison"], 0)


async def test_a_spent_message_is_forwarded_all_the_same(run: Runs) -> None:
    await send_poison(run)
    await be_killed(run, 1, retries=0)
    driven = run()
    consumer = Consumer(driven)
    await driven.queues.remove_consumer("orders")
    await driven.queues.forward("orders", consumer)
    await driven.settle()
    assert consumer.batches == [[b"poison"]]


def test_a_batch_is_parted_only_where_there_is_something_spent() -> None:
    settings = ConsumerSettings(max_retries=1)
    messages = [Message(f"{number:032x}", b"", "text", T, T, T, attempts=number) for number in (1, 2, 3)]
    assert parted(messages, settings) == (messages[:2], messages[2:])
    assert parted(messages[:2], settings)[1] == []
