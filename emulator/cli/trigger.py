"""`emulator trigger`: runs a `scheduled` handler of a running emulator now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        declared = {each["worker"]: [one["cron"] for one in each["crons"]] for each in client.get(CRONS_ADDRESS).json()}
        chosen_cron, chosen_worker = _choose(declared, cron, worker)
        if chosen_cron not in declared[chosen_worker]:
            text = f"{chosen_worker} does not declare {chosen_cron}; production would not run it"
            click.echo(f"Warning: {text}", err=True)
        answer = client.get(SCHEDULED_ADDRESS, {"cron": chosen_cron}, chosen_worker)
    if answer.status_code != 200:
        raise EmulatorError(f"{chosen_cron} failed\n{clean_lines(answer.text.strip())}")
    click.echo(f"Ran {chosen_cron} of {chosen_worker}")


def _choose(declared: Mapping[str, Sequence[str]], cron: str | None, worker: str | None) -> tuple[str, str]:
    """The cron and the worker to run, of the crons that are `declared` by worker. Raises EmulatorError if that is not
    clear."""
    workers = list(declared) if worker is None else [worker]
    if worker is not None and worker not in declared:
        raise EmulatorError(f"no worker is called {worker}: there is {', '.join(declared)}")
    meant = [(each, name) for name in workers for each in declared[name] if cron in (None, each)]
    if len(meant) == 1:
        return meant[0]
    if len(meant) > 1:
        listed = "\n".join(f"  {each}  {name}" for each, name in meant)
        hint = "Name one: emulator trigger CRON --worker NAME"
        raise EmulatorError(f"{len(meant)} crons could be meant:\n{listed}", hint=hint)
    if cron is None:
        whose = "no worker" if worker is None else worker
        verb = "declares a cron" if worker is None else "declares no cron"
        raise EmulatorError(f"{whose} {verb} (triggers.crons)", hint="Name one: emulator trigger '* * * * *'")
    if len(workers) > 1:
        raise EmulatorError(f"no worker declares {cron}: whose handler is it?", hint=f"--worker {' or '.join(workers)}")
    return cron, workers[0]
