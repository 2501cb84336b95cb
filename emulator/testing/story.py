"""The entries of a timeline in words. Most of them say what the log says. A test needs more about some, such as the
bodies of messages, and less about others, such as durations, which are zero unless something waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from emulator.base.words import cut
from emulator.log.record import Record
from emulator.log.table import Row
from emulator.log.text import TextLines, first_ids, one_line
from emulator.queues.message import Message
from emulator.wire.codec import decode

MOST_BODIES: Final = 5
"""How many messages of one batch that was sent are shown with their bodies."""

BODY_WIDTH: Final = 100


class Happened(NamedTuple):
    """An event: its row of the log's table, its record, and its messages as they were when it happened. `at` is in
    seconds since the epoch."""

    at: float
    row: Row
    record: Record
    messages: Sequence[Message]


class Noted(NamedTuple):
    """Something that is not an event: a word for what it is (`fetch`), and what to say."""

    at: float
    kind: str
    text: str


class Story:
    """Puts the entries of one timeline into words, in their order."""

    def __init__(self, entries: Iterable[Happened | Noted], lines: TextLines) -> None:
        """`lines` writes those entries that read as in the log."""
        events = [entry.record for entry in entries if isinstance(entry, Happened)]
        workers = {record.fields["worker"] for record in events if record.fields.get("worker")}
        lines.name_workers(sorted(workers))
        self._lines = lines
        self._has_many = len(workers) > 1
        """Whether there are several workers, so that each line says which worker it is about."""
        self._told = ""
        """The failure that was just reported, which its batch need not repeat."""

    def tell(self, entry: Happened | Noted) -> tuple[str, str] | None:
        """What kind of thing an entry is, and what to say about it; None if other entries have said it."""
        if isinstance(entry, Noted):
            return entry.kind, entry.text
        words = _WORDS.get(entry.record.event)
        if words is None:
            return entry.record.event, entry.row.text(self._lines, entry.record)
        return words(self, entry)

    def _whose(self, fields: Mapping[str, Any]) -> str:
        return f" ({fields['worker']})" if self._has_many and fields["worker"] else ""

    def request(self, entry: Happened) -> tuple[str, str]:
        fields = entry.record.fields
        answer = f"{fields['method']} {one_line(fields['path'])} {self._lines.status(fields['status'])}"
        return "request", f"{answer}{_after(fields['duration_ms'])}{self._whose(fields)}"

    def failure(self, entry: Happened) -> tuple[str, str]:
        self._told = entry.record.fields["failure"].summary
        text = self._lines.failure(entry.record).removeprefix("Error ").replace("\n  ", "\n").rstrip("\n")
        first, _, rest = text.partition("\n")
        return "error", f"{first} ({rest})" if rest.startswith("as above") else text

    def sent(self, entry: Happened) -> tuple[str, str] | None:
        fields, messages = entry.record.fields, entry.messages
        if fields["source"] == "dead letter":
            return None  # its batch has said it
        where = f"to {fields['queue']} by {'the test' if fields['source'] == 'test' else fields['source']}"
        bodies = [f"{_delay(message, entry.at)}: {_body(message)}" for message in messages[:MOST_BODIES]]
        if len(messages) == 1:
            return "sent", f"{messages[0].id[:8]} {where}{bodies[0]}"
        lines = [f"{message.id[:8]}{body}" for message, body in zip(messages, bodies, strict=False)]
        if len(messages) > MOST_BODIES:
            lines.append(f"and {len(messages) - MOST_BODIES} more")
        return "sent", "\n".join([f"{len(messages)} messages {where}", *lines])

    def batch(self, entry: Happened) -> tuple[str, str]:
        fields, details = entry.record.fields, entry.record.details
        attempts = {message.id: message.attempts for message in entry.messages}

        def group(became: str, words: str, where: str = "") -> list[str]:
            those = [message.id for message in details["became"][became]]
            if not those:
                return []
            numbers = [attempts[each] for each in those]
            low, high = min(numbers), max(numbers)
            tried = f" (attempt {low})" if low == high else f" (attempts {low} to {high})"
            return [f"{words} {_ids(those)}{where}" + ("" if became == "acked" and high == 1 else tried)]

        parts = [
            *group("acked", "acked"),
            *group("retried", "to be retried:", _delays(details["retry_delays"])),
            *group("dead_lettered", "out of retries:", f", moved to {details['dead_letter_queue']}"),
            *group("dropped", "out of retries:", ", dropped, because there is no dead letter queue"),
            *group("expired", "too old:"),
        ]
        error = fields["error"]
        why = f" because of {error}" if error and error != self._told else ""
        self._told = ""
        to = f" to {fields['worker']}" if self._has_many else ""
        line = f"{fields['queue']}{to}: {'; '.join(parts)}{why}{_after(fields['duration_ms'])}"
        return "batch", "\n".join([line, *self._lines.reasons(entry.record, "retried", "dead_lettered", "dropped")])

    def dropped(self, entry: Happened) -> tuple[str, str] | None:
        fields = entry.record.fields
        if fields["reason"] == "retries":
            return None  # its batch has said it
        why = "purged" if fields["reason"] == "purged" else "older than the queue's retention period"
        return "dropped", f"{_ids([message['id'] for message in fields['messages']])} of {fields['queue']}: {why}"

    def scheduled(self, entry: Happened) -> tuple[str, str]:
        fields = entry.record.fields
        return "scheduled", f"{fields['cron']} {fields['outcome']}{self._whose(fields)}"

    def output(self, entry: Happened) -> tuple[str, str]:
        fields, level = entry.record.fields, entry.record.level
        kind, text = "print", fields["text"].rstrip("\n")
        if fields["logger"] or level != "info":
            kind, text = "log", f"{level.upper()} {fields['logger'] + ': ' if fields['logger'] else ''}{text}"
        return kind, f"{text}{self._whose(fields)}"

    def notice(self, entry: Happened) -> tuple[str, str]:
        fields = entry.record.fields
        if fields["text"].startswith("CHAOS "):
            return "chaos", fields["text"].removeprefix("CHAOS ")
        return entry.record.level, f"{fields['text']}{self._whose(fields)}"


_WORDS: Final[Mapping[str, Callable[[Story, Happened], tuple[str, str] | None]]] = {
    "request": Story.request,
    "failure": Story.failure,
    "sent": Story.sent,
    "batch": Story.batch,
    "dropped": Story.dropped,
    "scheduled": Story.scheduled,
    "output": Story.output,
    "notice": Story.notice,
}
"""The records about which a test says something else than the log."""


def _after(milliseconds: float) -> str:
    """` after 30 s`; nothing where no time passed."""
    return f" after {round(milliseconds / 1000, 3):g} s" if milliseconds >= 1 else ""


def _delays(delays: Sequence[int]) -> str:
    """` in 5 s`, ` in 5 to 1,000 s`; nothing where there is none. `delays` are sorted."""
    if not delays or not delays[-1]:
        return ""
    low, high = delays[0], delays[-1]
    return f" in {high:,} s" if low == high else f" in {low:,} to {high:,} s"


def _delay(message: Message, at: float) -> str:
    seconds = message.ready_at - at
    return f", delayed {seconds:g} s" if seconds >= 0.001 else ""


def _ids(ids: Sequence[str]) -> str:
    return first_ids(ids) if len(ids) == 1 else f"{len(ids)} ({first_ids(ids)})"


def _body(message: Message) -> str:
    try:
        text = repr(decode(message.body, message.content_type))
    except ValueError:
        text = repr(message.body)
    return cut(text, BODY_WIDTH)
