"""Deliveries as an at-least-once service may make them."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.testing import Chaos, Emulator
from tests.testing.kit_workers import worker

COUNTS = """
async def queue(self, batch, env, ctx):
    for message in batch.messages:
        events.append(message.body)
"""

TELLS = """
async def fetch(self, request):
    return Response.json(events)
"""

NONE = {"duplicate": 0.0, "reorder": 0.0, "delay": 0.0, "drop_ack": 0.0}


def deliver(chaos: Chaos, count: int = 5, *methods: str) -> tuple[list[Any], Any]:
    """The bodies that a consumer saw, in order, and the deliveries."""
    with Emulator(**worker(TELLS, *(methods or (COUNTS,))), chaos=chaos) as emulator:
        emulator.queue("jobs").send_batch(range(count))
        deliveries = emulator.run_until_idle()
        assert emulator.queue("dead-jobs").messages == emulator.queue("jobs").messages == []
        acked = [message.body for delivery in deliveries for message in delivery.acked]
        assert sorted(acked) == list(range(count))
        return emulator.get("/").json(), deliveries


def test_without_any_probability_nothing_is_disturbed() -> None:
    seen, deliveries = deliver(Chaos(1, **NONE))
    assert seen == [0, 1, 2, 3, 4]
    assert len(deliveries) == 1


def test_duplicates_come_in_the_same_batch_or_in_one_of_their_own() -> None:
    orders = {tuple(deliver(Chaos(seed, **{**NONE, "duplicate": 1.0}))[0]) for seed in range(20)}
    assert orders == {(0, 1, 2, 3, 4, 0, 1, 2, 3, 4)}


def test_a_batch_is_reordered() -> None:
    orders = [deliver(Chaos(seed, **{**NONE, "reorder": 1.0}))[0] for seed in range(5)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert any(order != [0, 1, 2, 3, 4] for order in orders)


def test_a_batch_is_late() -> None:
    seen, [delivery] = deliver(Chaos(1, **{**NONE, "delay": 1.0}))
    assert seen == [0, 1, 2, 3, 4]
    assert 0.1 <= delivery.duration <= 30


def test_a_lost_ack_brings_the_batch_again_but_never_kills_a_message() -> None:
    seen, deliveries = deliver(Chaos(1, **{**NONE, "drop_ack": 1.0}))
    assert seen == [0, 1, 2, 3, 4] * 4
    assert [each.outcome for each in deliveries] == ["exception"] * 3 + ["ok"]
    assert deliveries[0].error == "chaos: the ack was lost after the handler ran"


@pytest.mark.parametrize("seed", range(10))
def test_no_message_is_lost_or_dead_lettered_by_chaos_alone(seed: int) -> None:
    deliver(Chaos(seed, duplicate=0.7, reorder=0.7, delay=0.7, drop_ack=0.7), 50)


def test_the_same_seed_gives_the_same_deliveries() -> None:
    def told(seed: int) -> Any:
        seen, deliveries = deliver(Chaos(seed), 40)
        return seen, [(each.at, each.duration, each.outcome, len(each.acked)) for each in deliveries]

    assert told(3) == told(3)
    assert len({str(told(seed)) for seed in range(5)}) == 5


def test_chaos_can_begin_in_the_middle_and_tells_its_seed() -> None:
    with Emulator(**worker(TELLS, COUNTS)) as emulator:
        assert emulator.chaos(7, **{**NONE, "duplicate": 1.0}) == 7
        emulator.queue("jobs").send("x")
        emulator.run_until_idle()
        assert emulator.get("/").json() == ["x", "x"]
        assert "seed=7" in emulator.timeline
        assert 0 <= emulator.chaos() < 1_000_000


CHARGES = """
async def queue(self, batch, env, ctx):
    for message in batch.messages:
        await self.env.BANK.charge(message.body)
"""

CHARGES_ONCE = """
async def queue(self, batch, env, ctx):
    for message in batch.messages:
        if message.id not in events:
            events.append(message.id)
            await self.env.BANK.charge(message.body)
"""

CHARGES_LOUDLY = """
async def queue(self, batch, env, ctx):
    for message in batch.messages:
        if message.id in events:
            raise ValueError("charged already")
        events.append(message.id)
        await self.env.BANK.charge(message.body)
"""


class Bank:
    def __init__(self) -> None:
        self.charged = 0

    async def charge(self, amount: int) -> None:
        self.charged += amount


def charge(consumer: str, seed: int | None) -> int:
    bank = Bank()
    chaos = None if seed is None else Chaos(seed)
    with Emulator(**worker(consumer), bindings={"BANK": bank}, chaos=chaos) as emulator:
        for _ in range(10):
            emulator.queue("jobs").send(100)
            emulator.advance(seconds=60)
        emulator.run_until_idle()
        assert bank.charged == 1000, f"charged {bank.charged}"
    return bank.charged


def test_a_consumer_that_is_not_idempotent_is_caught_and_passes_once_mended() -> None:
    assert charge(CHARGES, None) == 1000
    with pytest.raises(AssertionError) as info:
        charge(CHARGES, 1)
    assert any("seed=1" in note for note in info.value.__notes__)
    with pytest.raises(AssertionError):
        charge(CHARGES, 1)
    assert charge(CHARGES_ONCE, 1) == 1000


def test_a_consumer_that_fails_on_a_duplicate_leaves_a_dead_letter() -> None:
    chaos = Chaos(1, **{**NONE, "duplicate": 1.0})
    with Emulator(**worker(CHARGES_LOUDLY), bindings={"BANK": Bank()}, chaos=chaos) as emulator:
        emulator.queue("jobs").send(100)
        emulator.run_until_idle()
        [dead] = emulator.queue("dead-jobs").messages
        assert dead.last_error == "ValueError: charged already"


def test_what_is_acked_stays_acked_when_its_duplicate_is_refused_in_another_delivery() -> None:
    refuses = """
    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            if message.body == 1 and events.count(1) in (1, 2):
                events.append(1)
                message.retry()
            else:
                events.append(message.body)
                message.ack()
    """
    runs = [deliver(Chaos(seed, **{**NONE, "duplicate": 1.0}), 2, refuses) for seed in range(8)]
    assert {seen.count(0) for seen, _ in runs} == {2}
    assert {seen.count(1) > 2 for seen, _ in runs} == {True, False}
    assert [1] in [[message.body for message in deliveries[0].retried] for _, deliveries in runs]


@pytest.mark.parametrize("name", ["duplicate", "reorder", "delay", "drop_ack"])
def test_a_probability_is_from_0_to_1(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is a probability from 0 to 1, not 2"):
        Chaos(1, **{name: 2})
