"""docs/configuration.md has a row for every binding kind, and for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulator.bindings.kind import BindingKind
from emulator.bindings.registry import KINDS

PAGE = Path(__file__).parents[2] / "docs/configuration.md"
HEAD = "| binding | declared in | in Python | in JavaScript |\n| --- | --- | --- | --- |\n"


def row(kind: BindingKind[Any]) -> str:
    """The row of a kind as it stands in the documentation."""
    return f"| {' | '.join(kind.documentation)} |"


def shown_rows() -> list[str]:
    table = PAGE.read_text().partition(HEAD)[2].partition("\n\n")[0]
    return table.splitlines()


def missing_rows() -> list[str]:
    """The rows that the documentation would need and does not have."""
    shown = shown_rows()
    return [row(kind) for kind in KINDS if row(kind) not in shown]


def test_every_kind_has_a_row() -> None:
    assert missing_rows() == []


def test_every_row_is_of_a_kind() -> None:
    assert shown_rows() == [row(kind) for kind in KINDS]
