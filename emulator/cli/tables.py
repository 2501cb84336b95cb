"""What commands print: aligned columns, names with their values, and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence

import click

from emulator.base.words import clean
from emulator.log.style import Style, wants_color


def print_json(value: object) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], notes: Iterable[Sequence[str]] = ()) -> None:
    """Print aligned columns. The last one may be as wide as it likes; the lines of `notes`, a sequence for each row,
    come below their rows."""
    for line in table_lines(head, rows, Style(wants_color(sys.stdout)), notes):
        click.echo(line, color=True)


def table_lines(
    head: Sequence[str], rows: Sequence[Sequence[str]], style: Style, notes: Iterable[Sequence[str]] = ()
) -> Iterator[str]:
    """The lines that `print_table` prints."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    below = list(notes) or [()] * len(cells)
    yield style.dim(_aligned(head, widths))
    for row, lines in zip(cells, below, strict=True):
        yield _aligned(row, widths)
        yield from (f"{'':<{widths[0]}}  {style.yellow(clean(line))}" for line in lines)


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print a name and its value on each line, the values aligned."""
    style = Style(wants_color(sys.stdout))
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{style.dim(f'{name:<{width}}')}  {clean(value)}", color=True)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
