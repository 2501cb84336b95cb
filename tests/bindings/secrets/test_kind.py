"""Secrets that a configuration requires."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.base.errors import ConfigError
from emulator.config.model import WorkerConfig
from tests.support.configs import load_config


def load(directory: Path, secrets: str, *, environment: str | None = None, **overrides: str) -> WorkerConfig:
    (directory / "entry.py").write_text("")
    needed = '"name": "app", "main": "entry.py", "compatibility_flags": ["python_workers"]'
    text = f'{{{needed}, "compatibility_date": "2026-01-31",\n {secrets}}}'
    (directory / "wrangler.jsonc").write_text(text)
    return load_config(directory / "wrangler.jsonc", environment=environment, overrides=overrides)


def test_a_required_secret_that_is_missing_is_a_warning_with_its_place(tmp_path: Path) -> None:
    config = load(tmp_path, '"secrets": {"required": ["TOKEN", "KEY"]}')
    assert [str(warning) for warning in config.warnings] == [
        f"{tmp_path}/wrangler.jsonc:2:{column}: secrets.required[{index}]: the secret {name} is required, but neither "
        f".dev.vars nor .env sets it\n  Add a line {name}=... to .dev.vars."
        for index, (name, column) in enumerate([("TOKEN", 27), ("KEY", 36)])
    ]


def test_a_required_secret_is_there_when_a_file_or_the_command_line_has_it(tmp_path: Path) -> None:
    (tmp_path / ".dev.vars").write_text("TOKEN=sesame\n")
    assert load(tmp_path, '"secrets": {"required": ["TOKEN", "KEY"]}', KEY="x").warnings == ()


def test_an_environment_does_not_inherit_what_is_required(tmp_path: Path) -> None:
    both = '"secrets": {"required": ["TOKEN"]}, "env": {"staging": {"secrets": {"required": ["KEY"]}}}'
    config = load(tmp_path, both, environment="staging")
    assert [warning.key for warning in config.warnings] == ["env.staging.secrets.required[0]"]


@pytest.mark.parametrize(
    ("secrets", "text"),
    [
        ('"secrets": []', "secrets: must be an object, not an array"),
        ('"secrets": {"required": "TOKEN"}', "secrets.required: must be an array"),
        ('"secrets": {"required": [1]}', "secrets.required[0]: must be a non-empty string, not 1"),
    ],
)
def test_what_is_not_a_list_of_names_is_an_error(tmp_path: Path, secrets: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, secrets)
    assert text in str(caught.value)


def test_a_required_secret_with_the_name_of_a_variable_is_refused_by_wrangler(tmp_path: Path) -> None:
    config = load(tmp_path, '"vars": {"TOKEN": "x"},\n"secrets": {"required": ["TOKEN"]}', TOKEN="y")
    assert [str(warning) for warning in config.warnings] == [
        (
            f"{tmp_path}/wrangler.jsonc:3:26: secrets.required[0]: wrangler refuses this: "
            '"TOKEN" is already the name of vars.TOKEN on line 2'
        )
    ]
