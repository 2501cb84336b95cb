"""What worker code prints and logs becomes `WorkerOutput` events, with the worker and the trigger that it belongs to.

`sys.stdout` and `sys.stderr` are replaced by streams that look at the current invocation: a line written within one is
published on the bus of its worker, anything else goes to the real stream, and so does what appears at a debugger's
prompt, where a person waits for it. A line of `stdout` has the level `info`, one of `stderr` the level `warning`, and
one that a `logging` handler wrote that of its record. What is logged while no handler is configured is published from
`warning` upwards, which is what Python shows.

Two things are apart: `attach` says that a bus takes what its workers write, and `redirected` puts the streams in place.
Each may be in effect any number of times at once, and end in any order. `install` is both.
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

from emulator.base.bus import Bus, Level
from emulator.base.failure import plain_name
from emulator.hosts.events import WorkerOutput
from emulator.hosts.python.loader import WorkerScope
from emulator_runtime.hosting import Invocation, current

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
    publisher = _publisher_of(invocation)
    if unfinished and publisher is not None:
        for level, text in unfinished.items():
            publisher.publish(invocation, level, text)


def trigger_text(invocation: Invocation) -> str:
    """How what an invocation is for reads in the log; empty while a module is imported."""
    return "" if invocation.trigger is None else str(invocation.trigger.text)


def install(bus: Bus) -> Callable[[], None]:
    """Publish on `bus` what its workers write, from now until the returned function is called.

    Call it on the event loop's thread: lines of other threads are handed over to it.
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
    """Let `bus` take what its workers write while the streams are in place, until the returned function is called.

    With a `loop`, which runs on the calling thread, lines of other threads are handed over to it; without one they are
    published where they are written. With `echo`, what is published goes to the real stream as well.
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
    """Have the streams in place within. What was there before is there again afterwards."""
    _redirection.begin()
    try:
        yield
    finally:
        _redirection.end()


class _Publisher:
    """Publishes lines on a bus, from whatever thread they come."""

    def __init__(self, bus: Bus, loop: asyncio.AbstractEventLoop | None, *, echo: bool) -> None:
        self.echo = echo
        self._bus = bus
        self._loop = loop
        self._thread = threading.get_ident()
        self._publishing: set[int] = set()

    @property
    def is_publishing(self) -> bool:
        """Whether a subscriber runs on this thread. What it prints is not the worker's."""
        return bool(self._publishing) and threading.get_ident() in self._publishing

    def publish(self, invocation: Invocation, level: Level, text: str, logger: str = "") -> None:
        event = WorkerOutput(
            invocation.scope.name, trigger_text(invocation), level, plain_name(text), plain_name(logger)
        )
        if self._loop is None or threading.get_ident() == self._thread:
            self._publish(event)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish, event)

    def _publish(self, event: WorkerOutput) -> None:
        # A subscriber that prints does so in the context of the invocation: that must not come back here.
        with self.not_the_workers():
            self._bus.publish(event)

    @contextmanager
    def not_the_workers(self) -> Iterator[None]:
        """Within, what this thread writes goes to the real streams."""
        thread = threading.get_ident()
        self._publishing.add(thread)
        try:
            yield
        finally:
            self._publishing.discard(thread)


_publishers: dict[Bus, _Publisher] = {}


def _publisher_of(invocation: Invocation) -> _Publisher | None:
    """Who publishes what an invocation writes: its worker's bus; of a scope that names none, the newest."""
    scope = invocation.scope
    if isinstance(scope, WorkerScope) and scope.bus is not None:
        return _publishers.get(scope.bus)
    return next(reversed(_publishers.values()), None)


class WorkerStream(io.TextIOBase):
    """Stands for `real`, except for what is written while worker code runs."""

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
    """Shows records that no handler was configured for. `original` is what Python has for that."""

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
        # One handler is there as long as there are workers; of more, such as a test runner's, one has shown it.
        if publisher.echo and self.original is not None and len(logging.root.handlers) <= 1:
            with publisher.not_the_workers():
                self.original.handle(record)


class _Redirection:
    """Our streams in the places of Python's, from the first `begin` to the last `end`."""

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
            # A test runner may have put something else there meanwhile.
            if sys.stdout is self._stdout:
                sys.stdout = self._real[0]
            if sys.stderr is self._stderr:
                sys.stderr = self._real[1]
            if logging.lastResort is self._last_resort:
                logging.lastResort = self._last_resort.original
            self._real = self._stdout = self._stderr = self._last_resort.original = None


_redirection = _Redirection()

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
