"""`emulator check`: validates configurations and loads their workers, without running them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emulator.cli.options import config_option, environment_option

if TYPE_CHECKING:
    from emulator.log.terminal import Terminal
    from emulator.session.session import Session


@click.command(short_help="Validate the configuration and load the worker.")
@config_option
@environment_option
@click.pass_context
def check(ctx: click.Context, config_paths: tuple[Path, ...], environment: str | None) -> None:
    """Validate configurations, load their workers, and print entrypoints, bindings and queues.

    Nothing is served and no message is delivered. The exit status is 0 when all is well, 1 when a worker's code fails
    to load, and 2 when a configuration is invalid. All problems of a file are printed at once.

    \b
    Examples:
      emulator check                            the worker of this directory
      emulator check -e production              with the settings of an environment
      emulator check -c web/wrangler.jsonc -c jobs/wrangler.jsonc
    """
    from emulator.base.bus import Bus
    from emulator.log.terminal import Terminal
    from emulator.server.serving import ServingOptions, run
    from emulator.session.session import Session

    bus = Bus()
    terminal = Terminal(bus)
    try:
        options = ServingOptions(config_paths=config_paths, environment=environment)
        session = Session(options.read_all(), bus)
        terminal.introduce(session.configs, session.hosts)
        broken: list[str] = []
        run(_load(session, terminal, broken))
    finally:
        terminal.close()
    ctx.exit(1 if broken else 0)


async def _load(session: Session, terminal: Terminal, broken: list[str]) -> None:
    """Load the workers, print them, and add to `broken` the names of those that fail to load."""
    try:
        await session.load()
        terminal.print_workers()
        # Checked before the workers are stopped, because a stopped worker has a failure too.
        broken += [host.config.name for host in session.hosts if host.failure is not None]
    finally:
        await session.stop(0.0)
