"""A session: some workers, the queues that they share, and their bindings, wired together.

It serves no port and watches no file: `emulator.server.serving` does that for `emulator dev`, and the testing kit
drives a session by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from emulator.base.bus import Bus, Notice
from emulator.base.clock import Clock
from emulator.bindings.env import Env, build_env
from emulator.config import check_together, describe_changes
from emulator.config.model import WorkerConfig
from emulator.hosts.factory import HostMaker
from emulator.hosts.host import Host, NotLoaded
from emulator.queues.consumption import Deliver
from emulator.queues.contract import QueueEngine
from emulator.queues.declarations import Declared
from emulator.queues.memory.engine import MemoryEngine
from emulator.queues.memory.journal import Journal
from emulator.queues.service import Queues
from emulator.session.events import ConfigurationChanged, WorkerReloaded

if TYPE_CHECKING:
    from emulator.queues.message import Delivery, Verdict
    from emulator_runtime.workers.request import Request
    from emulator_runtime.workers.response import Response


class Session:
    """Workers on one set of queues. `configs` and `hosts` are in the order given; the first is the primary worker.

    Raises ConfigError for configurations that do not go together. Events go to `bus`. `clock` and `outbound` (what
    carries out the workers' `fetch()`) stand for the machine's clock and its network when they are given; `bindings`
    are put into every worker's `env`, over what is configured; `around_delivery` wraps what delivers a batch to a
    worker. With a `journal` the session goes on with the queues and messages that an earlier one left in it; whoever
    opened it closes it, once the session has stopped. `engine` keeps the queues; without one that is a memory engine,
    on the journal where there is one.
    """

    def __init__(
        self,
        configs: Sequence[WorkerConfig],
        bus: Bus,
        *,
        clock: Clock | None = None,
        outbound: Callable[[Request], Awaitable[Response]] | None = None,
        bindings: Mapping[str, Any] | None = None,
        around_delivery: Callable[[Deliver], Deliver] | None = None,
        journal: Journal | None = None,
        engine: QueueEngine | None = None,
    ) -> None:
        check_together(configs)
        self.bus = bus
        self.journal = journal
        self._recovered_count = 0 if journal is None else journal.recovered_count
        self.queues = Queues(engine or MemoryEngine(clock, journal=journal), bus, clock)
        self.configs = list(configs)
        self.envs: dict[str, Env] = {}
        """The newest `env` of each worker, by name."""
        self._bindings = bindings or {}
        self._around_delivery = around_delivery
        self._make_host = HostMaker(self.queues, bus, self._make_env, outbound)
        self.hosts: list[Host] = [self._make_host(config) for config in self.configs]
        for host in self.hosts:
            self.queues.attach(host.config.name, self._deliver_to(host))

    async def load(self) -> None:
        """Load the workers and connect their queues. A worker whose code does not load is held, and its `failure` says
        why."""
        if self.journal is not None:
            self._introduce(self.journal)
        await self.queues.start()
        for queue, worker in (await self.queues.begin(self._declared())).items():
            text = f"queue {queue} has lost its consumer: there is no worker {worker} any more"
            self.bus.publish(Notice("warning", text))
        await asyncio.gather(*(self._start(host) for host in self.hosts))

    async def stop(self, grace_seconds: float) -> None:
        """Let deliveries, handlers and `waitUntil` work under way finish for at most `grace_seconds`, then cancel
        them."""
        deadline = perf_counter() + grace_seconds
        await self.queues.close(grace_seconds)
        for host in self.hosts:
            await host.stop(max(0.0, deadline - perf_counter()))
        await self._make_host.close()

    def files_of(self, config: WorkerConfig) -> frozenset[Path]:
        """The files that a worker's code was made of, where those are known."""
        return self._hosts_by_name()[config.name].files

    @property
    def calls_under_way(self) -> int:
        """How much another process is being waited for at the moment, by all hosts together."""
        return sum(host.calls_under_way for host in self.hosts)

    def owns(self, descriptor: int) -> bool:
        """Whether a file descriptor is of a connection with a process that runs a worker's code."""
        return self._make_host.owns(descriptor)

    async def reload(self, index: int, files: Sequence[str] = ()) -> None:
        """Load the code of a worker again, because `files` changed. Its deliveries wait while it does not load."""
        host = self.hosts[index]
        started = perf_counter()
        await host.reload(self.configs[index])
        self.queues.hold(host.config.name, held=host.failure is not None)
        self.bus.publish(WorkerReloaded(host.config.name, files, perf_counter() - started, host.failure))

    async def reconfigure(self, index: int, config: WorkerConfig) -> None:
        """Give a worker a new configuration: its queues and consumers change here and now, messages stay. What its code
        sees (vars, secrets, bindings) follows with the next `reload`. Raises ConfigError when it does not go together
        with those of the other workers, and changes nothing then."""
        old = self.configs[index]
        check_together([*self.configs[:index], config, *self.configs[index + 1 :]])
        changes = describe_changes(old, config)
        if config.name != old.name:
            # Its name is in addresses and events; it stays for as long as the session runs.
            config = replace(config, name=old.name)
            changes.append("a changed name takes effect at the next start")
        if config.is_javascript != old.is_javascript:
            config = replace(config, main=old.main)
            changes.append("a main in another language takes effect at the next start")
        if index == 0 and (config.dev_port, config.dev_ip) != (old.dev_port, old.dev_ip):
            changes.append("a changed port or address takes effect at the next start")
        self.configs[index] = config
        if changes:
            self.bus.publish(ConfigurationChanged(config.path.name, changes))
        for warning in config.warnings:
            if warning not in old.warnings:
                self.bus.publish(Notice("warning", str(warning), config.name))
        await self.queues.change(_declared(old), _declared(config), self._declared())

    def producers_of(self, queue: str) -> list[str]:
        """The names of the workers with a binding that sends to a queue."""
        return [config.name for config in self.configs if any(producer.queue == queue for producer in config.producers)]

    def _make_env(self, config: WorkerConfig) -> Any:
        def warn(text: str) -> None:
            self.bus.publish(Notice("warning", text, config.name))

        env = self.envs[config.name] = build_env(config, self.queues, warn, self._bindings)
        return env

    async def _start(self, host: Host) -> None:
        await host.start()
        self.queues.hold(host.config.name, held=host.failure is not None)

    def _introduce(self, journal: Journal) -> None:
        """Say where messages are kept, what was there, and what of it was damaged."""

        def warn(text: str) -> None:
            self.bus.publish(Notice("warning", text))

        journal.on_trouble = warn
        for report in journal.reports:
            warn(report)
        count = self._recovered_count
        there = f"; {count:,} {'message is' if count == 1 else 'messages are'} there from before" if count else ""
        self.bus.publish(Notice("info", f"Messages are kept in {shown_path(journal.directory)}{there}"))

    def _declared(self) -> list[Declared]:
        return [_declared(config) for config in self.configs]

    def _hosts_by_name(self) -> dict[str, Host]:
        return {host.config.name: host for host in self.hosts}

    def _deliver_to(self, host: Host) -> Deliver:
        deliver: Deliver = partial(_deliver, host)
        return deliver if self._around_delivery is None else self._around_delivery(deliver)


def _declared(config: WorkerConfig) -> Declared:
    """What a configuration says about queues."""
    produces = tuple(producer.queue for producer in config.producers)
    return Declared(config.name, produces, {consumer.queue: consumer.settings for consumer in config.consumers})


async def _deliver(host: Host, delivery: Delivery) -> Verdict | None:
    try:
        return await host.queue(delivery)
    except NotLoaded:
        return None


def shown_path(path: Path) -> str:
    """A path as a person reads it: relative to the working directory where it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def shown_files(files: Sequence[Path], base: Path) -> list[str]:
    """Paths as a person reads them: relative to `base` where they are below it."""
    return [str(path.relative_to(base)) if path.is_relative_to(base) else str(path) for path in files]
