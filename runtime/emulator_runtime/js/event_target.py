"""`EventTarget`, the base of objects that tell listeners about events, and the events of WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import iscoroutine
from typing import Any, Final

from emulator_runtime.pyodide.ffi import JsException

_running: Final[set[asyncio.Future[Any]]] = set()


class Event:
    """What a listener is called with. `target` is the object that it happened to."""

    target: Any = None

    def __init__(self, type: str) -> None:
        self.type = type

    @property
    def currentTarget(self) -> Any:
        return self.target

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.type}>"


class MessageEvent(Event):
    """A message. `data` is a str, or an `ArrayBuffer` or `Blob` as the `binaryType` of the WebSocket says."""

    def __init__(self, data: Any) -> None:
        super().__init__("message")
        self.data = data


class CloseEvent(Event):
    """The other side sends nothing more. `wasClean` is false if the connection was lost."""

    def __init__(self, code: int, reason: str, wasClean: bool) -> None:
        super().__init__("close")
        self.code = code
        self.reason = reason
        self.wasClean = wasClean


class ErrorEvent(Event):
    """Something failed; `error` is what production throws for it."""

    def __init__(self, error: JsException) -> None:
        super().__init__("error")
        self.error = error
        self.message = f"Uncaught {error.name}: {error.message}"


class EventTarget:
    """An object with listeners, which are called in the order in which they were added, after the handler in the
    attribute `on` + type. A listener may be a coroutine function, or an object with a method `handleEvent`.

    If one raises an exception, `_report` is called with it, and the other listeners are still called.
    """

    def __init__(self) -> None:
        self._listeners: dict[str, list[tuple[Any, bool]]] = {}

    def addEventListener(self, type: str, listener: Any, options: Any = None, **keywords: Any) -> None:
        """Call `listener` with each event of this type; with the option `once`, only with the next one."""
        if listener is None:
            return
        if not callable(listener) and not hasattr(listener, "handleEvent"):
            raise JsException(
                "Failed to execute 'addEventListener' on 'EventTarget': parameter 2 is not of type "
                "'function or HandlerObject'.",
                "TypeError",
            )
        given = {**(options if isinstance(options, dict) else {}), **keywords}
        listeners = self._listeners.setdefault(type, [])
        if all(other != listener for other, _ in listeners):
            listeners.append((listener, bool(given.get("once"))))

    def removeEventListener(self, type: str, listener: Any, _options: Any = None, **_keywords: Any) -> None:
        """Stop calling `listener`."""
        self._listeners[type] = [entry for entry in self._listeners.get(type, ()) if entry[0] != listener]

    def dispatchEvent(self, event: Event) -> bool:
        """Call the listeners of the event's type with it."""
        event.target = self
        handler = getattr(self, f"on{event.type}", None)
        if callable(handler):
            self._call(handler, event)
        for listener, once in tuple(self._listeners.get(event.type, ())):
            if once:
                self.removeEventListener(event.type, listener)
            self._call(listener if callable(listener) else listener.handleEvent, event)
        return True

    def _call(self, listener: Callable[[Event], Any], event: Event) -> None:
        try:
            result = listener(event)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            self._report(error)
            return
        if iscoroutine(result):
            running = asyncio.ensure_future(self._finish(result))
            _running.add(running)
            running.add_done_callback(_running.discard)

    async def _finish(self, listening: Any) -> None:
        try:
            await listening
        except (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError):
            raise
        except BaseException as error:
            self._report(error)

    def _report(self, error: BaseException) -> None:
        """A listener has raised `error`."""
        raise NotImplementedError
