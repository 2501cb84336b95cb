"""What keys show. How they are pressed is in tests/integration/test_keys.py."""

from __future__ import annotations

import asyncio
import webbrowser

import pytest

from emulator.cli import keys
from tests.queues.driving import Consumer, Driven, consume, throw


def test_no_key_is_listed_twice_and_each_is_in_the_line() -> None:
    chars = [key.char for key in keys.KEYS]
    assert len(set(chars)) == len(chars)
    assert keys.key_names() == "Keys: " + "  ".join(f"{key.char} {key.name}" for key in keys.KEYS)


class Browser(webbrowser.BaseBrowser):
    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    def open(self, url: str, _new: int = 0, _autoraise: bool = True) -> bool:
        self.opened.append(url)
        return True


def test_a_browser_is_opened_but_not_one_that_takes_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROWSER", raising=False)
    browser = Browser()
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    assert keys._open_browser("http://127.0.0.1:1")
    assert browser.opened == ["http://127.0.0.1:1"]
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("w3m"))
    assert not keys._open_browser("http://127.0.0.1:1")


async def test_the_queues_at_a_glance() -> None:
    driven = Driven()
    await consume(driven, Consumer(driven, throw), retries=0, dlq="dlq")
    await consume(driven, Consumer(driven, throw), queue="other", worker="other", retries=0, dlq="dlq")
    await driven.send(b"one", b"two")
    await driven.send(b"of another queue", queue="other")
    await driven.advance(90)
    gate = asyncio.Event()
    await consume(driven, Consumer(driven, gate=gate), queue="slow", worker="slow", size=1, concurrency=1)
    await driven.send(b"in flight", b"waits", queue="slow")
    await driven.settle()
    assert sorted(map(tuple, await keys.queue_rows(driven.queues, driven.clock.now()))) == [
        ("dlq", "3", "-", "-", "1 min"),
        ("orders", "-", "-", "2", ""),
        ("other", "-", "-", "1", ""),
        ("slow", "1", "1", "-", "0 s"),
    ]
    gate.set()
    await driven.settle()
