"""What happened during a test, in order and with virtual times, for the report of a test that fails.

Records are kept, and put into words by `story` only when a report is needed. Each line is about one thing:

     +0.000 s  sent     3f2a91c0 to my-app-events by shop: {'type': 'welcome-email', 'email': 'ada@example.com'}
               request  POST /signup 200 OK
     +5.000 s  print    Welcome e-mail to ada@example.com
               batch    my-app-events: acked 3f2a91c0
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from emulator.base.bus import Bus
from emulator.base.words import count, cut
from emulator.log.style import Style
from emulator.log.table import TABLE
from emulator.log.text import TextLines
from emulator.queues.events import MessagesDeadLettered
from emulator.testing.story import Happened, Noted, Story

if TYPE_CHECKING:
    from emulator.base.failure import Failure
    from emulator.testing.chaos import Chaos

MOST_ENTRIES: Final = 100
"""How many entries a timeline keeps: the newest ones."""

MOST_LINES: Final = 24
"""How many lines of one entry are shown."""

WIDTH: Final = 240
"""Characters after which a line is cut."""

MOST_TIMELINES: Final = 3
"""How many emulators of one test a report shows."""

_LEFT_OUT: Final = (MessagesDeadLettered,)
"""Events that say nothing new: the batch before them has said it."""

recent: deque[Timeline] = deque(maxlen=16)
"""The newest timelines, for the pytest plugin, which removes those of earlier tests."""


class TimelineRow(NamedTuple):
    """What happened at a time, in seconds since the start: what kind of thing it was, and what there is to say. Of
    worker code that failed it has the failure."""

    at: float
    kind: str
    text: str
    failure: Failure | None = None

    @property
    def time(self) -> str:
        """When it was, as it is shown."""
        return f"+{self.at:.3f} s"


class Timeline:
    """Collects the events of `bus`. `now` returns the time in seconds since the epoch, and `why` the stories of
    messages that failed, as texts."""

    def __init__(self, bus: Bus, now: Callable[[], float], why: Callable[[], list[str]] = list) -> None:
        self.chaos: Chaos | None = None
        self.closed = False
        """Whether its emulator is closed."""
        self.ended_by: int | None = None
        """The `id()` of the exception that left the `with` block and closed its emulator."""
        self._now = now
        self._why = why
        self._start = now()
        self._entries: deque[Happened | Noted] = deque(maxlen=MOST_ENTRIES)
        self._count = 0
        for event_type in TABLE:
            if event_type not in _LEFT_OUT:
                bus.subscribe(event_type, self._add)
        recent.append(self)

    def close(self) -> None:
        """Let go of the emulator, which is closed."""
        self.closed, at = True, self._now()
        self._now = lambda: at
        told = [] if self.ended_by is None else self._why()
        self._why = lambda: told

    def note(self, kind: str, text: str) -> None:
        """Add something that is not an event: a word for what it is (`fetch`), and what to say."""
        self._entries.append(Noted(self._now(), kind, text))
        self._count += 1

    def why(self) -> str:
        """Why messages failed; empty if none did, or if the emulator was closed before the test failed."""
        return "\n\n".join(self.whys())

    def whys(self) -> list[str]:
        """The same, a text for each message."""
        return self._why()

    def _add(self, event: object) -> None:
        row = TABLE[type(event)]
        record = row.record(event)
        self._entries.append(Happened(self._now(), row, record, record.details.get("messages", ())))
        self._count += 1

    def rows(self, directory: Path | None = None) -> Iterator[TimelineRow]:
        """The timeline in words. Files below `directory` (default: the working directory) are named relative to it."""
        story = Story(self._entries, TextLines(Style(enabled=False), directory or Path.cwd()))
        for entry in self._entries:
            said = story.tell(entry)
            if said is not None:
                failure = entry.record.fields.get("failure") if isinstance(entry, Happened) else None
                yield TimelineRow(entry.at - self._start, said[0], said[1].rstrip("\n"), failure)

    def remarks(self) -> Iterator[str]:
        """What there is to say before the timeline."""
        if self._count and self.chaos is not None:
            yield f"Chaos, seed {self.chaos.seed}. To see the same again: {how_to_repeat(self.chaos)}"
        if self._count > len(self._entries):
            left_out = count(self._count - len(self._entries), "earlier entry is", "earlier entries are")
            yield f"({left_out} left out)"

    def render(self, directory: Path | None = None) -> str:
        """The timeline as text, one or more lines for each entry, with the seconds since the start. Empty if nothing
        happened. Files below `directory` are named relative to it, as in `rows`."""
        shown = [*self.remarks()]
        before = ""
        for row in self.rows(directory):
            first, *rest = _cut(row.text.split("\n"))
            shown.append(f"{row.time if row.time != before else '':>12}  {row.kind:<9} {first}".rstrip())
            shown += [f"{'':24}{line}".rstrip() for line in rest]
            before = row.time
        return "\n".join(shown)


def to_report(error: BaseException | None) -> list[Timeline]:
    """The timelines to show for `error`: those of the emulators that it closed or that are still open, else those that
    were closed last."""
    concerned = [timeline for timeline in recent if not timeline.closed or timeline.ended_by == id(error)]
    return (concerned or list(recent))[-MOST_TIMELINES:]


def forget_closed() -> None:
    """Forget the timelines of earlier tests. An emulator that is still open is shared by several tests."""
    still_open = [timeline for timeline in recent if not timeline.closed]
    recent.clear()
    recent.extend(still_open)


def how_to_repeat(chaos: Chaos) -> str:
    """What to write into a test to repeat the same chaos."""
    changed = [
        f"{field.name}={getattr(chaos, field.name)!r}"
        for field in fields(chaos)
        if field.name != "seed" and getattr(chaos, field.name) != field.default
    ]
    if not changed:
        return f"@pytest.mark.emulator(chaos={chaos.seed}), or emulator.chaos(seed={chaos.seed})"
    arguments = ", ".join([f"seed={chaos.seed}", *changed])
    return f"emulator.chaos({arguments})"


def _cut(lines: list[str]) -> list[str]:
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"(and {count(len(lines) - MOST_LINES, 'more line')})"]
    return [cut(line, WIDTH) for line in lines]
