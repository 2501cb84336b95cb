"""The templates run as they are, and do what their READMEs say. Queues run on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.cli.init import create
from emulator.cli.templates import templates_directory
from emulator.queues.events import BatchDelivered, MessagesDeadLettered
from emulator.session.session import Session
from emulator_runtime.workers import Request
from tests.hosts.support import fetch
from tests.support.configs import load_config
from tests.support.node_tools import NODE_MODULES, needs_node

PAGE = templates_directory() / "javascript-queue/src/page.html"


class Running:
    """A template's worker, loaded, with its queues on a clock that a test moves."""

    def __init__(self, template: str) -> None:
        self.clock = VirtualClock()
        self.bus = Bus()
        self.batches: asyncio.Queue[BatchDelivered] = asyncio.Queue()
        self.bus.subscribe(BatchDelivered, self.batches.put_nowait)
        configuration = templates_directory() / template / "wrangler.jsonc"
        self.session = Session([load_config(configuration)], self.bus, clock=self.clock)
        self.host = self.session.hosts[0]

    async def fetch(self, path: str, method: str = "GET", **options: Any) -> tuple[int, str]:
        request = Request(f"http://localhost:8787{path}", method=method, **options)
        response = await fetch(self.host, request)
        return response.status, await response.text()

    async def next_batch(self) -> BatchDelivered:
        """Move the clock to what is due next, until a batch has been settled."""
        while self.batches.empty():
            due = self.clock.next_timer()
            if due is None:
                return await asyncio.wait_for(self.batches.get(), 5)
            self.clock.move_to(due)
            while self.clock.run_due():
                pass
            await asyncio.sleep(0)
        return self.batches.get_nowait()


@asynccontextmanager
async def run(template: str) -> AsyncIterator[Running]:
    running = Running(template)
    await running.session.load()
    try:
        assert running.host.failure is None
        yield running
    finally:
        await running.session.stop(0.0)


@pytest.mark.parametrize(
    "template",
    ["python-queue", *(pytest.param(f"{each}-queue", marks=needs_node) for each in ("javascript", "typescript"))],
)
async def test_sign_up_shows_the_same_page_in_every_language(template: str, request: pytest.FixtureRequest) -> None:
    if template != "python-queue":
        request.getfixturevalue("javascript")
    async with run(template) as running:
        response = await fetch(running.host, Request("http://localhost:8787/"))
        assert (response.status, response.headers["content-type"]) == (200, "text/html;charset=UTF-8")
        assert await response.text() == PAGE.read_text(encoding="utf-8")
        assert (await running.fetch("/elsewhere"))[0] == 404


def test_the_page_has_the_form_and_is_the_same_file_in_typescript() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert '<form action="/signup" method="post">' in page
    assert (templates_directory() / "typescript-queue/src/page.html").read_text(encoding="utf-8") == page


def test_the_types_of_the_runtime_are_those_that_wrangler_wants() -> None:
    package = json.loads((templates_directory() / "typescript-queue/package.json").read_text())
    lock = json.loads((NODE_MODULES.parent / "package-lock.json").read_text())
    wanted = lock["packages"]["node_modules/wrangler"]["peerDependencies"]
    types = "@cloudflare/workers-types"
    assert package["devDependencies"][types] == wanted[types]


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/signup?email=ada%40example.com", {}),
        ("/signup", {"method": "POST", "body": "email=ada%40example.com"}),
        (
            "/signup",
            {
                "method": "POST",
                "body": '{"email": " ada@example.com "}',
                "headers": {"content-type": "application/json"},
            },
        ),
    ],
)
async def test_a_sign_up_arrives_at_the_consumer_within_five_seconds(
    path: str, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    async with run("python-queue") as running:
        started = running.clock.now()
        status, answer = await running.fetch(path, **options)
        assert (status, json.loads(answer)) == (200, {"ok": True})
        batch = await running.next_batch()
        assert len(batch.settlement.acked) == 1
        assert running.clock.now() - started == 5
    assert "Welcome e-mail from hello@sign-up.example to ada@example.com" in capsys.readouterr().out


@pytest.mark.parametrize("email", ["", "ada", "ada@", "a b@example.com", "@example.com"])
async def test_what_is_no_address_is_refused(email: str) -> None:
    async with run("python-queue") as running:
        for options in (
            {"body": f"email={email}"},
            {"body": json.dumps({"email": email}), "headers": {"content-type": "application/json"}},
        ):
            status, answer = await running.fetch("/signup", "POST", **options)
            assert (status, json.loads(answer)["ok"]) == (400, False)
        assert (await running.session.queues.backlog("my-app-events")).backlog_count == 0


@pytest.mark.parametrize("body", ["", "[]", "{", "3", "{}"])
async def test_json_without_an_address_is_refused(body: str) -> None:
    async with run("python-queue") as running:
        options = {"body": body, "headers": {"content-type": "application/json"}}
        assert (await running.fetch("/signup", "POST", **options))[0] == 400


async def test_an_address_that_fails_is_tried_four_times_and_then_kept_with_its_reason() -> None:
    async with run("python-queue") as running:
        moved: list[MessagesDeadLettered] = []
        running.bus.subscribe(MessagesDeadLettered, moved.append)
        await running.fetch("/signup?email=nobody@fail.example")
        outcomes = [await running.next_batch() for _ in range(4)]
        assert [len(batch.settlement.retried) for batch in outcomes] == [1, 1, 1, 0]
        assert len(outcomes[-1].settlement.dead) == 1
        letter = moved[0].messages[0].dead_letter
        assert moved[0].to == "my-app-events-dlq"
        assert letter is not None
        assert letter.last_error.startswith("ConnectionError: the mail service did not take the e-mail")


async def test_an_address_that_fails_does_not_take_its_neighbours_along() -> None:
    async with run("python-queue") as running:
        for email in ("ada@example.com", "nobody@fail.example", "grace@example.com"):
            await running.fetch(f"/signup?email={email}")
        batch = await running.next_batch()
        assert [len(those) for those in (batch.messages, batch.settlement.acked, batch.settlement.retried)] == [3, 2, 1]


@pytest.mark.parametrize("template", ["python-fetch", pytest.param("javascript-fetch", marks=needs_node)])
async def test_fetch_template_answers_html_json_a_parameter_and_404(
    template: str, request: pytest.FixtureRequest
) -> None:
    if template == "javascript-fetch":
        request.getfixturevalue("javascript")
    async with run(template) as running:
        status, page = await running.fetch("/")
        assert status == 200
        assert "<h1>Hello!</h1>" in page
        status, answer = await running.fetch("/hello/Ada%20L")
        assert (status, json.loads(answer)) == (200, {"message": "Hello, Ada L"})
        status, answer = await running.fetch("/echo", "POST", body='{"a": 1}')
        assert (status, json.loads(answer)) == (200, {"you_sent": {"a": 1}})
        assert (await running.fetch("/echo", "POST", body="{"))[0] == 400
        assert (await running.fetch("/absent"))[0] == 404


def test_running_a_template_in_place_leaves_nothing_that_a_new_worker_would_get(tmp_path: Path) -> None:
    made = create(tmp_path / "new", "python-queue", "new")
    assert sorted(made) == [
        ".dev.vars.example",
        ".gitignore",
        ".vscode/launch.json",
        ".vscode/settings.json",
        "README.md",
        "pyproject.toml",
        "src/entry.py",
        "src/mail.py",
        "src/page.py",
        "tests/test_sign_up.py",
        "wrangler.jsonc",
    ]
