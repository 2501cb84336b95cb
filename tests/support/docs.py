"""Reads the tables of the documentation."""

from __future__ import annotations

from pathlib import Path


def table(page: Path, *heading: str) -> list[list[str]]:
    """The rows below the heading of a table that begins with these columns, each as the texts of its cells."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if _cells(line)[: len(heading)] == list(heading))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(_cells(line))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
