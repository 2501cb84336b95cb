"""Records as lines for people.

Each method of `TextLines` takes one record and returns its lines, line ends included; `table` says which method belongs
to which event. Nothing here writes; `terminal` does.

Much of what a record says comes from outside: a cron and a path from whoever sends a request, a name from a file. None
of it may steer the terminal or look like another line, so each text in a record is `clean` before a line has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emulator.base.bus import Level
from emulator.base.failure import Failure, Frame
from emulator.base.words import clean, clean_lines, count, cut_middle, duration, shown_path
from emulator.log.style import Style
from emulator.log.summary import describe

if TYPE_CHECKING:
    from emulator.log.record import Record
    from emulator.server.events import RequestFinished

MAX_PATH: Final = 160
"""A longer path is cut in the middle, so that a request stays one line."""

_MAX_IDS: Final = 3
_MAX_REASONS: Final = 3
_MAX_FILES: Final = 3
_MAX_LIBRARY_FRAMES: Final = 3
_CAUSE_MARKERS: Final = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_OUTCOMES: Final = {
    "exceeded_cpu": "out of CPU time",
    "exceeded_wall_time": "out of time",
    "lease_expired": "the lease expired",
}


_STEERING: Final = re.compile(
    r"(?P<color>\x1b\[[0-9;:]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
"""Characters that control a terminal: colours, and those that move the cursor, end a line or change the direction of
text."""

_LONG_TEXTS: Final = frozenset({"text", "failure", "workers"})
"""The keys of a record whose values are cleaned where they are written."""


def one_line(text: str) -> str:
    """`text` with its control characters escaped, in at most `MAX_PATH` characters."""
    return cut_middle(clean(text), MAX_PATH)


def first_ids(ids: Sequence[str]) -> str:
    """The first digits of the first few ids: enough to find a message in a list."""
    shown = [each[:8] for each in ids[:_MAX_IDS]]
    if len(ids) > _MAX_IDS:
        shown.append(f"{len(ids) - _MAX_IDS:,} more")
    return ", ".join(shown)


def printed(text: str) -> str:
    """Text that worker code has printed, unchanged except for characters that control the terminal, which are escaped.
    Colours and lines stay."""
    if text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").removesuffix("\r")
    shown = _STEERING.sub(lambda match: match["color"] or clean(match[0]), lines)
    _, color, last = shown.rpartition("\x1b[")
    return f"{shown}\x1b[0m" if color and not last.startswith(("0m", "m")) else shown


def _cleaned(value: Any) -> Any:
    """`value` of a record with every text in it `clean`."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if isinstance(value, dict):
        return {key: each if key in _LONG_TEXTS else _cleaned(each) for key, each in value.items()}
    return value


def _of_clean_record(write: Callable[[TextLines, Record], str]) -> Callable[[TextLines, Record], str]:
    """Call `write` with a record that has no characters that control the terminal."""

    @wraps(write)
    def write_clean(lines: TextLines, record: Record) -> str:
        target = record.details.get("dead_letter_queue", "")
        if not target.isprintable():
            record = record._replace(details={**record.details, "dead_letter_queue": clean(target)})
        for key, value in record.fields.items():
            kind = type(value)
            if kind is list or (kind is str and not value.isprintable() and key not in _LONG_TEXTS):
                return write(lines, record._replace(fields=_cleaned(record.fields)))
        return write(lines, record)

    return write_clean


class TextLines:
    """Writes records for people, in the colours of `style`."""

    def __init__(self, style: Style, directory: Path, *, whole_tracebacks: bool = False) -> None:
        """File names are relative to `directory` if they are below it. `whole_tracebacks` adds Python's own text."""
        self._style = style
        self._directory = directory
        self._whole_tracebacks = whole_tracebacks
        self._statuses: dict[int, str] = {}
        self._suffixes: dict[str, str] = {}
        self._before_duration, self._after_duration = (" \x1b[2m(", ")\x1b[0m") if style.enabled else (" (", ")")
        self._last_failure: Failure | None = None

    def name_workers(self, names: Sequence[str]) -> None:
        """Name the workers that run: if there are several, each line says which worker it is about."""
        self._suffixes = {name: " " + self._style.dim(clean(name)) for name in names} if len(names) > 1 else {}

    @_of_clean_record
    def ready(self, record: Record) -> str:
        """The workers, if the record has them, and the address, which is always shown."""
        style, url, workers = self._style, record.fields["url"], record.fields["workers"]
        lines = [f"{style.green('Ready')} on {style.bold(url)}"]
        if record.fields["api_token"]:
            lines.append(f"REST API token: {record.fields['api_token']}")
        if workers:
            lines = [*describe(workers, style, url=url), "", *lines, ""]
        return "\n".join(lines) + "\n"

    def workers(self, record: Record) -> str:
        return "\n".join(describe(record.fields["workers"], self._style)) + "\n"

    def request(self, event: RequestFinished) -> str:
        """Made from the event itself, because there may be tens of thousands a second."""
        path = event.path
        if len(path) > MAX_PATH or not path.isprintable():
            path = one_line(path)
        status = self._statuses.get(event.status) or self.status(event.status)
        seconds = event.duration
        suffix = self._after_duration + self._suffixes.get(event.worker, "")
        if seconds < 10:  # as duration(), without a call
            return f"{event.method} {path} {status}{self._before_duration}{seconds * 1000:.0f} ms{suffix}\n"
        return f"{event.method} {path} {status}{self._before_duration}{duration(seconds)}{suffix}\n"

    def status(self, status: int) -> str:
        """`200 OK`, in its colour."""
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Client went away" if status == 499 else ""
        style = self._style
        colors = {2: style.green, 3: style.cyan, 4: style.yellow, 5: style.red}
        made = self._statuses[status] = colors.get(status // 100, str)(f"{status} {phrase}".rstrip())
        return made

    def batch(self, record: Record) -> str:
        fields = record.fields
        acked = fields["acked"]
        if acked == fields["size"] and fields["outcome"] == "ok":  # as nearly every batch
            return self._batch(clean(fields["queue"]), self._style.green(f"{acked}/{acked} acked"), fields)
        return self._mixed_batch(record)

    def _batch(self, queue: str, result: str, fields: Mapping[str, Any]) -> str:
        return f"QUEUE {queue} {result} {self._took(fields)}{self._suffix(fields)}\n"

    @_of_clean_record
    def _mixed_batch(self, record: Record) -> str:
        style, fields, details = self._style, record.fields, record.details
        acked, size = fields["acked"], fields["size"]
        parts = [f"{acked}/{size} acked"]
        if fields["retried"]:
            parts.append(f"{fields['retried']} retried{_delays(details['retry_delays'])}")
        if fields["dead_lettered"]:
            parts.append(f"{fields['dead_lettered']} moved to {details['dead_letter_queue']}")
        parts += [f"{fields[name]} {name}" for name in ("dropped", "expired") if fields[name]]
        if fields["outcome"] in _OUTCOMES:
            parts.append(_OUTCOMES[fields["outcome"]])
        if acked == size:
            color = style.green
        elif fields["dead_lettered"] or fields["dropped"] or fields["expired"]:
            color = style.red
        else:
            color = style.yellow
        line = self._batch(fields["queue"], color(", ".join(parts)), fields)
        return line + "".join(f"  {each}\n" for each in self.reasons(record, "retried")) if fields["reasons"] else line

    def reasons(self, record: Record, *became: str) -> Iterator[str]:
        """Why a handler wanted those messages of a batch again of which this `became`: `3f2a91c0: ValueError: no
        (src/entry.py:6)`, for each of the first few errors. No line ends."""
        concerned = {message.id for name in became for message in record.details["became"][name]}
        groups: dict[tuple[str, str], list[str]] = {}
        for reason in record.fields["reasons"]:
            if reason["id"] in concerned:
                groups.setdefault((reason["error"], reason["location"]), []).append(reason["id"])
        for (error, location), ids in [*groups.items()][:_MAX_REASONS]:
            place = f" {self._style.dim(f'({clean(self._name(location))})')}" if location else ""
            yield f"{first_ids(ids)}: {one_line(error)}{place}"
        if len(groups) > _MAX_REASONS:
            yield f"and {count(len(groups) - _MAX_REASONS, 'more error')}"

    @_of_clean_record
    def forwarded(self, record: Record) -> str:
        fields = record.fields
        size = len(fields["messages"])
        return f"QUEUE {fields['queue']} {size}/{size} forwarded {self._took(fields)}\n"

    @_of_clean_record
    def sent(self, record: Record) -> str:
        fields = record.fields
        ids = fields["messages"]
        text = f"SENT {count(len(ids), 'message')} to {fields['queue']} by {fields['source']} ({first_ids(ids)})"
        return self._style.dim(text) + "\n"

    @_of_clean_record
    def dead_lettered(self, record: Record) -> str:
        queue, to = record.fields["queue"], record.fields["to"]
        return "".join(
            self._warning(f"{queue} moved {what} to {to}{why}") for what, why in _by_reason(record.fields["messages"])
        )

    @_of_clean_record
    def dropped(self, record: Record) -> str:
        queue, reason, messages = (record.fields[key] for key in ("queue", "reason", "messages"))
        if reason == "purged":
            return f"QUEUE {queue} {count(len(messages), 'message')} purged\n"
        if reason == "expired":
            text = f"{queue} dropped {_counted_with_ids(messages)}: older than the queue's retention period"
            return self._warning(text)
        return "".join(
            self._warning(f"{queue} has no dead letter queue and dropped {what}{why}")
            for what, why in _by_reason(messages)
        )

    @_of_clean_record
    def scheduled(self, record: Record) -> str:
        style, fields = self._style, record.fields
        outcome = style.green("ok") if fields["outcome"] == "ok" else style.red(fields["outcome"])
        return f"SCHEDULED {one_line(fields['cron'])} {outcome} {self._took(fields)}{self._suffix(fields)}\n"

    @_of_clean_record
    def failure(self, record: Record) -> str:
        fields = record.fields
        whose = f" ({fields['worker']})" if self._suffixes else ""
        return self._failure(f"Error in {one_line(fields['trigger'])}{whose}:", fields["failure"])

    @_of_clean_record
    def runtime_exited(self, record: Record) -> str:
        fields = record.fields
        pause = fields["restart_in_ms"] / 1000
        when = f"in {pause:g} s" if pause else "now"
        return self._error(f"{fields['worker']}: workerd, which runs it, {fields['reason']}; restarting it {when}")

    @_of_clean_record
    def reload(self, record: Record) -> str:
        style, fields = self._style, record.fields
        if fields["failure"] is not None:
            head = f"Error: {fields['worker']} failed to load; its messages are held until it does:"
            return self._failure(head, fields["failure"])
        names = fields["files"]
        if len(names) > _MAX_FILES:
            names = [*names[: _MAX_FILES - 1], f"{len(names) - _MAX_FILES + 1} more"]
        files = f" {style.dim('(' + ', '.join(names) + ')')}" if names else ""
        return f"{style.cyan('Reloaded')} {fields['worker']} in {duration(fields['duration_ms'] / 1000)}{files}\n"

    @_of_clean_record
    def configuration(self, record: Record) -> str:
        head = f"{self._style.cyan('Configuration')} {self._name(record.fields['file'])}:"
        changes = record.fields["changes"]
        if len(changes) == 1:
            return f"{head} {changes[0]}\n"
        return f"{head}\n" + "".join(f"  {change}\n" for change in changes)

    @_of_clean_record
    def output(self, record: Record) -> str:
        fields = record.fields
        whence = f"{fields['worker']} {one_line(fields['trigger'])}" if fields["trigger"] else fields["worker"]
        prefix = f"{self._style.dim(f'[{whence}]')} "
        if fields["logger"]:
            prefix += f"{self._level(record.level)} {fields['logger']}: "
        text = printed(fields["text"]).replace("\n", "\n  ")
        return f"{prefix}{text}\n"

    @_of_clean_record
    def notice(self, record: Record) -> str:
        worker, text = record.fields["worker"], clean_lines(record.fields["text"])
        text = (f"{worker}: {text}" if worker else text).replace("\n", "\n  ")
        return {"warning": self._warning, "error": self._error}.get(record.level, "{}\n".format)(text)

    def _took(self, fields: Mapping[str, Any]) -> str:
        return self._style.dim(f"({duration(fields['duration_ms'] / 1000)})")

    def _suffix(self, fields: Mapping[str, Any]) -> str:
        return self._suffixes.get(fields["worker"], "")

    def _level(self, level: Level) -> str:
        style = self._style
        return {"debug": style.dim, "warning": style.yellow, "error": style.red}.get(level, str)(level.upper())

    def _warning(self, text: str) -> str:
        return f"{self._style.yellow('Warning:')} {text}\n"

    def _error(self, text: str) -> str:
        return f"{self._style.red('Error:')} {text}\n"

    def _name(self, file: str) -> str:
        return clean(shown_path(file, self._directory))

    def _failure(self, head: str, failure: Failure) -> str:
        """The message, the user's own frames from the innermost outwards, and where in a library it was raised."""
        style = self._style
        summary = clean_lines("\n".join(failure.summary.splitlines())).replace("\n", "\n    ")
        lines = [f"{style.red(head)} {style.bold(summary)}"]
        if failure == self._last_failure:
            lines.append(style.dim(f"  as above, at {self._name(failure.location)}"))
            return "\n".join(lines) + "\n"
        self._last_failure = failure
        if failure.verbatim:
            said = (f"  {clean_lines(line)}".rstrip() for line in failure.text.splitlines())
            return "\n".join([style.red(head), *said]) + "\n"
        own = [frame for frame in reversed(failure.frames) if frame.is_user]
        library = [frame for frame in reversed(failure.frames) if not frame.is_user]
        for frame in own:
            lines += self._frame(frame)
        if not own:
            for frame in library[:_MAX_LIBRARY_FRAMES]:
                lines += self._frame(frame)
        elif failure.frames[-1] is not own[0]:
            lines.append(style.dim(f"  raised in {self._name(library[0].file)}:{library[0].line}"))
        lines += [style.dim(f"  because of {clean(cause)}") for cause in _causes(failure.text)]
        if self._whole_tracebacks:
            lines += [style.dim(f"  | {clean_lines(line)}") for line in failure.text.splitlines()]
        return "\n".join(lines) + "\n"

    def _frame(self, frame: Frame) -> list[str]:
        place = self._style.cyan(f"{self._name(frame.file)}:{frame.line}")
        head = f"  {place} in {clean(frame.function)}"
        return [head, f"    {clean(frame.code.expandtabs(4))}"] if frame.code else [head]


def _delays(delays: Sequence[int]) -> str:
    low, high = min(delays), max(delays)
    if high == 0:
        return ""
    return f" in {high} s" if low == high else f" in {low} to {high} s"


def _counted_with_ids(messages: Sequence[Mapping[str, Any]]) -> str:
    """`2 messages (3f2a91c0, 88ab1e55)`."""
    return f"{count(len(messages), 'message')} ({first_ids([message['id'] for message in messages])})"


def _by_reason(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Messages grouped by the reason why they were lost, as `(what, why)`: `2 messages (3f2a91c0, 88ab1e55)`, ` after 4
    attempts: ...`."""
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for message in messages:
        groups.setdefault((message["attempts"], message["error"]), []).append(message)
    return [
        (_counted_with_ids(group), f" after {count(attempts, 'attempt')}" + (f": {error}" if error else ""))
        for (attempts, error), group in groups.items()
    ]


def _causes(traceback: str) -> list[str]:
    """The last lines of the tracebacks that caused this one, nearest first, taken from the text that Python prints."""
    lines = [line for line in traceback.splitlines() if line.strip()]
    return [lines[index - 1].strip() for index, line in enumerate(lines) if index and line in _CAUSE_MARKERS][::-1]
