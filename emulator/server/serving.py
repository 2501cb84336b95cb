"""What `emulator dev` does: it runs a session with an HTTP server and a watch on its files, until a signal stops it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from os import getpid, urandom
from pathlib import Path
from socket import socket
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from emulator.base.bus import Bus, Notice
from emulator.base.errors import EmulatorError
from emulator.base.words import count, reason, shown_path
from emulator.bindings.registry import KINDS
from emulator.config import config_for, find_config, load_config
from emulator.config.model import WorkerConfig
from emulator.hosts.python import prompts
from emulator.hosts.python.output import install as install_output
from emulator.hosts.python.watchdog import Watchdog
from emulator.server.events import ServerReady
from emulator.session.events import AssetsChanged
from emulator.session.peers import Peers, consumed_by
from emulator.session.running import Running, groups_of, reachable, register
from emulator.session.session import Session
from emulator.session.watch import Change, Watcher

if TYPE_CHECKING:
    from starlette.routing import Route

    from emulator.base.failure import Failure
    from emulator.server.gateway import Gateway
    from emulator.server.http import HttpServer
    from emulator.server.https import Identity

GRACE_SECONDS: Final = 10.0
SYNC_SECONDS: Final = 1.0

STILL_SECONDS: Final = 0.15
"""How long nothing may change before code that does not load counts as saved, and not as half written."""

LONGEST_WAIT_SECONDS: Final = 30.0
"""How often the clock is looked at while no cron is due: a machine that slept must not be late for long."""

HEAD_START_SECONDS: Final = 0.01
"""After this time, in seconds, workers that are not loaded wait for another process; the server is imported then."""

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8787


class ServingOptions(msgspec.Struct, frozen=True):
    """What to run, as given on the command line.

    Without `config_paths`, the configuration of the working directory is used, or with a `script`, which replaces
    `main`, the nearest one to it. If `host` or `port` is None, the first worker's `dev.ip` or `dev.port` decides, else
    127.0.0.1, and 8787 or the next free port; port 0 picks a free one. `overrides` are vars. Without `crons`, those of
    the configurations run by hand only. `env_files` replace the files that secrets are read from. `share` names a group
    of sessions that share their queues; an empty one means none at all. `https` says whether HTTPS is spoken; if it is
    None, the first worker's `dev.local_protocol` does. `certificate` is a file with a certificate, and one with its
    private key, in place of one that is made. `inspector_host` and `inspector_port` are where debuggers reach a session
    that lets them; None means the first worker's `dev.inspector_port`.
    """

    config_paths: tuple[Path, ...] = ()
    environment: str | None = None
    overrides: Mapping[str, str] = msgspec.field(default_factory=dict)
    host: str | None = None
    port: int | None = None
    reload: bool = True
    crons: bool = True
    script: Path | None = None
    env_files: tuple[Path, ...] = ()
    live_reload: bool = False
    share: str | None = None
    https: bool | None = None
    certificate: tuple[Path, Path] | None = None
    inspector_host: str = DEFAULT_HOST
    inspector_port: int | None = None

    def inspector_port_of(self, configs: Sequence[WorkerConfig]) -> int | None:
        """The port for debuggers, if they shall be let in."""
        given = (self.inspector_port, *(config.dev_inspector_port for config in configs[:1]))
        return next((port for port in given if port is not None), None)

    def read(self, path: Path) -> WorkerConfig:
        """The configuration at `path` with these options. Raises ConfigError."""
        return load_config(
            path,
            KINDS,
            environment=self.environment,
            overrides=self.overrides,
            env_files=self.env_files,
            script=self.script,
        )

    def read_all(self) -> list[WorkerConfig]:
        """Every worker's configuration, in order. Raises ConfigError, or EmulatorError if there is none."""
        paths = self.config_paths
        if not paths:
            paths = (find_config(Path.cwd()) if self.script is None else config_for(self.script),)
        return [self.read(path) for path in paths]


class Beside(Protocol):
    """What answers beside the control plane, from its first request on."""

    def routes(self) -> Sequence[Route]:
        """The addresses that it answers."""

    def close(self) -> None:
        """End the answers that never end by themselves."""


async def serve(session: Session, options: ServingOptions, beside: Callable[[Session], Beside] | None = None) -> None:
    """Load a session, serve it over HTTP and reload it on changes, until SIGINT or SIGTERM. `beside` makes what else
    the control plane answers, when it is first asked for something.

    The first signal waits at most ten seconds for running handlers; the second stops at once. Publishes ServerReady
    when connections are accepted. Raises ServerError if it cannot listen.
    """
    from emulator.server.app import App
    from emulator.server.hostname import is_local
    from emulator.server.live import LiveReload

    host = options.host or session.configs[0].dev_ip or DEFAULT_HOST
    sockets = _listen(host, options.port if options.port is not None else session.configs[0].dev_port, session.bus)
    api_token = "" if is_local(host) else urandom(24).hex()
    live = LiveReload(session.bus)
    others: list[Beside] = []

    def make() -> Any:
        others.extend([beside(session)] if beside else [])
        return _make_control(session, api_token, host, [live, *others])

    app = App(_gateways(session, options), make)
    signals = _Signals(session.bus)
    watcher = _watcher(session, options) if options.reload else None
    registered: Path | None = None
    restore_output = install_output(session.bus)
    try:
        identity = _identify(session, options, host)
        async with (
            _watchdog(session.bus),
            _syncing(session),
            _prompts(),
            _inspecting(session, options) as inspector_url,
        ):
            loading = asyncio.create_task(_load(session, signals))
            await asyncio.wait((loading,), timeout=HEAD_START_SECONDS)
            from emulator.server.http import HttpServer

            if not await loading:
                return
            server = HttpServer(app, sockets, None if identity is None else identity.context)
            await server.start()
            ready = _ready(host, sockets[0].getsockname()[1], api_token, identity, inspector_url)
            own = _describe(session, ready, options, identity)
            registered = _register(session, own)
            session.bus.publish(ready)
            peers = Peers(session, own if registered else None)
            if not session.queues.is_shared:
                peers.start()
            _begin_crons(session, options)
            watching = asyncio.create_task(_reload_on_change(session, options, watcher)) if watcher else None
            await signals.first.wait()
            await _end(watching)
            if registered is not None:
                _unregister(registered)
            await peers.stop()
            for answering in (live, *others):
                answering.close()
            await _stop(session, server, signals)
            await peers.close()
            await _tell_what_is_lost(session)
    finally:
        if registered is not None:
            _unregister(registered)
        restore_output()
        for each in sockets:
            each.close()


def _begin_crons(session: Session, options: ServingOptions) -> None:
    if options.crons:
        session.run_crons(LONGEST_WAIT_SECONDS)
    elif any(config.crons for config in session.configs):
        session.bus.publish(Notice("info", "Crons do not run by themselves: emulator trigger runs one"))


async def consume(session: Session, *, crons: bool, loaded: Callable[[], None]) -> None:
    """Run the `queue` and `scheduled` handlers of a session, which shares its queues with others, and no server, until
    SIGINT or SIGTERM. Calls `loaded` when the workers are."""
    signals = _Signals(session.bus)
    restore_output = install_output(session.bus)
    try:
        async with _watchdog(session.bus):
            if not await _load(session, signals):
                return
            loaded()
            if crons:
                session.run_crons(LONGEST_WAIT_SECONDS)
            await signals.first.wait()
            await _stop(session, None, signals)
    finally:
        restore_output()


async def _load(session: Session, signals: _Signals) -> bool:
    """Load the workers. If the first signal comes while a command makes their code, or the engine of the queues does
    not answer, stop that, and return False."""
    if all(config.build is None for config in session.configs) and not session.queues.is_shared:
        await session.load()
        return True
    loading = asyncio.create_task(session.load())
    stopping = asyncio.create_task(signals.first.wait())
    await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if loading.done():
        loading.result()
        return True
    loading.cancel()
    with suppress(asyncio.CancelledError):
        await loading
    await session.stop(0.0)
    return False


def _watcher(session: Session, options: ServingOptions) -> Watcher:
    kept = [] if session.journal is None else [session.journal.directory]
    return Watcher(
        lambda: session.configs,
        kept,
        session.files_of,
        partial(_warn, session),
        served=session.open_kinds.served,
        watches_served=options.live_reload,
    )


def _gateways(session: Session, options: ServingOptions) -> list[Gateway]:
    from emulator.server.gateway import Gateway
    from emulator.server.live import LiveGateway

    made = LiveGateway if options.live_reload else Gateway
    kinds = session.open_kinds
    return [made(host, session.bus, fronts=kinds.front, tallies=kinds.tallies) for host in session.hosts]


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _url(scheme: str, port: int, host: str) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _ready(host: str, port: int, api_token: str, identity: Identity | None, inspector_url: str) -> ServerReady:
    from emulator.server.listen import network_address

    url_of = partial(_url, "http" if identity is None else "https", port)
    network_host = network_address(host)
    return ServerReady(url_of(host), api_token, network_host and url_of(network_host), inspector_url)


def _describe(session: Session, ready: ServerReady, options: ServingOptions, identity: Identity | None) -> Running:
    configs = tuple(str(config.path.resolve()) for config in session.configs)
    groups = () if options.share == "" else groups_of((config.path for config in session.configs), options.share)
    trusted = "" if identity is None else str(identity.trusted)
    url, consumed = reachable(ready.url), consumed_by(session)
    return Running(url, getpid(), time(), configs, ready.api_token, consumed, groups, trusted)


def _identify(session: Session, options: ServingOptions, host: str) -> Identity | None:
    """Who the server at `host` is to clients over HTTPS; None if it speaks HTTP. Raises ServerError."""
    if not (session.configs[0].dev_protocol == "https" if options.https is None else options.https):
        return None
    from emulator.server.https import given, self_made
    from emulator.server.listen import network_address

    if options.certificate is not None:
        return given(*options.certificate)

    def tell(trusted: Path) -> None:
        text = f"A certificate was made for HTTPS: a browser that trusts {shown_path(trusted)} does not warn of it"
        session.bus.publish(Notice("info", text))

    workers = [f"{config.name}.localhost" for config in session.configs] if len(session.configs) > 1 else []
    return self_made([*workers, network_address(host) or host], tell)


def _listen(host: str, port: int | None, bus: Bus) -> list[socket]:
    """Sockets that listen on `port`. None means the default one, or the next one that is free, which is said."""
    from emulator.server.listen import listen

    if port is not None:
        return listen(host, port)
    sockets = listen(host, DEFAULT_PORT, or_next=True)
    taken = sockets[0].getsockname()[1]
    if taken != DEFAULT_PORT:
        text = f"Port {DEFAULT_PORT} is in use on {host}, so port {taken} is used; -p chooses another one"
        bus.publish(Notice("info", text))
    return sockets


def _register(session: Session, running: Running) -> Path | None:
    """Register the session, so that other commands and sessions find it. If that fails, it runs all the same."""
    try:
        return register(running)
    except OSError as error:
        session.bus.publish(
            Notice(
                "warning",
                f"Commands such as `emulator queues` need --url, because this session cannot be registered: {error}",
            )
        )
        return None


def _unregister(registered: Path) -> None:
    with suppress(OSError):  # a file that is left is recognised as stale
        registered.unlink(missing_ok=True)


def _make_control(session: Session, api_token: str, host: str, beside: Sequence[Beside]) -> Any:
    from emulator.server.control.app import make_control  # Starlette takes time that start-up does not need
    from emulator.server.control.forwarding import make_forwarding

    routes = [route for each in beside for route in each.routes()]
    return make_control(session, api_token, host, [make_forwarding(session), *routes])


async def _stop(session: Session, server: HttpServer | None, signals: _Signals) -> None:
    """Let running handlers finish, until the second signal or the end of the grace period."""

    async def finish() -> None:
        deadline = perf_counter() + GRACE_SECONDS
        if session.inspector is not None:
            await session.inspector.close()
        if server is not None:
            await server.stop(GRACE_SECONDS)
        await session.stop(max(0.0, deadline - perf_counter()))

    finishing = asyncio.create_task(finish())
    at_once = asyncio.create_task(signals.second.wait())
    await asyncio.wait((finishing, at_once), return_when=asyncio.FIRST_COMPLETED)
    at_once.cancel()
    if finishing.done():
        finishing.result()
        return
    finishing.cancel()
    with suppress(asyncio.CancelledError):
        await finishing
    if server is not None:
        await server.stop(0.0)
    await session.stop(0.0)


async def _tell_what_is_lost(session: Session) -> None:
    """Say how many messages are lost with the session, if nothing keeps them."""
    if session.queues.is_shared:
        return
    counts = {name: (await session.queues.backlog(name)).backlog_count for name in session.queues.states}
    left = {name: number for name, number in counts.items() if number}
    if session.journal is None and left:
        total = sum(left.values())
        queues = ", ".join(f"{name} {number:,}" for name, number in left.items())
        lost = "is lost" if total == 1 else "are lost"
        text = f"{count(total, 'message was', 'messages were')} still queued ({queues}) and {lost}"
        session.bus.publish(Notice("info", f"{text}; --persist-to DIR keeps messages across restarts"))


class _Signals:
    """Turns the first SIGINT or SIGTERM into `first`, and the next one into `second`."""

    def __init__(self, bus: Bus) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self._bus = bus
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._received)

    def _received(self) -> None:
        if self.first.is_set():
            self.second.set()
            return
        self.first.set()
        self._bus.publish(Notice("info", "Stopping: running handlers may finish (press Ctrl-C again to stop at once)"))


@asynccontextmanager
async def _watchdog(bus: Bus) -> AsyncIterator[None]:
    def report(text: str, worker: str) -> None:
        bus.publish(Notice("warning", text, worker))

    watchdog = Watchdog(asyncio.get_running_loop(), report)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()


@asynccontextmanager
async def _inspecting(session: Session, options: ServingOptions) -> AsyncIterator[str]:
    """Let debuggers in, if they shall be. Yields the address for them, or an empty text."""
    port = options.inspector_port_of(session.configs)
    if session.inspector is None or port is None:
        if port is not None:
            text = "No worker is JavaScript, so the inspector has nothing to show; debugpy debugs Python workers"
            session.bus.publish(Notice("info", text))
        yield ""
        return
    from emulator.server.listen import listen

    sockets = listen(options.inspector_host, port, option="--inspector-port")
    try:
        await session.inspector.start(sockets)
        yield _url("http", sockets[0].getsockname()[1], options.inspector_host)
    finally:
        await session.inspector.close()
        for each in sockets:
            each.close()


@asynccontextmanager
async def _prompts() -> AsyncIterator[None]:
    """Look after prompts in worker code."""
    restore = prompts.install()
    try:
        yield
    finally:
        restore()


@asynccontextmanager
async def _syncing(session: Session) -> AsyncIterator[None]:
    """Sync what the journal has written to the disk, at most once a second."""
    journal = session.journal
    if journal is None:
        yield
        return

    async def sync() -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            if journal.is_unsynced:
                try:
                    await asyncio.to_thread(journal.sync)
                except OSError as error:
                    text = f"Messages in {journal.directory} may be lost in a power failure: {reason(error)}"
                    session.bus.publish(Notice("warning", text))

    syncing = asyncio.create_task(sync())
    try:
        yield
    finally:
        syncing.cancel()


async def _reload_on_change(session: Session, options: ServingOptions, watcher: Watcher) -> None:
    """Reload what changes, until cancelled. A file that is still being written often does not load: the old code stays
    in service until nothing has changed for a moment, and only then is what is wrong adopted and told."""
    unfinished: dict[int, _Unfinished] = {}
    async with aclosing(watcher.changes()) as coming:
        following = asyncio.ensure_future(anext(coming))
        try:
            while True:
                await asyncio.wait((following,), timeout=STILL_SECONDS if unfinished else None)
                if following.done():
                    changes = following.result()
                    following = asyncio.ensure_future(anext(coming))
                    for change in changes:
                        await _apply(session, options, change, unfinished)
                    continue
                for index, save in unfinished.items():
                    if save.failure is None:
                        await session.reload(index, save.files)
                    else:
                        session.fail(index, save.failure, save.files)
                unfinished.clear()
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await following


def _warn(session: Session, text: str) -> None:
    session.bus.publish(Notice("warning", text))


async def _apply(session: Session, options: ServingOptions, change: Change, unfinished: dict[int, _Unfinished]) -> None:
    """Reload what a change on disk concerns. A configuration that cannot be used changes nothing. What does not load is
    put into `unfinished`, by the worker's index; an empty file is not even tried."""
    paths: Sequence[Path] = [config.path for config in session.configs]
    index = paths.index(change.config.path)
    base = change.config.path.parent
    if change.served:
        session.bus.publish(AssetsChanged(change.config.name, [shown_path(file, base) for file in change.served]))
    if not change.files:
        return
    if change.configuration:
        read = [shown_path(file, base) for file in change.files if file in change.config.watched]
        if not await _reconfigure(session, options, index, read):
            return
    files = [shown_path(file, base) for file in change.files]
    before = unfinished.pop(index, None)
    if before is not None:
        files = list(dict.fromkeys([*before.files, *files]))
    if any(_is_empty(file) for file in change.files):
        unfinished[index] = _Unfinished(files)
        return
    failure = await session.try_reload(index, files)
    if failure is not None:
        unfinished[index] = _Unfinished(files, failure)


async def reload_all(session: Session, options: ServingOptions) -> None:
    """Read every configuration and load every worker's code again, whatever has changed."""
    for index in range(len(session.configs)):
        if await _reconfigure(session, options, index):
            await session.reload(index)


async def _reconfigure(session: Session, options: ServingOptions, index: int, files: Sequence[str] = ()) -> bool:
    """Read a configuration again, because `files` changed. Says what is wrong with it, and returns False, if it cannot
    be used."""
    config = session.configs[index]
    try:
        await session.reconfigure(index, options.read(config.path), files)
    except EmulatorError as error:
        session.bus.publish(Notice("error", f"{error}\nThe previous configuration stays in force.", config.name))
        return False
    from emulator.stubs.files import refresh  # start-up does not need it

    with suppress(EmulatorError):
        for path in refresh(session.configs[index]):
            session.bus.publish(Notice("info", f"Updated {shown_path(path)}", config.name))
    return True


class _Unfinished(msgspec.Struct, frozen=True):
    """Files that have changed, and that may be half written. `failure` is why they did not load; None where that has
    not been tried."""

    files: Sequence[str]
    failure: Failure | None = None


def _is_empty(file: Path) -> bool:
    try:
        return file.stat().st_size == 0
    except OSError:
        return False


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end, on uvloop if it is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        asyncio.run(main)
        return
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main)
