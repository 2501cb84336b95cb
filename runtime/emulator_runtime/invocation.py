"""The invocation: one call of an entrypoint, and what its code can reach by name (`workers.env`, `workers.wait_until`,
`workers.fetch`). A host sets `current` for the time that worker code runs; everything here follows the contextvar."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from inspect import iscoroutine
from typing import Any


async def _without_exit(awaitable: Awaitable[Any]) -> Any:
    """asyncio ends the whole loop when a task raises SystemExit; in a worker it is an error like any other."""
    try:
        return await awaitable
    except SystemExit as error:
        raise RuntimeError(f"sys.exit({error.code}) in waitUntil work") from error


class Scope:
    """What every invocation of one version of a worker shares: its name, its `env`, and its way out: `outbound` takes
    the `Request` of a `fetch()` and gives the `Response`.

    `on_warning` takes a sentence that the runtime wants shown (a call that has no effect, say). `has_request_signal`
    says whether a request's signal tells of a client that has gone away.
    """

    __slots__ = ("env", "has_request_signal", "name", "on_warning", "outbound")

    def __init__(
        self,
        name: str,
        env: Any,
        outbound: Callable[[Any], Awaitable[Any]],
        on_warning: Callable[[str], None] = lambda _text: None,
        *,
        has_request_signal: bool = False,
    ) -> None:
        self.has_request_signal = has_request_signal
        self.name = name
        self.env = env
        self.outbound = outbound
        self.on_warning = on_warning


class Context:
    """The `ctx` of a handler. `props` is empty until service bindings pass some."""

    __slots__ = ("_tasks", "props")

    def __init__(self) -> None:
        self.props: dict[str, Any] = {}
        self._tasks: list[asyncio.Future[Any]] | None = None

    def waitUntil(self, awaitable: Awaitable[Any]) -> None:
        """Let `awaitable` finish after the handler has returned. Its failure fails a queue batch, and is logged."""
        task = asyncio.ensure_future(_without_exit(awaitable) if iscoroutine(awaitable) else awaitable)
        if self._tasks is None:
            self._tasks = []
        self._tasks.append(task)

    wait_until = waitUntil

    def passThroughOnException(self) -> None:
        """Accepted and without effect: there is no origin behind a local worker to pass through to."""

    def take_tasks(self) -> list[asyncio.Future[Any]]:
        """The `waitUntil` work collected since the last call; for the host."""
        tasks, self._tasks = self._tasks, None
        return tasks or []


class Invocation:
    """One call of an entrypoint. `trigger` is what the host was asked to run it for; None while code is loaded."""

    __slots__ = ("context", "scope", "trigger")

    def __init__(self, scope: Scope, trigger: Any) -> None:
        self.scope = scope
        self.trigger = trigger
        self.context = Context()


current: ContextVar[Invocation] = ContextVar("emulator_invocation")


def require_current(name: str) -> Invocation:
    """The running invocation, or a RuntimeError that says that `name` needs one."""
    try:
        return current.get()
    except LookupError:
        raise RuntimeError(f"{name} can be used only while a worker runs") from None
