"""docs/tutorial.md, step by step, with the real program: every command, every file, and what is said of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from emulator.cli.init import create
from tests.docs.blocks import BLOCKS, shown
from tests.integration.conftest import DEADLINE_SECONDS, Running

TUTORIAL = [block for block in BLOCKS if block.page == "docs/tutorial.md"]


def run(command: str, cwd: Path, url: str) -> str:
    """What a command prints, with the emulator at `url`."""
    command = command.replace("http://localhost:8787", url).replace("curl ", "curl -s ")
    if re.match(r"emulator queues|emulator trigger", command):
        command += f" --url {url}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1", "PY_COLORS": "0"}
    done = subprocess.run(
        command, shell=True, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def step(command: str, expected: list[str], app: Path, running: Running) -> None:
    """Run a command, and find what the tutorial shows of its output."""
    if command.startswith(("emulator init", "emulator dev --inspector-port")):  # which `test_inspector` runs
        return
    if command == "emulator dev":
        assert [line for line in expected if "127.0.0.1" not in line and line not in running.lines] == []
        return
    if command.startswith("mypy"):  # the typo that the tutorial has people make
        entry = app / "src/entry.py"
        entry.write_text(entry.read_text().replace("EVENTS", "EVNTS"))
    output = run(command, app, running.url)
    for line in expected:
        assert re.search(shown(line), output), f"{command}: {output}"


def test_the_tutorial_is_as_it_says(start: Callable[..., Running], tmp_path: Path) -> None:
    app = tmp_path / "my-app"
    create(app, "python-queue", "my-app")
    configuration = app / "wrangler.jsonc"
    configuration.write_text(configuration.read_text().replace('"max_batch_timeout": 5', '"max_batch_timeout": 1'))
    running = start("dev", "-p", "0", cwd=app)
    running.ready()
    for _, _, language, file, text in TUTORIAL:
        if file:
            (app / file).write_text(text)
            if file.startswith("src/"):
                running.wait_for(r"Reloaded my-app in \d+ ms \(src/mail\.py\)")
        elif language == "text":
            for line in text.splitlines():
                running.wait_for(shown(line), DEADLINE_SECONDS)
        elif language == "console":
            command, *expected = text.removeprefix("$ ").splitlines()
            step(command, expected, app, running)
    assert running.end() == 0
