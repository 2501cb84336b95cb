"""The top of the server: an ASGI application that sends user traffic to a gateway and `/cdn-cgi/` to the control plane.

User traffic takes the short way: no middleware and no router, one look at the path and, with several workers, one at
the `Host`. The control plane is built at its first request.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from emulator.server.asgi import ASGIApp, Receive, Scope, Send
from emulator.server.gateway import Gateway
from emulator.server.hostname import host_header, split_host

CONTROL_PREFIX = "/cdn-cgi/"
SCHEDULED_PATH = "/__scheduled"
"""Where `wrangler dev --test-scheduled` runs the `scheduled` handler."""

_OWN = (CONTROL_PREFIX, SCHEDULED_PATH)


class App:
    """Routes by path and host. The first of `gateways` is the primary worker's; each of them also answers at
    `<name>.localhost`.

    `make_control` builds the control plane, an ASGI application that finds the gateway's worker in
    `scope["emulator.worker"]`.
    """

    def __init__(self, gateways: Sequence[Gateway], make_control: Callable[[], ASGIApp]) -> None:
        self._primary = gateways[0]
        self._by_name = {gateway.host.config.name.lower(): gateway for gateway in gateways}
        self._several = len(gateways) > 1
        self._by_host: dict[str, Gateway] = {}
        self._make_control = make_control
        self._control: ASGIApp | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        if scope["path"].startswith(_OWN) and self._is_control(scope):
            return self._answer_control(scope, receive, send)
        gateway = self.gateway(scope) if self._several else self._primary
        return gateway(scope, receive, send)

    def tunnels_websocket(self, scope: Scope, target: bytes) -> bool:
        """Whether a request for a WebSocket, of which `scope` has only the headers so far, goes through a
        tunnel."""
        return not target.startswith(CONTROL_PREFIX.encode()) and self.gateway(scope).host.tunnels_websockets

    def gateway(self, scope: Scope) -> Gateway:
        """The gateway of the worker that a request is for, by its `Host`."""
        if not self._several:
            return self._primary
        host = host_header(scope)
        gateway = self._by_host.get(host)
        if gateway is None:
            name, _, rest = split_host(host).lower().partition(".")
            gateway = self._by_name.get(name, self._primary) if rest == "localhost" else self._primary
            if len(self._by_host) < 256:
                self._by_host[host] = gateway
        return gateway

    def _is_control(self, scope: Scope) -> bool:
        if scope["path"].startswith(CONTROL_PREFIX):
            return True
        return scope["path"] == SCHEDULED_PATH and "scheduled" in self.gateway(scope).host.handlers

    async def _answer_control(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._control is None:
            self._control = self._make_control()
        scope["emulator.worker"] = self.gateway(scope).host
        await self._control(scope, receive, send)
