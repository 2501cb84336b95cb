from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from emulator.testing import Emulator
from tests.support.node_tools import needs_node

PYTHON = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        version = self.env.VERSION
        assert version.id == version["id"]
        return Response.json({"id": version.id, "tag": version.tag, "timestamp": version.timestamp})
"""
JAVASCRIPT = "export default { fetch: (request, env) => Response.json(env.VERSION) };"
SETTINGS = {"version_metadata": {"binding": "VERSION"}}


def check(emulator: Emulator) -> str:
    version = emulator.get("/").json()
    assert sorted(version) == ["id", "tag", "timestamp"]
    assert version["tag"] == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", version["timestamp"])
    identifier: str = version["id"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", identifier)
    assert emulator.get("/").json()["id"] == identifier
    return identifier


def test_a_python_worker_knows_its_version() -> None:
    with Emulator(main=PYTHON, settings=SETTINGS) as one, Emulator(main=PYTHON, settings=SETTINGS) as other:
        assert check(one) != check(other)


@needs_node
@pytest.mark.usefixtures("javascript")
def test_a_javascript_worker_knows_its_version(tmp_path: Path) -> None:
    (tmp_path / "index.js").write_text(JAVASCRIPT)
    path = tmp_path / "wrangler.json"
    path.write_text(json.dumps({"name": "a", "main": "index.js", "compatibility_date": "2026-04-01", **SETTINGS}))
    with Emulator(path) as emulator:
        check(emulator)
