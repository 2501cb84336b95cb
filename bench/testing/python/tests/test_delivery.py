"""The way of an order through the queue, its retries and its dead letter queue."""

from __future__ import annotations

from typing import Any

from emulator.testing import Emulator


def shipped(emulator: Emulator) -> list[Any]:
    """The orders that were shipped."""
    return list(emulator.get("/shipped").json())


def dead(emulator: Emulator) -> list[Any]:
    """The orders that the consumer of the dead letter queue was given."""
    return list(emulator.get("/dead").json())


def test_an_order_is_shipped(emulator: Emulator) -> None:
    emulator.post("/orders", json={"id": "d1"})
    emulator.run_until_idle()
    assert shipped(emulator) == [{"id": "d1", "attempts": 1, "with": 1}]


def test_five_orders_are_a_batch(emulator: Emulator) -> None:
    emulator.post("/orders/many", json=[{"id": f"d2-{number}"} for number in range(5)])
    emulator.advance()
    assert shipped(emulator) == [{"id": f"d2-{number}", "attempts": 1, "with": 5} for number in range(5)]


def test_an_order_that_is_retried_is_shipped_by_the_second_attempt(emulator: Emulator) -> None:
    emulator.post("/orders", json={"id": "d3", "for": "second try"})
    emulator.run_until_idle()
    assert shipped(emulator) == [{"id": "d3", "attempts": 2, "with": 1}]


def test_an_order_that_is_retried_too_often_is_dead(emulator: Emulator) -> None:
    emulator.post("/orders", json={"id": "d4", "for": "out of stock"})
    emulator.run_until_idle()
    assert dead(emulator) == [{"id": "d4", "with": 1}]
    assert shipped(emulator) == []


def test_an_order_whose_shipping_raises_is_dead_in_the_end(emulator: Emulator) -> None:
    emulator.post("/orders", json={"id": "d5", "for": "nobody"})
    emulator.run_until_idle()
    assert dead(emulator) == [{"id": "d5", "with": 1}]


def test_the_others_of_a_batch_are_shipped_once(emulator: Emulator) -> None:
    emulator.post("/orders/many", json=[{"id": "d6"}, {"id": "d7", "for": "out of stock"}, {"id": "d8"}])
    emulator.run_until_idle()
    assert [order["id"] for order in shipped(emulator)] == ["d6", "d8"]
    assert [order["id"] for order in dead(emulator)] == ["d7"]


# What the other side leaves out, because nothing but waiting would get there.


def test_a_batch_that_is_not_full_goes_out_after_its_timeout(emulator: Emulator) -> None:
    emulator.post("/orders", json={"id": "d9"})
    assert emulator.advance(seconds=4.9) == []
    [delivery] = emulator.advance(seconds=0.1)
    assert [message.body for message in delivery.acked] == [{"id": "d9"}]


def test_an_order_that_can_wait_is_shipped_after_its_delay(emulator: Emulator) -> None:
    emulator.post("/orders", json={"id": "d10", "wait": 600})
    assert emulator.advance(seconds=599) == []
    emulator.advance(seconds=6)
    assert [order["id"] for order in shipped(emulator)] == ["d10"]


def test_the_delays_of_an_order_for_later_are_kept(emulator: Emulator) -> None:
    emulator.post("/orders", json={"id": "d11", "for": "later"})
    first, second, third = (delivery for delivery in emulator.run_until_idle() if delivery.queue == "orders")
    assert 60 <= (second.at - first.at).total_seconds() <= 65
    assert 120 <= (third.at - second.at).total_seconds() <= 125


def test_after_a_holiday_the_order_comes_again(emulator: Emulator) -> None:
    emulator.post("/orders", json={"id": "d12", "whole": "holiday"})
    assert len(emulator.advance(seconds=3600)) == 1
    [again] = emulator.advance(seconds=10)
    assert again.messages[0].attempts == 2
