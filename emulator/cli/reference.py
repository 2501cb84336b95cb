"""The manual of the command line, made from its help: `python -m emulator.cli.reference` writes docs/cli.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from emulator.cli import cli

_HEAD: Final = """\
# The command line

`emulator COMMAND --help` says the same in the terminal. `python -m emulator` is the same program. The exit status is
0 if all is well, 2 for something that you can mend, which is said in a sentence on standard error, and 130 after
Ctrl-C.
"""


def reference() -> str:
    """The page, in Markdown."""
    return "\n".join((_HEAD, *_sections(cli, "emulator")))


def _sections(group: click.Group, path: str) -> Iterator[str]:
    parent = _context(group, path)
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        full = f"{path} {name}"
        context = _context(command, full)
        yield f"## {full}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
        if isinstance(command, click.Group):
            yield from _sections(command, full)


def _context(command: click.Command, path: str) -> click.Context:
    return click.Context(
        command, info_name=path, max_content_width=110, terminal_width=110, help_option_names=["-h", "--help"]
    )


if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "cli.md").write_text(reference(), encoding="utf-8")
