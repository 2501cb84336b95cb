"""A session: one or more workers, the queues that they share, and their bindings, wired together.

A session does not listen on a port or watch files: `emulator.server.serving` does that for `emulator dev`, and the
testing kit drives a session itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from emulator.base.bus import Bus, Notice
from emulator.base.clock import Clock, WallClock
from emulator.base.errors import EmulatorError
from emulator.base.words import count, shown_path
from emulator.bindings.env import Env
from emulator.bindings.kind import Resources
from emulator.bindings.open_kinds import OpenKinds
from emulator.bindings.queue.config import consumers_of, producers_of, real_queues
from emulator.bindings.registry import KINDS
from emulator.config import check_conflicts
from emulator.config.model import WorkerConfig
from emulator.hosts.factory import HostFactory, same_host
from emulator.hosts.host import NotLoaded, WorkerHost
from emulator.hosts.outbound import Outbound
from emulator.hosts.triggers import QueueTrigger
from emulator.queues.consumption import Deliver
from emulator.queues.contract import QueueEngine
from emulator.queues.declarations import Declared
from emulator.queues.errors import QueueError
from emulator.queues.memory.engine import MemoryEngine
from emulator.queues.service import Queues
from emulator.session.events import ConfigurationChanged, WorkerReloaded
from emulator.storage.state import State

if TYPE_CHECKING:
    from emulator.base.failure import Failure
    from emulator.queues.bridge.bridge import Bridge
    from emulator.queues.memory.journal import Journal
    from emulator.queues.message import Verdict, WorkerDelivery
    from emulator.session.crons import Crons


class Session:
    """Workers that share one set of queues. `configs` and `hosts` are in the given order; the first is the primary
    worker.

    Raises ConfigError for configurations that conflict. Events are published on `bus`. `clock` replaces the machine's
    clock, `outbound` replaces the network for the workers' `fetch()`, and `timer` measures durations of invocations in
    seconds. `bindings` replace configured bindings in every worker's `env`; `around_delivery` wraps the function that
    delivers a batch to a worker. With a `journal` the session continues with the queues and messages that an earlier
    one left in it; its opener closes it, after the session has stopped. `engine` keeps the queues; the default is a
    memory engine that uses the journal, if there is one; `bridge` connects some with real queues. `state` is where
    bindings keep their data, which its opener closes, too; the default is in memory. With `has_locals`, the
    failures of Python code come with local variables. With `has_inspector`, debuggers can look into JavaScript workers.
    """

    def __init__(
        self,
        configs: Sequence[WorkerConfig],
        bus: Bus,
        *,
        clock: Clock | None = None,
        outbound: Outbound | None = None,
        timer: Callable[[], float] = perf_counter,
        bindings: Mapping[str, Any] | None = None,
        around_delivery: Callable[[Deliver], Deliver] | None = None,
        journal: Journal | None = None,
        engine: QueueEngine | None = None,
        bridge: Bridge | None = None,
        state: State | None = None,
        has_locals: bool = True,
        has_inspector: bool = False,
    ) -> None:
        check_conflicts(configs, KINDS)
        self.bus = bus
        self.journal = journal
        self._recovered_count = 0 if journal is None else journal.recovered_count
        clock = self.clock = clock or WallClock()
        self.queues = Queues(engine or MemoryEngine(clock, journal=journal), bus, clock, bridge=bridge)
        self.configs = list(configs)
        self.envs: dict[str, Env] = {}
        """The newest `env` of each worker, by name."""
        self.state = state or State()
        """What bindings keep."""
        resources = Resources(self.queues, bus, clock, self.state)
        self.open_kinds = OpenKinds(KINDS, resources, bindings)
        """The open binding kinds."""
        self.crons: Crons | None = None
        """What waits for crons, if any are declared and `run_crons` was called."""
        self._longest_wait = 0.0
        self._around_delivery = around_delivery
        self._reloading = asyncio.Lock()
        """Held while a worker's code is loaded again."""
        self._factory = HostFactory(
            queues=self.queues,
            open_kinds=self.open_kinds,
            bus=bus,
            make_env=self._make_env,
            outbound=outbound,
            timer=timer,
            secrets=resources.secrets,
            has_locals=has_locals,
            has_inspector=has_inspector,
        )
        self.hosts: list[WorkerHost] = [self._factory.make(config) for config in self.configs]
        self.activity = self._factory.activity
        """The work in other processes on behalf of the workers."""
        self.inspector = self._factory.inspector
        """What debuggers reach of JavaScript workers; None if there are none, or debuggers are not let in."""
        for host in self.hosts:
            self.queues.attach(host.config.name, self._deliver_to(host))

    async def load(self) -> None:
        """Load the workers and connect their queues. If a worker's code fails to load, its messages are held, and its
        `failure` says why."""
        if self.journal is not None:
            self._introduce(self.journal)
        await self.queues.start()
        try:
            lost = await self.queues.begin(self._declared())
        except QueueError as error:
            raise EmulatorError(f"the queues cannot be made: {error.cause}") from error
        for queue, worker in lost.items():
            text = f"queue {queue} has lost its consumer: worker {worker} is not part of this session"
            self.bus.publish(Notice("warning", text))
        await asyncio.gather(*(self._start(host) for host in self.hosts))

    def run_crons(self, longest_wait: float = float("inf")) -> None:
        """Invoke `scheduled` handlers when their crons are due, until `stop`; see Crons."""
        self._longest_wait = longest_wait
        self._plan_crons()

    def _plan_crons(self) -> None:
        if self.crons is None and self._longest_wait and any(config.crons for config in self.configs):
            from emulator.session.crons import Crons  # most workers have none

            self.crons = Crons(self, self._longest_wait)
        if self.crons is not None:
            self.crons.plan()

    async def stop(self, grace_seconds: float) -> None:
        """Let deliveries, handlers and `waitUntil` work under way finish for at most `grace_seconds`, then cancel
        them."""
        deadline = perf_counter() + grace_seconds
        if self.crons is not None:
            self.crons.stop()
        await self.queues.close(grace_seconds)
        for host in self.hosts:
            await host.stop(max(0.0, deadline - perf_counter()))
        await self._factory.close()
        await self.open_kinds.close()
        if self.queues.is_shared:
            await self.queues.end()

    def files_of(self, config: WorkerConfig) -> frozenset[Path]:
        """The files of a worker's code, if they are known."""
        return self._hosts_by_name()[config.name].files

    async def reload(self, index: int, files: Sequence[str] = ()) -> None:
        """Load the code of a worker again, because `files` changed. If it fails to load, its deliveries wait."""
        failure = await self.try_reload(index, files)
        if failure is not None:
            self.fail(index, failure, files)

    async def try_reload(self, index: int, files: Sequence[str] = ()) -> Failure | None:
        """Load the code of a worker again, because `files` changed. When it does not load, the old code stays in
        service, and what is wrong is returned: the caller tries again, or calls `fail` with that."""
        host = self.hosts[index]
        started = perf_counter()
        async with self._reloading:
            config = self.configs[index]
            failure = await self._build(config) or await host.try_reload(config)
        if failure is None:
            self._tell_of_reload(host, files, perf_counter() - started)
        return failure

    def fail(self, index: int, failure: Failure, files: Sequence[str] = ()) -> None:
        """Hold the deliveries of a worker whose new code does not load, because of `failure`, until it does."""
        host = self.hosts[index]
        host.fail(failure)
        self._tell_of_reload(host, files, 0.0)

    def _tell_of_reload(self, host: WorkerHost, files: Sequence[str], duration: float) -> None:
        self.queues.hold(host.config.name, held=host.failure is not None)
        self.bus.publish(WorkerReloaded(host.config.name, files, duration, host.failure))

    async def reconfigure(self, index: int, config: WorkerConfig, files: Sequence[str] = ()) -> None:
        """Give a worker a new configuration, because `files` changed. Its queues and consumers change at once, and
        messages stay. Its code sees new vars, secrets and bindings after the next `reload`. Raises ConfigError, and
        changes nothing, if it conflicts with the other workers' configurations."""
        from emulator.config.changes import describe_changes  # start-up does not need it

        old = self.configs[index]
        check_conflicts([*self.configs[:index], config, *self.configs[index + 1 :]], KINDS)
        changes = describe_changes(old, config, KINDS)
        if config.name != old.name:
            # Its name is part of addresses and events, so it stays the same while the session runs.
            config = replace(config, name=old.name)
            changes.append("a changed name takes effect at the next start")
        if not same_host(old, config):
            config = replace(config, main=old.main)
            changes.append("a main in another language takes effect at the next start")
        if index == 0 and _listens_at(config) != _listens_at(old):
            changes.append("a changed port, address or protocol takes effect at the next start")
        if real_queues([config]) != real_queues([old]):
            changes.append("a changed remote of a queue takes effect at the next start")
        self.configs[index] = config
        if changes:
            self.bus.publish(ConfigurationChanged(" and ".join(files) or config.path.name, changes))
        for warning in config.warnings:
            if warning not in old.warnings:
                self.bus.publish(Notice("warning", str(warning), config.name))
        self._plan_crons()
        await self.queues.change(_declared(old), _declared(config), self._declared())

    def producers_of(self, queue: str) -> list[str]:
        """The names of the workers that have a binding to a queue."""
        return [
            config.name for config in self.configs if any(producer.queue == queue for producer in producers_of(config))
        ]

    def _make_env(self, config: WorkerConfig) -> Env:
        env = self.envs[config.name] = self.open_kinds.env(config)
        return env

    async def _start(self, host: WorkerHost) -> None:
        failure = await self._build(host.config)
        if failure is None:
            await host.start()
        else:
            host.fail(failure)
        self.queues.hold(host.config.name, held=host.failure is not None)

    async def _build(self, config: WorkerConfig) -> Failure | None:
        """Run the command that makes a worker's code, if there is one, and return why it failed."""
        if config.build is None:
            return None
        from emulator.session.build import run_build  # most workers do not need it

        return await run_build(config, config.build, self.bus)

    def _introduce(self, journal: Journal) -> None:
        """Publish where messages are kept, how many were recovered, and what was damaged."""

        def warn(text: str) -> None:
            self.bus.publish(Notice("warning", text))

        journal.on_trouble = warn
        for report in journal.reports:
            warn(report)
        recovered = self._recovered_count
        there = f"; {count(recovered, 'message was', 'messages were')} recovered" if recovered else ""
        self.bus.publish(Notice("info", f"Messages are kept in {shown_path(journal.directory)}{there}"))

    def _declared(self) -> list[Declared]:
        return [_declared(config) for config in self.configs]

    def _hosts_by_name(self) -> dict[str, WorkerHost]:
        return {host.config.name: host for host in self.hosts}

    def _deliver_to(self, host: WorkerHost) -> Deliver:
        deliver: Deliver = partial(_deliver, host)
        return deliver if self._around_delivery is None else self._around_delivery(deliver)


def _declared(config: WorkerConfig) -> Declared:
    """The queues that a configuration declares."""
    produces = tuple(producer.queue for producer in producers_of(config))
    return Declared(config.name, produces, {consumer.queue: consumer.settings for consumer in consumers_of(config)})


async def _deliver(host: WorkerHost, delivery: WorkerDelivery) -> Verdict | None:
    try:
        return await host.invoke("", QueueTrigger(delivery))
    except NotLoaded:
        return None


def _listens_at(config: WorkerConfig) -> tuple[object, ...]:
    return config.dev_port, config.dev_ip, config.dev_inspector_port, config.dev_protocol
