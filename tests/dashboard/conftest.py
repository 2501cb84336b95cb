"""The dashboard of the real program, looked at with a real browser. Where there is none, its tests are skipped."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.integration.conftest import Running, dev, start  # noqa: F401 - fixtures
from tests.support.browser import CHROMIUM, DEADLINE_SECONDS
from tests.support.runtime_directory import runtime  # noqa: F401 - a fixture

ROOT = "/cdn-cgi/emulator"
API = f"{ROOT}/client/v4/accounts/local"

WORKER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            body = await request.text()
            if body:
                await self.env.JOBS.send(body, contentType="text")
            thing = type(body.replace("\\0", ""), (), {"__repr__": None})()
            if "/fails" in request.url:
                raise ValueError(f"cannot: {body}")
            return Response("ok")

        async def queue(self, batch, env, ctx):
            for message in batch.messages:
                given = {message.body: [message.body, self.env.API_KEY]}
                print("got", message.body)
                if "fail" in str(message.body):
                    raise ConnectionError(str(message.body))
                message.ack()

        async def scheduled(self, controller, env, ctx):
            print("swept")
"""
CONFIGURATION = """{
  "name": "shop",
  "main": "entry.py",
  "compatibility_date": "2026-11-01",
  "compatibility_flags": ["python_workers"],
  "vars": { "GREETING": "hello" },
  "triggers": { "crons": ["0 3 * * 1"] },
  "kv_namespaces": [{ "binding": "SESSIONS", "id": "sessions" }],
  "r2_buckets": [{ "binding": "FILES", "bucket_name": "files" }],
  "d1_databases": [{ "binding": "DB", "database_name": "books", "database_id": "books-1" }],
  "queues": {
    "producers": [{ "binding": "JOBS", "queue": "jobs" }, { "binding": "LATER", "queue": "later" }],
    "consumers": [{
      "queue": "jobs", "max_batch_size": 1, "max_batch_timeout": 0, "max_retries": 1, "dead_letter_queue": "jobs-dlq"
    }]
  }
}"""


class Shop:
    """The program with a worker that sends what it is posted to its own queue. `open` goes to a page."""

    def __init__(self, running: Running, page: Page) -> None:
        self.running = running
        self.page = page
        self.url = running.url
        self.client = httpx.Client(base_url=running.url, timeout=DEADLINE_SECONDS)
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, path: str = "/") -> Page:
        self.page.goto(f"{self.url}{ROOT}{path}")
        return self.page

    def post(self, body: str, path: str = "/") -> int:
        return self.client.post(path, content=body.encode()).status_code

    def fail(self, body: str = "fail") -> None:
        """Have a message die."""
        self.post(body)
        self.running.wait_for("moved 1 message")

    def dead(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.client.get(f"{ROOT}/api/messages?filter=state:dead").json()["messages"]
        return found

    def waiting(self, queue: str) -> int:
        page = self.client.get(f"{ROOT}/queues/{queue}").text
        match = re.search(r'Waiting</dt><dd class="big">([\d,]+)', page)
        assert match is not None
        return int(match[1].replace(",", ""))


@pytest.fixture(scope="module")  # while Playwright runs, there is an event loop on this thread, which others do without
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(DEADLINE_SECONDS * 1000)
    yield context.new_page()
    context.close()


@pytest.fixture
def shop(dev: Callable[..., Running], page: Page, tmp_path: Path) -> Iterator[Shop]:  # noqa: F811 - fixtures
    (tmp_path / "entry.py").write_text(textwrap.dedent(WORKER))
    (tmp_path / "wrangler.jsonc").write_text(CONFIGURATION)
    (tmp_path / ".dev.vars").write_text("API_KEY=do-not-show-this\n")
    made = Shop(dev(tmp_path, "--no-share", "--no-crons"), page)
    yield made
    made.client.close()
