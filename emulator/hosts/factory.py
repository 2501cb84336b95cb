"""Chooses the host for a worker by its language. No other code depends on the language."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from emulator.base.bus import Bus
from emulator.base.secrets import Secrets
from emulator.config.model import JAVASCRIPT_SUFFIXES, WorkerConfig
from emulator.hosts.activity import Activity
from emulator.hosts.host import WorkerHost
from emulator.hosts.outbound import HttpOutbound, Outbound, observed
from emulator.hosts.python.host import PythonHost

if TYPE_CHECKING:
    from emulator.bindings.open_kinds import OpenKinds
    from emulator.hosts.workerd.binding_server import BindingServer
    from emulator.hosts.workerd.inspector import Inspector
    from emulator.hosts.workerd.sockets import SocketDirectory
    from emulator.queues.service import Queues


def same_host(one: WorkerConfig, other: WorkerConfig) -> bool:
    """Whether a host that runs `one` can be reloaded with `other`."""
    return _is_javascript(one) == _is_javascript(other)


class HostFactory:
    """Creates the hosts of a session.

    `make_env` creates the `env` of a Python worker, and `open_kinds` the wirings of a JavaScript worker. `outbound`
    carries out the `fetch()` of both; None means the network. `timer` measures durations in seconds. In
    failures these secrets are hidden, and with `has_locals` those of Python code have local variables. With
    `has_inspector`, debuggers can look into JavaScript workers.
    """

    def __init__(
        self,
        *,
        queues: Queues,
        open_kinds: OpenKinds,
        bus: Bus,
        make_env: Callable[[WorkerConfig], Any],
        outbound: Outbound | None,
        timer: Callable[[], float],
        secrets: Secrets,
        has_locals: bool = False,
        has_inspector: bool = False,
    ) -> None:
        self.inspector: Inspector | None = None
        """What debuggers reach of JavaScript workers; None if there are none, or debuggers are not let in."""
        self.activity = Activity()
        """The work in other processes for the hosts that were created."""
        self._queues = queues
        self._open_kinds = open_kinds
        self._bus = bus
        self._make_env = make_env
        self._outbound = outbound
        self._timer = timer
        self._secrets = secrets
        self._has_locals = has_locals
        self._has_inspector = has_inspector
        self._network = HttpOutbound()
        self._python_workers: set[str] = set()
        self._sockets: SocketDirectory | None = None
        self._binding_server: BindingServer | None = None

    async def close(self) -> None:
        """Release what the hosts shared, after they have stopped."""
        await self._network.close()

    def make(self, config: WorkerConfig) -> WorkerHost:
        """A host for the worker that `config` describes."""
        if not _is_javascript(config):
            self._python_workers.add(config.name)
            return PythonHost(
                config,
                make_env=self._make_env,
                for_js=self._open_kinds.for_js,
                outbound=partial(observed, self._outbound or self._network, self._bus, config.name),
                bus=self._bus,
                timer=self._timer,
                secrets=self._secrets,
                has_locals=self._has_locals,
            )
        # Imported only for JavaScript, because start-up time is a feature.
        from emulator.hosts.workerd.binding_server import BindingServer
        from emulator.hosts.workerd.host import WorkerdHost
        from emulator.hosts.workerd.sockets import SocketDirectory

        if self._sockets is None or self._binding_server is None:
            self._sockets, self._binding_server = SocketDirectory(self._python_workers), BindingServer()
        if self._has_inspector and self.inspector is None:
            from emulator.hosts.workerd.inspector import Inspector  # debugging is rare

            self.inspector = Inspector()
        host = WorkerdHost(
            config,
            queues=self._queues,
            open_kinds=self._open_kinds,
            binding_server=self._binding_server,
            sockets=self._sockets,
            bus=self._bus,
            outbound=self._outbound,
            timer=self._timer,
            secrets=self._secrets,
            target=None if self.inspector is None else self.inspector.target(config.name),
        )
        self.activity.add(host)
        return host


def _is_javascript(config: WorkerConfig) -> bool:
    return config.main.suffix in JAVASCRIPT_SUFFIXES
