"""`emulator why` as a separate process, on a real `emulator dev`, also after a restart of that."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import Running
from tests.integration.test_queue_commands_live import write
from tests.support.copies import run_emulator


def identifier_of(app: Path) -> str:
    listed = json.loads(run_emulator(app, "queues", "peek", "jobs-dlq", "--json").stdout)
    identifier: str = (listed["messages"] if isinstance(listed, dict) else listed)[0]["id"]
    return identifier


def wait_until_kept(app: Path, identifier: str) -> None:
    """Wait until the files of a session say that a message has died; it is written within about a second."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        kept = b"".join(file.read_bytes() for file in app.rglob("*.events"))
        if b"MessagesDeadLettered" in kept and identifier.encode() in kept:
            return
        time.sleep(0.02)
    pytest.fail("nothing was written")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_why_a_message_died_is_told_also_after_a_restart(
    dev: Callable[..., Running], tmp_path: Path, end: signal.Signals
) -> None:
    app = write(tmp_path / "app", broken=True)
    running = dev(app, "--persist")
    assert run_emulator(app, "queues", "send", "jobs", '{"id": 7}').returncode == 0
    running.wait_for("jobs moved 1 message .* to jobs-dlq")
    identifier = identifier_of(app)

    told = run_emulator(app, "why", identifier[:8])
    assert told.returncode == 0, told.stderr
    assert f"{identifier}  jobs-dlq  dead" in told.stdout
    assert "from a client of the REST API" in told.stdout
    assert "ConnectionError: the mail server is down (src/entry.py:" in told.stdout
    assert "printed   GOT" in told.stdout
    assert "message = <Message " in told.stdout

    if end is signal.SIGKILL:
        wait_until_kept(app, identifier)
    assert running.end(end) == (0 if end is signal.SIGINT else -signal.SIGKILL)
    dev(app, "--persist")
    again = json.loads(run_emulator(app, "why", identifier, "--json").stdout)
    assert again["is_whole"]
    assert [life["end"] for life in again["lives"]] == ["dead", ""]
    trouble = again["lives"][0]["attempts"][0]["trouble"]
    assert trouble["source"] != []
    assert trouble["scopes"][0]["variables"]["message"].startswith("<Message ")


def test_a_session_without_locals_keeps_none(dev: Callable[..., Running], tmp_path: Path) -> None:
    app = write(tmp_path / "app", broken=True)
    running = dev(app, "--no-locals")
    assert run_emulator(app, "queues", "send", "jobs", '{"id": 7}').returncode == 0
    running.wait_for("jobs moved 1 message .* to jobs-dlq")
    told = json.loads(run_emulator(app, "why", identifier_of(app), "--json").stdout)
    trouble = told["lives"][0]["attempts"][0]["trouble"]
    assert trouble["source"] != []
    assert trouble["scopes"] == []


def test_what_is_not_known_is_one_sentence(dev: Callable[..., Running], tmp_path: Path) -> None:
    app = write(tmp_path / "app", broken=False)
    dev(app)
    unknown = run_emulator(app, "why", "f" * 32)
    assert unknown.returncode == 2
    assert "Error: nothing is known of a message ffff" in unknown.stderr


def test_a_session_that_records_nothing_says_so(dev: Callable[..., Running], tmp_path: Path) -> None:
    app = write(tmp_path / "app", broken=False)
    dev(app, "--no-record")
    unknown = run_emulator(app, "why", "f" * 32)
    assert unknown.returncode == 2
    assert "was it started with --no-record?" in unknown.stderr
