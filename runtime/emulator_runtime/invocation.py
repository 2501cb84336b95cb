"""The invocation: one call of an entrypoint, on which `workers.env`, `workers.wait_until` and `workers.fetch` depend. A
host sets the context variable `current` while worker code runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from inspect import iscoroutine
from typing import Any, Protocol


async def _without_exit(awaitable: Awaitable[Any]) -> Any:
    """Turn SystemExit into another error: asyncio ends the whole loop if a task raises it."""
    try:
        return await awaitable
    except SystemExit as error:
        raise RuntimeError(f"sys.exit({error.code}) in waitUntil work") from error


class Waiter(Protocol):
    """How plain functions of worker code wait for an awaitable."""

    def run_sync(self, awaitable: Awaitable[Any], /) -> Any:
        """The result of `awaitable`. Raises `RuntimeError` where the caller cannot wait."""

    def can_run_sync(self) -> bool:
        """Whether the caller can wait."""


class Scope:
    """What all invocations of one version of a worker share: its name, its `env`, and `outbound`, which takes the
    `Request` of a `fetch()` and returns the `Response`.

    `on_warning` is called with a sentence to show to the user, about a call without effect for example.
    `has_request_signal` says whether a request's signal tells of a client that has gone away. `has_flag(enable,
    disable, since)` says whether a compatibility flag is set, by one of its two names or by date. `on_error` is called
    with an exception of code that runs after its handler, and the invocation that it belongs to.

    `for_js` is what the host does for names of the module `js`, by name.

    `sockets` are the `js.WebSocket`s that are open; `on_socket_closed` is called with the invocation of one that is not
    any more. `waiter` is set once the worker is loaded, by a host that has one.
    """

    __slots__ = (
        "env",
        "for_js",
        "has_flag",
        "has_request_signal",
        "name",
        "on_error",
        "on_socket_closed",
        "on_warning",
        "outbound",
        "sockets",
        "waiter",
    )

    def __init__(
        self,
        name: str,
        env: Any,
        outbound: Callable[[Any], Awaitable[Any]],
        on_warning: Callable[[str], None] = lambda _text: None,
        *,
        has_request_signal: bool = False,
        has_flag: Callable[[str, str, str], bool] = lambda _enable, _disable, _since: True,
        on_error: Callable[[BaseException, Invocation], None] = lambda _error, _invocation: None,
        for_js: Mapping[str, Any] | None = None,
    ) -> None:
        self.has_request_signal = has_request_signal
        self.waiter: Waiter | None = None
        self.has_flag = has_flag
        self.on_error = on_error
        self.sockets: set[Any] = set()
        self.on_socket_closed: Callable[[Invocation], None] = lambda _invocation: None
        self.name = name
        self.env = env
        self.for_js = for_js or {}
        self.outbound = outbound
        self.on_warning = on_warning


class Context:
    """The `ctx` of a handler. `props` is always empty for now."""

    __slots__ = ("_tasks", "props")

    def __init__(self) -> None:
        self.props: dict[str, Any] = {}
        self._tasks: list[asyncio.Future[Any]] | None = None

    def waitUntil(self, awaitable: Awaitable[Any]) -> None:
        """Let `awaitable` finish after the handler has returned. If it fails, a queue batch fails, and the error is
        logged."""
        task = asyncio.ensure_future(_without_exit(awaitable) if iscoroutine(awaitable) else awaitable)
        if self._tasks is None:
            self._tasks = []
        self._tasks.append(task)

    wait_until = waitUntil

    def passThroughOnException(self) -> None:
        """Has no effect: there is no origin behind a local worker."""

    def take_tasks(self) -> list[asyncio.Future[Any]]:
        """The `waitUntil` work that was added since the last call; for the host."""
        tasks, self._tasks = self._tasks, None
        return tasks or []


class Invocation:
    """One call of an entrypoint. `trigger` is what the host invokes it for; None while code is being loaded."""

    __slots__ = ("context", "scope", "trigger")

    def __init__(self, scope: Scope, trigger: Any) -> None:
        self.scope = scope
        self.trigger = trigger
        self.context = Context()


current: ContextVar[Invocation] = ContextVar("emulator_invocation")


def require_current(name: str) -> Invocation:
    """The running invocation. Raises a RuntimeError that says that `name` needs one."""
    try:
        return current.get()
    except LookupError:
        raise RuntimeError(f"{name} can only be used while a worker runs") from None
