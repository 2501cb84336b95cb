"""What the project says about itself: the commands of the README, pinned versions, and names with one meaning."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_commands_of_the_readme_are_in_the_makefile() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    first_section = readme.split("\n## ")[1]
    commands = [line.removeprefix("$ ") for line in first_section.splitlines() if line.startswith("$ make ")]
    assert commands == ["make dev", "make test"]
    for target in ("dev", "test", "check", "bench", "clean", "help"):
        assert f"\n{target}:" in makefile


def test_every_dependency_is_pinned_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    pinned = [
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "requirements-dev.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert len(pinned) == len(set(pinned))
    assert {re.split(r"[>=;]", name)[0].lower() for name in wanted} <= set(pinned)


def test_no_two_classes_have_the_same_name() -> None:
    names = Counter(
        node.name
        for package in ("emulator", "runtime")
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name != "Default"  # of workers
    )
    public_in_worker_code_and_in_the_testing_kit = {"Message"}
    assert {name for name, count in names.items() if count > 1} == public_in_worker_code_and_in_the_testing_kit
