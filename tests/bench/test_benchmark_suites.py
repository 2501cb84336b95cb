"""The suites that are compared: what their runners report, and that both sides tell of the same behaviours."""

from __future__ import annotations

import re

import pytest

from bench.measures import FULL
from bench.sides import HERE, BenchError
from bench.suites import SUITE_MEASURES, read_junit, read_vitest

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="4">
<testcase name="one" time="0.010" /><testcase name="two" time="0.030" />
<testcase name="three" time="0.500"><failure message="no">no</failure></testcase>
<testcase name="four" time="0.000"><skipped type="pytest.skip" message="" /></testcase>
</testsuite></testsuites>"""

VITEST_REPORT = """{"testResults": [
  {"assertionResults": [{"status": "passed", "duration": 10}, {"status": "skipped"}]},
  {"assertionResults": [{"status": "passed", "duration": 30.5}, {"status": "failed", "duration": 500}]}
]}"""


def behaviours(language: str) -> dict[str, list[str]]:
    """The names of the tests of each file, as words."""
    files = sorted((HERE / "testing" / language / "tests").iterdir())
    pattern = r"^def test_(\w+)\(" if language == "python" else r'^test(?:\.skip)?\("([^"]+)"'
    found = {}
    for file in files:
        if file.suffix in (".py", ".js"):
            names = re.findall(pattern, file.read_text(), re.MULTILINE)
            topic = file.name.removeprefix("test_").partition(".")[0]
            found[topic] = [re.sub(r" \(.*\)$", "", name).replace("_", " ").replace(",", "") for name in names]
    return found


def test_both_sides_tell_of_the_same_behaviours_in_the_same_order() -> None:
    assert behaviours("python") == behaviours("javascript")
    assert sum(map(len, behaviours("python").values())) == 25


def test_only_passed_tests_count_in_the_report_of_pytest() -> None:
    result = read_junit(JUNIT)
    assert (result.passed, result.failed) == (2, 1)
    assert result.seconds == pytest.approx(0.04)


def test_only_passed_tests_count_in_the_report_of_vitest() -> None:
    result = read_vitest(VITEST_REPORT)
    assert (result.passed, result.failed) == (2, 1)
    assert result.seconds == pytest.approx(0.0405)


def test_a_suite_that_fails_is_an_error_and_not_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.suites.sys.executable", "/usr/bin/false")
    with pytest.raises(BenchError, match=r"false -m pytest .* ended with 1"):
        SUITE_MEASURES["suite"](FULL, False)
