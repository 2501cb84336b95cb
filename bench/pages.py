"""The rows about open pages of the dashboard: what is left of the rate of messages while somebody looks.

`python -m bench.pages URL` is a page that draws nothing: it listens and fetches in the rhythm of the real one (see
`static/page.js` of the dashboard), so that what the emulator pays is seen apart from what the browser does.
"""

from __future__ import annotations

import http.client
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.measures import Effort, send_rate
from bench.sides import BenchError, Server, emulator_side, running
from emulator.server.addresses import DASHBOARD
from tests.support.browser import CHROMIUM

SETTLE_SECONDS: Final = 0.1
PAUSE_SECONDS: Final = 0.5
TIMES: Final = 50
LONGEST_SECONDS: Final = 5.0
_TIMEOUT_SECONDS: Final = 30.0


def watched(effort: Effort) -> dict[str, float]:
    """What pages leave of the rate of `send`, each as a part of the rate with none. They take turns."""
    if CHROMIUM is None:
        raise BenchError("there is no Chromium here")
    looks: dict[str, Callable[[Server], AbstractContextManager[object]]] = {
        "none": lambda _server: _nobody(),
        "watched-overview": lambda server: _in_chromium(server.url(f"{DASHBOARD}/")),
        "watched-messages": lambda server: _in_chromium(server.url(f"{DASHBOARD}/messages")),
        "watched-undrawn": lambda server: _undrawn(server.url(f"{DASHBOARD}/messages")),
    }
    rates: dict[str, list[float]] = {name: [] for name in looks}
    for _ in range(effort.pages):
        for name, look in looks.items():
            with (
                tempfile.TemporaryDirectory(prefix="bench-") as scratch,
                running(emulator_side(), Path(scratch)) as server,
                look(server),
            ):
                rates[name].append(send_rate(server, effort))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    alone = medians.pop("none")
    return {name: rate / alone for name, rate in medians.items()}


@contextmanager
def _nobody() -> Iterator[None]:
    yield


@contextmanager
def _in_chromium(url: str) -> Iterator[None]:
    """A page in the browser, which is up to date at first."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(url)
        page.locator(".state[data-is=live]").wait_for()
        yield
        browser.close()


@contextmanager
def _undrawn(url: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "bench.pages", url], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "live\n":
            raise BenchError(f"nothing is told of what happens at {url}")
        yield
    finally:
        process.kill()
        process.wait()


def follow(url: str) -> None:
    """Fetch a page whenever something has happened, for good."""
    host, path = urlsplit(url).netloc, urlsplit(url).path
    listening, fetching = (http.client.HTTPConnection(host, timeout=_TIMEOUT_SECONDS) for _ in range(2))
    listening.request("GET", f"{DASHBOARD}/changes")
    told = listening.getresponse()
    ready_at = 0.0
    while line := told.readline():
        if line == b"event: hello\n":
            print("live", flush=True)
        if line != b"event: change\n" or time.monotonic() < ready_at:
            continue
        time.sleep(SETTLE_SECONDS)
        fetching.request("GET", path, headers={"accept": "text/html"})
        answer = fetching.getresponse()
        answer.read()
        took = re.search(r"dur=([\d.]+)", answer.headers["server-timing"])
        assert took is not None
        pause = max(PAUSE_SECONDS - SETTLE_SECONDS, TIMES * float(took[1]) / 1e3)
        ready_at = time.monotonic() + min(pause, LONGEST_SECONDS)


if __name__ == "__main__":
    follow(sys.argv[1])
