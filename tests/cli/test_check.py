"""`emulator check`: exit statuses, and problems for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from emulator.cli import cli

GOOD = {
    "name": "shop",
    "main": "entry.py",
    "compatibility_date": "2026-01-01",
    "compatibility_flags": ["python_workers"],
}
CODE = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request): ...
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "entry.py").write_text(CODE)


def check(*arguments: str, **more: Any) -> Result:
    Path("wrangler.jsonc").write_text(json.dumps({**GOOD, **more}))
    return CliRunner().invoke(cli, ["check", *arguments])


def test_all_is_well() -> None:
    assert check("--strict").exit_code == 0
    assert json.loads(check("--json").output) == []


def test_a_warning_counts_when_it_is_asked_to() -> None:
    assert check(colour="red").exit_code == 0
    strict = check("--strict", colour="red")
    assert strict.exit_code == 1
    assert strict.output.endswith("\n1 warning\n")
    [problem] = json.loads(check("--json", colour="red").output)
    assert (problem["severity"], problem["key"], problem["line"]) == ("warning", "colour", 1)
    assert problem["column"] > 1


def test_what_is_only_not_emulated_does_not_count() -> None:
    kv = [{"binding": "KV", "id": "x"}]
    assert check("--strict", kv_namespaces=kv).exit_code == 0
    [problem] = json.loads(check("--json", kv_namespaces=kv).output)
    assert (problem["severity"], problem["key"]) == ("info", "kv_namespaces")


def test_code_that_fails_to_load_and_a_configuration_that_is_wrong() -> None:
    Path("entry.py").write_text("import nothing_of_that_name")
    failed = check("--json")
    assert failed.exit_code == 1
    [problem] = json.loads(failed.output)
    assert problem["severity"] == "error"
    assert problem["file"].endswith("entry.py")
    assert problem["line"] == 1
    wrong = check("--json", name=3)
    assert wrong.exit_code == 2
    assert [each["key"] for each in json.loads(wrong.output)] == ["name"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"compatibility_date": "2099-01-01"}, "2099-01-01 is in the future"),
        ({"vars": {"LARGE": "x" * 5_121}}, "has 5,121 bytes, and production takes at most 5,120"),
        ({"vars": {f"V{number}": 1 for number in range(129)}}, "has 129 variables, and production takes at most 128"),
    ],
)
def test_what_production_refuses_is_a_warning(more: dict[str, Any], text: str) -> None:
    assert check("--strict", **more).exit_code == 1
    assert text in json.loads(check("--json", **more).output)[0]["message"]
