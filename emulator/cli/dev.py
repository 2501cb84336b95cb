"""`emulator dev`: runs workers on this machine until it is stopped."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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
    from emulator.log.recorder import Recorder
    from emulator.server.serving import Beside
    from emulator.session.session import Session


def _has_terminal() -> bool:
    """Whether a person can press keys, and see what they do."""
    return all(stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stdout__))


def _certificate(cert: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """The certificate and its private key, if they are given."""
    if (cert is None) != (key is None):
        raise click.UsageError("--https-cert-path and --https-key-path need each other.")
    return None if cert is None or key is None else (cert, key)


def _recording(session: Session, closing: ExitStack) -> Recorder:
    """Record what happens in a session; with its queues, if these are kept."""
    from emulator.base.bus import Notice
    from emulator.base.words import reason, shown_path
    from emulator.dashboard.offers import Offers
    from emulator.log.event_files import DIRECTORY, EventFiles
    from emulator.log.recorder import Recorder
    from emulator.server.events import ServerReady

    bus, clock = session.bus, session.clock
    recorder = Recorder(bus, clock.now, call_at=clock.call_at)
    Offers(bus)
    if session.journal is not None:
        place = session.journal.directory / DIRECTORY

        def warn(error: OSError) -> None:
            text = f"What happens is not kept any more in {shown_path(place)}: {reason(error)}"
            bus.publish(Notice("warning", text))

        files = EventFiles(recorder, place, clock.now, clock.call_at, warn)
        files.load()
        bus.subscribe(ServerReady, lambda _ready: files.begin())
        closing.callback(files.close)
    return recorder


def _dashboard(recorder: Recorder | None, session: Session) -> Beside:
    from emulator.dashboard.routes import Dashboard

    return Dashboard(session, recorder)


@click.command(short_help="Run workers on this machine.")
@script_argument
@config_option
@click.option(
    "-p",
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65_535),
    help="Port to listen on; 0 picks a free one.  "
    "[default: dev.port of the configuration, else 8787 or the next free one]",
)
@click.option(
    "--host",
    "--ip",
    "host",
    metavar="HOST",
    help="Address to listen on.  [default: dev.ip of the configuration, else 127.0.0.1, for this machine only]",
)
@click.option("--https", is_flag=True, help="Serve over HTTPS, with a certificate that is made once and kept.")
@click.option("--local-protocol", type=click.Choice(["http", "https"]), hidden=True)
@click.option(
    "--https-cert-path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Serve over HTTPS with this certificate, in PEM, and those that sign it.",
)
@click.option(
    "--https-key-path", metavar="FILE", type=click.Path(path_type=Path), help="The private key of that certificate."
)
@environment_option
@secrets_options
@click.option(
    "--persist/--no-persist",
    default=None,
    help="Keep queues, too, or nothing at all, in .wrangler/state/emulator beside the configuration.  "
    "[default: keep what bindings store there, and queues in memory]",
)
@click.option(
    "--persist-to",
    "persist_to",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep queues and what bindings store in this directory.",
)
@click.option(
    "--inspector-port",
    metavar="PORT",
    type=click.IntRange(0, 65_535),
    help="Let debuggers look into JavaScript workers on this port, such as 9229; 0 picks a free one.  "
    "[default: dev.inspector_port of the configuration, else none]",
)
@click.option("--inspector-ip", metavar="HOST", default="127.0.0.1", show_default=True, help="Address of that port.")
@click.option("--test-scheduled", is_flag=True, expose_value=False, hidden=True)
@click.option("--no-crons", is_flag=True, help="Do not run the scheduled handlers when their crons are due.")
@click.option(
    "--share",
    metavar="NAME",
    envvar="EMULATOR_SHARE",
    help="Share queues with other sessions that have the same NAME.  [default: with those of the same git repository]",
)
@click.option("--no-share", is_flag=True, help="Share queues with no other session.")
@queue_engine_option
@local_option
@click.option(
    "--live-reload",
    is_flag=True,
    help="Reload the worker's pages in the browser when its code is reloaded, or its assets change.",
)
@click.option("--no-record", is_flag=True, help="Do not keep what happens, for the dashboard and `emulator why`.")
@click.option("--no-locals", is_flag=True, help="Do not show the local variables of Python code that fails.")
@click.option("--no-reload", is_flag=True, help="Do not reload when a file changes.")
@log_options
def dev(  # noqa: PLR0917 - click passes its options by name
    script: Path | None,
    config_paths: tuple[Path, ...],
    port: int | None,
    host: str | None,
    https: bool,
    local_protocol: str | None,
    https_cert_path: Path | None,
    https_key_path: Path | None,
    environment: str | None,
    variables: dict[str, str],
    env_files: tuple[Path, ...],
    persist: bool | None,
    persist_to: Path | None,
    inspector_port: int | None,
    inspector_ip: str,
    no_crons: bool,
    share: str | None,
    no_share: bool,
    queue_engine: str | None,
    local: bool,
    live_reload: bool,
    no_record: bool,
    no_locals: bool,
    no_reload: bool,
    log_level: Level | Literal["none"],
    log_format: Literal["text", "json"],
    log_time: bool | None,
) -> None:
    """Run workers on this machine, and reload them when a file changes. SCRIPT is a worker's module, in place of `main`
    in its configuration; it needs none.

    HTTP requests go to the worker's fetch entrypoint. Messages that it sends to a queue are delivered to the consumer's
    queue entrypoint in batches, with the retries, delays and dead letter queues that the configuration asks for.
    Messages are kept in memory or, with --persist, on disk, where they survive a restart and a crash; what bindings
    store is always kept there, unless --no-persist says otherwise.

    On a terminal, keys open the browser, reload, run a scheduled handler and more: h lists them. Ctrl-C waits up to 10
    seconds for running handlers to finish; a second Ctrl-C stops at once.

    \b
    Examples:
      emulator dev                              the worker of this directory
      emulator dev src/entry.py                 a module, with or without a configuration
      emulator dev -p 3000                      on another port
      emulator dev --https                      at https://127.0.0.1:8787
      emulator dev -e staging --var DEBUG:1     with the settings of an environment, and a variable
      emulator dev -c web/wrangler.jsonc -c jobs/wrangler.jsonc
                                                two workers; the second at http://NAME.localhost:8787
      emulator dev --persist                    messages that survive a restart
      emulator dev --queue-engine nats://nats.example.com:4222
                                                queues that sessions on many machines share
      emulator dev --log-format json > log      lines for a program to read
    """
    from emulator.base.bus import Bus
    from emulator.log.terminal import Terminal
    from emulator.server.serving import ServingOptions, run, serve
    from emulator.session.bridging import bridge_of
    from emulator.session.session import Session
    from emulator.storage.state import PLACE, State
    from emulator.telemetry.start import telling

    if persist is False and persist_to is not None:
        raise click.UsageError("--no-persist keeps nothing, and --persist-to does: which one?")
    if persist and queue_engine:
        raise click.UsageError("--persist keeps queues in files, and --queue-engine in a NATS server: which one?")
    check_script(script, config_paths)
    certificate = _certificate(https_cert_path, https_key_path)
    if https or certificate is not None:
        local_protocol = "https"
    bus = Bus()
    key_line = ""
    if log_format == "text" and _has_terminal():
        from emulator.cli.keys import key_names

        key_line = key_names()
    with ExitStack() as closing:
        terminal = Terminal(bus, level=log_level, log_format=log_format, log_time=log_time, keys=key_line)
        closing.callback(terminal.close)
        options = ServingOptions(
            config_paths=config_paths,
            script=script,
            env_files=env_files,
            live_reload=live_reload,
            share="" if no_share else share or None,
            environment=environment,
            overrides=variables,
            host=host,
            port=port,
            reload=not no_reload,
            crons=not no_crons,
            https=None if local_protocol is None else local_protocol == "https",
            certificate=certificate,
            inspector_host=inspector_ip,
            inspector_port=inspector_port,
        )
        configs = options.read_all()
        directory = persist_to or configs[0].path.resolve().parent / PLACE
        state = State(None if persist is False else directory)
        closing.callback(state.close)
        journal = engine = None
        if queue_engine:
            from emulator.queues.engines import engine_at

            engine = engine_at(queue_engine, bus)
        elif persist or persist_to is not None:
            from emulator.queues.memory.journal import Journal

            journal = Journal(directory)
            closing.callback(journal.close)
        has_inspector = options.inspector_port_of(configs) is not None
        bridge = None if local else bridge_of(configs, bus, os.environ)
        session = Session(
            configs,
            bus,
            journal=journal,
            engine=engine,
            bridge=bridge,
            state=state,
            has_locals=not no_locals,
            has_inspector=has_inspector,
        )
        terminal.introduce(session.configs, session.hosts)
        if key_line:
            from emulator.cli.keys import Keys

            closing.callback(Keys(session, options, terminal).close)
        recorder = None if no_record else _recording(session, closing)
        run(telling(session, serve(session, options, partial(_dashboard, recorder))))
