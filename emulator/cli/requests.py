"""`emulator requests`: lists the requests that a filter means."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from emulator.base.words import age, duration
from emulator.cli.listing import ask, listing_options, print_lines, print_remarks
from emulator.cli.rest import PlainClient, find_session
from emulator.cli.tables import print_table
from emulator.log.style import Style

_HEAD: Final = ("ID", "RESULT", "TOOK", "AGE", "WORKER", "REQUEST")


@click.command(short_help="List requests, crons and e-mail by a filter.")
@listing_options
def requests(terms: tuple[str, ...], limit: int, as_json: bool, url: str | None, token: str | None) -> None:
    """List the requests that a running emulator has answered, and the crons and e-mail that it has handled, as far as
    FILTER means them, newest first. Without a filter, all.

    A filter has fields: status, method, path, worker, duration, outcome, kind, id and older. They are compared with
    : != ~ < or >. A text alone occurs anywhere, and - means not. Quotes keep it from the shell, and after -- it may
    begin with -.

    \b
    Examples:
      emulator requests 'status>=500'
      emulator requests 'method:POST path~/signup duration>100ms'
      emulator requests 'kind:scheduled older<1h' --json
    """
    with PlainClient(find_session(url, token)) as client:
        told = ask(client, "requests", terms, limit)
    found = told["requests"]
    if as_json:
        print_lines(found)
    elif found:
        now = time.time()
        print_table(_HEAD, [_row(each, now) for each in found], paints={"RESULT": _colored}, fits=True)
    print_remarks(len(found), limit, "request", told["missing"])


def _row(request: dict[str, Any], now: float) -> tuple[str, ...]:
    took, ago = duration(request["duration"]), age(now - request["at"])
    return request["id"], request["outcome"], took, ago, request["worker"], request["text"]


def _colored(outcome: str, style: Style) -> str:
    """A status, or how a handler ended, as in the log."""
    colors = {"o": style.green, "2": style.green, "3": style.cyan, "4": style.yellow}
    return outcome if outcome.startswith("1") else colors.get(outcome[:1], style.red)(outcome)
