"""Writes a worker's files for a test, and says where a test expects a problem.

In the text of a configuration, `▶` marks the place of each problem that the test expects; it is not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from emulator.base.errors import ConfigError, Problem
from emulator.config import WorkerConfig
from tests.support.configs import load_config

MARK = "▶"
BASE = (
    '{\n  "name": "demo",\n  "main": "src/entry.py",\n  "compatibility_date": "2026-01-31",'
    ' "compatibility_flags": ["python_workers"],\n  '
)


def wrap(fragment: str) -> str:
    """A configuration in JSONC that has what every one needs, and `fragment`."""
    return f"{BASE}{fragment}\n}}\n"


def write(directory: Path, text: str, name: str = "wrangler.jsonc", **files: str) -> Path:
    """Write a configuration without its marks, the module `src/entry.py`, and more files of the top directory."""
    (directory / "src").mkdir(parents=True, exist_ok=True)
    (directory / "src" / "entry.py").touch()
    for file, content in files.items():
        (directory / file).write_text(content)
    path = directory / name
    path.write_bytes(text.replace(MARK, "").encode())
    return path


def load(directory: Path, text: str, *, environment: str | None = None, name: str = "wrangler.jsonc") -> WorkerConfig:
    return load_config(write(directory, text, name), environment=environment)


def marks(text: str) -> list[tuple[int, int]]:
    """Line and column of every mark, as if the marks were not there."""
    places = []
    clean = ""
    for part in text.split(MARK)[:-1]:
        clean += part
        places.append((clean.count("\n") + 1, len(clean) - clean.rfind("\n")))
    return places


def assert_problems(problems: Sequence[Problem], path: Path, text: str, expected: Sequence[str]) -> None:
    """`expected` are `key: message` of every problem (`message` alone without a key), hints after a new line."""
    assert [describe(problem) for problem in problems] == list(expected)
    assert [(problem.line, problem.column) for problem in problems] == marks(text)
    assert {problem.file for problem in problems} <= {str(path)}


def assert_errors(
    directory: Path,
    text: str,
    expected: Sequence[str],
    *,
    environment: str | None = None,
    name: str = "wrangler.jsonc",
) -> None:
    path = write(directory, text, name)
    with pytest.raises(ConfigError) as caught:
        load_config(path, environment=environment)
    assert_problems(caught.value.problems, path, text, expected)


def assert_warnings(
    directory: Path,
    text: str,
    expected: Sequence[str],
    *,
    environment: str | None = None,
    name: str = "wrangler.jsonc",
) -> WorkerConfig:
    path = write(directory, text, name)
    config = load_config(path, environment=environment)
    assert_problems(config.warnings, path, text, expected)
    return config


def describe(problem: Problem) -> str:
    text = f"{problem.key}: {problem.message}" if problem.key else problem.message
    return f"{text}\n{problem.hint}" if problem.hint else text
