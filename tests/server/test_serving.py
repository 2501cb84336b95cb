"""Which configurations the options of `emulator dev` mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.base.errors import ConfigError, EmulatorError
from emulator.bindings.vars.kind import VARS
from emulator.server.serving import ServingOptions


def project(directory: Path, name: str, extra: str = "") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "entry.py").write_text("")
    path = directory / "wrangler.jsonc"
    date = '"compatibility_date": "2026-01-31"'
    path.write_text(f'{{"name": "{name}", "main": "entry.py", {date}{extra}}}')
    return path


def test_without_a_path_the_configuration_of_the_working_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, "here")
    monkeypatch.chdir(tmp_path)
    assert [config.name for config in ServingOptions().read_all()] == ["here"]


def test_without_a_path_and_a_configuration_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EmulatorError, match=r"there is no wrangler\.jsonc"):
        ServingOptions().read_all()


def test_several_configurations_are_read_in_order(tmp_path: Path) -> None:
    paths = (project(tmp_path / "b", "b"), project(tmp_path / "a", "a"))
    assert [config.name for config in ServingOptions(paths).read_all()] == ["b", "a"]


def test_environment_and_variables_apply_to_every_configuration(tmp_path: Path) -> None:
    environment = ', "env": {"staging": {"vars": {"COLOR": "red", "SIZE": 1}}}'
    paths = tuple(project(tmp_path / name, name, environment) for name in ("a", "b"))
    configs = ServingOptions(paths, "staging", {"COLOR": "blue"}).read_all()
    assert [config.name for config in configs] == ["a-staging", "b-staging"]
    assert [VARS.bindings(config) for config in configs] == [{"COLOR": "blue", "SIZE": 1}] * 2


def test_a_mistake_in_any_configuration_is_an_error(tmp_path: Path) -> None:
    paths = (project(tmp_path / "a", "a"), project(tmp_path / "b", "b", ', "limits": {"cpu_ms": 0}'))
    with pytest.raises(ConfigError, match=r"b/wrangler\.jsonc.*limits\.cpu_ms"):
        ServingOptions(paths).read_all()
