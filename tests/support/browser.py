"""A real browser, Chromium, driven by Playwright: one for all tests of a process, and a context for each test. Where
there is none, its tests are skipped, and say so."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

DEADLINE_SECONDS: Final = 20.0
_NAMES: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM: Final = next(filter(None, map(shutil.which, _NAMES)), None)

PRODUCTION: Final = "shop.example"
"""A name that leads to this machine, in the browser, and is not one of this machine's own."""

_TEMPORARY: Final = tempfile.gettempdir()

_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    f"--host-resolver-rules=MAP {PRODUCTION} 127.0.0.1",
)


class Chromium:
    """The browser, and the event loop that drives it. The loop is on the thread of the tests, where async tests have
    loops of their own, so it is the running one only within `in_use`."""

    def __init__(self, driver: Playwright) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self._browser = driver.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        finally:
            asyncio._set_running_loop(None)

    @contextmanager
    def in_use(self) -> Iterator[Browser]:
        """While the browser is used."""
        asyncio._set_running_loop(self._loop)
        try:
            yield self._browser
        finally:
            asyncio._set_running_loop(None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=DEADLINE_SECONDS * 1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", _TEMPORARY)  # that of a test is gone with it, and its path too long for sockets
        driver = sync_playwright().start()
        made = Chromium(driver)
    yield made
    with made.in_use() as browser:
        browser.close()
        driver.stop()


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    """A page in a context of its own."""
    with chromium.in_use() as browser:
        context = browser.new_context()
        context.set_default_timeout(DEADLINE_SECONDS * 1000)
        yield context.new_page()
        context.close()


def complaints_of(page: Page) -> list[str]:
    """What goes wrong on a page from now on, as it comes: errors of scripts, and what the console calls an error."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints
