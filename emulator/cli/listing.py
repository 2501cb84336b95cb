"""What the commands share that list what a filter means: `emulator messages`, `requests` and `events`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click
from msgspec import json

from emulator.base.words import count
from emulator.cli.options import F, session_options
from emulator.cli.rest import PlainClient
from emulator.cli.why import told_by
from emulator.server.addresses import DASHBOARD_API

MOST: Final = 1_000
"""How many can be asked for at once."""

_filter_argument = click.argument("terms", metavar="[FILTER]...", nargs=-1)
_limit_option = click.option(
    "--limit", type=click.IntRange(1, MOST), default=50, show_default=True, help="How many at most."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line, for programs.")


def listing_options(command: F) -> F:
    """A filter, and how much of what it means is printed, and how: `terms`, `limit`, `as_json`, `url`, `token`."""
    return _filter_argument(_limit_option(_json_option(session_options(command))))


def ask(client: PlainClient, what: str, terms: Sequence[str], limit: int, **query: str) -> Any:
    """What the dashboard's API answers for a filter. Raises EmulatorError with what it refuses for."""
    asked = {"filter": " ".join(terms), "limit": str(limit), **query}
    return told_by(client.get(f"{DASHBOARD_API}/{what}", asked))


def print_lines(rows: Sequence[Any]) -> None:
    """Print an object a line, for programs."""
    for row in rows:
        click.echo(json.encode(row).decode())


def print_remarks(number: int, limit: int, noun: str, missing: str = "") -> None:
    """Say on standard error what is not in a list of `number` things."""
    if not number:
        click.echo(f"There is no such {noun}.", err=True)
    if number == limit:
        click.echo(f"There may be more than {count(number, noun)}: see --limit.", err=True)
    if missing:
        click.echo(f"Not all is here: {missing}.", err=True)
