"""Chooses the host for a worker, by the language that it is written in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from emulator.base.bus import Bus
from emulator.config.model import WorkerConfig
from emulator.hosts.host import Host
from emulator.hosts.outbound import HttpOutbound
from emulator.hosts.python.host import PythonHost

if TYPE_CHECKING:
    from emulator.bindings.services import Services
    from emulator.hosts.workerd.binding_server import BindingServer
    from emulator.hosts.workerd.sockets import SocketDirectory
    from emulator.queues.memory.broker import Broker
    from emulator_runtime.workers.request import Request
    from emulator_runtime.workers.response import Response


class HostMaker:
    """Makes the hosts of one session.

    `make_env` makes the `env` of a Python worker; `services` those of all workers.
    `outbound` carries out the `fetch()` of both; None is the network.
    """

    def __init__(
        self,
        broker: Broker,
        services: Services,
        bus: Bus,
        make_env: Callable[[WorkerConfig], Any],
        outbound: Callable[[Request], Awaitable[Response]] | None,
    ) -> None:
        self._broker = broker
        self._services = services
        self._bus = bus
        self._make_env = make_env
        self._outbound = outbound
        self._network = HttpOutbound()
        self._sockets: SocketDirectory | None = None
        self._binding_server: BindingServer | None = None

    async def close(self) -> None:
        """Let go of what the hosts shared, once they have stopped."""
        await self._network.close()

    def owns(self, descriptor: int) -> bool:
        """Whether a file descriptor is of a connection with a process that runs JavaScript."""
        return self._sockets is not None and self._sockets.has(descriptor)

    def __call__(self, config: WorkerConfig) -> Host:
        """A host for the worker that `config` describes."""
        if not config.is_javascript:
            return PythonHost(config, make_env=self._make_env, outbound=self._outbound or self._network, bus=self._bus)
        # What only JavaScript needs is imported for it alone: start-up time is a feature.
        from emulator.hosts.workerd.binding_server import BindingServer
        from emulator.hosts.workerd.host import WorkerdHost
        from emulator.hosts.workerd.sockets import SocketDirectory

        if self._sockets is None or self._binding_server is None:
            self._sockets, self._binding_server = SocketDirectory(), BindingServer()
        return WorkerdHost(
            config,
            broker=self._broker,
            services=self._services,
            binding_server=self._binding_server,
            sockets=self._sockets,
            bus=self._bus,
            outbound=self._outbound,
        )
