"""`emulator messages`, `requests` and `events` as separate processes, on a real `emulator dev`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.integration.conftest import Running
from tests.integration.test_queue_commands_live import write
from tests.support.copies import run_emulator


def test_what_a_filter_means_is_listed(dev: Callable[..., Running], tmp_path: Path) -> None:
    app = write(tmp_path / "app", broken=True)
    running = dev(app)
    assert run_emulator(app, "queues", "send", "jobs", '{"id": 7}').returncode == 0
    running.wait_for("jobs moved 1 message .* to jobs-dlq")
    httpx.get(f"{running.url}/somewhere?x=1")

    [head, row, error] = run_emulator(app, "messages", "state:dead", "body.id=7", "older<5min").stdout.splitlines()
    assert head.split() == ["ID", "STATE", "QUEUE", "ATTEMPTS", "AGE", "BODY"]
    assert row.split()[1:3] == ["dead", "jobs-dlq"]
    assert error.strip() == "ConnectionError: the mail server is down"
    [request] = run_emulator(app, "requests", "path~somewhere", "--json").stdout.splitlines()
    assert json.loads(request)["path"] == "/somewhere?x=1"
    log = run_emulator(app, "events", "event:dead_lettered")
    assert "jobs moved 1 message" in log.stdout

    wrong = run_emulator(app, "events", "wroker:shop")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "at character 1: events have no field wroker; the nearest is worker" in wrong.stderr


def test_a_session_that_records_nothing_says_so(dev: Callable[..., Running], tmp_path: Path) -> None:
    app = write(tmp_path / "app", broken=False)
    dev(app, "--no-record")
    for command in ("messages", "requests", "events"):
        listed = run_emulator(app, command)
        assert listed.returncode == 2
        assert "was it started with --no-record?" in listed.stderr
