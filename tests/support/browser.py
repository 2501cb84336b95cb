"""A real browser, Chromium, driven over its DevTools protocol. Where there is none, its tests are skipped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.sync.client import ClientConnection, connect

DEADLINE_SECONDS: Final = 20.0
CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

_UNTIL: Final = """new Promise((resolve, reject) => {
  const test = () => (%s) && resolve(true);
  if (test()) return;
  const all = { subtree: true, childList: true, attributes: true, characterData: true };
  new MutationObserver(test).observe(document, all);
  setTimeout(() => reject(document.body.innerText), %d);
})"""


class Page:
    """A page in a tab of its own. `complaints` are the errors that it has raised and the browser has noted so far."""

    def __init__(self, connection: ClientConnection) -> None:
        self.complaints: list[str] = []
        self._connection = connection
        self._sent = 0
        self._session = ""
        self._target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go to an address, and wait until its document is there."""
        self._ask("Page.navigate", url=url)
        while self._receive().get("method") != "Page.loadEventFired":
            pass

    def evaluate(self, code: str) -> Any:
        """The value of an expression in the page, which is awaited. Fails with what it raises."""
        answer = self._ask("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            pytest.fail(f"{code}\n{json.dumps(answer['exceptionDetails'], indent=2)}")
        return answer["result"].get("value")

    def wait_until(self, condition: str) -> None:
        """Wait until an expression is true: it is looked at whenever the page changes."""
        self.evaluate(_UNTIL % (condition, DEADLINE_SECONDS * 1000))

    def close(self) -> None:
        """Close the tab."""
        self._session = ""
        self._ask("Target.closeTarget", targetId=self._target)

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._sent += 1
        session = {"sessionId": self._session} if self._session else {}
        self._connection.send(json.dumps({"id": self._sent, "method": method, "params": parameters, **session}))
        while (answer := self._receive()).get("id") != self._sent:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(DEADLINE_SECONDS))
        if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(message["params"]))
        return message


@contextmanager
def browser(directory: Path, *options: str) -> Iterator[ClientConnection]:
    """A Chromium without a window, whose profile is in `directory`: what a Page is made with."""
    command = [
        str(CHROMIUM),
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={directory}", *options),
        "about:blank",
    ]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert started.stderr is not None
    try:
        address = next(line.split()[-1] for line in started.stderr if "DevTools listening on" in line)
        with connect(address, max_size=None, proxy=None) as connection:
            yield connection
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait(DEADLINE_SECONDS)
        started.stderr.close()
