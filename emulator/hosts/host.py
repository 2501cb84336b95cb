"""The interface between the emulator and the hosts that run workers' code. Code outside `hosts` does not depend on the
language."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from emulator.base.failure import Failure
from emulator.config.model import WorkerConfig

if TYPE_CHECKING:
    from emulator.hosts.triggers import Trigger
    from emulator_runtime.hosting import IncomingRequest

R = TypeVar("R")


class HandlerError(Exception):
    """Worker code raised an exception while it was invoked; `__cause__` is the original."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary)
        self.failure = failure


class JavaScriptError(Exception):
    """An error that JavaScript code threw, as the cause of a HandlerError. The text is its stack as JavaScript shows
    it."""


class HandlerMissing(Exception):  # noqa: N818 - it states a fact about the worker
    """The worker does not have that entrypoint or handler. The text says what it has instead."""


class NotLoaded(Exception):  # noqa: N818 - it states the host's condition
    """The worker's code is not loaded; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary)
        self.failure = failure


class CpuLimitExceeded(BaseException):
    """Raised inside a handler that has used more CPU time without a pause than its worker may. It is not an
    `Exception`, so that a handler's `except Exception` does not catch it."""

    def __init__(self, text: str = "the handler used more CPU time without a pause than limits.cpu_ms allows") -> None:
        super().__init__(text)


class Tunnel(msgspec.Struct, frozen=True):
    """The way for a connection that becomes a WebSocket: the server connects it to the Unix socket `path`, and sends
    `head` as the request. A reload ends it, as a new version does in production."""

    path: Path
    head: bytes


class WorkerHost(Protocol):
    """Runs one worker's code. A host is started once, reloaded any number of times, and stopped once."""

    config: WorkerConfig
    failure: Failure | None
    """Why the newest code failed to load, or None. While it is set, deliveries are held."""

    @property
    def handlers(self) -> Sequence[str]:
        """The handlers that the worker has, in the order of `triggers.HANDLERS`; none while it is not loaded."""

    @property
    def files(self) -> frozenset[Path]:
        """The files of the code, if they are known. The code is loaded again if one of them changes, or a file in the
        worker's directory."""

    def uploaded(self) -> Iterable[bytes]:
        """The content of each module that a deployment would send, of a worker that is loaded."""

    @property
    def tunnels_websockets(self) -> bool:
        """Whether a request for a WebSocket is passed to `tunnel`. Otherwise it is handled like any other request, and
        may be answered with an `Upgrade`."""

    def tunnel(self, request: IncomingRequest) -> Tunnel | None:
        """Begin a connection that becomes a WebSocket if the worker accepts it. None if that is not possible at the
        moment."""

    async def start(self) -> None:
        """Load the code. If that fails, sets `failure` and does not raise."""

    async def reload(self, config: WorkerConfig) -> None:
        """Load the code again, with `config`. Running invocations finish on the old code. Sets `failure` if the code
        fails to load."""

    async def try_reload(self, config: WorkerConfig) -> Failure | None:
        """Load the code again, as `reload` does; but when that fails, leave the old code in service and return why.
        The caller tries again, or calls `fail` with what it was given."""

    def fail(self, failure: Failure) -> None:
        """Take the old code out of service, as there is newer code that does not load."""

    async def stop(self, grace_seconds: float) -> None:
        """Let running invocations and `waitUntil` work finish for at most `grace_seconds`, then cancel them."""

    def invoke(self, entrypoint: str, trigger: Trigger[R]) -> Coroutine[Any, Any, R]:
        """Run the handler for `trigger` and return its result. `entrypoint` is the name of a named entrypoint; empty
        means the default export, the only one that handles events so far.

        Raises HandlerError if worker code raises an exception, HandlerMissing if the worker does not have the
        entrypoint or handler, and NotLoaded while no code is loaded. For a batch, only NotLoaded and a missing
        entrypoint raise; everything else is part of the result.
        """
