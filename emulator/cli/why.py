"""`emulator why`: tells what happened to a message, and why it is where it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
import msgspec

from emulator.base.errors import EmulatorError
from emulator.cli.options import session_options
from emulator.cli.rest import PlainClient, find_session
from emulator.cli.tables import print_json
from emulator.log.style import Style, wants_color
from emulator.server.addresses import DASHBOARD_API

if TYPE_CHECKING:
    import httpx


@click.command(short_help="Say what happened to a message, and why.")
@click.argument("message", metavar="MESSAGE_ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@session_options
def why(message: str, as_json: bool, url: str | None, token: str | None) -> None:
    """Say what happened to a message of a running emulator, and why it is where it is: who sent it, each attempt with
    its error and what the worker printed, the delay and the setting that chose it, and what comes next. The first
    digits of its id, as the log shows them, are enough.

    \b
    Examples:
      emulator why 3f2a91c0
      emulator why 3f2a91c0 --json
    """
    with PlainClient(find_session(url, token)) as client:
        told = told_by(client.get(f"{DASHBOARD_API}/messages/{quote(message, safe='')}"))
    if as_json:
        print_json(told)
        return
    from emulator.dashboard.story import MessageStory
    from emulator.dashboard.telling import tell

    click.echo(tell(msgspec.convert(told, MessageStory), Style(wants_color(sys.stdout))), color=True)


def told_by(answer: httpx.Response) -> Any:
    """What the dashboard's API has answered. Raises EmulatorError with what it refuses for."""
    try:
        told = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        text = "this emulator does not record what happens: was it started with --no-record?"
        raise EmulatorError(text) from None
    if answer.status_code != 200:
        raise EmulatorError(told["error"])
    return told
