"""Asks on a terminal for one of several values, with the arrow keys."""

from __future__ import annotations

import os
import re
import sys
import termios
import tty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import click

from emulator.log.style import Style, wants_color

_UP: Final = ("\x1b[A", "\x1bOA", "k")
_DOWN: Final = ("\x1b[B", "\x1bOB", "j")
_ENTER: Final = ("\r", "\n")
_LEAVE: Final = ("\x04", "\x1b")
_KEY: Final = re.compile("\x1b[\\[O].|.", re.DOTALL)


def choose(question: str, values: Mapping[str, str]) -> str:
    """The value that the user picks with the arrow keys, or by its digit; `values` have a description each. Ctrl-C and
    Escape raise click.Abort."""
    style = Style(wants_color(sys.stdout))
    names = list(values)
    click.echo(f"{question} {style.dim('(arrow keys, Enter)')}")
    with _keys_at_once():
        return names[_chosen(names, values, style)]


@contextmanager
def _keys_at_once() -> Iterator[None]:
    """Have the terminal pass on each key as it is pressed, unseen."""
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    try:
        tty.setcbreak(file, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


def _chosen(names: Sequence[str], values: Mapping[str, str], style: Style) -> int:
    width = max(map(len, names))
    chosen = 0
    while True:
        for index, name in enumerate(names):
            mark, shown = (">", style.bold(f"{name:<{width}}")) if index == chosen else (" ", f"{name:<{width}}")
            click.echo(f"{mark} {index + 1} {shown}  {style.dim(values[name])}")
        for key in _KEY.findall(
            os.read(sys.stdin.fileno(), 64).decode(errors="replace")
        ):  # several, where somebody is fast
            if key in _ENTER:
                return chosen
            if key in _LEAVE:
                raise click.Abort
            if key.isdecimal() and 1 <= int(key) <= len(names):
                return int(key) - 1
            chosen = (chosen + (key in _DOWN) - (key in _UP)) % len(names)
        click.echo(f"\x1b[{len(names)}A", nl=False)
