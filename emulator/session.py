"""A session: some workers, the broker that they share, and their bindings, wired together.

It serves no port and watches no file: `emulator.serving` does that for `emulator dev`, and the testing kit drives a
session by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from emulator.bindings.env import Env, build_env
from emulator.bindings.outbound import HttpOutbound
from emulator.broker.broker import Broker, Deliver
from emulator.broker.clock import Clock
from emulator.broker.settings import ConsumerSettings, QueueSettings
from emulator.config import check_together, describe_changes
from emulator.config.model import WorkerConfig
from emulator.events import Bus, ConfigurationChanged, Notice, WorkerReloaded
from emulator.hosts.base import Host, NotLoaded
from emulator.hosts.making import HostMaker

if TYPE_CHECKING:
    from emulator.broker.message import Delivery, DeliveryResult
    from emulator.runtime.workers.request import Request
    from emulator.runtime.workers.response import Response


class Session:
    """Workers on one broker. `configs` and `hosts` are in the order given; the first is the primary worker.

    Raises ConfigError for configurations that do not go together. Events go to `bus`. `clock` and `outbound` (what
    carries out the workers' `fetch()`) stand for the machine's clock and its network when they are given; `bindings`
    are put into every worker's `env`, over what is configured; `around_delivery` wraps what delivers a batch to a
    worker.
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
    ) -> None:
        check_together(configs)
        self.bus = bus
        self.broker = Broker(bus, clock)
        self.configs = list(configs)
        self.envs: dict[str, Env] = {}
        """The newest `env` of each worker, by name."""
        self._network = HttpOutbound()
        self._outbound = outbound or self._network
        self._bindings = bindings or {}
        self._around_delivery = around_delivery
        self._created: set[str] = set()
        self._changed: set[str] = set()
        self._consumers_set: set[str] = set()
        self._make_host = HostMaker(self.broker, bus, self._make_env, self._outbound)
        self.hosts: list[Host] = [self._make_host(config) for config in self.configs]

    # Life

    async def load(self) -> None:
        """Load the workers and connect their queues. A worker whose code does not load is held, and its `failure` says
        why."""
        for host in self.hosts:
            self._connect(host, host.config)
        for host in self.hosts:
            await host.start()
            self.broker.hold(host.config.name, held=host.failure is not None)

    async def stop(self, grace_seconds: float) -> None:
        """Let deliveries, handlers and `waitUntil` work under way finish for at most `grace_seconds`, then cancel
        them."""
        deadline = perf_counter() + grace_seconds
        await self.broker.close(grace_seconds)
        for host in self.hosts:
            await host.stop(max(0.0, deadline - perf_counter()))
        await self._network.close()

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
        there = {queue.name for queue in self.broker.queues}
        for consumer in old.consumers:
            if consumer.queue not in kept | self._consumers_set and consumer.queue in there:
                self.broker.remove_consumer(consumer.queue)
        self._connect(self.hosts[index], config, old)
        self._delete_unused_queues()

    # Changes from outside: by the clients of the REST API. What they do stays until a configuration says otherwise.

    def create_queue(self, name: str, settings: QueueSettings) -> bool:
        """Make a queue. False, and nothing changed, when it was made this way before.

        A queue that is there because a configuration names it can be made once: in production somebody has to.
        """
        if name in self._created:
            return False
        self.broker.create_queue(name)
        self._created.add(name)
        self.update_queue(name, settings)
        return True

    def update_queue(self, name: str, settings: QueueSettings) -> None:
        """Give a queue settings. Raises QueueError 10104 when there is none."""
        self.broker.update_queue(name, settings)
        self._changed.add(name)

    def delete_queue(self, name: str) -> None:
        """Forget a queue, its messages and its consumer. Raises QueueError 10104 when there is none."""
        self.broker.delete_queue(name)
        for names in (self._created, self._changed, self._consumers_set):
            names.discard(name)

    def set_consumer(self, queue: str, settings: ConsumerSettings, worker: str) -> None:
        """Let a worker of this session (for type `http_pull`, any client: `worker` is empty) consume a queue, or change
        how it does. Raises KeyError when there is no such worker."""
        deliver = None
        if settings.type == "worker":
            deliver = self._deliver_to({host.config.name: host for host in self.hosts}[worker])
        there_already = self.broker.queue(queue).consumer is not None
        self.broker.set_consumer(queue, settings, worker, deliver)
        self._changed.add(queue)
        if not there_already:
            self._consumers_set.add(queue)

    def remove_consumer(self, queue: str) -> None:
        """Leave a queue without a consumer. Raises QueueError 10104 when there is no such queue."""
        self.broker.remove_consumer(queue)
        self._changed.add(queue)
        self._consumers_set.discard(queue)

    def producers_of(self, queue: str) -> list[str]:
        """The names of the workers with a binding that sends to a queue."""
        return [config.name for config in self.configs if any(producer.queue == queue for producer in config.producers)]

    # How

    def _make_env(self, config: WorkerConfig) -> Any:
        def warn(text: str) -> None:
            self.bus.publish(Notice("warning", text, config.name))

        env = self.envs[config.name] = build_env(config, self.broker, warn, self._bindings)
        return env

    def _connect(self, host: Host, config: WorkerConfig, old: WorkerConfig | None = None) -> None:
        """Make the worker's queues, and let those it consumes deliver to it. With an `old` configuration only what
        differs from it: the rest is as it was, or as somebody has changed it since."""
        named = {producer.queue for producer in old.producers} if old else set()
        for producer in config.producers:
            if producer.queue not in named:
                self.broker.create_queue(producer.queue)
        for consumer in config.consumers:
            if old and consumer in old.consumers:
                continue
            deliver = self._deliver_to(host) if consumer.settings.type == "worker" else None
            self.broker.set_consumer(consumer.queue, consumer.settings, config.name, deliver)
            self._consumers_set.discard(consumer.queue)

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
            if queue.name not in named | self._changed and not len(queue):
                self.broker.delete_queue(queue.name)


async def _deliver(host: Host, delivery: Delivery) -> DeliveryResult | None:
    try:
        return await host.queue(delivery)
    except NotLoaded:
        return None


def shown_files(files: Sequence[Path], base: Path) -> list[str]:
    """Paths as a person reads them: relative to `base` where they are below it."""
    return [str(path.relative_to(base)) if path.is_relative_to(base) else str(path) for path in files]
