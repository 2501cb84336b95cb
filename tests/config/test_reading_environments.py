"""Environments: what is inherited, what is not, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.bindings.assets.config import assets_of
from emulator.bindings.assets.kind import ASSETS
from emulator.bindings.queue.config import Consumer, Producer, consumers_of, producers_of
from emulator.bindings.vars.kind import VARS
from emulator.queues.settings import ConsumerSettings
from tests.config.project import assert_errors, assert_warnings, load, wrap

TOP = """\
{
  "name": "demo",
  "main": "src/entry.py",
  "compatibility_date": "2026-01-31",
  "compatibility_flags": ["python_workers"],
  "triggers": {"crons": ["* * * * *"]},
  "limits": {"cpu_ms": 50},
  "dev": {"port": 9000, "ip": "0.0.0.0"},
"""


def test_an_environment_inherits_all_but_bindings_vars_and_queues(tmp_path: Path) -> None:
    text = f"""{TOP}
      "vars": {{"A": 1}},
      "queues": {{"producers": [{{"binding": "Q", "queue": "a"}}], "consumers": [{{"queue": "a"}}]}},
      "kv_namespaces": [{{"binding": "CACHE"}}],
      "assets": {{"directory": "public", "binding": "ASSETS"}},
      "env": {{"staging": {{}}}} }}"""
    config = load(tmp_path, text, environment="staging")
    assert config.name == "demo-staging"
    assert config.environment == "staging"
    assert config.main == tmp_path / "src/entry.py"
    assert (config.compatibility_date, config.compatibility_flags) == ("2026-01-31", frozenset({"python_workers"}))
    assert (config.crons, config.cpu_ms) == (("* * * * *",), 50)
    assert (config.dev_port, config.dev_ip) == (9000, "0.0.0.0")
    assert (VARS.bindings(config), producers_of(config), consumers_of(config)) == ({}, [], [])
    assert assets_of(config) == ASSETS.bindings(config)["ASSETS"]


def test_an_environment_has_its_own_bindings_vars_and_queues(tmp_path: Path) -> None:
    text = f"""{TOP}
      "vars": {{"A": 1}},
      "env": {{"staging": {{
        "name": "other", "compatibility_date": "2025-01-01", "compatibility_flags": ["python_workers", "nodejs_als"],
        "limits": {{}}, "triggers": {{"crons": []}}, "vars": {{"B": [2]}},
        "queues": {{
          "producers": [{{"binding": "Q", "queue": "b"}}],
          "consumers": [{{"queue": "b", "max_retries": 0, "dead_letter_queue": "c"}}]
        }}
      }} }} }}"""
    config = load(tmp_path, text, environment="staging")
    assert (config.name, config.compatibility_date) == ("other", "2025-01-01")
    assert config.compatibility_flags == frozenset({"python_workers", "nodejs_als"})
    assert (config.crons, config.cpu_ms) == ((), 30_000)
    assert VARS.bindings(config) == {"B": [2]}
    assert producers_of(config) == [Producer("Q", "b")]
    assert consumers_of(config) == [Consumer("b", ConsumerSettings(max_retries=0, dead_letter_queue="c"))]
    assert config.warnings == ()
    assert VARS.bindings(load(tmp_path, text)) == {"A": 1}


def test_what_is_not_inherited_is_one_warning(tmp_path: Path) -> None:
    text = wrap('"vars": {"A": 1}, "queues": {}, "kv_namespaces": [{"binding": "B"}],\n"env": {▶"staging": {}}')
    expected = (
        "env.staging: `vars`, `queues` and `kv_namespaces` are set at the top level but not here, and an environment "
        "does not inherit bindings, vars and queues\nRepeat in env.staging what this environment needs."
    )
    assert_warnings(tmp_path, text, [expected], environment="staging")
    text = wrap('"vars": {"A": 1}, "env": {▶"staging": {}}')
    expected = expected.replace("`vars`, `queues` and `kv_namespaces` are", "`vars` is")
    assert_warnings(tmp_path, text, [expected], environment="staging")


def test_an_environment_that_does_not_exist_is_an_error_with_those_that_do(tmp_path: Path) -> None:
    text = wrap('▶"env": {"staging": {}, "production": {}}')
    expected = (
        'env: there is no environment "stagin"; the environments are: staging, production\nDid you mean `staging`?'
    )
    assert_errors(tmp_path, text, [expected], environment="stagin")
    assert_errors(
        tmp_path, text, ['env: there is no environment "x"; the environments are: staging, production'], environment="x"
    )


def test_an_environment_of_a_file_that_has_none_is_an_error(tmp_path: Path) -> None:
    text = f"▶{wrap('')}".replace(",\n  \n", "\n")
    assert_errors(tmp_path, text, ['there is no environment "staging": the file has no `env`'], environment="staging")


def test_an_environment_must_be_an_object(tmp_path: Path) -> None:
    text = wrap('"env": {"staging": ▶[]}')
    assert_errors(tmp_path, text, ["env.staging: must be an object, not an array"], environment="staging")


@pytest.mark.parametrize("key", ["dev", "keep_vars", "site", "env"])
def test_a_key_of_the_top_level_has_no_effect_in_an_environment(tmp_path: Path, key: str) -> None:
    text = wrap(f'"env": {{"staging": {{▶"{key}": {{"port": 1}}}}}}')
    expected = f"env.staging.{key}: has an effect only at the top level, not here"
    config = assert_warnings(tmp_path, text, [expected], environment="staging")
    assert config.dev_port is None


def test_errors_of_the_chosen_environment_have_its_key_path(tmp_path: Path) -> None:
    text = wrap('"env": {"staging": {"limits": {"cpu_ms": ▶0}, "main": ▶"index.js", ▶"brwoser": {}}}')
    assert_errors(
        tmp_path,
        text.replace('▶"brwoser"', '"brwoser"'),
        [
            "env.staging.limits.cpu_ms: must be a whole number from 1 to 300,000, not 0",
            f'env.staging.main: "index.js": there is no such file\nLooked for {tmp_path}/index.js.',
        ],
        environment="staging",
    )


def test_errors_of_another_environment_are_warnings(tmp_path: Path) -> None:
    text = wrap('"env": {"staging": {}, "production": {"limits": {"cpu_ms": ▶0}, "unknown": 1, "main": "index.js"}}')
    expected = ["env.production.limits.cpu_ms: must be a whole number from 1 to 300,000, not 0"]
    assert_warnings(tmp_path, text, expected)
    assert_warnings(tmp_path, text, expected, environment="staging")


def test_a_name_that_the_environment_makes_unfit_is_an_error(tmp_path: Path) -> None:
    text = '{"name": ▶"demo", "main": "src/entry.py", "env": {"Staging": {}}}'
    expected = (
        'name: becomes "demo-Staging" in this environment, but must be a name of 1 to 63 lowercase letters, '
        "digits, hyphens and underscores that does not begin with a hyphen\nGive env.Staging a `name` of its own."
    )
    assert_errors(tmp_path, text, [expected], environment="Staging")
