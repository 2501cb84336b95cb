"""A worker's module that was named on the command line, with and without a configuration."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from emulator.base.errors import ConfigError, EmulatorError
from emulator.bindings.registry import KINDS
from emulator.bindings.secrets.kind import SECRETS
from emulator.config import WorkerConfig, config_for, load_config


@pytest.fixture(autouse=True)
def _in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = tmp_path / "My Shop"
    (project / "src").mkdir(parents=True)
    (project / "src/entry.py").write_text("")
    (project / "src/index.ts").write_text("")
    monkeypatch.chdir(project)
    return project


def load(script: str, *env_files: str) -> WorkerConfig:
    path = Path(script)
    return load_config(config_for(path), KINDS, script=path, env_files=[Path(file) for file in env_files])


def test_without_a_configuration_everything_is_made_up() -> None:
    config = load("src/entry.py")
    assert (config.name, config.main) == ("my-shop", Path.cwd() / "src/entry.py")
    assert config.compatibility_date == date.today().isoformat()
    assert config.compatibility_flags == {"python_workers"}
    assert config.warnings == ()
    assert Path.cwd() / "wrangler.jsonc" in config.watched, "one that is written later is read"
    assert load("src/index.ts").compatibility_flags == frozenset()


def test_the_nearest_configuration_is_used_but_for_main() -> None:
    Path("wrangler.jsonc").write_text('{"name": "shop", "main": "old.js", "compatibility_date": "2026-01-01"}')
    config = load("src/index.ts")
    assert (config.name, config.main) == ("shop", Path.cwd() / "src/index.ts")
    assert config.compatibility_date == "2026-01-01"


def test_a_script_that_does_not_exist_is_named() -> None:
    with pytest.raises(EmulatorError, match=r"src/nothing\.py: there is no such file"):
        load("src/nothing.py")


def test_secrets_come_from_the_files_that_were_named_alone() -> None:
    Path(".dev.vars").write_text("A=dev")
    Path("one.env").write_text("A=1\nB=1")
    Path("two.env").write_text("B=2\nC=${A}")
    config = load("src/entry.py", "one.env", "two.env")
    assert SECRETS.bindings(config) == {"A": "1", "B": "2", "C": "1"}
    assert {Path.cwd() / "one.env", Path.cwd() / "two.env"} <= set(config.watched)
    assert SECRETS.bindings(load("src/entry.py")) == {"A": "dev"}


def test_a_file_of_secrets_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"none\.env: there is no such file"):
        load("src/entry.py", "none.env")
