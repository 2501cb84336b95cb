"""What `fetch` answers, and what it queues."""

from __future__ import annotations

from emulator.testing import Emulator


def test_an_order_is_accepted(emulator: Emulator) -> None:
    response = emulator.post("/orders", json={"id": "p1"})
    assert response.status_code == 202
    assert response.json() == {"queued": 1}


def test_an_order_without_an_id_is_refused(emulator: Emulator) -> None:
    response = emulator.post("/orders", json={"for": "nobody"})
    assert response.status_code == 400
    assert response.json() == {"error": "an order needs an id"}


def test_another_path_is_not_found(emulator: Emulator) -> None:
    assert emulator.get("/elsewhere").status_code == 404


def test_another_method_is_not_allowed(emulator: Emulator) -> None:
    assert emulator.get("/orders").status_code == 405


def test_the_order_is_the_message(emulator: Emulator) -> None:
    emulator.post("/orders", json={"id": "p5"})
    [message] = emulator.queue("orders").messages
    assert message.body == {"id": "p5"}


def test_many_orders_are_sent_as_a_batch(emulator: Emulator) -> None:
    response = emulator.post("/orders/many", json=[{"id": "p6"}, {"id": "p7"}])
    assert response.json() == {"queued": 2}
    assert [message.body for message in emulator.queue("orders").messages] == [{"id": "p6"}, {"id": "p7"}]


def test_one_bad_order_of_many_and_none_is_sent(emulator: Emulator) -> None:
    assert emulator.post("/orders/many", json=[{"id": "p8"}, {}]).status_code == 400
    assert emulator.queue("orders").messages == []


def test_an_order_that_can_wait_is_sent_with_a_delay(emulator: Emulator) -> None:
    emulator.post("/orders", json={"id": "p9", "wait": 600})
    [message] = emulator.queue("orders").messages
    assert (message.due - message.timestamp).total_seconds() == 600
