"""What happened during a test, in order and with virtual times, for the report of one that fails.

Events are kept nearly as they are and put into words only when somebody asks. A line is for one thing:

     +0.000 s  sent     3f2a91c0 to my-app-events by shop: {'type': 'welcome-email', 'email': 'ada@example.com'}
               request  POST /signup 200 OK
     +5.000 s  print    Welcome e-mail to ada@example.com
               batch    my-app-events: acked 3f2a91c0
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emulator.base.bus import Bus, Notice
from emulator.hosts.events import HandlerFailed, ScheduledFinished, WorkerOutput
from emulator.queues.events import BatchDelivered, MessagesDropped, MessagesSent
from emulator.queues.message import Message
from emulator.server.events import RequestFinished
from emulator.session.events import WorkerReloaded
from emulator.wire.codec import decode

if TYPE_CHECKING:
    from emulator.log.text import TextLines
    from emulator.testing.chaos import Chaos

MOST_ENTRIES: Final = 100
"""How many entries a timeline keeps, the newest ones."""

MOST_LINES: Final = 24
"""How many lines of one entry are shown."""

MOST_BODIES: Final = 5
"""How many messages of one sending are shown with their bodies."""

MOST_IDS: Final = 3

WIDTH: Final = 240
"""Characters after which a line is cut."""

BODY_WIDTH: Final = 100

MOST_TIMELINES: Final = 3
"""How many emulators of one test a report tells of."""

recent: deque[Timeline] = deque(maxlen=16)
"""The newest timelines, for the pytest plugin, which takes out those that are of an earlier test."""


class Timeline:
    """Collects the events of `bus`. `now` tells the time in seconds since the epoch."""

    def __init__(self, bus: Bus, now: Callable[[], float]) -> None:
        self.chaos: Chaos | None = None
        self.closed = False
        """Whether its emulator is closed."""
        self.ended_by: int | None = None
        """The `id()` of the exception that closed its emulator, on its way out of a `with` block."""
        self._now = now
        self._start = now()
        self._entries: deque[tuple[float, Any, Sequence[Message]]] = deque(maxlen=MOST_ENTRIES)
        self._count = 0
        for event_type in _WORDS:
            bus.subscribe(event_type, self._add)
        recent.append(self)

    def close(self) -> None:
        """Its emulator is closed: let go of it."""
        self.closed, at = True, self._now()
        self._now = lambda: at

    def note(self, kind: str, text: str) -> None:
        """Add what is no event: a word for what it is (`fetch`), and what it says."""
        self._entries.append((self._now(), (kind, text), ()))
        self._count += 1

    def _add(self, event: Any) -> None:
        self._entries.append((self._now(), event, getattr(event, "messages", ())))
        self._count += 1

    def render(self, directory: Path | None = None) -> str:
        """The timeline as text, a line or more an entry, each with the seconds since the start. Empty when nothing
        happened. Files below `directory` (that where pytest or the program was started) are named from there."""
        from emulator.log.style import Style
        from emulator.log.text import TextLines

        words = _Words(TextLines(Style(enabled=False), directory or Path.cwd()))
        words.name_workers(event for _, event, _ in self._entries)
        shown: list[str] = []
        if self._count and self.chaos is not None:
            shown += [f"Chaos, seed {self.chaos.seed}. To see the same again: {how_to_repeat(self.chaos)}"]
        if self._count > len(self._entries):
            shown.append(f"({self._count - len(self._entries):,} earlier entries are left out)")
        before = ""
        for at, event, messages in self._entries:
            said = _say(words, at, event, messages)
            if said is None:
                continue
            kind, text = said
            time = f"+{at - self._start:.3f} s"
            first, *rest = _cut(text.rstrip("\n").split("\n"))
            shown.append(f"{time if time != before else '':>12}  {kind:<9} {first}".rstrip())
            shown += [f"{'':24}{line}".rstrip() for line in rest]
            before = time
        return "\n".join(shown)


def to_report(error: BaseException | None) -> list[Timeline]:
    """The timelines that tell of `error`: those of the emulators that it closed or that are still open, else those that
    were closed last."""
    concerned = [timeline for timeline in recent if not timeline.closed or timeline.ended_by == id(error)]
    return (concerned or list(recent))[-MOST_TIMELINES:]


def forget_closed() -> None:
    """Forget what earlier tests left. An emulator that is still open is shared by several tests."""
    still_open = [timeline for timeline in recent if not timeline.closed]
    recent.clear()
    recent.extend(still_open)


def how_to_repeat(chaos: Chaos) -> str:
    """What to write into a test, so that the same chaos befalls it."""
    changed = [
        f"{field.name}={getattr(chaos, field.name)!r}"
        for field in fields(chaos)
        if field.name != "seed" and getattr(chaos, field.name) != field.default
    ]
    if not changed:
        return f"@pytest.mark.emulator(chaos={chaos.seed}), or emulator.chaos(seed={chaos.seed})"
    arguments = ", ".join([f"seed={chaos.seed}", *changed])
    return f"emulator.chaos({arguments})"


class _Words:
    """Puts events into words. Each method returns what kind of thing it was, and what to say of it; None: nothing."""

    def __init__(self, lines: TextLines) -> None:
        self._lines = lines
        self._workers: set[str] = set()
        self._told: str = ""
        """The failure that the entries before have told of, which its batch need not repeat."""

    def name_workers(self, entries: Iterable[Any]) -> None:
        """With several workers each line tells whose it is."""
        self._workers = {entry.worker for entry in entries if getattr(entry, "worker", "")}
        self._lines.name_workers(sorted(self._workers))

    def _whose(self, worker: str) -> str:
        return f" ({worker})" if len(self._workers) > 1 else ""

    def request(self, _at: float, event: RequestFinished, _messages: Sequence[Message]) -> tuple[str, str]:
        text = self._lines.request(event).rpartition(" (")[0]
        return "request", f"{text}{_after(event.duration)}{self._whose(event.worker)}"

    def failed(self, _at: float, event: HandlerFailed, _messages: Sequence[Message]) -> tuple[str, str]:
        self._told = event.failure.summary
        text = self._lines.handler_failed(event).removeprefix("Error ").replace("\n  ", "\n").rstrip("\n")
        first, _, rest = text.partition("\n")
        return "error", f"{first} ({rest})" if rest.startswith("as above") else text

    def sent(self, at: float, event: MessagesSent, messages: Sequence[Message]) -> tuple[str, str] | None:
        if event.source == "dead letter":
            return None  # its batch has told
        where = f"to {event.queue} by {'the test' if event.source == 'test' else event.source}"
        if len(messages) == 1:
            return "sent", f"{_id(messages[0])} {where}{_delay(messages[0], at)}: {_body(messages[0])}"
        bodies = [f"{_id(message)}{_delay(message, at)}: {_body(message)}" for message in messages[:MOST_BODIES]]
        if len(messages) > MOST_BODIES:
            bodies.append(f"and {len(messages) - MOST_BODIES} more")
        return "sent", "\n".join([f"{len(messages)} messages {where}", *bodies])

    def batch(self, _at: float, event: BatchDelivered, messages: Sequence[Message]) -> tuple[str, str]:
        settled, attempts = event.settlement, {message.id: message.attempts for message in messages}

        def group(words: str, those: Sequence[Message], where: str = "", *, acked: bool = False) -> list[str]:
            if not those:
                return []
            numbers = [attempts[message.id] for message in those]
            low, high = min(numbers), max(numbers)
            tried = f"attempt {low}" if low == high else f"attempts {low} to {high}"
            return [f"{words} {_ids(those)}{where}" + ("" if acked and high == 1 else f" ({tried})")]

        delays = sorted({delay for _, delay in settled.retried})
        later = (
            ""
            if delays in ([], [0])
            else f" in {' to '.join(f'{delay:,}' for delay in delays[:: max(1, len(delays) - 1)])} s"
        )
        parts = [
            *group("acked", settled.acked, acked=True),
            *group("to be retried:", [message for message, _ in settled.retried], later),
            *group("out of retries:", settled.dead, f", moved to {settled.dead_letter_queue}"),
            *group("out of retries:", settled.dropped, ", dropped, because there is no dead letter queue"),
            *group("too old:", settled.expired),
        ]
        error = event.verdict.error
        why = f" because of {error}" if error and error != self._told else ""
        self._told = ""
        to = f" to {event.worker}" if len(self._workers) > 1 else ""
        return "batch", f"{event.queue}{to}: {'; '.join(parts)}{why}{_after(event.duration)}"

    def dropped(self, _at: float, event: MessagesDropped, messages: Sequence[Message]) -> tuple[str, str] | None:
        if event.reason == "retries":
            return None  # its batch has told
        why = "purged" if event.reason == "purged" else "older than the queue's retention period"
        return "dropped", f"{_ids(messages)} of {event.queue}: {why}"

    def scheduled(self, _at: float, event: ScheduledFinished, _messages: Sequence[Message]) -> tuple[str, str]:
        return "scheduled", f"{event.cron} {event.outcome}{self._whose(event.worker)}"

    def reloaded(self, _at: float, event: WorkerReloaded, _messages: Sequence[Message]) -> tuple[str, str]:
        return "reload", self._lines.reloaded(event)

    def output(self, _at: float, event: WorkerOutput, _messages: Sequence[Message]) -> tuple[str, str]:
        kind, text = "print", event.text.rstrip("\n")
        if event.logger or event.level != "info":
            kind, text = "log", f"{event.level.upper()} {event.logger + ': ' if event.logger else ''}{text}"
        return kind, f"{text}{self._whose(event.worker)}"

    def notice(self, _at: float, event: Notice, _messages: Sequence[Message]) -> tuple[str, str]:
        if event.text.startswith("CHAOS "):
            return "chaos", event.text.removeprefix("CHAOS ")
        return event.level, f"{event.text}{self._whose(event.worker)}"


_WORDS: Final[dict[type[Any], Callable[..., tuple[str, str] | None]]] = {
    RequestFinished: _Words.request,
    HandlerFailed: _Words.failed,
    MessagesSent: _Words.sent,
    BatchDelivered: _Words.batch,
    MessagesDropped: _Words.dropped,
    ScheduledFinished: _Words.scheduled,
    WorkerReloaded: _Words.reloaded,
    WorkerOutput: _Words.output,
    Notice: _Words.notice,
}


def _say(words: _Words, at: float, event: Any, messages: Sequence[Message]) -> tuple[str, str] | None:
    return event if isinstance(event, tuple) else _WORDS[type(event)](words, at, event, messages)


def _cut(lines: list[str]) -> list[str]:
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"(and {len(lines) - MOST_LINES} lines more)"]
    return [line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..." for line in lines]


def _after(seconds: float) -> str:
    """` after 30 s`; nothing where no time passed."""
    return f" after {round(seconds, 3):g} s" if seconds >= 0.001 else ""


def _id(message: Message) -> str:
    return message.id[:8]


def _ids(messages: Sequence[Message]) -> str:
    if len(messages) == 1:
        return _id(messages[0])
    more = [f"{len(messages) - MOST_IDS} more"] if len(messages) > MOST_IDS else []
    return f"{len(messages)} ({', '.join([*map(_id, messages[:MOST_IDS]), *more])})"


def _delay(message: Message, at: float) -> str:
    seconds = message.ready_at - at
    return f", delayed {seconds:g} s" if seconds >= 0.001 else ""


def _body(message: Message) -> str:
    try:
        text = repr(decode(message.body, message.content_type))
    except ValueError:
        text = repr(message.body)
    return text if len(text) <= BODY_WIDTH else f"{text[: BODY_WIDTH - 3]}..."
