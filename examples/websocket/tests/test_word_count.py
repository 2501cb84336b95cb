"""The tests of the worker: a page, and a WebSocket in virtual time."""

import json

import pytest

from emulator.testing import WebSocketClosed


def test_the_page_connects_to_the_worker(emulator):
    page = emulator.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "/live" in page.text


def test_words_are_counted_as_they_come(emulator):
    with emulator.websocket("/live") as socket:
        socket.send("Hello, world")
        assert json.loads(socket.receive()) == {"words": 2, "characters": 12}
        emulator.advance(seconds=290)
        socket.send("Hello, world, again")
        assert json.loads(socket.receive())["words"] == 3


def test_two_pages_are_counted_apart(emulator):
    with emulator.websocket("/live") as one, emulator.websocket("/live") as other:
        one.send("a")
        other.send("a b")
        assert json.loads(other.receive())["words"] == 2
        assert json.loads(one.receive())["words"] == 1


def test_a_page_where_nobody_types_is_let_go(emulator):
    began = emulator.now
    with emulator.websocket("/live") as socket:
        with pytest.raises(WebSocketClosed) as closed:
            socket.receive()
        assert closed.value.code == 4000
    assert (emulator.now - began).total_seconds() == 300


def test_a_page_that_is_closed_is_noticed(emulator, capsys):
    with emulator.websocket("/live"):
        pass
    assert capsys.readouterr().out == "the page was closed\n"
