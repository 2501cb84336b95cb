"""`emulator completion`: prints what lets a shell complete the emulator's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")
"""The shells that click can complete for."""


@click.command(short_help="Let a shell complete commands and options.")
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print a script with which SHELL completes commands and options of the emulator.

    \b
    Examples:
      eval "$(emulator completion bash)"          in ~/.bashrc
      eval "$(emulator completion zsh)"           in ~/.zshrc
      emulator completion fish > ~/.config/fish/completions/emulator.fish
    """
    from emulator.cli import cli

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(cli, {}, "emulator", "_EMULATOR_COMPLETE").source(), nl=False)
