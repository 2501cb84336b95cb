"""`emulator check`: validates configurations and loads their workers, without running them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import asdict, replace

from emulator.base.errors import ConfigError, Problem
from emulator.base.words import count
from emulator.cli.options import config_option, environment_option
from emulator.cli.tables import print_json
from emulator.config.document import pointed

if TYPE_CHECKING:
    from emulator.config.model import WorkerConfig
    from emulator.log.terminal import Terminal
    from emulator.session.session import Session


@click.command(short_help="Validate the configuration and load the worker.")
@config_option
@environment_option
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too: what production refuses or ignores.")
@click.option("--json", "as_json", is_flag=True, help="Print the problems alone, as JSON, for programs.")
@click.pass_context
def check(
    ctx: click.Context, config_paths: tuple[Path, ...], environment: str | None, *, strict: bool, as_json: bool
) -> None:
    """Validate configurations, load their workers, and print entrypoints, bindings and queues.

    Says what production would refuse or ignore: settings and values, compatibility flags, handlers that are missing,
    code that is too large. Nothing is served and no message is delivered. The exit status is 0 when all is well, 1 when
    a worker's code fails to load (with --strict, also for warnings, but for what is only not emulated), and 2 when a
    configuration is invalid. All problems of a file are printed at once.

    \b
    Examples:
      emulator check                            the worker of this directory
      emulator check -e production              with the settings of an environment
      emulator check --strict                   for CI: nothing that production refuses or ignores
      emulator check -c web/wrangler.jsonc -c jobs/wrangler.jsonc
    """
    from emulator.server.serving import ServingOptions

    try:
        configs = ServingOptions(config_paths=config_paths, environment=environment).read_all()
    except ConfigError as error:
        if not as_json:
            raise ConfigError([pointed(problem) for problem in error.problems]) from None
        print_json([_record("error", problem) for problem in error.problems])
        ctx.exit(2)
    found = _Found()
    if as_json:
        _load_quietly(configs, found)
    else:
        _load_and_print(configs, found)
    warnings = [*(problem for config in configs for problem in config.warnings), *found.warnings]
    notes = [note for config in configs for note in config.notes]
    if as_json:
        records = [_record("info" if each.is_local else "warning", each) for each in warnings]
        records += [_record("info", each) for each in notes]
        print_json([*records, *(_record("error", each) for each in found.errors)])
    else:
        for note in notes:
            click.echo(f"Note: {pointed(note)}")
        wrong = [count(len(each), noun) for each, noun in ((found.errors, "error"), (warnings, "warning")) if each]
        if wrong:
            click.echo(f"\n{' and '.join(wrong)}")
    ctx.exit(1 if found.errors or (strict and any(not each.is_local for each in warnings)) else 0)


class _Found:
    """What is wrong with the code of the workers."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []


def _load_and_print(configs: Sequence[WorkerConfig], found: _Found) -> None:
    """Load the workers and print them with their warnings."""
    from emulator.base.bus import Bus
    from emulator.log.terminal import Terminal
    from emulator.server.serving import run
    from emulator.session.session import Session

    bus = Bus()
    terminal = Terminal(bus)
    try:
        session = Session(configs, bus)
        pointing = [replace(config, warnings=tuple(map(pointed, config.warnings))) for config in configs]
        terminal.introduce(pointing, session.hosts)
        run(_load(session, found, terminal))
    finally:
        terminal.close()


def _load_quietly(configs: Sequence[WorkerConfig], found: _Found) -> None:
    """Load the workers."""
    from emulator.base.bus import Bus
    from emulator.server.serving import run
    from emulator.session.session import Session

    run(_load(Session(configs, Bus()), found))


async def _load(session: Session, found: _Found, terminal: Terminal | None = None) -> None:
    """Load the workers, print them, and add to `found` what is wrong with their code."""
    from emulator.session.review import review, upload_size

    try:
        await session.load()
        if terminal is not None:
            terminal.print_workers()
        # Looked at before the workers are stopped, because a stopped worker has a failure too.
        for host in session.hosts:
            if host.failure is not None:
                file, _, line = host.failure.location.rpartition(":")
                summary = host.failure.summary
                found.errors.append(Problem(file, int(line or 0), 0, host.config.name, summary, code="fails-to-load"))
                continue
            size = upload_size(host)
            warnings = list(review(host, size))
            found.warnings += warnings
            if terminal is not None:
                terminal.write(f"{host.config.name}: an upload of {size.text}\n")
                for warning in warnings:
                    terminal.warn(pointed(warning))
    finally:
        await session.stop(0.0)


def _record(severity: str, problem: Problem) -> dict[str, Any]:
    record = asdict(problem)
    del record["is_local"]
    return {"severity": severity, **record}
