"""The Python code of the documentation: workers are loaded and asked, tests are run."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

import pytest

from emulator.cli.init import create
from emulator.testing import Emulator
from tests.docs.blocks import Block, blocks_in

pytest_plugins = ["pytester"]

DATA: dict[str, Any] = {
    "kv_namespaces": [{"binding": "SESSIONS", "id": "sessions"}],
    "r2_buckets": [{"binding": "PICTURES"}],
    "d1_databases": [{"binding": "DB"}],
    "ratelimits": [{"name": "LIMITER", "namespace_id": "1", "simple": {"limit": 100, "period": 60}}],
    "secrets_store_secrets": [{"binding": "API_KEY", "store_id": "s1", "secret_name": "api_key"}],
    "send_email": [{"name": "EMAIL"}],
    "analytics_engine_datasets": [{"binding": "VISITS", "dataset": "visits"}],
    "hyperdrive": [{"binding": "POSTGRES", "id": "1", "localConnectionString": "postgres://u:p@localhost/shop"}],
    "assets": {"directory": "public", "binding": "ASSETS"},
}
"""The data bindings that pages speak of."""

QUEUES = {
    "producers": [{"binding": "EVENTS", "queue": "my-app-events"}],
    "consumers": [{"queue": "my-app-events", "max_batch_timeout": 0}],
}
BODY = {"type": "welcome-email", "userId": 123}
WANT_MORE = ("request.form_data()", "asgi.websocket(", "WebSocket.new(", "from flask import")
"""What is in workers that want a form, a WebSocket or a POST, and are loaded only."""

PYTHON = [
    block for block in blocks_in("python") if block.page != "docs/testing.md"
]  # tests/testing/test_docs_testing.py


def worker_of(source: str) -> str:
    """A whole worker with `source`: a module as it is, methods in a class, statements in a handler."""
    if re.search(r"^async def \w+\(self", source, re.MULTILINE):
        methods = textwrap.indent(source, "    ")
        named = "async def process(body): ...\n"  # what a part of a worker leaves to its reader
        return f"from workers import WorkerEntrypoint\n\n{named}\nclass Default(WorkerEntrypoint):\n{methods}"
    if re.search(r"^class Default|^async def (on_)?(fetch|queue|scheduled)\(", source, re.MULTILINE):
        return source
    statements = textwrap.indent(source, "        ")
    return (
        "from workers import Response, WorkerEntrypoint\n\nclass Default(WorkerEntrypoint):\n"
        f"    async def fetch(self, request):\n{statements}\n        return Response('ran')\n"
    )


def has(source: str, handler: str) -> bool:
    """Whether a worker has a handler that does something."""
    return re.search(rf"def (on_)?{handler}\([^)]*\)[^:\n]*:$", source, re.MULTILINE) is not None


@pytest.mark.parametrize("block", [each for each in PYTHON if not each.is_test and not each.is_script], ids=str)
def test_a_worker_does_what_it_is_asked(block: Block) -> None:
    source = worker_of(block.text)
    with Emulator(main=source, queues=QUEUES, vars={"GREETING": "Hello"}, settings=DATA) as emulator:
        emulator.outbound.route("*", "https://example.com/*", {"ok": True})
        if has(source, "queue"):
            result = emulator.dispatch_queue("my-app-events", [BODY])
            assert (result.outcome, [again.error for again in result.retry_messages if again.error]) == ("ok", [])
        if has(source, "scheduled"):
            emulator.dispatch_scheduled("*/10 * * * *")
        if has(source, "fetch") and not any(mark in source for mark in WANT_MORE):
            body = "text" if "request.body" in source else None
            assert emulator.request("POST" if body else "GET", "/", content=body).status_code < 500


def test_the_tests_pass_in_a_new_worker(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = [block for block in PYTHON if block.is_test]
    create(pytester.path / "my-app", "python-queue", "my-app")
    (pytester.path / "my-app/public").mkdir()
    (pytester.path / "my-app/public/index.html").write_text("<h1>Hello!</h1>")
    (pytester.path / "my-app/migrations").mkdir()
    (pytester.path / "my-app/migrations/0001_users.sql").write_text("CREATE TABLE users (name TEXT UNIQUE);")
    configuration = pytester.path / "my-app/wrangler.jsonc"
    more = "".join(f'  "{key}": {json.dumps(value)},\n' for key, value in DATA.items())
    configuration.write_text(configuration.read_text().replace("{\n", "{\n" + more, 1))
    for number, block in enumerate(tests):
        (pytester.path / "my-app/tests" / f"test_block_{number}.py").write_text(block.text, encoding="utf-8")
    monkeypatch.chdir(pytester.path / "my-app")
    result = pytester.runpytest_inprocess("-W", "error", "-q", "--strict-markers", "-k", "test_block_")
    outcomes = result.parseoutcomes()
    assert outcomes.keys() <= {"passed", "deselected"}, result.stdout.str()
    assert outcomes["passed"] == sum(block.text.count("def test_") for block in tests)
