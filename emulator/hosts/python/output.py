"""Turns what worker code prints and logs into `WorkerOutput` events, with its worker and trigger.

`sys.stdout` and `sys.stderr` are replaced with streams that look at the current invocation. A line written within an
invocation is published on the bus of its worker. Everything else goes to the real stream, and so does what appears at a
debugger's prompt, where a person waits for it. A line on `stdout` has the level `info`, one on `stderr` the level
`warning`, one of `console.error` the level `error`, and one from a `logging` handler the level of its record. Records
that no handler is configured for are published from `warning` upwards, as Python does.

There are two steps: `attach` lets a bus get what its workers write, and `redirected` replaces the streams. Each may be
active any number of times at once, and end in any order. `install` does both.
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TextIO

from emulator.base.acts import acting
from emulator.base.bus import Bus, Level
from emulator.base.failure import plain_name
from emulator.hosts.events import WorkerOutput
from emulator.hosts.python.loader import WorkerScope
from emulator_runtime.hosting import Invocation, current

MAX_LINE: Final = 64 * 1024
"""The number of characters after which a line without an end is published anyway."""

_DEBUGGERS: Final = frozenset({"pdb", "cmd", "ipdb", "pudb", "IPython", "_pydevd_bundle", "pydevd", "debugpy"})
_PROMPTS: Final = frozenset({"cmdloop", "interaction", "do_wait_suspend", "_do_wait_suspend"})
"""The functions in which debuggers wait for a person. Code that only runs under a debugger is not in one of them."""

partial_lines: dict[Invocation, dict[Level, str]] = {}
"""Text without the end of a line, by invocation and level. Nearly always empty."""


def flush_partial_lines(invocation: Invocation) -> None:
    """Publish the unfinished lines of an invocation that has ended."""
    unfinished = partial_lines.pop(invocation, None)
    publisher = _publisher_of(invocation)
    if unfinished and publisher is not None:
        for level, text in unfinished.items():
            publisher.publish(invocation, level, text)


def trigger_text(invocation: Invocation) -> str:
    """The trigger of an invocation as the log shows it; empty while a module is imported."""
    return "" if invocation.trigger is None else str(invocation.trigger.text)


def install(bus: Bus) -> Callable[[], None]:
    """Publish on `bus` what its workers write, until the returned function is called.

    Call it on the event loop's thread: lines from other threads are passed to that thread.
    """
    try:
        loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    detach = attach(bus, loop)
    _redirection.begin()

    def restore() -> None:
        detach()
        _redirection.end()

    return restore


def attach(bus: Bus, loop: asyncio.AbstractEventLoop | None = None, *, echo: bool = False) -> Callable[[], None]:
    """Let `bus` get what its workers write while the streams are replaced, until the returned function is called.

    With a `loop`, which runs on the calling thread, lines from other threads are passed to it; without one they are
    published on their own thread. With `echo`, what is published is also written to the real stream.
    """
    _publishers[bus] = _Publisher(bus, loop, echo=echo)

    def detach() -> None:
        for invocation in list(partial_lines):
            if _publisher_of(invocation) is _publishers.get(bus):
                flush_partial_lines(invocation)
        _publishers.pop(bus, None)

    return detach


@contextmanager
def redirected() -> Iterator[None]:
    """Replace the streams in this context, and restore them afterwards."""
    _redirection.begin()
    try:
        yield
    finally:
        _redirection.end()


class _Publisher:
    """Publishes lines from any thread on a bus."""

    def __init__(self, bus: Bus, loop: asyncio.AbstractEventLoop | None, *, echo: bool) -> None:
        self.echo = echo
        self._bus = bus
        self._loop = loop
        self._thread = threading.get_ident()
        self._publishing: set[int] = set()

    @property
    def is_publishing(self) -> bool:
        """Whether a subscriber is running on this thread. What it prints does not belong to the worker."""
        return bool(self._publishing) and threading.get_ident() in self._publishing

    def publish(self, invocation: Invocation, level: Level, text: str, logger: str = "") -> None:
        event = WorkerOutput(
            invocation.scope.name,
            trigger_text(invocation),
            level,
            plain_name(text),
            plain_name(logger),
            act=acting.get(),
        )
        if self._loop is None or threading.get_ident() == self._thread:
            self._publish(event)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish, event)

    def _publish(self, event: WorkerOutput) -> None:
        # A subscriber that prints does so in the context of the invocation, which must not call this again.
        with self.not_the_workers():
            self._bus.publish(event)

    @contextmanager
    def not_the_workers(self) -> Iterator[None]:
        """In this context, what this thread writes goes to the real streams."""
        thread = threading.get_ident()
        self._publishing.add(thread)
        try:
            yield
        finally:
            self._publishing.discard(thread)


_publishers: dict[Bus, _Publisher] = {}


def _publisher_of(invocation: Invocation) -> _Publisher | None:
    """The publisher of what an invocation writes: that of its worker's bus, or the newest if its scope does not name a
    bus."""
    scope = invocation.scope
    if isinstance(scope, WorkerScope) and scope.bus is not None:
        return _publishers.get(scope.bus)
    return next(reversed(_publishers.values()), None)


class WorkerStream(io.TextIOBase):
    """Passes everything to `real`, except what is written while worker code runs."""

    def __init__(self, real: TextIO, level: Level) -> None:
        self._real = real
        self._level = level

    def write(self, text: str) -> int:
        invocation = current.get(None)
        publisher = None if invocation is None else _publisher_of(invocation)
        if invocation is None or publisher is None or publisher.is_publishing:
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
            publisher.publish(invocation, level, line)
        if rest or unfinished:
            partial_lines[invocation] = {**(unfinished or {}), **({level: rest} if rest else {})}
        if publisher.echo:
            self._real.write(text)
        return len(text)

    def _level_of(self, caller: FrameType) -> Level:
        """The level of the record that a `logging` handler is writing, or of `console.error`, else that of the
        stream."""
        if caller.f_code is _EMIT:
            record = caller.f_locals.get("record")
            if isinstance(record, logging.LogRecord):
                return _level(record)
        elif caller.f_code.co_qualname == "console.error" and caller.f_globals.get("__name__") == _CONSOLE:
            return "error"
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
            publisher = _publisher_of(invocation)
            if publisher is not None:
                publisher.publish(invocation, self._level, text)
        self._real.flush()

    def fileno(self) -> int:
        return self._real.fileno()

    def isatty(self) -> bool:
        return self._real.isatty()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Does nothing: worker code cannot close the terminal."""

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
        """The underlying binary stream. What is written to it is not attributed to a worker."""
        return self._real.buffer


class _LastResort(logging.Handler):
    """Shows records that no handler was configured for. `original` is Python's handler for them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.original: logging.Handler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        invocation = current.get(None)
        publisher = None if invocation is None else _publisher_of(invocation)
        if invocation is None or publisher is None or publisher.is_publishing:
            if self.original is not None:
                self.original.handle(record)
            return
        name = "" if record.name == "root" else record.name
        publisher.publish(invocation, _level(record), self.format(record), name)
        # One handler always exists while there are workers; another, such as a test runner's, has already shown it.
        if publisher.echo and self.original is not None and len(logging.root.handlers) <= 1:
            with publisher.not_the_workers():
                self.original.handle(record)


class _Redirection:
    """Replaces Python's streams, from the first `begin` to the last `end`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._last_resort = _LastResort()
        self._stdout: WorkerStream | None = None
        self._stderr: WorkerStream | None = None
        self._real: tuple[TextIO, TextIO] | None = None

    def begin(self) -> None:
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self._real = sys.stdout, sys.stderr
            self._stdout = WorkerStream(sys.stdout, "info")
            self._stderr = WorkerStream(sys.stderr, "warning")
            sys.stdout, sys.stderr = self._stdout, self._stderr
            self._last_resort.original = logging.lastResort
            logging.lastResort = self._last_resort

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users or self._real is None:
                return
            # A test runner may have replaced the stream meanwhile.
            if sys.stdout is self._stdout:
                sys.stdout = self._real[0]
            if sys.stderr is self._stderr:
                sys.stderr = self._real[1]
            if logging.lastResort is self._last_resort:
                logging.lastResort = self._last_resort.original
            self._real = self._stdout = self._stderr = self._last_resort.original = None


_redirection = _Redirection()

_EMIT: Final = logging.StreamHandler.emit.__code__
_CONSOLE: Final = "emulator_runtime.js.objects"


def _level(record: logging.LogRecord) -> Level:
    if record.levelno >= logging.ERROR:
        return "error"
    if record.levelno >= logging.WARNING:
        return "warning"
    return "info" if record.levelno >= logging.INFO else "debug"


def _is_debugging(caller: FrameType) -> bool:
    """Whether a debugger is writing, or code that a person runs at its prompt."""
    if caller.f_globals.get("__name__") in _DEBUGGERS:
        return True
    return sys.gettrace() is not None and at_prompt(caller)


def at_prompt(frame: FrameType | None) -> bool:
    """Whether `frame` or one of its callers is a debugger's prompt."""
    while frame is not None:
        if frame.f_code.co_name in _PROMPTS:
            name = frame.f_globals.get("__name__")
            if isinstance(name, str) and name.partition(".")[0] in _DEBUGGERS:
                return True
        frame = frame.f_back
    return False
