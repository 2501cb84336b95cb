"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
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
