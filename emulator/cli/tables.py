"""What commands print: aligned columns, names with their values, and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from shutil import get_terminal_size
from types import MappingProxyType
from typing import Final

import click

from emulator.base.words import clean, cut
from emulator.log.style import Style, wants_color

Paint = Callable[[str, Style], str]
"""Gives a cell its colour."""

_LEAST_WIDTH: Final = 20
"""Nothing is cut to less than this, however narrow a terminal is."""


def print_json(value: object) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2))


def print_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Iterable[Sequence[str]] = (),
    *,
    paints: Mapping[str, Paint] = MappingProxyType({}),
    fits: bool = False,
) -> None:
    """Print aligned columns. The last one may be as wide as it likes; the lines of `notes`, a sequence for each row,
    come below their rows. `paints` are the colours of columns, by their heads. With `fits`, what is wider than the
    terminal is cut."""
    width = get_terminal_size().columns if fits and sys.stdout.isatty() else None
    for line in table_lines(head, rows, Style(wants_color(sys.stdout)), notes, paints=paints, width=width):
        click.echo(line, color=True)


def table_lines(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    style: Style,
    notes: Iterable[Sequence[str]] = (),
    *,
    paints: Mapping[str, Paint] = MappingProxyType({}),
    width: int | None = None,
) -> Iterator[str]:
    """The lines that `print_table` prints, in at most `width` characters as far as the last column and the notes can be
    cut for that."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    below = list(notes) or [()] * len(cells)
    painted = [paints.get(name, _plain) for name in head]
    indent = widths[0] + 2
    room = sys.maxsize if width is None else max(width - sum(widths[:-1]) - 2 * len(widths[:-1]), _LEAST_WIDTH)
    below_room = sys.maxsize if width is None else max(width - indent, _LEAST_WIDTH)
    widths[-1] = 0
    yield style.dim(_aligned(head, widths))
    for row, lines in zip(cells, below, strict=True):
        row[-1] = cut(row[-1], room)
        spaces = [" " * (size - len(cell)) for cell, size in zip(row, widths, strict=True)]
        parts = [paint(cell, style) + space for paint, cell, space in zip(painted, row, spaces, strict=True)]
        yield "  ".join(parts).rstrip()
        yield from (f"{'':<{indent}}{style.yellow(cut(clean(line), below_room))}" for line in lines)


def _plain(text: str, _style: Style) -> str:
    return text


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print a name and its value on each line, the values aligned."""
    style = Style(wants_color(sys.stdout))
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{style.dim(f'{name:<{width}}')}  {clean(value)}", color=True)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
