"""`emulator env`: prints the variables that point wrangler and the SDKs at a running emulator, for a shell to read."""

from __future__ import annotations

import shlex

import click

from emulator.cli.options import session_options
from emulator.cli.rest import ACCOUNT_ID, API_TOKEN, find_session
from emulator.server.addresses import API_PREFIX


@click.command(short_help="Print the variables that point wrangler at a running emulator.")
@session_options
def env(url: str | None, token: str | None) -> None:
    """Print the variables that point wrangler and Cloudflare's SDKs at a running emulator.

    \b
    Examples:
      emulator env                              the variables, and their values
      eval "$(emulator env)"                    set them in this shell
      npx wrangler queues list                  asks the emulator from then on
    """
    session = find_session(url, token)
    base_url = f"{session.url}{API_PREFIX}"
    for name, value in (
        ("CLOUDFLARE_API_BASE_URL", base_url),  # wrangler's
        ("CLOUDFLARE_BASE_URL", base_url),  # the SDKs'
        ("CLOUDFLARE_ACCOUNT_ID", ACCOUNT_ID),
        ("CLOUDFLARE_API_TOKEN", session.api_token or API_TOKEN),
    ):
        click.echo(f"export {name}={shlex.quote(value)}")
