"""The manual of the testing kit is true: every block of code in it runs, and so do the example project's tests."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import emulator_runtime.js.web_socket
import emulator_runtime.workers.asgi_websocket  # noqa: F401 - loaded here once, not by pytester for each run
from emulator.cli.init import create

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:<!-- (chaos: [\w ]+) -->\n)?```python\n(.*?)```", PAGE, re.DOTALL)
CHAOS = {title: source for title, source in BLOCKS if title}


def test_every_example_passes_in_a_new_worker(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    create(pytester.path / "shop", "python-queue", "shop")
    sources = [source for title, source in BLOCKS if not title]
    assert len(sources) > 10
    for number, source in enumerate(sources):
        (pytester.path / "shop" / "tests" / f"test_block_{number}.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(pytester.path / "shop")
    result = pytester.runpytest_inprocess("-W", "error", "-q", "--strict-markers")
    outcomes = result.parseoutcomes()
    assert outcomes.keys() == {"passed"}, result.stdout.str()
    assert outcomes["passed"] >= sum(source.count("\ndef test_") for source in sources)


@pytest.mark.parametrize(
    ("title", "passes"), [("chaos: the worker at first", False), ("chaos: the worker mended", True)]
)
def test_chaos_finds_the_consumer_that_is_not_idempotent(pytester: pytest.Pytester, title: str, passes: bool) -> None:
    (pytester.path / "payments.py").write_text(CHAOS[title], encoding="utf-8")
    pytester.makepyfile(test_payments=CHAOS["chaos: the test"])
    result = pytester.runpytest_inprocess("-W", "error")
    if passes:
        result.assert_outcomes(passed=5)
        return
    assert result.parseoutcomes()["failed"] >= 1
    result.stdout.fnmatch_lines(["*Chaos, seed 1. To see the same again: @pytest.mark.emulator(chaos=1)*"])
    result.stdout.fnmatch_lines(["*chaos: run again with seed=1 to see the same*"])
    result.stdout.fnmatch_lines(["*chaos     payments: * delivered twice*"])


def test_the_report_in_the_manual_is_what_one_gets(pytester: pytest.Pytester) -> None:
    create(pytester.path, "python-queue", "shop")
    entry = pytester.path / "src" / "entry.py"
    entry.write_text(entry.read_text().replace("self.env.SENDER, event.email", "self.env.SENDER, event.mail"))
    output = without_ids(pytester.runpytest_inprocess("tests", "-k", "sign_up_queues").stdout.str())
    [report] = re.findall(r"```text\n-+ Emulator timeline -+\n(.*?)```", PAGE, re.DOTALL)
    assert without_ids(report) in output


def without_ids(text: str) -> str:
    return re.sub(r"\b[0-9a-f]{8}\b", "ID", text)


def test_the_setting_in_the_manual_is_read(pytester: pytest.Pytester) -> None:
    create(pytester.path, "python-queue", "shop")
    [ini] = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    (pytester.path / "pytest.ini").write_text(ini, encoding="utf-8")
    result = pytester.runpytest_inprocess("tests")
    result.stdout.fnmatch_lines(["*staging*"])


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "examples").iterdir()))
def test_the_tests_of_an_example_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    example = pytester.path / name
    shutil.copytree(ROOT / "examples" / name, example, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(example)
    result = pytester.runpytest_inprocess("-W", "error")
    assert result.parseoutcomes().keys() == {"passed"}, result.stdout.str()


def test_every_link_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^## (.*)$", PAGE, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) == headings
    for target in re.findall(r"\]\((\.\.?/[^)#]+|[\w-]+\.md)[^)]*\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
