"""The terminal log: subscribes to the bus and writes a line for what happens.

Lines are collected and written together, at most every 50 ms, because a write costs more than the request that it
tells of. What a person waits for (an error, the address) is written at once, and so is everything while no event loop
runs. `text` and `jsonlines` say what the lines look like; this module says which are shown, when and where.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TextIO

from emulator.base.bus import Bus, E, Level, Notice
from emulator.config.model import WorkerConfig
from emulator.hosts.events import HandlerFailed, ScheduledFinished, WorkerOutput
from emulator.log.jsonlines import JsonLines
from emulator.log.style import Style, wants_color
from emulator.log.text import TextLines
from emulator.queues.events import (
    BatchDelivered,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesSent,
)
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import ConfigurationChanged, WorkerReloaded

if TYPE_CHECKING:
    from emulator.hosts.host import Host

FLUSH_SECONDS: Final = 0.05

_RANK: Final[dict[Level, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Terminal:
    """Shows the events of one bus. `close` ends it, once."""

    def __init__(
        self,
        bus: Bus,
        *,
        level: Level = "info",
        log_format: Literal["text", "json"] = "text",
        stream: TextIO | None = None,
    ) -> None:
        """Subscribe to `bus` for what is at least as important as `level`.

        The stream is the process's own standard output, and not `sys.stdout`, which hosts replace to catch what worker
        code prints.
        """
        self._bus = bus
        self._stream = stream or sys.__stdout__  # None where the process was started without a standard output
        self._is_interactive = self._stream is not None and self._stream.isatty()
        self._rank = _RANK[level]
        self._lines: list[str] = []
        self._oldest = 0.0
        self._writing = threading.RLock()
        self._hosts: Sequence[Host] = ()
        self._format: TextLines | JsonLines
        if log_format == "json":
            self._format = JsonLines()
        else:
            style = Style(self._stream is not None and wants_color(self._stream))
            self._format = TextLines(style, Path.cwd(), whole_tracebacks=level == "debug")
        self._subscriptions: list[Callable[[], None]] = []
        self._subscribe()

    def introduce(self, configs: Sequence[WorkerConfig], hosts: Sequence[Host]) -> None:
        """Tell whose events these are, and print what is doubtful in `configs`. `hosts` is read when they are ready."""
        self._hosts = hosts
        self._format.name_workers([config.name for config in configs])
        for config in configs:
            for problem in config.warnings:
                self._on_notice(Notice("warning", str(problem)))

    def print_workers(self) -> None:
        """Write what the workers are, as at the start, for a session that does not serve."""
        self._write_now(self._format.workers(self._hosts))
        self._print_load_failures()

    def _print_load_failures(self) -> None:
        for host in self._hosts:
            if host.failure is not None:
                self._write_now(self._format.reloaded(WorkerReloaded(host.config.name, (), 0.0, host.failure)))

    def flush(self) -> None:
        """Write what waits."""
        with self._writing:
            waiting = len(self._lines)
            if waiting:
                text = "".join(self._lines[:waiting])
                del self._lines[:waiting]
                self._write(text)

    def close(self) -> None:
        """Write what waits, and listen no more."""
        for unsubscribe in self._subscriptions:
            unsubscribe()
        self._subscriptions.clear()
        self.flush()

    def _subscribe(self) -> None:
        """An event that would not be shown is not subscribed to, so that nobody makes it."""
        lines = self._format
        later, now = self._add, self._write_now
        self._on(ServerReady, self._on_ready)
        self._on(Notice, self._on_notice)
        self._on(WorkerOutput, self._on_output)
        self._on(HandlerFailed, lambda event: now(lines.handler_failed(event)))
        self._on(WorkerReloaded, self._on_reloaded)
        if self._rank <= _RANK["warning"]:
            self._on(MessagesDeadLettered, lambda event: now(lines.dead_lettered(event)))
            self._on(MessagesDropped, self._on_dropped)
        if self._rank <= _RANK["info"]:
            self._on(RequestFinished, lambda event: later(lines.request(event)))
            self._on(BatchDelivered, lambda event: later(lines.batch(event)))
            self._on(MessagesForwarded, lambda event: later(lines.forwarded(event)))
            self._on(ScheduledFinished, lambda event: later(lines.scheduled(event)))
            self._on(ConfigurationChanged, lambda event: now(lines.configuration(event)))
        if self._rank <= _RANK["debug"]:
            self._on(MessagesSent, lambda event: later(lines.sent(event)))

    def _on(self, event_type: type[E], callback: Callable[[E], None]) -> None:
        self._subscriptions.append(self._bus.subscribe(event_type, callback))

    def _on_ready(self, event: ServerReady) -> None:
        if self._rank > _RANK["info"] and isinstance(self._format, TextLines):
            self._write_now(self._format.address(event) + "\n")
        else:
            self._write_now(self._format.ready(event, self._hosts))
        self._print_load_failures()

    def _on_notice(self, event: Notice) -> None:
        if _RANK[event.level] >= self._rank:
            self._write_now(self._format.notice(event))

    def _on_reloaded(self, event: WorkerReloaded) -> None:
        if event.failure is not None or self._rank <= _RANK["info"]:
            self._write_now(self._format.reloaded(event))

    def _on_dropped(self, event: MessagesDropped) -> None:
        if event.reason != "purged" or self._rank <= _RANK["info"]:
            self._write_now(self._format.dropped(event))

    def _on_output(self, event: WorkerOutput) -> None:
        """What worker code prints appears even while that code keeps the event loop busy, and no timer runs; before a
        person at once, for the next thing may be a debugger's prompt."""
        if _RANK[event.level] >= self._rank:
            self._add(self._format.output(event))
            if self._is_interactive or time.monotonic() - self._oldest >= FLUSH_SECONDS:
                self.flush()

    def _add(self, line: str) -> None:
        lines = self._lines
        if not lines:
            try:
                asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
            except RuntimeError:  # no loop: start, shutdown, or another thread
                self._write_now(line)
                return
            self._oldest = time.monotonic()
        lines.append(line)

    def _write_now(self, text: str) -> None:
        with self._writing:
            self.flush()
            self._write(text)

    def _write(self, text: str) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            try:
                stream.write(text)
            except UnicodeEncodeError:
                encoding = stream.encoding
                stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except BlockingIOError:  # a full pipe that was set not to block: these lines are lost, later ones need not be
            return
        except OSError:  # whoever read this is gone (`emulator dev | head`), or the disk is full: the workers go on
            self._stream = None
            _silence(stream)


def _silence(stream: TextIO) -> None:
    """Point the file under `stream` at nothing, so that what is still in its buffer makes no noise at exit."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
