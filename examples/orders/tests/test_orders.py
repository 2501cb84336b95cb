"""Tests of the whole worker: HTTP in, the queue, retries and dead letters, and the payment service at the other end."""

import asyncio

import pytest

from emulator.testing import AsyncEmulator


def test_an_order_is_accepted_at_once_and_charged_later(emulator, payments):
    response = emulator.post("/orders", json={"id": "a1", "cents": 1999})
    assert response.status_code == 202
    assert payments.charges == {}

    [delivery] = emulator.advance(seconds=2)
    assert delivery.outcome == "ok"
    assert payments.charges == {"a1": 1999}


@pytest.mark.parametrize("order", [{}, {"id": "a1"}, {"id": "a1", "cents": "many"}, [], "text"])
def test_what_is_no_order_is_refused(emulator, order):
    assert emulator.post("/orders", json=order).status_code == 400
    assert emulator.queue("orders").messages == []


def test_orders_are_charged_in_one_batch(emulator, payments):
    for number in range(10):
        emulator.post("/orders", json={"id": f"a{number}", "cents": 100})
    [delivery] = emulator.advance()  # ten make a batch: no timeout has to pass
    assert len(delivery.acked) == 10
    assert len(payments.charges) == 10


def test_a_busy_service_is_asked_again_when_it_says(emulator, payments):
    payments.busy = 1
    emulator.post("/orders", json={"id": "a1", "cents": 100})
    [delivery] = emulator.advance(seconds=2)
    assert list(delivery.retry_delays.values()) == [60]

    assert emulator.advance(seconds=59) == []
    emulator.advance(seconds=3)
    assert payments.charges == {"a1": 100}


def test_an_order_that_cannot_be_charged_is_kept_with_the_reason(emulator, payments):
    payments.down = True
    emulator.post("/orders", json={"id": "a1", "cents": 100})
    emulator.run_until_idle()
    assert len(emulator.outbound.calls) == 4  # once, and max_retries

    [dead] = emulator.queue("orders-failed").messages
    assert dead.body == {"id": "a1", "cents": 100}
    assert dead.last_error == "ConnectionError: the payment service answered 503"


@pytest.mark.parametrize("seed", range(20))
def test_an_order_is_charged_once_whatever_happens(emulator, payments, seed):
    emulator.chaos(seed, duplicate=0.5, drop_ack=0.5)
    orders = {f"a{number}": 100 + number for number in range(12)}
    for order, cents in orders.items():
        emulator.post("/orders", json={"id": order, "cents": cents})
    emulator.run_until_idle()
    assert payments.charges == orders


@pytest.mark.emulator(env="staging")
def test_staging_asks_the_other_service(emulator):
    emulator.outbound.post("https://payments.staging.example/charges", json={"ok": True})
    emulator.post("/orders", json={"id": "a1", "cents": 100})
    [delivery] = emulator.run_until_idle()
    assert delivery.queue == "orders-staging"


def test_the_morning_report_counts_what_waits(emulator, capsys):
    emulator.queue("orders").pause()
    emulator.post("/orders", json={"id": "a1", "cents": 100})
    emulator.dispatch_scheduled("0 8 * * *")
    assert "1 order(s) wait" in capsys.readouterr().out


def test_two_clients_at_once():
    async def main():
        async with AsyncEmulator() as emulator:
            orders = [{"id": f"a{number}", "cents": 100} for number in range(2)]
            answers = await asyncio.gather(*(emulator.post("/orders", json=order) for order in orders))
            assert [answer.status_code for answer in answers] == [202, 202]
            assert len(emulator.queue("orders").messages) == 2

    asyncio.run(main())
