"""A session: some workers, the broker that they share, and their bindings, wired together.

It serves no port and watches no file: `emulator.server.serving` does that for `emulator dev`, and the testing kit
drives a session by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
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
from emulator.queues.declarations import Origin
from emulator.queues.memory.broker import Broker
from emulator.queues.memory.driver import Deliver
from emulator.queues.memory.journal import Journal
from emulator.queues.settings import ConsumerSettings, QueueSettings
from emulator.session.events import ConfigurationChanged, WorkerReloaded

if TYPE_CHECKING:
    from emulator.queues.message import Delivery, Verdict
    from emulator_runtime.workers.request import Request
    from emulator_runtime.workers.response import Response


class Session:
    """Workers on one broker. `configs` and `hosts` are in the order given; the first is the primary worker.

    Raises ConfigError for configurations that do not go together. Events go to `bus`. `clock` and `outbound` (what
    carries out the workers' `fetch()`) stand for the machine's clock and its network when they are given; `bindings`
    are put into every worker's `env`, over what is configured; `around_delivery` wraps what delivers a batch to a
    worker. With a `journal` the session goes on with the queues and messages that an earlier one left in it; whoever
    opened it closes it, once the session has stopped.
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
    ) -> None:
        check_together(configs)
        self.bus = bus
        self.journal = journal
        self._recovered_count = 0 if journal is None else journal.recovered_count
        self.broker = Broker(bus, clock, journal=journal)
        self.configs = list(configs)
        self.envs: dict[str, Env] = {}
        """The newest `env` of each worker, by name."""
        self._bindings = bindings or {}
        self._around_delivery = around_delivery
        self._make_host = HostMaker(self.broker, bus, self._make_env, outbound)
        self.hosts: list[Host] = [self._make_host(config) for config in self.configs]

    # Life

    async def load(self) -> None:
        """Load the workers and connect their queues. A worker whose code does not load is held, and its `failure` says
        why."""
        if self.journal is not None:
            self._introduce(self.journal)
        recovered = {queue.name for queue in self.broker.queues}
        for host in self.hosts:
            self._connect(host, host.config, recovered=recovered)
        self._reconnect(recovered)
        await asyncio.gather(*(self._start(host) for host in self.hosts))

    async def stop(self, grace_seconds: float) -> None:
        """Let deliveries, handlers and `waitUntil` work under way finish for at most `grace_seconds`, then cancel
        them."""
        deadline = perf_counter() + grace_seconds
        await self.broker.close(grace_seconds)
        for host in self.hosts:
            await host.stop(max(0.0, deadline - perf_counter()))
        await self._make_host.close()

    def files_of(self, config: WorkerConfig) -> frozenset[Path]:
        """The files that a worker's code was made of, where those are known."""
        return self._hosts_by_name()[config.name].files

    # Other processes

    @property
    def calls_under_way(self) -> int:
        """How much another process is being waited for at the moment, by all hosts together."""
        return sum(host.calls_under_way for host in self.hosts)

    def owns(self, descriptor: int) -> bool:
        """Whether a file descriptor is of a connection with a process that runs a worker's code."""
        return self._make_host.owns(descriptor)

    # Changes

    async def reload(self, index: int, files: Sequence[str] = ()) -> None:
        """Load the code of a worker again, because `files` changed. Its deliveries wait while it does not load."""
        host = self.hosts[index]
        started = perf_counter()
        await host.reload(self.configs[index])
        self.broker.hold(host.config.name, held=host.failure is not None)
        self.bus.publish(WorkerReloaded(host.config.name, files, perf_counter() - started, host.failure))

    def reconfigure(self, index: int, config: WorkerConfig) -> None:
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
        kept = {consumer.queue for consumer in config.consumers}
        for consumer in old.consumers:
            if consumer.queue not in kept and self.broker.has_queue(consumer.queue):
                self._forget_declared(consumer.queue)
        self._connect(self.hosts[index], config, old)
        self._delete_unused_queues()

    # Changes from outside: by the clients of the REST API. What they do stays until a configuration says otherwise.

    def create_queue(self, name: str, settings: QueueSettings) -> bool:
        """Make a queue. False, and nothing changed, when it was made this way before.

        A queue that is there because a configuration names it can be made once: in production somebody has to.
        """
        state = self.broker.state_of(name) if self.broker.has_queue(name) else None
        if state is not None and state.origin.created:
            return False
        origin = Origin() if state is None else state.origin
        self.broker.create_queue(name, settings, replace(origin, created=True, changed=True))
        return True

    def update_queue(self, name: str, settings: QueueSettings) -> None:
        """Give a queue settings. Raises QueueError 10104 when there is none."""
        self.broker.update_queue(name, settings, replace(self.broker.state_of(name).origin, changed=True))

    def delete_queue(self, name: str) -> None:
        """Forget a queue, its messages and its consumer. Raises QueueError 10104 when there is none."""
        self.broker.delete_queue(name)

    def set_consumer(self, queue: str, settings: ConsumerSettings, worker: str) -> None:
        """Let a worker of this session (for type `http_pull`, any client: `worker` is empty) consume a queue, or change
        how it does. Raises KeyError when there is no such worker."""
        deliver = self._deliver_to(self._hosts_by_name()[worker]) if settings.type == "worker" else None
        state = self.broker.state_of(queue)
        set_now = state.origin.consumer_set or state.consumer is None
        self.broker.set_consumer(
            queue, settings, worker, deliver, replace(state.origin, changed=True, consumer_set=set_now)
        )

    def remove_consumer(self, queue: str) -> None:
        """Leave a queue without a consumer. Raises QueueError 10104 when there is no such queue."""
        origin = self.broker.state_of(queue).origin
        self.broker.remove_consumer(queue, replace(origin, changed=True, consumer_set=False))

    def producers_of(self, queue: str) -> list[str]:
        """The names of the workers with a binding that sends to a queue."""
        return [config.name for config in self.configs if any(producer.queue == queue for producer in config.producers)]

    # How

    def _make_env(self, config: WorkerConfig) -> Any:
        def warn(text: str) -> None:
            self.bus.publish(Notice("warning", text, config.name))

        env = self.envs[config.name] = build_env(config, self.broker, warn, self._bindings)
        return env

    async def _start(self, host: Host) -> None:
        await host.start()
        self.broker.hold(host.config.name, held=host.failure is not None)

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

    def _connect(
        self, host: Host, config: WorkerConfig, old: WorkerConfig | None = None, recovered: Collection[str] = ()
    ) -> None:
        """Make the worker's queues, and let those it consumes deliver to it. With an `old` configuration only what
        differs from it: the rest is as it was, or as somebody has changed it since. So for `recovered` queues, with the
        configuration of the time."""
        named = {producer.queue for producer in old.producers} if old else set()
        for producer in config.producers:
            if producer.queue not in named:
                self.broker.create_queue(producer.queue)
        for consumer in config.consumers:
            if old and consumer in old.consumers:
                continue
            queue, settings = consumer.queue, consumer.settings
            origin = self.broker.state_of(queue).origin if self.broker.has_queue(queue) else Origin()
            if queue in recovered and (origin.declared, origin.declared_by) == (settings, config.name):
                continue
            deliver = self._deliver_to(host) if settings.type == "worker" else None
            origin = replace(origin, consumer_set=False, declared=settings, declared_by=config.name)
            self.broker.set_consumer(queue, settings, config.name, deliver, origin)

    def _reconnect(self, recovered: Collection[str]) -> None:
        """Let recovered queues deliver to the consumers that they had, where those are here."""
        hosts = self._hosts_by_name()
        declared = {consumer.queue: config.name for config in self.configs for consumer in config.consumers}
        for name in recovered:
            state = self.broker.state_of(name)
            if state.origin.declared is not None and declared.get(name) != state.origin.declared_by:
                self._forget_declared(name)
                state = self.broker.state_of(name)
            consumer = state.consumer
            if consumer is None or consumer.type == "http_pull":
                self.broker.connect(name, None)
            elif state.worker in hosts:
                self.broker.connect(name, self._deliver_to(hosts[state.worker]))
            else:
                text = f"queue {name} has lost its consumer: there is no worker {state.worker} any more"
                self.bus.publish(Notice("warning", text))
                self.broker.remove_consumer(name, replace(state.origin, consumer_set=False))
        self._delete_unused_queues()

    def _forget_declared(self, queue: str) -> None:
        """No configuration asks for the consumer of a queue any more: without it, unless a client has set it."""
        origin = replace(self.broker.state_of(queue).origin, declared=None, declared_by="")
        if origin.consumer_set:
            self.broker.create_queue(queue, origin=origin)
        else:
            self.broker.remove_consumer(queue, origin)

    def _hosts_by_name(self) -> dict[str, Host]:
        return {host.config.name: host for host in self.hosts}

    def _deliver_to(self, host: Host) -> Deliver:
        deliver: Deliver = partial(_deliver, host)
        return deliver if self._around_delivery is None else self._around_delivery(deliver)

    def _delete_unused_queues(self) -> None:
        """Forget the queues that nothing names any more. One with messages stays until they are dealt with, and one
        that somebody has made or changed from outside stays in any case."""
        named = {producer.queue for config in self.configs for producer in config.producers}
        named |= {consumer.queue for config in self.configs for consumer in config.consumers}
        for queue in self.broker.queues:
            if queue.consumer is not None:
                named.add(queue.consumer.dead_letter_queue or "")
        for queue in self.broker.queues:
            changed = self.broker.state_of(queue.name).origin.changed
            if queue.name not in named and not changed and not len(queue):
                self.broker.delete_queue(queue.name)


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
