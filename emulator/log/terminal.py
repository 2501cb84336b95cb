"""The terminal log: subscribes to the bus and writes lines for what happens.

Lines are collected and written together, at most every 50 ms, because one write costs more than the request that it
reports. Lines that a person waits for (an error, the address) are written at once, and so is everything while no event
loop is running. `table` says which events there are, `text` and `jsonlines` how they look, and `writer` writes without
keeping anybody waiting; this module decides which events are shown, when and where.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from emulator.base.bus import Bus, Level, Notice
from emulator.base.errors import Problem
from emulator.base.words import count
from emulator.config.model import WorkerConfig
from emulator.hosts.events import WorkerOutput
from emulator.log import record as records
from emulator.log.jsonlines import json_line
from emulator.log.record import Record
from emulator.log.style import Style, wants_color
from emulator.log.table import RANK, SILENT, TABLE, Row
from emulator.log.text import TextLines
from emulator.log.writer import Writer
from emulator.server.events import ServerReady
from emulator.session.events import WorkerReloaded

if TYPE_CHECKING:
    from emulator.hosts.host import WorkerHost

FLUSH_SECONDS: Final = 0.05

_CLOCK: Final = "%H:%M:%S"
_CLOCK_WIDTH: Final = 9

PROMPT_SECONDS: Final = 0.2
"""How long the code of a worker waits for what it prints to appear on a terminal."""


_Text = Callable[[TextLines, Any], str]
"""Makes the line of an event."""

_Collected = str | tuple[_Text, object, float]
"""A line, or an event whose line is made when it is written, and when it came."""


class Terminal:
    """Shows the events of one bus, until it is closed."""

    def __init__(
        self,
        bus: Bus,
        *,
        level: Level | Literal["none"] = "info",
        log_format: Literal["text", "json"] = "text",
        log_time: bool | None = False,
        keys: str = "",
        stream: TextIO | None = None,
    ) -> None:
        """Subscribe to the events of `bus` that are at least as important as `level`; `none` is for no event at all.

        With `log_time` each entry of the text begins with the time; None means on a terminal only. `keys` is the line
        below the address that lists the keys to press.

        The stream is the process's own standard output, not `sys.stdout`, which hosts replace to capture the output of
        worker code.
        """
        self._bus = bus
        self._stream = stream or sys.__stdout__  # None where the process was started without a standard output
        self._is_interactive = self._stream is not None and self._stream.isatty()
        self._rank = SILENT if level == "none" else RANK[level]
        self._lines: list[_Collected] = []
        self._oldest = 0.0
        self._writing = threading.RLock()
        self._hosts: Sequence[WorkerHost] = ()
        self.style = Style(self._stream is not None and wants_color(self._stream))
        self._text = TextLines(self.style, Path.cwd(), whole_tracebacks=level == "debug", keys=keys)
        self._is_json = log_format == "json"
        self._has_clock = (self._is_interactive if log_time is None else log_time) and not self._is_json
        self._second = 0
        self._clock = ""
        self._writer = self._make_writer()
        self._subscriptions: list[Callable[[], None]] = []
        self._subscribe()

    def introduce(self, configs: Sequence[WorkerConfig], hosts: Sequence[WorkerHost]) -> None:
        """Name the workers, and print the warnings of `configs`. `hosts` is read when the session is ready."""
        self._hosts = hosts
        self._text.name_workers([config.name for config in configs])
        for config in configs:
            for problem in config.warnings:
                self.warn(problem)

    def warn(self, problem: Problem) -> None:
        """Print a warning about a worker."""
        self._show(Notice("warning", str(problem)))

    def write(self, text: str) -> None:
        """Write `text`, which ends with a line break, after the lines that were collected."""
        self._write_now(text)

    def print_workers(self) -> None:
        """Write what the workers are, as at the start, for a session that serves nothing."""
        self._write_now(self._render(TextLines.workers, records.workers(self._hosts)))
        self._print_load_failures()

    def _print_load_failures(self) -> None:
        for host in self._hosts:
            if host.failure is not None:
                self._show(WorkerReloaded(host.config.name, (), 0.0, host.failure))

    def flush(self, patience_seconds: float = 0.0) -> None:
        """Write the lines that were collected. Waits at most `patience_seconds` until they are on the terminal."""
        with self._writing:
            waiting = len(self._lines)
            if waiting:
                self._measure()
                lines = self._lines[:waiting]
                del self._lines[:waiting]  # before lines are made: the report of blocked code may flush meanwhile
                self._write("".join(map(self._line, lines)), patience_seconds)

    def close(self) -> None:
        """Write the lines that were collected, and end the subscriptions. Returns when everything is written, or the
        reader has stopped reading."""
        for unsubscribe in self._subscriptions:
            unsubscribe()
        self._subscriptions.clear()
        self.flush()
        if self._writer is not None:
            self._writer.close()

    def _subscribe(self) -> None:
        """Subscribe to no event that would not be shown, so that nobody creates it."""
        own_ways: dict[type[Any], Callable[[Any], None]] = {ServerReady: self._on_ready, WorkerOutput: self._on_output}
        for event_type, row in TABLE.items():
            usual = self._later(row) if row.frequent and not self._is_json else self._show
            show = own_ways.get(event_type, usual)
            if RANK[row.level] >= self._rank or (event_type is ServerReady and self._rank < SILENT):
                self._subscriptions.append(self._bus.subscribe(event_type, show))

    def _show(self, event: object) -> None:
        row = TABLE[type(event)]
        record = row.record(event)
        if RANK[record.level] >= self._rank:
            write = self._add if row.frequent else self._write_now
            write(self._stamped(self._render(row.text, record), time.time()))

    def _later(self, row: Row) -> Callable[[Any], None]:
        """A function that keeps an event, whose line is made when lines are written: not before an answer that waits
        for whoever publishes it."""
        text: _Text = row.text if row.hot else lambda lines, event: row.text(lines, row.record(event))
        add = self._add
        if self._has_clock:
            return lambda event: add((text, event, time.time()))
        return lambda event: add((text, event, 0.0))

    def _line(self, collected: _Collected) -> str:
        if isinstance(collected, str):
            return collected
        text, event, at = collected
        return self._stamped(text(self._text, event), at)

    def _render(self, text: Callable[[TextLines, Record], str], record: Record) -> str:
        if self._is_json:
            return json_line(record)
        self._measure()
        return text(self._text, record)

    def _stamped(self, text: str, at: float) -> str:
        """`text` with the clock at `at`, in seconds since the epoch, before each line that is not indented."""
        if not self._has_clock:
            return text
        if int(at) != self._second:
            self._second = int(at)
            self._clock = self.style.dim(time.strftime(_CLOCK, time.localtime(at))) + " "
        lines = text.split("\n")
        return "\n".join([f"{self._clock}{line}" if line and line[0] != " " else line for line in lines])

    def _measure(self) -> None:
        """Let lines be as wide as the terminal is now."""
        if self._is_interactive and self._stream is not None:
            try:
                width = os.get_terminal_size(self._stream.fileno()).columns
            except (OSError, ValueError):
                return
            if width and self._has_clock:
                width = max(1, width - _CLOCK_WIDTH)
            if width != self._text.width:
                self._text.width = width

    def _on_ready(self, event: ServerReady) -> None:
        """Show this at every level; to people who want only warnings, the address alone."""
        row = TABLE[ServerReady]
        record = row.record(event)
        if self._is_json or self._rank <= RANK["info"]:
            record = records.with_workers(record, self._hosts)
        self._write_now(self._render(row.text, record))
        self._print_load_failures()

    def _on_output(self, event: WorkerOutput) -> None:
        """Show what worker code prints even while that code blocks the event loop, so that no timer runs. On a terminal
        it is shown at once, because the next thing may be a debugger's prompt."""
        self._show(event)
        if self._is_interactive or time.monotonic() - self._oldest >= FLUSH_SECONDS:
            self.flush(PROMPT_SECONDS if self._is_interactive else 0.0)

    def _add(self, collected: _Collected) -> None:
        lines = self._lines
        if not lines:
            try:
                asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
            except RuntimeError:  # no loop: start, shutdown, or another thread
                self._measure()
                self._write_now(self._line(collected))
                return
            self._oldest = time.monotonic()
        lines.append(collected)

    def _write_now(self, text: str) -> None:
        with self._writing:
            self.flush()
            self._write(text)

    def _write(self, text: str, patience_seconds: float = 0.0) -> None:
        if self._writer is not None:
            self._writer.write(text, patience_seconds=patience_seconds)
            return
        stream = self._stream
        if stream is None:
            return
        try:
            try:
                stream.write(text)
            except UnicodeEncodeError:
                stream.write(_encoded(text, stream.encoding, "strict").decode(stream.encoding))
            stream.flush()
        except OSError:
            self._stream = None

    def _make_writer(self) -> Writer | None:
        """A writer for the file of the stream; None if the stream has no file, as in tests."""
        stream = self._stream
        if not isinstance(stream, TextIOWrapper):
            return None
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):
            return None
        stream.reconfigure(line_buffering=True)  # what others print is not held back while this goes past its buffer
        encode = partial(_encoded, encoding=stream.encoding, errors=stream.errors or "strict")
        return Writer(descriptor, encode, self._tell_lost, partial(_silence, stream))

    def _tell_lost(self, lines: int) -> str:
        """The line that replaces lines that were dropped."""
        was_not = "was not printed, because nobody read it"
        were_not = "were not printed, because nobody read them"
        what = count(lines, f"line {was_not}", f"lines {were_not}")
        row = TABLE[Notice]
        return self._render(row.text, row.record(Notice("warning", what)))


def _encoded(text: str, encoding: str, errors: str) -> bytes:
    """`text` in an encoding, with escapes for characters that it does not have."""
    try:
        return text.encode(encoding, errors)
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace")


def _silence(stream: TextIO) -> None:
    """Point the file under `stream` at nothing, so that the rest of its buffer causes no error at exit."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
