"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "-c",
    "--config",
    "config_paths",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A worker's configuration. Repeat it to run several workers; the first one answers at the address itself.  "
    "[default: wrangler.jsonc, .json or .toml in this directory]",
)
"""Which workers: `config_paths`, empty for the one of the working directory."""

environment_option = click.option(
    "-e", "--env", "environment", metavar="ENV", help="Use the settings under env.ENV of the configuration."
)
"""Which environment of the configuration: `environment`, None for the settings at its top level."""

script_argument = click.argument("script", required=False, type=click.Path(path_type=Path))
"""A worker's module in place of `main` in its configuration: `script`, None if that counts."""


def _variables(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """The `--var KEY:VALUE` options as a mapping. A later one wins; the value may contain more colons, or be empty."""
    variables: dict[str, str] = {}
    for value in values:
        key, colon, content = value.partition(":")
        if not colon or not key.isidentifier():
            raise click.BadParameter(
                f"{value!r} is not KEY:VALUE, such as GREETING:Hello; worker code sees the value as env.KEY",
                ctx=ctx,
                param=parameter,
            )
        variables[key] = content
    return variables


_var_option = click.option(
    "--var",
    "variables",
    metavar="KEY:VALUE",
    multiple=True,
    callback=_variables,
    help="Set a variable, overriding the configuration. May be repeated.",
)

_env_file_option = click.option(
    "--env-file",
    "env_files",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Read secrets from this file, instead of .dev.vars and .env. May be repeated; the last one wins.",
)


def secrets_options(command: F) -> F:
    """What a worker is told beside its configuration: `variables`, a mapping, and `env_files`."""
    return _var_option(_env_file_option(command))


queue_engine_option = click.option(
    "--queue-engine",
    metavar="URL",
    envvar="EMULATOR_QUEUE_ENGINE",
    help="Keep queues in the NATS server at this address, such as nats://localhost:4222, where sessions on many "
    "machines share them.",
)
"""Where queues are kept: `queue_engine`, None for this process."""


def check_script(script: Path | None, config_paths: Sequence[Path]) -> None:
    """Refuse a module beside several configurations."""
    if script is not None and len(config_paths) > 1:
        raise click.UsageError("SCRIPT is the module of one worker, and several configurations were given.")


local_option = click.option("--local", is_flag=True, help="Keep all queues here, also those with `remote`.")
"""Whether to leave real queues alone: `local`."""


class _Level(click.Choice[str]):
    """A level of the log; some have another name in wrangler."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert({"warn": "warning", "log": "info"}.get(value, value), param, ctx)


_level_option = click.option(
    "--log-level",
    type=_Level(["debug", "info", "warning", "error", "none"]),
    default="info",
    show_default=True,
    help="The lowest level to print. debug adds every message that is sent, and whole tracebacks.",
)

_format_option = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text is for people; json prints one object per line, for programs.",
)

_time_option = click.option(
    "--log-time/--no-log-time",
    default=None,
    help="Begin each entry of the text with the time.  [default: on a terminal only]",
)


def log_options(command: F) -> F:
    """How the log is printed: `log_level`, `log_format`, `log_time`."""
    return _level_option(_format_option(_time_option(command)))


_url_option = click.option(
    "--url",
    metavar="URL",
    help="The emulator's address, such as http://localhost:8787.  [default: the emulator that runs the worker of this "
    "directory, or the only one that is running]",
)

_token_option = click.option(
    "--token", metavar="TOKEN", help="The token that `emulator dev` printed, if the emulator at --url requires one."
)


def session_options(command: F) -> F:
    """Which running session, and what its REST API requires: `url` and `token`, each None where it is to be found."""
    return _url_option(_token_option(command))
