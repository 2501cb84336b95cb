"""The small bindings in a real session, over REST: with wrangler, our commands and plain requests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import ACCOUNT, API, Running, write_worker
from tests.support.copies import run_emulator
from tests.support.node_tools import needs_node

WORKER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        key = await self.env.API_KEY.get()
        mail = {"from": "a@a.example", "to": "b@b.example", "subject": f"the key is {key}", "text": "hello"}
        await self.env.EMAIL.send(mail)
        self.env.VISITS.writeDataPoint(blobs=[key], doubles=[1])
        return Response(key)
"""
BINDINGS: dict[str, Any] = {
    "secrets_store_secrets": [{"binding": "API_KEY", "store_id": "s1", "secret_name": "api_key"}],
    "send_email": [{"name": "EMAIL"}],
    "analytics_engine_datasets": [{"binding": "VISITS", "dataset": "visits"}],
}


@pytest.fixture
def session(dev: Callable[..., Running], tmp_path: Path) -> Running:
    """A session with the small bindings."""
    write_worker(tmp_path, WORKER, **BINDINGS)
    return dev(tmp_path)


def emulator(directory: Path, *arguments: str) -> str:
    done = run_emulator(directory, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_node
def test_wrangler_keeps_secrets(wrangler: Callable[..., str], session: Running) -> None:
    secret = partial(wrangler, "secrets-store", "secret")
    given = ("--name", "api_key", "--scopes", "workers", "--remote")
    assert "Created secret" in secret("create", "s1", "--value", "k-1", *given)
    assert httpx.get(session.url).text == "k-1"
    identifier = re.findall(r"[0-9a-f]{32}", secret("list", "s1", "--remote"))[0]
    secret("update", "s1", "--secret-id", identifier, "--value", "k-2", "--remote")
    assert httpx.get(session.url).text == "k-2"
    assert "api_key" in secret("get", "s1", "--secret-id", identifier, "--remote")
    secret("duplicate", "s1", "--secret-id", identifier, "--name", "other", "--scopes", "workers", "--remote")
    assert "other" in secret("list", "s1", "--remote")
    secret("delete", "s1", "--secret-id", identifier, "--remote")
    assert httpx.get(session.url).status_code == 500
    assert "s1" in wrangler("secrets-store", "store", "list", "--remote")


def test_commands_and_requests_reach_a_running_session(session: Running, tmp_path: Path) -> None:
    assert emulator(tmp_path, "secrets-store", "put", "API_KEY", "k-1") == "Kept api_key\n"
    assert httpx.get(session.url).text == "k-1"
    session.wait_for(r"e-mail 1 to b@b\.example: the key is k-1")
    [listed] = json.loads(emulator(tmp_path, "email", "list", "--json"))
    assert listed["subject"] == "the key is k-1"
    assert emulator(tmp_path, "email", "show", "1").endswith("\n\nhello\n\n")
    address = f"{session.url}{API}/accounts/{ACCOUNT}/analytics_engine/sql"
    answer = httpx.post(
        address, content="SELECT blob1, sum(double1) AS n FROM visits GROUP BY blob1 FORMAT JSONEachRow"
    )
    assert answer.json() == {"blob1": "k-1", "n": 1.0}
