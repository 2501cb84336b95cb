"""What worker code prints and logs becomes `WorkerOutput` events, with the worker and the trigger that it belongs to.

`sys.stdout` and `sys.stderr` are replaced by streams that look at the current invocation: a line written within one is
published, anything else goes to the real stream, and so does what appears at a debugger's prompt, where a person waits
for it. A line of `stdout` has the level `info`, one of `stderr` the level `warning`, and one that a `logging` handler
wrote that of its record. What is logged while no handler is configured is published from `warning` upwards, which is
what Python shows.
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Final, TextIO

from emulator.events import Bus, Level, WorkerOutput
from emulator.failure import plain_name
from emulator.runtime.invocation import Invocation, current

MAX_LINE: Final = 64 * 1024
"""Characters after which a line without an end is published all the same."""

_DEBUGGERS: Final = frozenset({"pdb", "cmd", "ipdb", "pudb", "IPython", "_pydevd_bundle", "pydevd", "debugpy"})
_PROMPTS: Final = frozenset({"cmdloop", "interaction", "do_wait_suspend", "_do_wait_suspend"})
"""The functions of debuggers in which they wait for a person. Being run under a debugger is something else."""

partial_lines: dict[Invocation, dict[Level, str]] = {}
"""What has been written without the end of a line, by invocation and level. Empty nearly always."""


def flush_partial_lines(invocation: Invocation) -> None:
    """Publish the unfinished lines of an invocation that has ended."""
    unfinished = partial_lines.pop(invocation, None)
    if unfinished and _publisher is not None:
        for level, text in unfinished.items():
            _publisher.publish(invocation, level, text)


def trigger_text(trigger: Any) -> str:
    """What an invocation was called with, in words: `GET /signup`, `QUEUE my-app-events`, `SCHEDULED * * * * *`; empty
    while a module is imported."""
    if trigger is None:
        return ""
    if (queue := getattr(trigger, "queue", None)) is not None:
        return f"QUEUE {queue}"
    if (cron := getattr(trigger, "cron", None)) is not None:
        return f"SCHEDULED {cron}"
    scheme, _, rest = trigger.url.partition("://")
    return f"{trigger.method} /{rest.partition('/')[2]}" if rest else f"{trigger.method} {scheme}"


def install(bus: Bus) -> Callable[[], None]:
    """Publish on `bus` what worker code writes, from now until the returned function is called.

    Call it on the event loop's thread: lines of other threads are handed over to it.
    """
    global _publisher  # noqa: PLW0603 - it goes with `sys.stdout`, which is as global
    before = (_publisher, sys.stdout, sys.stderr, logging.lastResort)
    _publisher = _Publisher(bus)
    stdout = WorkerStream(sys.stdout, "info", _publisher)
    stderr = WorkerStream(sys.stderr, "warning", _publisher)
    sys.stdout, sys.stderr = stdout, stderr
    logging.lastResort = _LastResort(logging.lastResort, _publisher)

    def restore() -> None:
        global _publisher
        for invocation in list(partial_lines):
            flush_partial_lines(invocation)
        _publisher, real_stdout, real_stderr, logging.lastResort = before
        # A test runner may have put something else there meanwhile.
        if sys.stdout is stdout:
            sys.stdout = real_stdout
        if sys.stderr is stderr:
            sys.stderr = real_stderr

    return restore


class _Publisher:
    """Publishes lines on the bus, from whatever thread they come."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._thread = threading.get_ident()
        self.is_publishing = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def publish(self, invocation: Invocation, level: Level, text: str, logger: str = "") -> None:
        event = WorkerOutput(
            invocation.scope.name, trigger_text(invocation.trigger), level, plain_name(text), plain_name(logger)
        )
        if self._loop is None or threading.get_ident() == self._thread:
            self._publish(event)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish, event)

    def _publish(self, event: WorkerOutput) -> None:
        # A subscriber that prints does so in the context of the invocation: that must not come back here.
        self.is_publishing = True
        try:
            self._bus.publish(event)
        finally:
            self.is_publishing = False


_publisher: _Publisher | None = None


class WorkerStream(io.TextIOBase):
    """Stands for `real`, except for what is written while worker code runs."""

    def __init__(self, real: TextIO, level: Level, publisher: _Publisher) -> None:
        self._real = real
        self._level = level
        self._publisher = publisher

    def write(self, text: str) -> int:
        invocation = current.get(None)
        if invocation is None or self._publisher.is_publishing:
            return self._real.write(text)
        caller = sys._getframe(1)  # noqa: SLF001 - who writes decides where it goes
        if _is_debugging(caller):
            return self._real.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        level = self._level_of(caller)
        unfinished = partial_lines.pop(invocation, None) if partial_lines else None
        whole = unfinished.pop(level, "") + text if unfinished else text
        *lines, rest = whole.split("\n")
        if len(rest) > MAX_LINE:
            lines.append(rest)
            rest = ""
        for line in lines:
            self._publisher.publish(invocation, level, line)
        if rest or unfinished:
            partial_lines[invocation] = {**(unfinished or {}), **({level: rest} if rest else {})}
        return len(text)

    def _level_of(self, caller: FrameType) -> Level:
        """The level of a record that a `logging` handler is writing, else that of the stream."""
        if caller.f_code is _EMIT:
            record = caller.f_locals.get("record")
            if isinstance(record, logging.LogRecord):
                return _level(record)
        return self._level

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        invocation = current.get(None)
        unfinished = partial_lines.get(invocation) if invocation is not None and partial_lines else None
        if invocation is not None and unfinished and self._level in unfinished:
            text = unfinished.pop(self._level)
            if not unfinished:
                del partial_lines[invocation]
            self._publisher.publish(invocation, self._level, text)
        self._real.flush()

    def fileno(self) -> int:
        return self._real.fileno()

    def isatty(self) -> bool:
        return self._real.isatty()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Worker code cannot close the terminal."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._real.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._real.errors

    @property
    def buffer(self) -> Any:
        """The bytes underneath; what is written there is not attributed."""
        return self._real.buffer


class _LastResort(logging.Handler):
    """Shows records that no handler was configured for."""

    def __init__(self, original: logging.Handler | None, publisher: _Publisher) -> None:
        super().__init__(logging.WARNING)
        self._original = original
        self._publisher = publisher

    def emit(self, record: logging.LogRecord) -> None:
        invocation = current.get(None)
        if invocation is None or self._publisher.is_publishing:
            if self._original is not None:
                self._original.handle(record)
            return
        name = "" if record.name == "root" else record.name
        self._publisher.publish(invocation, _level(record), self.format(record), name)


_EMIT: Final = logging.StreamHandler.emit.__code__


def _level(record: logging.LogRecord) -> Level:
    if record.levelno >= logging.ERROR:
        return "error"
    if record.levelno >= logging.WARNING:
        return "warning"
    return "info" if record.levelno >= logging.INFO else "debug"


def _is_debugging(caller: FrameType) -> bool:
    """Whether a debugger writes, or code that a person runs at its prompt."""
    if caller.f_globals.get("__name__") in _DEBUGGERS:
        return True
    return sys.gettrace() is not None and at_prompt(caller)


def at_prompt(frame: FrameType | None) -> bool:
    """Whether a debugger's prompt is among the callers of `frame`, itself included."""
    while frame is not None:
        if frame.f_code.co_name in _PROMPTS:
            name = frame.f_globals.get("__name__")
            if isinstance(name, str) and name.partition(".")[0] in _DEBUGGERS:
                return True
        frame = frame.f_back
    return False
