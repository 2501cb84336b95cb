"""The keys that say how JavaScript is bundled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.base.errors import ConfigError
from emulator.bindings.registry import KINDS
from emulator.config import WorkerConfig
from emulator.config.changes import describe_changes
from emulator.config.model import Build, Bundling, ModuleRule
from tests.support.configs import load_config


def load(directory: Path, environment: str | None = None, **settings: Any) -> WorkerConfig:
    (directory / "index.ts").touch()
    path = directory / "wrangler.json"
    given = {"name": "app", "main": "index.ts", "compatibility_date": "2026-01-31", **settings}
    path.write_text(json.dumps(given))
    return load_config(path, environment=environment)


def problems(directory: Path, **settings: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(directory, **settings)
    return [f"{problem.key}: {problem.message}" for problem in raised.value.problems]


def test_without_any_of_them_bundling_is_as_in_wrangler(tmp_path: Path) -> None:
    assert load(tmp_path).bundling == Bundling()


def test_all_of_them_are_read(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        rules=[{"type": "Text", "globs": ["**/*.md"], "fallthrough": True}, {"type": "Data", "globs": ["**/*.dat"]}],
        define={"VERSION": "'1'"},
        alias={"a": "./b.ts"},
        no_bundle=True,
        base_dir="src",
        find_additional_modules=False,
        preserve_file_names=True,
        minify=True,
        keep_names=False,
        tsconfig="other.json",
        jsx_factory="h",
        jsx_fragment="F",
    )
    assert config.warnings == ()
    assert config.bundling == Bundling(
        rules=(ModuleRule("Text", ("**/*.md",), True), ModuleRule("Data", ("**/*.dat",))),
        define={"VERSION": "'1'"},
        alias={"a": "./b.ts"},
        no_bundle=True,
        base_dir="src",
        find_additional_modules=False,
        preserve_file_names=True,
        minify=True,
        keep_names=False,
        tsconfig="other.json",
        jsx_factory="h",
        jsx_fragment="F",
    )


def test_an_environment_inherits_them_but_for_define(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "staging",
        define={"A": "1"},
        alias={"a": "b"},
        minify=True,
        tsconfig="top.json",
        env={"staging": {"tsconfig": "staging.json"}},
    )
    assert config.bundling == Bundling(alias={"a": "b"}, minify=True, tsconfig="staging.json")
    assert [warning.key for warning in config.warnings] == ["env.staging"]
    assert "`define` is set at the top level but not here" in config.warnings[0].message


def test_alias_counts_at_the_top_level_only(tmp_path: Path) -> None:
    config = load(tmp_path, "staging", env={"staging": {"alias": {"a": "b"}}})
    assert config.bundling == Bundling()
    assert [warning.key for warning in config.warnings] == ["env.staging.alias"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"rules": {}}, "rules: must be an array, not an object"),
        ({"rules": ["x"]}, 'rules[0]: must be an object, not "x"'),
        ({"rules": [{"type": "Text"}]}, "rules[0].globs: is missing; it must be an array"),
        ({"rules": [{"globs": []}]}, 'rules[0].type: is missing; it must be "ESModule" or "CommonJS" or '),
        ({"rules": [{"type": "text", "globs": []}]}, 'rules[0].type: must be "ESModule" or '),
        (
            {"rules": [{"type": "Text", "globs": ["a", 1]}]},
            "rules[0].globs[1]: must be a non-empty string, not 1",
        ),
        (
            {"rules": [{"type": "Text", "globs": [], "fallthrough": "yes"}]},
            'rules[0].fallthrough: must be true or false, not "yes"',
        ),
        ({"define": {"A": 1}}, "define.A: must be a string, not 1"),
        ({"alias": {"a": None}}, "alias.a: must be a string, not null"),
        ({"minify": 1}, "minify: must be true or false, not 1"),
        ({"find_additional_modules": "yes"}, 'find_additional_modules: must be true or false, not "yes"'),
        ({"build": "make"}, 'build: must be an object, not "make"'),
        ({"build": {"command": ["make"]}}, "build.command: must be a string, not an array"),
        ({"build": {"watch_dir": 1}}, "build.watch_dir: must be a non-empty string, or an array of them, not 1"),
        ({"tsconfig": ""}, 'tsconfig: must be a non-empty string, not ""'),
    ],
)
def test_what_they_may_be(tmp_path: Path, settings: dict[str, Any], expected: str) -> None:
    found = problems(tmp_path, **settings)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_a_key_that_a_rule_does_not_have_is_a_warning(tmp_path: Path) -> None:
    config = load(tmp_path, rules=[{"type": "Text", "globs": [], "fallthru": True}])
    assert [warning.key for warning in config.warnings] == ["rules[0].fallthru"]


def test_a_command_may_make_the_code(tmp_path: Path) -> None:
    config = load(tmp_path, main="dist/index.js", build={"command": "make", "cwd": "..", "watch_dir": ["a", "../b"]})
    assert config.build == Build("make", tmp_path.parent, (tmp_path / "a", tmp_path.parent / "b"))
    assert config.warnings == ()
    usual = load(tmp_path, main="dist/index.js", build={"command": "make"})
    assert usual.build == Build("make", tmp_path, (tmp_path / "src",))
    assert describe_changes(config, usual, KINDS) == ["build changed"]


def test_an_environment_inherits_the_command_or_has_another(tmp_path: Path) -> None:
    builds = {"build": {"command": "make"}, "env": {"a": {}, "b": {"build": {"command": "make b"}}, "c": {"build": {}}}}
    commands = [load(tmp_path, environment, **builds).build for environment in ("a", "b", "c")]
    assert [build and build.command for build in commands] == ["make", "make b", None]


def test_without_a_command_the_code_must_be_there(tmp_path: Path) -> None:
    expected = ['main: "dist/index.js": there is no such file']
    assert problems(tmp_path, main="dist/index.js", build={"watch_dir": "x"}) == expected


def test_a_change_of_them_is_named(tmp_path: Path) -> None:
    before = load(tmp_path, define={"A": "1"})
    assert describe_changes(before, load(tmp_path, define={"A": "2"}, minify=True), KINDS) == [
        "define changed",
        "minify changed",
    ]
