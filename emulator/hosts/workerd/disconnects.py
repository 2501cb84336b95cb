"""Cancels requests of clients that have gone away.

Nearly every request is answered quickly, so nothing is done for a request until it has taken a while.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from emulator_runtime.hosting import IncomingRequest, Request

WATCH_SECONDS: Final = 0.05
"""How often to look for requests that have been waiting since the last time."""


class Waiting:
    """A request that is being answered: the task that answers it, and the task that watches the client."""

    __slots__ = ("is_old", "request", "task", "was_left", "watcher")

    def __init__(self, request: Request, task: asyncio.Task[Any]) -> None:
        self.request = request
        self.task = task
        self.watcher: asyncio.Task[None] | None = None
        self.is_old = False
        self.was_left = False
        """Whether the task was cancelled because the client has gone."""

    async def watch(self, request: IncomingRequest) -> None:
        """Cancel the task when the client has gone away."""
        await request.client_gone()
        self.was_left = True
        self.task.cancel()


class Disconnects:
    """Watches the clients of the requests that are being answered."""

    def __init__(self) -> None:
        self._waiting: set[Waiting] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, request: Request) -> Waiting:
        """The running task begins to answer `request`."""
        task = asyncio.current_task()
        assert task is not None
        waiting = Waiting(request, task)
        self._waiting.add(waiting)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._look)
        return waiting

    def end(self, waiting: Waiting) -> None:
        """The request has been answered, or will not be."""
        self._waiting.discard(waiting)
        if waiting.watcher is not None:
            waiting.watcher.cancel()

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        for waiting in self._waiting:
            request = waiting.request
            if waiting.is_old and waiting.watcher is None and isinstance(request, IncomingRequest):
                waiting.watcher = asyncio.ensure_future(waiting.watch(request))
            waiting.is_old = True
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._look)
