"""`emulator queues` and `emulator env` as separate processes, on a real `emulator dev` that they find by themselves."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import Running, write_worker
from tests.support.copies import run_emulator

WORKER = """
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def queue(self, batch, env, ctx):
            for message in batch.messages:
                print(f"GOT {message.body} {message.attempts}")
                if self.env.BROKEN:
                    raise ConnectionError("the mail server is down")
"""
QUEUES = {
    "producers": [{"binding": "JOBS", "queue": "jobs"}],
    "consumers": [{"queue": "jobs", "max_batch_timeout": 0, "max_retries": 0, "dead_letter_queue": "jobs-dlq"}],
}


def write(directory: Path, *, broken: bool) -> Path:
    write_worker(directory, WORKER, queues=QUEUES, vars={"BROKEN": broken})
    return directory


def test_a_message_dies_is_looked_at_and_lives_again(dev: Callable[..., Running], tmp_path: Path) -> None:
    app = write(tmp_path / "app", broken=True)
    running = dev(app)
    assert run_emulator(app, "queues", "send", "jobs", '{"id": 7}').returncode == 0
    running.wait_for("jobs moved 1 message .* to jobs-dlq")
    peeked = run_emulator(app / "src", "queues", "peek", "jobs-dlq").stdout
    assert "after 1 attempt: ConnectionError: the mail server is down" in peeked

    configuration = app / "wrangler.jsonc"
    configuration.write_text(configuration.read_text().replace('"BROKEN": true', '"BROKEN": false'))
    running.wait_for("Reloaded shop")
    assert run_emulator(app, "queues", "redrive", "jobs-dlq").stdout == "Moved 1 message from jobs-dlq to jobs\n"
    running.wait_for(r"REST API: 1 message of jobs-dlq redriven to jobs")
    running.wait_for(r"QUEUE jobs 1/1 acked")
    listed = json.loads(run_emulator(app, "queues", "list", "--json").stdout)
    assert [each["metrics"]["backlog_count"] for each in listed] == [0, 0]
    assert sum("GOT" in line and line.endswith(" 1") for line in running.lines) == 2


def test_each_command_finds_the_session_of_its_directory(dev: Callable[..., Running], tmp_path: Path) -> None:
    sessions = {name: dev(write(tmp_path / name, broken=False)) for name in ("one", "two")}
    for name, running in sessions.items():
        assert f"{running.url}/cdn-cgi/emulator/client/v4" in run_emulator(tmp_path / name, "env").stdout
    result = run_emulator(tmp_path, "env")
    assert result.returncode == 2
    assert all(running.url in result.stderr for running in sessions.values())
    chosen = run_emulator(tmp_path, "env", "--url", sessions["one"].url)
    assert sessions["one"].url in chosen.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_session_that_has_ended_is_not_found(
    dev: Callable[..., Running], tmp_path: Path, runtime: Path, number: int
) -> None:
    app = write(tmp_path / "app", broken=False)
    running = dev(app)
    path = runtime / "emulator" / f"{running.process.pid}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    running.end(number)
    assert path.exists() == (number == signal.SIGKILL)
    result = run_emulator(app, "queues", "list")
    assert (result.returncode, result.stdout) == (2, "")
    assert "start one with `emulator dev`" in result.stderr
    assert not path.exists()


def test_a_session_that_other_machines_can_reach_is_found_with_its_token(
    dev: Callable[..., Running], tmp_path: Path
) -> None:
    app = write(tmp_path / "app", broken=False)
    running = dev(app, "--host", "0.0.0.0")
    token = running.wait_for(r"REST API token: (\S+)").group(1)
    assert "jobs-dlq" in run_emulator(app, "queues", "list").stdout
    assert f"export CLOUDFLARE_API_TOKEN={token}" in run_emulator(app, "env").stdout


def test_a_session_runs_where_it_cannot_be_registered(
    dev: Callable[..., Running], tmp_path: Path, runtime: Path
) -> None:
    (runtime / "emulator").write_text("in the way")
    app = write(tmp_path / "app", broken=False)
    running = dev(app)
    assert "need --url" in running.output
    assert "jobs" in run_emulator(app, "queues", "list", "--url", running.url).stdout
