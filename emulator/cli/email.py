"""`emulator email`: looks at what workers have sent."""

from __future__ import annotations

import sys

import click

from emulator.base.words import count
from emulator.cli.data import data
from emulator.cli.options import session_options
from emulator.cli.tables import print_json, print_pairs, print_table

_MESSAGES = "/emulator/email"
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(short_help="Look at the e-mail that workers have sent.")
def email() -> None:
    """Look at the e-mail that the workers of a running emulator, or of the project in this directory if none runs it,
    have sent. It was kept, and went nowhere.

    \b
    Examples:
      emulator email list
      emulator email show 3
      emulator email show 3 --raw > message.eml
    """


@email.command("list", short_help="List what was sent, the newest first.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many at most.")
@_as_json
@session_options
def list_(limit: int, as_json: bool, url: str | None, token: str | None) -> None:
    """List messages, the newest first.

    \b
    Examples:
      emulator email list --limit 5
    """
    with data(url, token) as client:
        found = client.ask_for("GET", _MESSAGES, per_page=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        [str(each["id"]), each["sent_at"][:19], each["from"], ", ".join(each["to"]), each["subject"]] for each in found
    ]
    print_table(["ID", "SENT (UTC)", "FROM", "TO", "SUBJECT"], rows)


@email.command(short_help="Show a message.")
@click.argument("number", type=click.IntRange(min=1))
@click.option("--raw", is_flag=True, help="Print it as it is, as MIME.")
@_as_json
@session_options
def show(number: int, *, raw: bool, as_json: bool, url: str | None, token: str | None) -> None:
    """Show the message with this NUMBER: its headers, its text (or its HTML, if it has none) and the names
    of its files.

    \b
    Examples:
      emulator email show 3
      emulator email show 3 --raw > message.eml
    """
    with data(url, token) as client:
        if raw:
            with client.download(f"{_MESSAGES}/{number}/raw") as (_, pieces):
                sys.stdout.buffer.writelines(pieces)
            return
        message = client.ask_for("GET", f"{_MESSAGES}/{number}")
    if as_json:
        print_json(message)
        return
    files = [
        ("Attachment", f"{each['filename']} ({each['type']}, {each['size']:,} bytes)")
        for each in message["attachments"]
    ]
    print_pairs([*((name, value) for name, value in message["headers"]), *files])
    click.echo()
    click.echo(message["text"] or message["html"])


@email.command(short_help="Remove all messages.")
@session_options
def clear(url: str | None, token: str | None) -> None:
    """Remove all messages.

    \b
    Examples:
      emulator email clear
    """
    with data(url, token) as client:
        removed = client.ask_for("DELETE", _MESSAGES)["removed"]
    click.echo(f"Removed {count(removed, 'message')}")
