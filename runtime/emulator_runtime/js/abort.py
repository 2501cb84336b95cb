"""`AbortSignal`, which tells code that its work is not needed any more, and the event for its listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import iscoroutine
from typing import Any, Final

from emulator_runtime.errors import JsException

_listeners_running: Final[set[asyncio.Future[Any]]] = set()


class AbortEvent:
    """The argument of a listener."""

    __slots__ = ("target",)

    type = "abort"

    def __init__(self, target: AbortSignal) -> None:
        self.target = target
        """The signal."""


class AbortSignal:
    """Says whether something was aborted, which happens at most once. `reason` is an exception, or None before that.

    Listeners are called in the order in which they were added, once each. A listener may be a coroutine function. If
    one raises an exception, `on_error` is called with it, and the other listeners are still called.
    """

    __slots__ = ("_listeners", "_on_error", "onabort", "reason")

    def __init__(self, on_error: Callable[[BaseException], None] = lambda _error: None) -> None:
        self.onabort: Callable[[AbortEvent], Any] | None = None
        self.reason: BaseException | None = None
        self._listeners: list[Callable[[AbortEvent], Any]] = []
        self._on_error = on_error

    @property
    def aborted(self) -> bool:
        """Whether this has been aborted."""
        return self.reason is not None

    def throwIfAborted(self) -> None:
        """Raise the reason if this has been aborted."""
        if self.reason is not None:
            raise self.reason

    def addEventListener(self, type: str, listener: Callable[[AbortEvent], Any], _options: Any = None) -> None:
        """Call `listener` when this is aborted. Events of other types than `abort` never happen."""
        if type == "abort" and listener not in self._listeners:
            self._listeners.append(listener)

    def removeEventListener(self, type: str, listener: Callable[[AbortEvent], Any], _options: Any = None) -> None:
        """Stop calling `listener`."""
        if type == "abort" and listener in self._listeners:
            self._listeners.remove(listener)

    def abort(self, reason: BaseException) -> None:
        """Abort; for the runtime. Does nothing if it was aborted before."""
        if self.reason is not None:
            return
        self.reason = reason
        listeners, self._listeners = self._listeners, []
        if self.onabort is not None:
            listeners.append(self.onabort)
        event = AbortEvent(self)
        for listener in listeners:
            try:
                result = listener(event)
            except Exception as error:
                self._on_error(error)
                continue
            if iscoroutine(result):
                running = asyncio.ensure_future(result)
                _listeners_running.add(running)
                running.add_done_callback(self._listened)

    def _listened(self, running: asyncio.Future[Any]) -> None:
        _listeners_running.discard(running)
        error = None if running.cancelled() else running.exception()
        if error is not None:
            self._on_error(error)


def client_gone() -> JsException:
    """The reason in production for a request whose client has gone away."""
    return JsException("The client has disconnected", "AbortError")
