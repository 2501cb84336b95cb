"""`emulator types`: what it writes and says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emulator.cli import cli
from emulator.cli.init import create


def types(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["types", *arguments])


@pytest.fixture(params=["python-queue", "typescript-queue"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    create(tmp_path / "shop", request.param, "shop")
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def test_types_are_checked_written_and_checked_again(project: Path) -> None:
    before = types("--check")
    assert before.exit_code == 1
    assert "is out of date\n" in before.stderr
    assert before.stderr.endswith("Run `emulator types`.\n")
    written = types()
    assert written.exit_code == 0
    assert written.stdout.startswith(("Wrote worker-configuration.d.ts\n", "Wrote 1"))
    assert (types("--check").exit_code, types("--check").output) == (0, "")
    assert types().stdout == "Everything is up to date\n"


def test_what_mypy_needs_is_said_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path / "shop", "python-queue", "shop")
    monkeypatch.chdir(tmp_path / "shop")
    assert "mypy_path" not in types().output
    (tmp_path / "shop/pyproject.toml").unlink()
    (tmp_path / "shop/typings/workers/_env.pyi").unlink()
    (tmp_path / "shop/typings/asgi.pyi").unlink()
    assert 'mypy_path = "typings"' in types().output


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path / "shop", "python-queue", "shop")
    monkeypatch.chdir(tmp_path / "shop")
    (tmp_path / "shop/typings").write_text("a file")
    result = types()
    assert result.exit_code == 2
    assert "cannot be written" in result.output
