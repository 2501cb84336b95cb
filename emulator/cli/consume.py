"""`emulator consume`: runs consumers of queues that sessions share, without a server, on as many machines as needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final, Literal

import click

from emulator.cli.options import (
    check_script,
    config_option,
    environment_option,
    local_option,
    log_options,
    queue_engine_option,
    script_argument,
    secrets_options,
)

if TYPE_CHECKING:
    from emulator.base.bus import Level

MOST_PROCESSES: Final = 256
LOOK_SECONDS: Final = 0.2
"""How often processes are looked after."""

AGAIN_SECONDS: Final = 1.0
"""How long after the start of a process that has died another one is started, at the earliest."""

CANNOT_RUN: Final = 2
"""The exit status of a process that would end the same way again."""


@click.command(short_help="Run consumers of shared queues, without a server.")
@script_argument
@config_option
@environment_option
@secrets_options
@click.option(
    "--persist-to",
    "persist_to",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep what bindings store in this directory.  [default: in memory]",
)
@queue_engine_option
@local_option
@click.option(
    "--processes",
    metavar="N",
    type=click.IntRange(1, MOST_PROCESSES),
    default=1,
    show_default=True,
    help="Run so many processes, which share nothing; one that dies is started again.",
)
@click.option("--no-crons", is_flag=True, help="Do not run the scheduled handlers when their crons are due.")
@log_options
def consume(  # noqa: PLR0917 - click passes its options by name
    script: Path | None,
    config_paths: tuple[Path, ...],
    environment: str | None,
    variables: dict[str, str],
    env_files: tuple[Path, ...],
    persist_to: Path | None,
    queue_engine: str | None,
    local: bool,
    processes: int,
    no_crons: bool,
    log_level: Level | Literal["none"],
    log_format: Literal["text", "json"],
    log_time: bool | None,
) -> None:
    """Run the queue and scheduled handlers of workers, and answer no requests. The queues are those of all sessions at
    --queue-engine; each message goes to one of them.

    With --processes, crons run in the first process only. In a fleet of machines, give --no-crons to all but one.
    Ctrl-C waits up to 10 seconds for running handlers to finish.

    \b
    Examples:
      emulator consume --queue-engine nats://localhost:4222
      emulator consume --queue-engine nats://localhost:4222 --processes 4
    """
    if not queue_engine:
        raise click.UsageError("--queue-engine is missing: `consume` runs consumers of queues that are kept elsewhere.")
    check_script(script, config_paths)
    if processes > 1:
        sys.exit(_run_processes(processes))
    from emulator.base.bus import Bus
    from emulator.log.terminal import Terminal
    from emulator.queues.engines import engine_at
    from emulator.server import serving
    from emulator.session.bridging import bridge_of
    from emulator.session.session import Session
    from emulator.storage.state import State
    from emulator.telemetry.start import telling

    bus = Bus()
    with ExitStack() as closing:
        terminal = Terminal(bus, level=log_level, log_format=log_format, log_time=log_time)
        closing.callback(terminal.close)
        options = serving.ServingOptions(
            config_paths=config_paths,
            script=script,
            env_files=env_files,
            environment=environment,
            overrides=variables,
        )
        state = State(persist_to)
        closing.callback(state.close)
        configs = options.read_all()
        bridge = None if local else bridge_of(configs, bus, os.environ)
        session = Session(configs, bus, engine=engine_at(queue_engine, bus), bridge=bridge, state=state)
        terminal.introduce(session.configs, session.hosts)
        running = serving.consume(session, crons=not no_crons, loaded=terminal.print_workers)
        serving.run(telling(session, running))


def _run_processes(number: int) -> int:
    """Run so many processes of this command, until SIGINT or SIGTERM. Returns the exit status: that of a process that
    cannot run, else 0."""
    stopping = Event()
    children = {index: _start(index) for index in range(number)}

    def stop(_number: int, _frame: object) -> None:
        stopping.set()
        _end(children.values())

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    started = dict.fromkeys(children, time.monotonic())
    status = 0
    while not status and not stopping.wait(LOOK_SECONDS):
        for index, child in children.items():
            ended = child.poll()
            if ended == CANNOT_RUN:
                status = ended
            elif ended is not None and time.monotonic() - started[index] > AGAIN_SECONDS:
                children[index], started[index] = _start(index), time.monotonic()
    if status:
        _end(children.values())
    for child in children.values():
        child.wait()
    return status


def _end(children: Iterable[subprocess.Popen[bytes]]) -> None:
    """Ask processes to end, or those that were asked before to end at once."""
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)


def _start(index: int) -> subprocess.Popen[bytes]:
    """Start a process, which is in a group of its own: Ctrl-C is for this one, which passes it on."""
    arguments = [*sys.argv[1:], "--processes", "1", *(["--no-crons"] if index else [])]
    return subprocess.Popen([sys.executable, "-m", "emulator", *arguments], start_new_session=True)
