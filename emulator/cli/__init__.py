"""The command line: `emulator`, and `python -m emulator`, which is the same program.

Each command has a module, which is imported when the command runs, because start-up time matters. An `EmulatorError`,
which the user can fix, is printed as its text, and the exit status is 2. A traceback means a bug.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from emulator.base.errors import EmulatorError
from emulator.base.words import clean_lines
from emulator.log.style import Style, wants_color

__all__ = ["main"]

_COMMANDS = {
    "dev": "emulator.cli.dev",
    "consume": "emulator.cli.consume",
    "init": "emulator.cli.init",
    "check": "emulator.cli.check",
    "types": "emulator.cli.types",
    "queues": "emulator.cli.queues",
    "kv": "emulator.cli.kv",
    "r2": "emulator.cli.r2",
    "d1": "emulator.cli.d1",
    "secrets-store": "emulator.cli.secrets_store",
    "email": "emulator.cli.email",
    "state": "emulator.cli.state",
    "messages": "emulator.cli.messages",
    "requests": "emulator.cli.requests",
    "events": "emulator.cli.events",
    "why": "emulator.cli.why",
    "rehearse": "emulator.cli.rehearse",
    "trigger": "emulator.cli.trigger",
    "env": "emulator.cli.env",
    "install-js": "emulator.cli.install_js",
    "completion": "emulator.cli.completion",
}
"""Each command and the module that defines it under the same name, in the order of the help text."""

_INTERRUPTED = 130
"""The exit status that a shell expects after Ctrl-C: 128 and the number of SIGINT."""


class _UserError(click.ClickException):
    """An `EmulatorError` as click shows it: its text on standard error, and exit status 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        stream = file or sys.stderr
        style = Style(wants_color(stream))
        click.echo(f"{style.red('Error:')} {clean_lines(self.message)}", file=stream, color=True)


class _Commands(click.Group):
    """A group that imports the module of a command when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(module), cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean `{' '.join([ctx.command_path, *close, *args[1:]])}`?" if close else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx=ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EmulatorError as error:
            raise _UserError(str(error)) from error
        except KeyboardInterrupt:
            raise click.exceptions.Exit(_INTERRUPTED) from None


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        # Imported here because it takes 15 ms, which other commands do not need.
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"emulator {version('workers-emulator')}")
        except PackageNotFoundError:
            click.echo("emulator (run from a checkout that is not installed)")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def cli() -> None:
    """Run Workers with queues on your own machine.

    \b
    To begin:
      emulator init my-app      create a worker from a template
      cd my-app
      emulator dev              run it on http://127.0.0.1:8787

    'emulator COMMAND --help' explains a command, with examples.
    """


def main() -> None:
    """Run the command line and exit: 0 if all is well, 2 for something that the user can fix, 1 as the command says."""
    cli(prog_name="emulator")
