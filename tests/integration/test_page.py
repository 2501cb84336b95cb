"""The page of the queue templates. Its script runs for real, in Node.js and against the program. Its elements are those
of `browser.mjs`."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from emulator.cli.init import create
from emulator.cli.templates import templates_directory
from tests.support.node_tools import needs_node

if TYPE_CHECKING:
    from tests.integration.conftest import Running

BROWSER = Path(__file__).parent / "browser.mjs"
DEADLINE_SECONDS = 20.0
PAGE = templates_directory() / "javascript-queue/src/page.html"

pytestmark = needs_node


@contextmanager
def opened(url: str, *emails: str) -> Iterator[Iterator[dict[str, Any]]]:
    """What the page at `url` shows, each time that it has looked into the queues, after `emails` have signed up on it.
    Ends when the page looks no more, and fails where its script has failed."""
    node = shutil.which("node")
    assert node is not None
    with subprocess.Popen([node, str(BROWSER), url, *emails], stdout=subprocess.PIPE, text=True) as process:
        alarm = threading.Timer(DEADLINE_SECONDS, process.kill)
        alarm.start()
        try:
            yield _states(process)
        finally:
            alarm.cancel()
            process.kill()


def _states(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    yield from map(json.loads, process.stdout)
    assert process.wait() == 0


def test_the_page_shows_messages_wait_and_be_delivered_or_die(start: Callable[..., Running], tmp_path: Path) -> None:
    create(tmp_path / "app", "python-queue", "app")
    configuration = tmp_path / "app/wrangler.jsonc"
    settings = configuration.read_text().replace('"max_batch_timeout": 5', '"max_batch_timeout": 0')
    configuration.write_text(settings.replace('"max_retries": 3', '"max_retries": 0'))
    url = start("dev", "--port", "0", cwd=tmp_path / "app").ready().url
    with httpx.Client(base_url=f"{url}/cdn-cgi/emulator/client/v4/accounts/local") as api:
        [queue] = [
            each["queue_id"] for each in api.get("/queues").json()["result"] if each["queue_name"] == "my-app-events"
        ]

        def pause(paused: bool) -> None:
            api.patch(f"/queues/{queue}", json={"settings": {"delivery_paused": paused}}).raise_for_status()

        pause(True)
        with opened(url, "zoë@example.com", "nobody@fail.example") as shown:
            waits = next(state for state in shown if len(state["waiting"]) == 2)
            assert waits["hidden"] is False
            assert waits["waiting"] == ["nobody@fail.example attempts: 0", "zoë@example.com attempts: 0"]
            for message in ({"body": None}, {"body": "plain words", "content_type": "text"}):
                api.post(f"/queues/{queue}/messages", json=message).raise_for_status()
            waits = next(state for state in shown if len(state["waiting"]) == 4)
            assert waits["answer"].startswith('{"ok": true}  in ')
            assert waits["waiting"][:2] == ["plain words attempts: 0", "null attempts: 0"]
            pause(False)
            settled = next(state for state in shown if len(state["dead"]) == 3)
            assert settled["waiting"] == []
            assert settled["delivered"] == ["zoë@example.com acked"]
            assert settled["dead"][-1] == "nobody@fail.example out of attempts"


class _Production(BaseHTTPRequestHandler):
    """The page, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 404)
        self.end_headers()
        self.wfile.write(PAGE.read_bytes() if self.path == "/" else b"Not found")

    def log_message(self, *_: object) -> None:
        pass


def test_in_production_the_page_shows_no_queues_and_does_not_ask_again() -> None:
    with HTTPServer(("127.0.0.1", 0), _Production) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with opened(f"http://127.0.0.1:{server.server_port}/") as shown:
                states = list(shown)
        finally:
            server.shutdown()
            thread.join()
    assert states == [{"hidden": True, "answer": "", "waiting": [], "delivered": [], "dead": []}]
