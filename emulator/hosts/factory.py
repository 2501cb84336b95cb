"""Chooses the host for a worker, by the language that it is written in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from emulator.base.bus import Bus
from emulator.config.model import WorkerConfig
from emulator.hosts.host import Host
from emulator.hosts.outbound import HttpOutbound
from emulator.hosts.python.host import PythonHost
from emulator.queues.service import Queues

if TYPE_CHECKING:
    from emulator.hosts.workerd.sockets import SocketDirectory
    from emulator_runtime.workers.request import Request
    from emulator_runtime.workers.response import Response


class HostMaker:
    """Makes the hosts of one session.

    `make_env` makes the `env` of a Python worker; the bindings of a JavaScript worker reach `queues` by themselves.
    `outbound` carries out the `fetch()` of both; None is the network.
    """

    def __init__(
        self,
        queues: Queues,
        bus: Bus,
        make_env: Callable[[WorkerConfig], Any],
        outbound: Callable[[Request], Awaitable[Response]] | None,
    ) -> None:
        self._queues = queues
        self._bus = bus
        self._make_env = make_env
        self._outbound = outbound
        self._network = HttpOutbound()
        self._sockets: SocketDirectory | None = None

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
        from emulator.hosts.workerd.host import WorkerdHost
        from emulator.hosts.workerd.sockets import SocketDirectory

        if self._sockets is None:
            self._sockets = SocketDirectory()
        return WorkerdHost(config, queues=self._queues, sockets=self._sockets, bus=self._bus, outbound=self._outbound)
