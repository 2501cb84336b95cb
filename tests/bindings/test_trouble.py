"""What workers in both languages are told where the disk is full, or something kept cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.base.errors import EmulatorError
from emulator.testing import Emulator
from tests.support.node_tools import needs_node

PYTHON = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        told = []
        kv, r2 = self.env.KV, self.env.R2
        for call in (lambda: kv.put("a", "1"), lambda: r2.put("a", "1"), lambda: r2.get("a")):
            try:
                await call()
            except Exception as error:
                told.append(error.message)
        return Response.json(told)
"""
JAVASCRIPT = """
export default {
  async fetch(request, env) {
    const told = [];
    for (const call of [() => env.KV.put("a", "1"), () => env.R2.put("a", "1"), () => env.R2.get("a")]) {
      await call().catch((error) => told.push(error.message));
    }
    return Response.json(told);
  },
};
"""
FULL = "there is no room left on the disk"


@pytest.mark.parametrize("main", ["entry.py", pytest.param("index.js", marks=needs_node)])
def test_a_worker_is_told_what_is_wrong(tmp_path: Path, main: str, request: pytest.FixtureRequest) -> None:
    if main == "index.js":
        request.getfixturevalue("javascript")
    (tmp_path / main).write_text(PYTHON if main == "entry.py" else JAVASCRIPT)
    configuration = {
        "name": "app",
        "main": main,
        "compatibility_date": "2026-04-01",
        "compatibility_flags": ["python_workers"] if main == "entry.py" else [],
        "kv_namespaces": [{"binding": "KV", "id": "kv"}],
        "r2_buckets": [{"binding": "R2", "bucket_name": "files"}],
    }
    (tmp_path / "wrangler.json").write_text(json.dumps(configuration))
    with Emulator(tmp_path / "wrangler.json") as emulator:
        emulator.kv("KV").fail_next(1, EmulatorError(FULL))
        emulator.r2("R2").fail_next(2, EmulatorError(FULL))
        assert emulator.get("/").json() == [
            f"KV PUT failed: 500 {FULL}",
            f"put: {FULL} (10001)",
            f"get: {FULL} (10001)",
        ]
