"""`emulator trigger` against the real program, and crons as the start shows them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.integration.conftest import Running, write_worker
from tests.support.copies import run_emulator

WORKER = """
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def scheduled(self, controller, env, ctx):
            print(f"RAN {controller.cron}")
            if controller.cron == "0 0 1 1 *":
                raise ValueError("not this year")
"""


def trigger(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_emulator(cwd, "trigger", *arguments)


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
    assert (undeclared.returncode, undeclared.stdout) == (0, "Ran 5 5 * * * of shop\n")
    assert "shop does not declare 5 5 * * *" in undeclared.stderr
    running.wait_for(r"Warning: .*cron 5 5 \* \* \* runs by hand only")

    for arguments in ((), ("5 5 * * *",)):
        unknown = trigger(tmp_path, *arguments, "--worker", "nobody")
        assert (unknown.returncode, unknown.stdout) == (2, "")
        assert "no worker is called nobody: there is shop" in unknown.stderr
    assert "Crons do not run by themselves: emulator trigger runs one" in running.output


def test_the_worker_can_be_named(dev: Callable[..., Running], tmp_path: Path) -> None:
    for name in ("shop", "jobs"):
        write_worker(tmp_path / name, WORKER, name=name, triggers={"crons": ["0 0 29 2 *"]})
    running = dev(tmp_path, "-c", "shop/wrangler.jsonc", "-c", "jobs/wrangler.jsonc")
    assert trigger(tmp_path, "--worker", "jobs").stdout == "Ran 0 0 29 2 * of jobs\n"
    running.wait_for(r"\[jobs SCHEDULED 0 0 29 2 \*\] RAN")
    undeclared = trigger(tmp_path, "5 5 * * *")
    assert undeclared.returncode == 2
    assert "no worker declares 5 5 * * *: whose handler is it?" in undeclared.stderr
    assert "--worker shop or jobs" in undeclared.stderr


CLOCK = """
import time

real = time.time
offset = 57.5 - real() % 60
time.time = lambda: real() + offset
"""
"""Lets a process begin shortly before a full minute."""


def test_a_cron_runs_on_the_clock(dev: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(tmp_path / "worker", WORKER, triggers={"crons": ["* * * * *"]})
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock/sitecustomize.py").write_text(CLOCK)
    path = os.pathsep.join((str(tmp_path / "clock"), os.environ.get("PYTHONPATH", "")))
    running = dev(tmp_path / "worker", environment={"PYTHONPATH": path}, python=sys.executable)
    running.wait_for(r"RAN \* \* \* \* \*")
    running.wait_for(r"SCHEDULED \* \* \* \* \* ok")


def test_the_only_cron_needs_no_name(dev: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(tmp_path, WORKER, triggers={"crons": ["0 0 29 2 *"]})
    running = dev(tmp_path)
    assert trigger(tmp_path).stdout == "Ran 0 0 29 2 * of shop\n"
    running.wait_for(r"SCHEDULED 0 0 29 2 \* ok")
