"""The dashboard of the real program, looked at with a real browser. Where there is none, its tests are skipped."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from tests.integration.conftest import Running, dev, start  # noqa: F401 - fixtures
from tests.support.browser import DEADLINE_SECONDS, complaints_of
from tests.support.runtime_directory import runtime  # noqa: F401 - a fixture

ROOT = "/cdn-cgi/emulator"
API = f"{ROOT}/client/v4/accounts/local"

WORKER = """
    import asyncio
    from js import Response as JsResponse, caches
    from workers import Response, WorkerEntrypoint

    released = asyncio.Event()

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            if request.url.endswith("/fill"):
                return await self.fill()
            if request.url.endswith("/flood"):
                return await self.flood(int(await request.text()))
            if request.url.endswith("/release"):
                released.set()
                return Response("released")
            body = await request.text()
            if body:
                await self.env.JOBS.send(body, contentType="text")
            thing = type(body.replace("\\0", ""), (), {"__repr__": None})()
            if "/fails" in request.url:
                raise ValueError(f"cannot: {body}")
            return Response("ok")

        async def fill(self):
            await self.env.SESSIONS.put("a", '{"user": "ada"}')
            await self.env.FILES.put("b", "text")
            await self.env.DB.exec("CREATE TABLE book (title); INSERT INTO book VALUES ('Emma')")
            self.env.VISITS.writeDataPoint(indexes=["ada"], blobs=["London"], doubles=[21.5])
            await caches.default.put("http://shop.test/page", JsResponse.new("kept"))
            mail = {"from": "shop@example.com", "to": "ada@example.com", "subject": "Your order", "text": "On its way."}
            await self.env.MAIL.send(mail)
            return Response("filled")

        async def flood(self, batches):
            for _ in range(batches):
                await self.env.FLOOD.sendBatch([{"body": {"n": number}} for number in range(100)])
                await asyncio.sleep(0.01)
            return Response("sent")

        async def queue(self, batch, env, ctx):
            if batch.queue == "flood":
                return
            for message in batch.messages:
                given = {message.body: [message.body, self.env.API_KEY]}
                print("got", message.body)
                if "fail" in str(message.body):
                    raise ConnectionError(str(message.body))
                message.ack()

        async def scheduled(self, controller, env, ctx):
            print("sweeps")
            if controller.cron == "0 4 * * 1":
                await released.wait()
            print("swept")
"""
CONFIGURATION: dict[str, Any] = {
    "name": "shop",
    "main": "entry.py",
    "compatibility_date": "2026-11-01",
    "compatibility_flags": ["python_workers"],
    "vars": {"GREETING": "hello"},
    "triggers": {"crons": ["0 3 * * 1", "0 4 * * 1"]},
    "kv_namespaces": [{"binding": "SESSIONS", "id": "sessions"}],
    "r2_buckets": [{"binding": "FILES", "bucket_name": "files"}],
    "d1_databases": [{"binding": "DB", "database_name": "books", "database_id": "books-1"}],
    "analytics_engine_datasets": [{"binding": "VISITS", "dataset": "visits"}],
    "send_email": [{"name": "MAIL"}],
    "queues": {
        "producers": [
            {"binding": "JOBS", "queue": "jobs"},
            {"binding": "LATER", "queue": "later"},
            {"binding": "FLOOD", "queue": "flood"},
        ],
        "consumers": [
            {
                "queue": "jobs",
                "max_batch_size": 1,
                "max_batch_timeout": 0,
                "max_retries": 1,
                "dead_letter_queue": "jobs-dlq",
            },
            {"queue": "flood", "max_batch_size": 100, "max_batch_timeout": 1},
        ],
    },
}


class Shop:
    """The program with a worker that sends what it is posted to its own queue. `page` is opened when it is first asked
    for, and `complaints` are its own."""

    def __init__(self, running: Running, open_page: Callable[[], Page]) -> None:
        self.running = running
        self.url = running.url
        self.client = httpx.Client(base_url=running.url, timeout=DEADLINE_SECONDS)
        self.complaints: list[str] = []
        self._open_page = open_page

    @cached_property
    def page(self) -> Page:
        page = self._open_page()
        self.complaints = complaints_of(page)
        return page

    def open(self, path: str = "/") -> Page:
        """Go to a page of the dashboard."""
        self.page.goto(f"{self.url}{ROOT}{path}")
        return self.page

    def post(self, body: str, path: str = "/") -> int:
        return self.client.post(path, content=body.encode()).status_code

    def fail(self, body: str = "fail") -> None:
        """Have a message die."""
        self.post(body)
        self.running.wait_for("moved 1 message")

    def fill(self) -> None:
        """Have something on every page."""
        self.post("one")
        self.fail()
        self.post("", "/fails")
        assert self.post("", "/fill") == 200

    def send(self, *bodies: str, queue: str = "later") -> None:
        """Send texts."""
        for body in bodies:
            answer = self.client.post(f"{ROOT}/queues/{queue}/send", data={"content_type": "text", "body": body})
            assert answer.status_code == 303

    def send_many(self, number: int, queue: str = "later") -> None:
        """Send hundreds of texts, `m0` to `m99` again and again."""
        queues = self.client.get(f"{API}/queues").json()["result"]
        [identifier] = [each["queue_id"] for each in queues if each["queue_name"] == queue]
        for first in range(0, number, 100):
            bodies = [f"m{each}" for each in range(min(100, number - first))]
            messages = [{"body": body, "content_type": "text"} for body in bodies]
            sent = self.client.post(f"{API}/queues/{identifier}/messages/batch", json={"messages": messages})
            sent.raise_for_status()

    def dead(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.client.get(f"{ROOT}/api/messages?filter=state:dead").json()["messages"]
        return found

    def waiting(self, queue: str) -> int:
        page = self.client.get(f"{ROOT}/queues/{queue}").text
        match = re.search(r'Waiting</dt><dd class="big">([\d,]+)', page)
        assert match is not None
        return int(match[1].replace(",", ""))


def write_shop(directory: Path) -> None:
    """The worker of a shop."""
    (directory / "entry.py").write_text(textwrap.dedent(WORKER))
    (directory / "wrangler.jsonc").write_text(json.dumps(CONFIGURATION, indent=2))
    (directory / ".dev.vars").write_text("API_KEY=do-not-show-this\n")


@pytest.fixture
def shop(dev: Callable[..., Running], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:  # noqa: F811 - fixtures
    write_shop(tmp_path)
    made = Shop(dev(tmp_path, "--no-share", "--no-crons"), lambda: request.getfixturevalue("page"))
    yield made
    made.client.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A session that has something on every page, for all tests that only look."""
    directory = tmp_path_factory.mktemp("filled")
    write_shop(directory)
    places = {"XDG_RUNTIME_DIR": str(directory), "TMPDIR": str(directory)}
    command = ("dev", "-p", "0", "--no-share", "--no-crons", "--no-persist")
    running = Running(*command, cwd=directory, environment=places).ready()
    shop = Shop(running, lambda: pytest.fail("it has no page yet"))
    shop.fill()
    shop.client.close()
    yield running
    running.end()


@pytest.fixture
def shown(filled: Running, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """The session that many tests look at: nothing may change it."""
    made = Shop(filled, lambda: request.getfixturevalue("page"))
    yield made
    made.client.close()
