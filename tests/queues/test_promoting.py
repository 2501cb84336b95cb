"""Promoting: what waits with a delay is delivered at once, as if its time had come."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from emulator.queues.errors import QueueError
from emulator.queues.events import MessagesPromoted
from emulator.queues.memory.journal import Journal
from emulator.queues.message import Counts
from tests.queues.driving import Consumer, Driven, consume, let_pull, make_queue, throw


async def test_a_delayed_message_and_a_retry_are_delivered_at_once_and_the_attempts_go_on() -> None:
    driven = Driven()
    consumer = Consumer(driven, throw)
    await consume(driven, consumer, retries=1, dlq="dlq", retry_delay=600, size=1)
    await driven.send(b"retried")
    await driven.settle()
    await driven.send(b"sent", delay=900)
    assert await driven.queues.counts("orders") == Counts(0, 2, 0, retrying=1, dead=0)

    assert await driven.queues.promote("orders") == 2
    await driven.settle()

    assert (consumer.batches, consumer.attempts) == ([[b"retried"], [b"retried"], [b"sent"]], [[1], [2], [1]])
    assert await driven.bodies("dlq") == [b"retried"]
    assert await driven.queues.counts("orders") == Counts(0, 1, 0, retrying=1, dead=0)
    assert await driven.queues.counts("dlq") == Counts(1, 0, 0, retrying=0, dead=1)
    assert await driven.queues.promote("dlq") == 0


async def test_only_what_is_chosen_and_delayed_is_promoted() -> None:
    driven = Driven()
    await make_queue(driven)
    await driven.send(b"one", b"two", delay=60)
    await driven.send(b"ready")
    chosen = {each.id for each in await driven.queues.waiting("orders") if each.body != b"two"}
    driven.bus.subscribe(MessagesPromoted, driven.events.append)
    assert await driven.queues.promote("orders", chosen) == 1
    assert await driven.queues.promote("orders", chosen) == 0
    (told,) = driven.published(MessagesPromoted)
    assert (told.queue, [each.body for each in told.messages]) == ("orders", [b"one"])
    assert await driven.bodies() == [b"ready", b"one", b"two"]


async def test_a_client_can_pull_what_was_promoted_and_its_lease_is_counted() -> None:
    driven = Driven()
    await let_pull(driven)
    await driven.send(b"one", delay=60)
    assert await driven.queues.pull("orders") == []
    await driven.queues.promote("orders")
    (pulled,) = await driven.queues.pull("orders")
    assert list(await driven.queues.leased("orders")) == [pulled]
    assert await driven.queues.counts("orders") == Counts(0, 0, 1, retrying=0, dead=0)
    await driven.advance(30)
    assert await driven.queues.leased("orders") == []
    assert await driven.queues.counts("orders") == Counts(1, 0, 0, retrying=1, dead=0)


async def test_a_promotion_that_cannot_be_kept_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(_file: int, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal(tmp_path)
    driven = Driven(journal=journal)
    await make_queue(driven)
    await driven.send(b"one", delay=60)
    with monkeypatch.context() as patched:
        patched.setattr("os.write", is_full)
        with pytest.raises(QueueError, match="cannot be saved"):
            await driven.queues.promote("orders")
    assert await driven.queues.counts("orders") == Counts(0, 1, 0, retrying=0, dead=0)
    journal.close()
