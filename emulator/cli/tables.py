"""What commands print: aligned columns, names with their values, and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click

from emulator.base.words import clean
from emulator.log.style import Style, wants_color


def print_json(value: object) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], notes: Iterable[Sequence[str]] = ()) -> None:
    """Print aligned columns. The last one may be as wide as it likes; the lines of `notes`, a sequence for each row,
    come below their rows."""
    style = Style(wants_color(sys.stdout))
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    below = list(notes) or [()] * len(cells)
    click.echo(style.dim(_aligned(head, widths)), color=True)
    for row, lines in zip(cells, below, strict=True):
        click.echo(_aligned(row, widths), color=True)
        for line in lines:
            click.echo(f"{'':<{widths[0]}}  {style.yellow(clean(line))}", color=True)


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print a name and its value on each line, the values aligned."""
    style = Style(wants_color(sys.stdout))
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{style.dim(f'{name:<{width}}')}  {clean(value)}", color=True)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
