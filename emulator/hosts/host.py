"""The interface between the emulator and whatever runs a worker's code. Nothing outside `hosts` knows the language."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from emulator.base.failure import Failure
from emulator.config.model import WorkerConfig

if TYPE_CHECKING:
    from emulator.hosts.triggers import Trigger
    from emulator_runtime.hosting import IncomingRequest

R = TypeVar("R")


class HandlerError(Exception):
    """Worker code raised while it was invoked; the original is `__cause__`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary)
        self.failure = failure


class JavaScriptError(Exception):
    """What JavaScript code threw, as the cause of a HandlerError: its stack, as JavaScript shows it."""


class HandlerMissing(Exception):  # noqa: N818 - it states a fact about the worker
    """The worker has no such entrypoint or handler. The text says what it has instead."""


class NotLoaded(Exception):  # noqa: N818 - it states the host's condition
    """The worker's code is not loaded at the moment; `failure` says why."""

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
    """Why the newest code failed to load; None while all is well. While it is set, deliveries are held."""

    @property
    def handlers(self) -> Sequence[str]:
        """The handlers that the worker has, in the order of `triggers.HANDLERS`; none while it is not loaded."""

    @property
    def files(self) -> frozenset[Path]:
        """The files that the code was made of, where those are known; a change of one means to load it again, as does a
        change in the worker's directory."""

    @property
    def takes_websockets(self) -> bool:
        """Whether a request for a WebSocket may be given to `tunnel`. Otherwise it is a request as any other."""

    def tunnel(self, request: IncomingRequest) -> Tunnel | None:
        """Begin a connection that becomes a WebSocket if the worker says so; None where there is none at the moment."""

    async def start(self) -> None:
        """Load the code. Does not raise when that fails: `failure` is set."""

    async def reload(self, config: WorkerConfig) -> None:
        """Load the code again, with `config`. What runs finishes on the old code. `failure` tells how it went."""

    async def try_reload(self, config: WorkerConfig) -> Failure | None:
        """Load the code again, as `reload` does; but when that fails, leave the old code in service and return why.
        The caller tries again, or calls `fail` with what it was given."""

    def fail(self, failure: Failure) -> None:
        """Take the old code out of service, as there is newer code that does not load."""

    async def stop(self, grace_seconds: float) -> None:
        """Let what runs, `waitUntil` work included, finish for at most `grace_seconds`, then cancel it."""

    def invoke(self, entrypoint: str, trigger: Trigger[R]) -> Coroutine[Any, Any, R]:
        """Run the handler for `trigger` and give what it gave. `entrypoint` is the name of a named entrypoint, empty
        for the default export, which is the only one that is served so far.

        Raises HandlerError when worker code raises, HandlerMissing when there is no such entrypoint or handler, and
        NotLoaded while there is no code to run. For a batch, only NotLoaded and a missing entrypoint raise: the rest
        is its result.
        """
