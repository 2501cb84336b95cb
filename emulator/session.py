"""A session: one run of the emulator. It wires workers, broker, bindings and servers together, and is the only module
that knows them all."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from emulator.bindings.env import build_env
from emulator.bindings.outbound import HttpOutbound
from emulator.broker.broker import Broker
from emulator.broker.clock import Clock
from emulator.config import check_together, describe_changes, find_config, load_config
from emulator.config.model import WorkerConfig
from emulator.errors import EmulatorError
from emulator.events import Bus, ConfigurationChanged, Notice, ServerReady, WorkerReloaded
from emulator.hosts.base import Host, NotLoaded
from emulator.hosts.output import install as install_output
from emulator.hosts.python import PythonHost
from emulator.hosts.watchdog import Watchdog
from emulator.reload import Change, Watcher

if TYPE_CHECKING:
    from emulator.broker.message import Delivery, DeliveryResult

GRACE_SECONDS: Final = 10.0
DEFAULT_HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class SessionOptions:
    """What a session runs, as the command line says it.

    Without `config_paths` the configuration of the working directory is taken. `host` and `port` None leave it to the
    first worker's `dev.ip` and `dev.port`, else 127.0.0.1 and 8787; port 0 takes a free one. `overrides` are vars.
    """

    config_paths: tuple[Path, ...] = ()
    environment: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    host: str | None = None
    port: int | None = None
    reload: bool = True


class Session:
    """One run of the emulator.

    Making one reads the configuration: raises ConfigError, or EmulatorError where there is none. `configs` and `hosts`
    are in the order given; the first is the primary worker. Events go to `bus`.
    """

    def __init__(self, options: SessionOptions, bus: Bus, clock: Clock | None = None) -> None:
        self.options = options
        self.bus = bus
        self.broker = Broker(bus, clock)
        paths = options.config_paths or (find_config(Path.cwd()),)
        self.configs = [self._read(path) for path in paths]
        check_together(self.configs)
        self._outbound = HttpOutbound()
        self.hosts: list[Host] = [self._make_host(config) for config in self.configs]
        self._stopping = asyncio.Event()
        self._stop_at_once = asyncio.Event()

    # Life

    async def load(self) -> None:
        """Load the workers and connect their queues. A worker whose code does not load is held, and its `failure` says
        why."""
        for host in self.hosts:
            self._connect(host, host.config)
        for host in self.hosts:
            await host.start()
            self.broker.hold(host.config.name, held=host.failure is not None)

    async def serve(self) -> None:
        """Load, serve HTTP and reload until SIGINT or SIGTERM. The first lets what runs finish, for ten seconds at
        most; the second stops at once. Publishes ServerReady when connections are accepted. Raises ServerError when it
        cannot listen."""
        from emulator.server.app import App
        from emulator.server.gateway import Gateway
        from emulator.server.http import DEFAULT_PORT, HttpServer, listen

        primary = self.configs[0]
        host = self.options.host or primary.dev_ip or DEFAULT_HOST
        port = next((port for port in (self.options.port, primary.dev_port) if port is not None), DEFAULT_PORT)
        sockets = listen(host, port)
        restore_output = install_output(self.bus)
        watchdog = Watchdog(asyncio.get_running_loop(), self._report)
        self._handle_signals()
        watcher = Watcher(lambda: self.configs)
        try:
            await self.load()
            app = App([Gateway(each, self.bus) for each in self.hosts], self._make_control, host)
            server = HttpServer(app, sockets)
            await server.start()
            watchdog.start()
            name = f"[{host}]" if ":" in host else host
            self.bus.publish(ServerReady(f"http://{name}:{sockets[0].getsockname()[1]}"))
            watching = asyncio.create_task(self._watch(watcher)) if self.options.reload else None
            await self._stopping.wait()
            if watching is not None:
                watching.cancel()
            finishing = asyncio.create_task(self._finish(server))
            at_once = asyncio.create_task(self._stop_at_once.wait())
            await asyncio.wait((finishing, at_once), return_when=asyncio.FIRST_COMPLETED)
            at_once.cancel()
            if not finishing.done():
                await server.stop(0.0)
                await self.stop(0.0)
                finishing.cancel()
            tasks = [task for task in (watching, finishing, at_once) if task is not None]
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            watchdog.stop()
            restore_output()
            for each in sockets:
                each.close()

    async def _finish(self, server: Any) -> None:
        deadline = perf_counter() + GRACE_SECONDS
        await server.stop(GRACE_SECONDS)
        await self.stop(max(0.0, deadline - perf_counter()))

    async def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Let deliveries, handlers and `waitUntil` work under way finish for at most `grace_seconds`, then cancel
        them."""
        deadline = perf_counter() + grace_seconds
        await self.broker.close(grace_seconds)
        for host in self.hosts:
            await host.stop(max(0.0, deadline - perf_counter()))
        await self._outbound.close()

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._stop_at_once.set()
        else:
            self._stopping.set()
            self.bus.publish(Notice("info", "Stopping: what runs may finish (press Ctrl-C again to stop at once)"))

    # Workers and queues

    def _read(self, path: Path) -> WorkerConfig:
        return load_config(path, environment=self.options.environment, overrides=self.options.overrides)

    def _make_host(self, config: WorkerConfig) -> Host:
        return PythonHost(config, make_env=self._make_env, outbound=self._outbound, bus=self.bus)

    def _make_control(self) -> Any:
        from emulator.server.control import make_control

        return make_control(self.bus)

    def _make_env(self, config: WorkerConfig) -> Any:
        return build_env(config, self.broker, lambda text: self.bus.publish(Notice("warning", text, config.name)))

    def _connect(self, host: Host, config: WorkerConfig) -> None:
        """Make the worker's queues, and let those it consumes deliver to it."""
        for producer in config.producers:
            self.broker.create_queue(producer.queue)
        for consumer in config.consumers:
            deliver = None if consumer.settings.type == "http_pull" else partial(_deliver, host)
            self.broker.set_consumer(consumer.queue, consumer.settings, config.name, deliver)

    # Reloading

    async def _watch(self, watcher: Watcher) -> None:
        try:
            async for changes in watcher.changes():
                for change in changes:
                    await self._apply(change)
        except OSError as error:
            self.bus.publish(Notice("error", f"Changed files are not noticed any more: {error}"))

    async def _apply(self, change: Change) -> None:
        """Reload what a change on disk concerns. A configuration that cannot be read leaves everything as it is."""
        index = next(index for index, config in enumerate(self.configs) if config.path == change.config.path)
        old = self.configs[index]
        new = old
        if change.configuration:
            try:
                new = self._read(old.path)
                if new.name != old.name:
                    self.bus.publish(Notice("warning", f"The name {new.name} takes effect at the next start", old.name))
                    new = replace(new, name=old.name)
                check_together([*self.configs[:index], new, *self.configs[index + 1 :]])
            except EmulatorError as error:
                self.bus.publish(Notice("error", f"{error}\nThe configuration in force stays as it was.", old.name))
                return
            self._reconfigure(index, old, new)
        await self._reload(self.hosts[index], new, change.files)

    def _reconfigure(self, index: int, old: WorkerConfig, new: WorkerConfig) -> None:
        self.configs[index] = new
        changes = describe_changes(old, new)
        if (new.dev_port, new.dev_ip) != (old.dev_port, old.dev_ip) and index == 0:
            changes.append("a changed port or address takes effect at the next start")
        if changes:
            self.bus.publish(ConfigurationChanged(new.path.name, changes))
        for warning in new.warnings:
            if warning not in old.warnings:
                self.bus.publish(Notice("warning", str(warning), new.name))
        kept = {consumer.queue for consumer in new.consumers}
        for consumer in old.consumers:
            if consumer.queue not in kept:
                self.broker.remove_consumer(consumer.queue)
        # Queues that nothing names any more go when they are empty; one with messages stays until they are dealt with.
        self._connect(self.hosts[index], new)
        self._drop_unused_queues()

    def _drop_unused_queues(self) -> None:
        named = {producer.queue for config in self.configs for producer in config.producers}
        for config in self.configs:
            for consumer in config.consumers:
                named.add(consumer.queue)
                named.add(consumer.settings.dead_letter_queue or "")
        for queue in self.broker.queues:
            if queue.name not in named and not len(queue):
                self.broker.delete_queue(queue.name)

    async def _reload(self, host: Host, config: WorkerConfig, files: Sequence[Path]) -> None:
        started = perf_counter()
        await host.reload(config)
        self.broker.hold(config.name, held=host.failure is not None)
        names = [_shown(path, config.path.parent) for path in files]
        self.bus.publish(WorkerReloaded(config.name, names, perf_counter() - started, host.failure))

    def _report(self, text: str, worker: str) -> None:
        self.bus.publish(Notice("warning", text, worker))


async def _deliver(host: Host, delivery: Delivery) -> DeliveryResult | None:
    try:
        return await host.queue(delivery)
    except NotLoaded:
        return None


def _shown(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end, on uvloop where there is one."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        asyncio.run(main)
        return
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main)
