"""One script that sends, as workers of ours in both languages and as Miniflare runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from emulator.bindings.email.outbox import SentEmail
from emulator.testing import Emulator
from tests.support import oracles
from tests.support.node_tools import NODE_MODULES, javascript, needs_node, tool  # noqa: F401 - a fixture

HERE = Path(__file__).parent
MINIFLARE = NODE_MODULES / "miniflare/dist/src/index.js"
BINDINGS = {
    "send_email": [
        {"name": "EMAIL"},
        {"name": "ONE", "destination_address": "grace@b.example"},
        {"name": "FEW", "allowed_destination_addresses": ["grace@b.example"]},
        {"name": "FROM", "allowed_sender_addresses": ["ada@a.example"]},
    ]
}


def run(path: Path) -> tuple[dict[str, Any], list[SentEmail]]:
    with Emulator(path) as emulator:
        results: dict[str, Any] = emulator.get("/").json()
        return results, list(emulator.outbox())


@needs_node
@pytest.mark.usefixtures("javascript")
def test_javascript_sees_what_miniflare_shows(tmp_path: Path, newest_node: str) -> None:
    command = [newest_node, str(HERE / "miniflare.mjs"), str(tool(MINIFLARE)), str(HERE / "script.js")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    results, _ = run(oracles.project(tmp_path / "js", HERE / "script.js", BINDINGS))
    assert results == json.loads(done.stdout)
    assert sum(each == "<...@a.example>" for each in results.values()) == 7


@needs_node
@pytest.mark.usefixtures("javascript")
def test_python_sees_and_sends_what_javascript_does(tmp_path: Path) -> None:
    in_javascript, sent_there = run(oracles.project(tmp_path / "js", HERE / "script.js", BINDINGS))
    in_python, sent_here = run(oracles.project(tmp_path / "py", HERE / "script.py.txt", BINDINGS))
    assert in_python == in_javascript
    assert len(sent_here) == len(sent_there) == 7
    for one, other in zip(sent_here, sent_there, strict=True):
        compared = ("recipients", "sender", "from_", "to", "cc", "reply_to", "subject", "text", "html", "attachments")
        assert [getattr(one, name) for name in compared] == [getattr(other, name) for name in compared]
