"""The real program, in a process of its own, on a real port.

Nothing here waits by sleeping: a test reads the terminal's lines until the one that it expects is there.
"""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.copies import Copy
from tests.support.node_tools import WRANGLER, newest_node, tool  # noqa: F401 - a fixture
from tests.support.runtime_directory import runtime  # noqa: F401 - a fixture

DEADLINE_SECONDS = 20.0
API = "/cdn-cgi/emulator/client/v4"
ACCOUNT = "0123456789abcdef0123456789abcdef"
"""Any id is accepted."""


class Running:
    """An `emulator` process, a copy of one or, with `python`, the program itself. `url` is set once it is ready;
    `lines` are what it has printed so far and has been read."""

    def __init__(self, *arguments: str, cwd: Path, environment: dict[str, str] | None = None, python: str = "") -> None:
        self.lines: list[str] = []
        self.url = ""
        given = {**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **(environment or {})}
        printed, output = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        self.process: subprocess.Popen[bytes] | Copy
        if python:
            command = [python, "-m", "emulator", *arguments]
            self.process = subprocess.Popen(command, cwd=cwd, env=given, stdin=nothing, stdout=output, stderr=output)
        else:
            self.process = Copy(*arguments, cwd=cwd, environment=given, stdin=nothing, stdout=output, stderr=output)
        os.close(output)
        os.close(nothing)
        self._unread: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=[printed], daemon=True)
        self._reader.start()

    def _read(self, printed: int) -> None:
        with open(printed) as output:
            for line in output:
                self._unread.put(line.rstrip("\n"))
        self._unread.put(None)

    def wait_for(self, pattern: str, timeout: float = DEADLINE_SECONDS) -> re.Match[str]:
        """The next line that matches `pattern`; fails with the output so far when none comes."""
        expression = re.compile(pattern)
        while True:
            try:
                line = self._unread.get(timeout=timeout)
            except queue.Empty:
                line = None
            if line is None:
                printed = "\n".join(self.lines)
                pytest.fail(f"no line matches {pattern!r} in:\n{printed}")
            self.lines.append(line)
            match = expression.search(line)
            if match:
                return match

    def ready(self) -> Running:
        """Wait until it accepts connections."""
        self.url = self.wait_for(r"Ready on (https?://\S+)").group(1)
        return self

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the process to end; the rest of its output is in `lines` then. Returns the exit status."""
        try:
            status = self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail("it does not end; it printed:\n" + "\n".join(self.lines))
        self._reader.join(DEADLINE_SECONDS)
        while (line := self._unread.get_nowait()) is not None:
            self.lines.append(line)
        return status

    @property
    def output(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Callable[..., Running]]:
    """Starts `emulator` with arguments; whatever still runs at the end of the test is killed. A module of tests that
    needs the program itself, and no copies, has a `RUN_BY` with the Python for it."""
    python = getattr(request.module, "RUN_BY", "")
    started: list[Running] = []

    def start_one(*arguments: str, cwd: Path, **options: Any) -> Running:
        running = Running(*arguments, cwd=cwd, **{"python": python, **options})
        started.append(running)
        return running

    yield start_one
    for running in started:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def dev(start: Callable[..., Running]) -> Callable[..., Running]:
    """Starts `emulator dev` on a free port and waits until it is ready."""

    def start_dev(cwd: Path, *arguments: str, **options: Any) -> Running:
        return start("dev", "-p", "0", *arguments, cwd=cwd, **options).ready()

    return start_dev


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=DEADLINE_SECONDS) as made:
        yield made


def write_worker(directory: Path, code: str, name: str = "shop", **settings: Any) -> Path:
    """A worker in `directory`: `src/entry.py` with `code`, and a configuration with `settings`. Returns the entry
    file."""
    entry = directory / "src" / "entry.py"
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_text(textwrap.dedent(code))
    configuration = {
        "name": name,
        "main": "src/entry.py",
        "compatibility_date": "2026-11-01",
        "compatibility_flags": ["python_workers"],
        **settings,
    }
    (directory / "wrangler.jsonc").write_text(json.dumps(configuration, indent=2))
    return entry


@pytest.fixture
def wrangler(session: Running, tmp_path: Path, newest_node: str) -> Callable[..., str]:  # noqa: F811
    """Runs wrangler, pointed at the session, checks its exit status, and returns what it printed."""
    environment = {
        **os.environ,
        "CLOUDFLARE_API_BASE_URL": f"{session.url}{API}",
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "CLOUDFLARE_API_TOKEN": "x",
        "WRANGLER_SEND_METRICS": "false",
        "WRANGLER_LOG_PATH": str(tmp_path / "logs"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "NO_COLOR": "1",
        "CI": "1",
    }

    def run(*arguments: str, status: int = 0, stdin: str = "") -> str:
        command = [newest_node, str(tool(WRANGLER)), *arguments]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == status, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    return run
