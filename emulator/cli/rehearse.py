"""`emulator rehearse`: runs a batch that failed on the code as it is now, and carries out nothing of it."""

from __future__ import annotations

import sys
from urllib.parse import quote

import click

from emulator.base.words import clean, clean_lines
from emulator.cli.options import session_options
from emulator.cli.rest import PlainClient, find_session
from emulator.cli.tables import print_json
from emulator.cli.why import told_by
from emulator.log.style import Style, wants_color
from emulator.server.addresses import DASHBOARD_API


@click.command(short_help="Run a batch that failed on the new code, without effects.")
@click.argument("message", metavar="MESSAGE_ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@session_options
def rehearse(message: str, as_json: bool, url: str | None, token: str | None) -> None:
    """Run the batch that a message was delivered in last once more, on the code as it is now, and show what would
    become of it. What the handler sends and writes is shown and not carried out: queues and data stay as they are. A
    `fetch()` goes out as always. Exits with 1 unless all of it would be acked.

    \b
    Examples:
      emulator rehearse 3f2a91c0
      emulator rehearse 3f2a91c0 && emulator queues redrive my-app-events-dlq
    """
    with PlainClient(find_session(url, token)) as client:
        told = told_by(client.post(f"{DASHBOARD_API}/messages/{quote(message, safe='')}/rehearsal"))
    if as_json:
        print_json(told)
    else:
        style = Style(wants_color(sys.stdout))
        for event in told["events"]:
            click.echo(clean_lines(event["text"]), color=True)
        for each in told["messages"]:
            result = style.green(each["result"]) if each["result"] == "acked" else style.red(each["result"])
            click.echo(f"{clean(each['id'][:8])}  {result}  {clean(each['error'])}".rstrip(), color=True)
        click.echo(clean(told["because"]))
        click.echo("Nothing of it was carried out.")
    if not told["is_good"]:
        raise SystemExit(1)
