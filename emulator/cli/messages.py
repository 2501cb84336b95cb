"""`emulator messages`: lists the messages that a filter means."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from emulator.base.words import age
from emulator.cli.listing import ask, listing_options, print_lines, print_remarks
from emulator.cli.rest import PlainClient, find_session
from emulator.cli.tables import print_table

_HEAD: Final = ("ID", "STATE", "QUEUE", "ATTEMPTS", "AGE", "BODY")


@click.command(short_help="List messages by a filter.")
@listing_options
def messages(terms: tuple[str, ...], limit: int, as_json: bool, url: str | None, token: str | None) -> None:
    """List the messages of a running emulator that FILTER means: those in the queues, and then those that have left
    them, newest first. Without a filter, all. `emulator why ID` tells what happened to one.

    A filter has fields: state, queue, attempts, error, body (or body.user.name), type, size, worker, source, id and
    older. They are compared with : != ~ < or >. A text alone occurs anywhere, and - means not. Quotes keep it from the
    shell, and after -- it may begin with -.

    \b
    Examples:
      emulator messages state:dead
      emulator messages 'state:dead attempts>2 error~Connection older>1h'
      emulator messages 'body.type=welcome-email -queue:audit' --json
      emulator messages '"out of stock"' --limit 5
    """
    with PlainClient(find_session(url, token)) as client:
        told = ask(client, "messages", terms, limit)
    found = told["messages"]
    if as_json:
        print_lines(found)
    elif found:
        from emulator.dashboard.telling import colored

        now = time.time()
        notes = [[each["error"]] if each["error"] else [] for each in found]
        print_table(_HEAD, [_row(each, now) for each in found], notes, paints={"STATE": colored}, fits=True)
    print_remarks(len(found), limit, "message", told["missing"])


def _row(message: dict[str, Any], now: float) -> tuple[str, ...]:
    ago = age(now - message["sent_at"])
    return message["id"][:8], message["state"], message["queue"], str(message["attempts"]), ago, message["text"]
