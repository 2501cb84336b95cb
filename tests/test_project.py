"""What the project says of itself: the commands and links of the README, and the versions that are pinned."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_commands_of_the_readme_are_in_the_makefile() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    first_section = readme.split("\n## ")[1]
    commands = [line.strip() for line in first_section.splitlines() if line.startswith("    make ")]
    assert commands == ["make dev", "make test"]
    for target in ("dev", "test", "check", "bench", "clean", "help"):
        assert f"\n{target}:" in makefile


def test_the_links_of_the_readme_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert (ROOT / target).exists(), target


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
