"""Runs one script as a worker of ours, of `workerd serve` and of Miniflare, so that their answers can be compared."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from emulator.testing import Emulator
from tests.support.node_tools import ESBUILD, MINIFLARE, WORKERD, tool


def project(directory: Path, script: Path, bindings: Mapping[str, Any]) -> Path:
    """The configuration of a project whose worker is `script`, in JavaScript or, as `.py.txt`, in Python."""
    directory.mkdir()
    main = "index.js" if script.suffix == ".js" else "entry.py"
    shutil.copy(script, directory / main)
    configuration = {
        "name": directory.name,
        "main": main,
        "compatibility_date": "2026-04-01",
        "compatibility_flags": ["python_workers"] if main == "entry.py" else [],
        **bindings,
    }
    path = directory / "wrangler.jsonc"
    path.write_text(json.dumps(configuration))
    return path


def ours(path: Path, body: object = None) -> dict[str, Any]:
    """What a worker of ours answers."""
    with Emulator(path) as emulator:
        results: dict[str, Any] = emulator.post("/", json=body).json()
        return results


def workerds(path: Path, body: object = None) -> dict[str, Any]:
    """What `workerd serve` answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [str(tool(WORKERD)), "serve", "--experimental", path.name, f"--socket-addr=http=127.0.0.1:{port}"]
    environment = {**os.environ, "PATH": f"{tool(ESBUILD).parent}:{os.environ['PATH']}"}
    with subprocess.Popen(command, cwd=path.parent, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    results: dict[str, Any] = httpx.post(f"http://127.0.0.1:{port}/", json=body).json()
                except httpx.ConnectError:
                    assert time.monotonic() < deadline
                    assert process.poll() is None
                    continue
                return results
        finally:
            process.kill()


def miniflares(node: str, script: Path, bindings: Mapping[str, Any]) -> dict[str, Any]:
    """What Miniflare answers. `bindings` are options of its own."""
    runner = Path(__file__).parent / "miniflare.mjs"
    command = [node, str(runner), str(tool(MINIFLARE)), str(script), json.dumps(bindings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    return results
