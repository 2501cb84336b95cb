"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

config_option = click.option(
    "-c",
    "--config",
    "config_paths",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A worker's configuration; once for each worker, the first is the one at the address itself.  "
    "[default: wrangler.jsonc, .json or .toml in this directory]",
)
"""Which workers: `config_paths`, empty for the one of the working directory."""

environment_option = click.option(
    "-e", "--env", "environment", metavar="ENV", help="Use the settings under env.ENV of the configuration."
)
"""Which environment of the configuration: `environment`, None for the settings at its top level."""
