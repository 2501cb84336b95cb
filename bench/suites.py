"""How the rows about the testing kit are measured: whole test commands, from the start of the process to its end.

The suites are in `testing/`. Each command runs in a copy of its suite, in a directory of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from bench.measures import Effort
from bench.sides import EMULATOR, HERE, BenchError, environment
from tests.support import node

VITEST: Final = "vitest"

MANY: Final = 1_000
"""How many tests the row about many tests runs."""

_TIMEOUT_SECONDS: Final = 300.0

Values = Mapping[str, Mapping[str, float]]
"""What a measure gives: by the name of the row and the name of the side."""


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """What the report of a test runner says. `seconds` is the sum of what the passed tests took, each with its own
    fixtures, without the start of the runner."""

    passed: int
    failed: int
    seconds: float


def vitest_title() -> str:
    """What the runner of the other side is called, with its version."""
    versions = json.loads((HERE / "package.json").read_text())["devDependencies"]
    return f"vitest-pool-workers {versions['@cloudflare/vitest-pool-workers']}"


def many_tests(_effort: Effort, _with_node: bool) -> Values:
    """Seconds for 1,000 tests that each send, advance and assert, and milliseconds for each after the first: what 1,000
    take longer than one, by 999."""
    with _copy_of("python") as directory:
        one = min(_seconds(_pytest("-q", "many"), directory, BENCH_TESTS="1") for _ in range(3))
        many = _seconds(_pytest("-q", "many"), directory, BENCH_TESTS=str(MANY))
    return {"many": {EMULATOR: many}, "many-each": {EMULATOR: (many - one) / (MANY - 1) * 1e3}}


def plugin_cost(effort: Effort, _with_node: bool) -> Values:
    """Milliseconds that a run of pytest takes longer with the plugin when no test uses it: see `plugin.py`."""
    with _copy_of("plain") as directory:
        command = [sys.executable, "-m", "bench.plugin", str(effort.pairs)]
        _, printed = _run(command, directory, PYTHONPATH=str(HERE.parent))
    return {"plugin": {EMULATOR: float(printed)}}


def same_suite(_effort: Effort, with_node: bool) -> Values:
    """Seconds for the command that runs the suite, and milliseconds for each test as its runner tells."""
    runs: dict[str, tuple[float, SuiteResult]] = {}
    with _copy_of("python") as directory:
        report = directory / "report.xml"
        runs[EMULATOR] = (
            _seconds(_pytest("-q", "tests", f"--junitxml={report}"), directory),
            read_junit(report.read_text()),
        )
    if with_node:
        with _copy_of("javascript") as directory:
            (directory / "node_modules").symlink_to(HERE / "node_modules")
            report = directory / "report.json"
            program = [node.find() or "node", str(HERE / "node_modules/vitest/vitest.mjs"), "run"]
            reporters = ["--reporter=default", "--reporter=json", f"--outputFile.json={report}"]
            runs[VITEST] = (_seconds([*program, *reporters], directory), read_vitest(report.read_text()))
    return {
        "suite": {side: seconds for side, (seconds, _) in runs.items()},
        "suite-each": {side: result.seconds / result.passed * 1e3 for side, (_, result) in runs.items()},
    }


SuiteMeasure = Callable[[Effort, bool], Values]
"""Measures rows about the testing kit. The second argument says whether node is there for the other side."""

SUITE_MEASURES: Final[Mapping[str, SuiteMeasure]] = {
    "many": many_tests,
    "plugin": plugin_cost,
    "suite": same_suite,
}


def read_junit(text: str) -> SuiteResult:
    """What pytest writes with `--junitxml`."""
    cases = list(ElementTree.fromstring(text).iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    passed = [case for case in cases if case not in bad and case.find("skipped") is None]
    return SuiteResult(len(passed), len(bad), sum(float(case.attrib["time"]) for case in passed))


def read_vitest(text: str) -> SuiteResult:
    """What vitest writes with `--reporter=json`."""
    cases = [case for file in json.loads(text)["testResults"] for case in file["assertionResults"]]
    passed = [case for case in cases if case["status"] == "passed"]
    failed = [case for case in cases if case["status"] == "failed"]
    return SuiteResult(len(passed), len(failed), sum(case.get("duration") or 0.0 for case in passed) / 1e3)


@contextmanager
def _copy_of(suite: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        directory = Path(scratch).resolve() / suite
        shutil.copytree(HERE / "testing" / suite, directory, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        yield directory


def _pytest(*arguments: str) -> list[str]:
    # Hypothesis is a tool of this repository, which brings a plugin of its own.
    return [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", *arguments]


def _seconds(command: Sequence[str], directory: Path, **variables: str) -> float:
    return _run(command, directory, **variables)[0]


def _run(command: Sequence[str], directory: Path, **variables: str) -> tuple[float, str]:
    """Run a command to its end. Returns the seconds that it took and what it printed. Raises BenchError when it fails,
    as it does when a test fails, with the end of what it says."""
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment(directory.parent) | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{_shown(command)} did not end within {_TIMEOUT_SECONDS:g} seconds") from None
    taken = time.perf_counter() - started
    if done.returncode:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise BenchError(f"{_shown(command)} ended with {done.returncode}: {' / '.join(said[-5:])}")
    return taken, done.stdout


def _shown(command: Sequence[str]) -> str:
    return " ".join(Path(word).name if word.startswith("/") else word for word in command)
