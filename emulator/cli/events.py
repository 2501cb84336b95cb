"""`emulator events`: prints what happened, as far as a filter means it."""

from __future__ import annotations

import sys
import time
from typing import Any, Final

import click

from emulator.base.words import clean_lines
from emulator.cli.listing import MOST, ask, listing_options, print_lines, print_remarks
from emulator.cli.rest import PlainClient, find_session
from emulator.log.style import Style, wants_color

_SHOWN: Final = ("-level:debug",)
"""What is meant without a filter: what the terminal of the emulator shows."""

_PAUSE_SECONDS: Final = 0.5


@click.command(short_help="Print the log by a filter, also as it goes on.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
@listing_options
def events(
    terms: tuple[str, ...], *, follow: bool, limit: int, as_json: bool, url: str | None, token: str | None
) -> None:
    """Print what happened in a running emulator, as its log tells it, as far as FILTER means it, newest last. Without a
    filter, what its terminal shows; with one also what is sent and which bindings are used.

    A filter has fields: event, level, text, older, and those of the JSON log, such as worker, queue and status. They
    are compared with : != ~ < or >. A text alone occurs anywhere, and - means not. Quotes keep it from the shell, and
    after -- it may begin with -.

    \b
    Examples:
      emulator events level:error
      emulator events event:output worker:shop --follow
      emulator events 'event:binding binding_type:kv duration_ms>5' --json
    """
    meant = terms or _SHOWN
    with PlainClient(find_session(url, token)) as client:
        told = ask(client, "events", meant, limit)
        found, last = told["events"][::-1], told["last"]
        _print(found, as_json)
        if not follow:
            print_remarks(len(found), limit, "event")
        while follow:
            time.sleep(_PAUSE_SECONDS)
            told = ask(client, "events", meant, MOST, after=str(last))
            found = told["events"]
            last = found[-1]["number"] if len(found) == MOST else told["last"]
            _print(found, as_json)


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_lines(rows)
        return
    style = Style(wants_color(sys.stdout))
    paints = {"error": style.red, "warning": style.yellow, "debug": style.dim}
    for row in rows:
        first, *others = clean_lines(row["text"]).split("\n")
        clock = style.dim(time.strftime("%H:%M:%S", time.localtime(row["at"])))
        click.echo("\n".join([f"{clock} {paints.get(row['level'], str)(first)}", *others]), color=True)
