"""The interface between the emulator and whatever runs a worker's code. Nothing outside `hosts` knows the language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from emulator.base.failure import Failure
from emulator.config.model import WorkerConfig
from emulator.queues.message import Delivery, Verdict
from emulator_runtime.workers.request import Request
from emulator_runtime.workers.response import FetchResponse


class HandlerError(Exception):
    """Worker code raised while it handled an event; the original is `__cause__`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary)
        self.failure = failure


class JavaScriptError(Exception):
    """What JavaScript code threw, as the cause of a HandlerError: its stack, as JavaScript shows it."""


class HandlerMissing(Exception):  # noqa: N818 - it states a fact about the worker
    """The worker has no entrypoint for this event. The text says what it has instead."""


class NotLoaded(Exception):  # noqa: N818 - it states the host's condition
    """The worker's code does not load at the moment; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary)
        self.failure = failure


class CpuLimitExceeded(BaseException):
    """Raised inside a handler that has used more CPU time in one go than its worker may. Not an `Exception`, so that a
    handler's `except Exception` does not swallow it."""

    def __init__(self, text: str = "the handler used more CPU time without a pause than limits.cpu_ms allows") -> None:
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Where a connection goes on that is to become a WebSocket: to the Unix socket `path`, with `head` as the request.
    A reload ends it, as a new version does in production."""

    path: Path
    head: bytes


class Host(Protocol):
    """Runs one worker's code. A host is started once, reloaded any number of times, and stopped once."""

    config: WorkerConfig
    failure: Failure | None
    """Why the newest code does not load; None while all is well. While it is set, deliveries wait."""

    @property
    def handlers(self) -> frozenset[str]:
        """Which of `fetch`, `queue` and `scheduled` the worker has; empty while it is not loaded."""

    @property
    def files(self) -> frozenset[Path]:
        """The files that the code was made of, where those are known; a change of one means to load it again, as does a
        change in the worker's directory."""

    @property
    def calls_under_way(self) -> int:
        """How much another process is being waited for at the moment; 0 where the code runs in this one."""

    @property
    def takes_websockets(self) -> bool:
        """Whether a request for a WebSocket may be given to `tunnel`. Otherwise it is a request as any other."""

    def tunnel(self, request: Request) -> Tunnel | None:
        """Begin a connection that becomes a WebSocket if the worker says so; None where that is not to be had."""

    async def start(self) -> None:
        """Load the code. Does not raise when it does not load: `failure` is set."""

    async def reload(self, config: WorkerConfig) -> None:
        """Load the code again, with `config`. What runs finishes on the old code. `failure` tells how it went."""

    async def stop(self, grace_seconds: float) -> None:
        """Let what runs, `waitUntil` work included, finish for at most `grace_seconds`, then cancel it."""

    async def rest(self) -> None:
        """Wait until `waitUntil` work has ended that another process runs. What runs in this one needs no such wait:
        whoever drives the event loop sees to it."""

    async def fetch(self, request: Request) -> FetchResponse:
        """Run the `fetch` entrypoint. Raises HandlerError, HandlerMissing or NotLoaded."""

    async def queue(self, delivery: Delivery) -> Verdict:
        """Run the `queue` entrypoint and tell what it decided. A handler that raises is an outcome, not an exception.
        Raises NotLoaded when the batch is to wait."""

    async def scheduled(self, cron: str, scheduled_time_ms: int) -> None:
        """Run the `scheduled` entrypoint. Raises HandlerError, HandlerMissing or NotLoaded."""
