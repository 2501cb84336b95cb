"""Run them with `pytest`. Each test gets the worker afresh; `emulator.get` and the like return httpx responses."""

import pytest


def test_it_greets_by_name(emulator):
    assert emulator.get("/hello/Ada").json() == {"message": "Hello, Ada"}


@pytest.mark.emulator(vars={"GREETING": "Hi"})
def test_the_greeting_is_a_variable(emulator):
    assert emulator.get("/hello/Ada").json() == {"message": "Hi, Ada"}


def test_what_is_posted_comes_back(emulator):
    assert emulator.post("/echo", json={"a": 1}).json() == {"you_sent": {"a": 1}}
    assert emulator.post("/echo", content="{").status_code == 400


def test_anything_else_is_not_found(emulator):
    assert emulator.get("/nowhere").status_code == 404
