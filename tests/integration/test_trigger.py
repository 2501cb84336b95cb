"""`emulator trigger` against the real program, and crons as the start shows them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.integration.conftest import DEADLINE_SECONDS, Running, write_worker

WORKER = """
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def scheduled(self, controller, env, ctx):
            print(f"RAN {controller.cron}")
            if controller.cron == "0 0 1 1 *":
                raise ValueError("not this year")
"""


def trigger(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emulator", "trigger", *arguments]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )


def test_crons_are_shown_and_triggered_by_hand(dev: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(tmp_path, WORKER, triggers={"crons": ["0 0 1 1 *", "0 0 29 2 *"]})
    running = dev(tmp_path, "--no-crons")
    assert "  cron  0 0 29 2 *  next at 2028-02-29 00:00 UTC" in running.output

    done = trigger(tmp_path, "0 0 29 2 *")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Ran 0 0 29 2 * of shop\n", "")
    running.wait_for(r"RAN 0 0 29 2 \*")

    failed = trigger(tmp_path, "0 0 1 1 *")
    assert failed.returncode == 2
    assert "0 0 1 1 * failed" in failed.stderr
    assert "ValueError: not this year" in failed.stderr

    unclear = trigger(tmp_path)
    assert unclear.returncode == 2
    assert "2 crons could be meant:\n  0 0 1 1 *  shop\n  0 0 29 2 *  shop" in unclear.stderr

    undeclared = trigger(tmp_path, "5 5 * * *")
    assert (undeclared.returncode, undeclared.stdout) == (0, "Ran 5 5 * * *\n")
    assert "no configuration declares 5 5 * * *" in undeclared.stderr
    running.wait_for(r"Warning: .*cron 5 5 \* \* \* runs by hand only")

    unknown = trigger(tmp_path, "--worker", "nobody")
    assert "no worker called nobody declares a cron" in unknown.stderr


def test_the_only_cron_needs_no_name(dev: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(tmp_path, WORKER, triggers={"crons": ["0 0 29 2 *"]})
    running = dev(tmp_path)
    assert trigger(tmp_path).stdout == "Ran 0 0 29 2 * of shop\n"
    running.wait_for(r"SCHEDULED 0 0 29 2 \* ok")
