"""Secrets: which files are read, in which order, and what wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.base.errors import ConfigError
from emulator.bindings.secrets.kind import SECRETS
from emulator.bindings.vars.kind import VARS
from tests.config.project import wrap, write
from tests.support.configs import load_config

CONFIG = wrap('"vars": {"A": "var", "KEPT": 1}, "env": {"staging": {"vars": {"A": "staging var"}}}')


def secrets(directory: Path, environment: str | None = None, **files: str) -> dict[str, str]:
    path = write(directory, CONFIG, **files)
    return SECRETS.bindings(load_config(path, environment=environment))


def test_there_are_no_secrets_without_a_file(tmp_path: Path) -> None:
    assert secrets(tmp_path) == {}


def test_dev_vars_of_the_environment_come_first_and_alone(tmp_path: Path) -> None:
    files = {".dev.vars": "A=1\nB=2", ".dev.vars.staging": "A=3", ".env": "A=4\nC=5"}
    assert secrets(tmp_path, **files) == {"A": "1", "B": "2"}
    assert secrets(tmp_path, "staging", **files) == {"A": "3"}


def test_an_environment_without_its_own_dev_vars_uses_the_common_ones(tmp_path: Path) -> None:
    assert secrets(tmp_path, "staging", **{".dev.vars": "A=1"}) == {"A": "1"}


def test_env_files_are_merged_when_there_are_no_dev_vars(tmp_path: Path) -> None:
    files = {".env": "A=1\nB=1\nC=1\nD=1", ".env.local": "B=2\nC=2\nD=2", ".env.staging": "C=3\nD=3"}
    files[".env.staging.local"] = "D=4"
    assert secrets(tmp_path, **files) == {"A": "1", "B": "2", "C": "2", "D": "2"}
    assert secrets(tmp_path, "staging", **files) == {"A": "1", "B": "2", "C": "3", "D": "4"}


def test_references_are_expanded_in_env_files_only(tmp_path: Path) -> None:
    text = "HOST=db\nURL=http://${HOST}:$PORT/${NAME:-main}\nPORT=5\nSELF=$SELF\nPAID=5\\$\nCOST=\\$HOST"
    expected = {"HOST": "db", "URL": "http://db:5/main", "PORT": "5", "SELF": "", "PAID": "5\\$", "COST": "$HOST"}
    assert secrets(tmp_path, **{".env": text}) == expected
    assert secrets(tmp_path, **{".dev.vars": text})["URL"] == "http://${HOST}:$PORT/${NAME:-main}"


def test_the_command_line_wins_over_secrets_and_vars(tmp_path: Path) -> None:
    path = write(tmp_path, CONFIG, **{".dev.vars": "A=secret\nB=secret"})
    config = load_config(path, overrides={"A": "given", "NEW": "x:y"})
    assert VARS.bindings(config) == {"A": "given", "KEPT": 1, "NEW": "x:y"}
    assert SECRETS.bindings(config) == {"B": "secret"}
    assert VARS.bindings(load_config(path)) == {"A": "var", "KEPT": 1}
    assert SECRETS.bindings(load_config(path)) == {"A": "secret", "B": "secret"}


def test_every_file_that_would_be_read_is_watched(tmp_path: Path) -> None:
    path = write(tmp_path, CONFIG, **{".dev.vars": "A=1"})
    names = ["wrangler.jsonc", ".dev.vars", ".env", ".env.local"]
    assert load_config(path).watched == tuple(tmp_path / name for name in names)
    names = ["wrangler.jsonc", ".dev.vars.staging", ".dev.vars", ".env", ".env.local", ".env.staging"]
    names.append(".env.staging.local")
    assert load_config(path, environment="staging").watched == tuple(tmp_path / name for name in names)


def test_a_line_that_cannot_be_read_is_a_warning_that_does_not_show_it(tmp_path: Path) -> None:
    path = write(tmp_path, CONFIG, **{".dev.vars": "A=1\nhunter2\n\nB = 2\n= x"})
    config = load_config(path)
    assert SECRETS.bindings(config) == {"A": "1", "B": "2"}
    file = tmp_path / ".dev.vars"
    assert [str(warning) for warning in config.warnings] == [
        f"{file}:2:1: this line is not KEY=VALUE and is ignored",
        f"{file}:5:1: this line is not KEY=VALUE and is ignored",
    ]


def test_a_binding_is_what_its_name_means_where_a_secret_has_it_too(tmp_path: Path) -> None:
    text = wrap('"queues": {"producers": [{"binding": "JOBS", "queue": "jobs"}]}')
    path = write(tmp_path, text, **{".dev.vars": "JOBS=hunter2"})
    config = load_config(path)
    assert [(each.kind, each.name) for each in config.bindings] == [("queue", "JOBS")]
    place = f"{path}:5:29: queues.producers[0].binding"
    expected = f'{place}: "JOBS" is also a secret in {tmp_path}/.dev.vars, which is not used: the binding is'
    assert [str(warning) for warning in config.warnings] == [expected]


def test_an_override_that_would_hide_a_queue_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, wrap('"queues": {"producers": [{"binding": "JOBS", "queue": "jobs"}]}'))
    with pytest.raises(ConfigError, match=r'"JOBS" is also a var given on the command line'):
        load_config(path, overrides={"JOBS": "x"})


def test_problems_of_a_secrets_file_come_with_those_of_the_configuration(tmp_path: Path) -> None:
    path = write(tmp_path, wrap('"limits": {"cpu_ms": 0}'))
    (tmp_path / ".dev.vars").write_bytes(b"A=1\nB=\xff")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert [problem.where for problem in caught.value.problems] == [f"{path}:5:24", f"{tmp_path}/.dev.vars:2:1"]


def test_a_secrets_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, CONFIG)
    (tmp_path / ".dev.vars").mkdir()
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{tmp_path}/.dev.vars: cannot be read: is a directory"
