"""What happened during a test, in order and with virtual times, for the report of one that fails.

Events are kept as they are and put into words only when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from emulator import events

if TYPE_CHECKING:
    from emulator.testing.chaos import Chaos

KEPT: Final = (
    events.RequestFinished,
    events.HandlerFailed,
    events.MessagesSent,
    events.BatchDelivered,
    events.MessagesDeadLettered,
    events.MessagesDropped,
    events.ScheduledFinished,
    events.WorkerReloaded,
    events.WorkerOutput,
    events.Notice,
)

MOST: Final = 200
"""How many entries a report shows, the newest ones."""


class Timeline:
    """Collects the events of `bus`. `now` tells the time in seconds since the epoch."""

    def __init__(self, bus: events.Bus, now: Callable[[], float]) -> None:
        self.chaos: Chaos | None = None
        self._entries: list[tuple[float, Any]] = []
        self._now = now
        self._start = now()
        for event_type in KEPT:
            bus.subscribe(event_type, self._add)

    def _add(self, event: Any) -> None:
        self._entries.append((self._now(), event))

    def render(self) -> str:
        """The timeline as text, a line or more an event, each with the seconds since the start."""
        from pathlib import Path

        from emulator.cli.style import Style
        from emulator.cli.text import TextLines

        lines = TextLines(Style(enabled=False), Path.cwd(), whole_tracebacks=False)
        words: dict[type[Any], Callable[[Any], str]] = {
            events.RequestFinished: lines.request,
            events.HandlerFailed: lines.handler_failed,
            events.MessagesSent: lines.sent,
            events.BatchDelivered: lines.batch,
            events.MessagesDeadLettered: lines.dead_lettered,
            events.MessagesDropped: lines.dropped,
            events.ScheduledFinished: lines.scheduled,
            events.WorkerReloaded: lines.reloaded,
            events.WorkerOutput: lines.output,
            events.Notice: lines.notice,
        }
        shown = []
        if self.chaos is not None:
            shown.append(f"chaos: run again with seed={self.chaos.seed} to see the same: {self.chaos}")
        hidden = len(self._entries) - MOST
        if hidden > 0:
            shown.append(f"({hidden} earlier events are left out)")
        for at, event in self._entries[-MOST:]:
            first, *rest = words[type(event)](event).rstrip("\n").split("\n")
            shown.append(f"{at - self._start:+10.3f} s  {first}")
            shown += [" " * 14 + line for line in rest]
        return "\n".join(shown)
