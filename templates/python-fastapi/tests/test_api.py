"""Run them with `pytest`. Each test gets the worker afresh, and time passes only when a test says so."""


def test_an_order_is_packed(emulator, capsys):
    response = emulator.post("/orders", json={"item": "tea", "quantity": 2})
    assert (response.status_code, response.json()) == (202, {"item": "tea", "quantity": 2})

    [delivery] = emulator.advance(seconds=1)
    assert delivery.acked
    assert "Packing 2 x tea" in capsys.readouterr().out


def test_an_order_that_makes_no_sense_is_refused(emulator):
    assert emulator.post("/orders", json={"item": "tea", "quantity": 0}).status_code == 422
    assert emulator.queue("my-api-orders").messages == []


def test_there_are_pages_about_it(emulator):
    assert emulator.get("/docs").status_code == 200
    assert "/orders" in emulator.get("/openapi.json").json()["paths"]
