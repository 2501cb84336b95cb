"""`emulator trigger`: runs a `scheduled` handler of a running emulator now."""

from __future__ import annotations

from typing import Any

import click

from emulator.base.errors import EmulatorError
from emulator.base.words import clean_lines
from emulator.cli.options import session_options
from emulator.cli.rest import PlainClient, find_session
from emulator.server.addresses import CRONS_ADDRESS, SCHEDULED_ADDRESS


@click.command(short_help="Run a scheduled handler of a running emulator now.")
@click.argument("cron", required=False)
@click.option(
    "--worker", metavar="NAME", help="The worker whose handler to run.  [default: the one that declares CRON]"
)
@session_options
def trigger(cron: str | None, worker: str | None, url: str | None, token: str | None) -> None:
    """Run the scheduled handler of a worker as if CRON were due now. Without CRON, the only one that is declared.

    \b
    Examples:
      emulator trigger                          the only cron
      emulator trigger '*/10 * * * *'
      emulator trigger '0 3 * * *' --worker jobs
    """
    with PlainClient(find_session(url, token)) as client:
        declared = [each for each in client.get(CRONS_ADDRESS).json() if worker in (None, each["worker"])]
        chosen_cron, chosen_worker = _choose(declared, cron, worker)
        if not any(each["cron"] == chosen_cron for each in declared):
            click.echo(f"Warning: no configuration declares {chosen_cron}; production would not run it", err=True)
        answer = client.get(SCHEDULED_ADDRESS, {"cron": chosen_cron}, chosen_worker)
    if answer.status_code != 200:
        raise EmulatorError(f"{chosen_cron} failed\n{clean_lines(answer.text.strip())}")
    click.echo(f"Ran {chosen_cron}" + (f" of {chosen_worker}" if chosen_worker else ""))


def _choose(declared: list[dict[str, Any]], cron: str | None, worker: str | None) -> tuple[str, str | None]:
    """The cron, and the worker; None for the first of the session."""
    meant = [each for each in declared if cron in (None, each["cron"])]
    if len(meant) == 1:
        return str(meant[0]["cron"]), str(meant[0]["worker"])
    if len(meant) > 1:
        listed = "\n".join(f"  {each['cron']}  {each['worker']}" for each in meant)
        hint = "Name one: emulator trigger CRON --worker NAME"
        raise EmulatorError(f"{len(meant)} crons could be meant:\n{listed}", hint=hint)
    if cron is None:
        whose = "no worker" if worker is None else f"no worker called {worker}"
        raise EmulatorError(f"{whose} declares a cron (triggers.crons)", hint="Name one: emulator trigger '* * * * *'")
    return cron, worker
