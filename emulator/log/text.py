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
from emulator.server.addresses import DASHBOARD
from emulator.session.running import reachable

if TYPE_CHECKING:
    from emulator.log.record import Record
    from emulator.server.events import RequestFinished

MAX_PATH: Final = 160
"""A longer path is cut in the middle, so that a request stays one line."""

_MIN_CUT: Final = 12
"""Text is not cut to less than this to fit on a line, in characters."""

_REQUEST_ROOM: Final = 60
"""What the rest of a request's line takes at most, in characters: the method, the status, the duration, a worker."""

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


_SAYS_ERROR: Final = re.compile(r"\b\w*error\b|\bcritical\b|\bfatal\b", re.IGNORECASE)
"""In the text of an error: it needs no other sign that it is one."""

_STEERING: Final = re.compile(
    r"(?P<color>\x1b\[[0-9;:]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
"""Characters that control a terminal: colours, and those that move the cursor, end a line or change the direction of
text."""

_COLOR: Final = re.compile(r"\x1b\[[0-9;]*m")

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


def _kind(name: str) -> str:
    """A kind of bindings as lines name it: `KV`, `SECRETS STORE`."""
    return name.replace("_", " ").upper()


class TextLines:
    """Writes records for people, in the colours of `style`.

    Where there is a `width`, paths, triggers and the reasons of retries and dead letters are cut in their middle, so
    that a line fits. What worker code prints or raises is never cut.
    """

    def __init__(self, style: Style, directory: Path, *, whole_tracebacks: bool = False, keys: str = "") -> None:
        """File names are relative to `directory` if they are below it. `whole_tracebacks` adds Python's own text.
        `keys` is the line below the address that lists the keys to press."""
        self._style = style
        self._directory = directory
        self._whole_tracebacks = whole_tracebacks
        self._statuses: dict[int, str] = {}
        self._suffixes: dict[str, str] = {}
        self._keys = keys
        self._width = 0
        self._max_path = MAX_PATH
        self._before_duration, self._after_duration = (" \x1b[2m(", ")\x1b[0m") if style.enabled else (" (", ")")
        self._last_failure: Failure | None = None

    @property
    def width(self) -> int:
        """How many characters a line may have; 0 means any number."""
        return self._width

    @width.setter
    def width(self, width: int) -> None:
        self._width = width
        self._max_path = min(MAX_PATH, max(width - _REQUEST_ROOM, _MIN_CUT)) if width else MAX_PATH

    def name_workers(self, names: Sequence[str]) -> None:
        """Name the workers that run: if there are several, each line says which worker it is about."""
        self._suffixes = {name: " " + self._style.dim(clean(name)) for name in names} if len(names) > 1 else {}

    @_of_clean_record
    def ready(self, record: Record) -> str:
        """The workers, if the record has them, and the address, which is always shown."""
        style, url, workers = self._style, record.fields["url"], record.fields["workers"]
        lines = [f"{style.green('Ready')} on {style.bold(url)}"]
        if record.fields["network_url"]:
            lines.append(f"From other machines: {style.bold(record.fields['network_url'])}")
        if record.fields["api_token"]:
            lines.append(f"REST API token: {record.fields['api_token']}")
        if record.fields["inspector_url"]:
            lines.append(f"Debuggers: {record.fields['inspector_url']} (VS Code, or chrome://inspect)")
        if workers:
            lines.append(style.dim(f"Dashboard: {reachable(url)}{DASHBOARD}/"))
        if self._keys:
            lines.append(style.dim(self._keys))
        if workers:
            lines = [*describe(workers, style, url=url), "", *lines, ""]
        return "\n".join(lines) + "\n"

    def workers(self, record: Record) -> str:
        return "\n".join(describe(record.fields["workers"], self._style)) + "\n"

    def request(self, event: RequestFinished) -> str:
        """Made from the event itself, because there may be tens of thousands a second."""
        path = event.path
        status = self._statuses.get(event.status) or self.status(event.status)
        seconds = event.duration
        suffix = self._after_duration + self._suffixes.get(event.worker, "")
        if event.bindings is not None:
            suffix = f"{self._after_duration}  {self._uses(event)}{self._suffixes.get(event.worker, '')}"
        if len(path) > self._max_path or not path.isprintable():
            path = self._fit(
                one_line(path), event.method, status, self._before_duration, duration(seconds), suffix, "  "
            )
        if seconds < 10:  # as duration(), without a call
            return f"{event.method} {path} {status}{self._before_duration}{seconds * 1000:.0f} ms{suffix}\n"
        return f"{event.method} {path} {status}{self._before_duration}{duration(seconds)}{suffix}\n"

    def _uses(self, event: RequestFinished) -> str:
        """`3 KV, 1 D1 (2 ms)`."""
        counts = ", ".join(f"{number} {_kind(kind)}" for kind, number in (event.bindings or {}).items())
        return self._style.dim(f"{counts} ({duration(event.binding_seconds)})")

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
            parts.append(f"{fields['retried']} retried{_retries(details)}")
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
            head = f"{first_ids(ids)}: "
            yield f"{head}{self._fit(one_line(error), head, place, '  ')}{place}"
        if len(groups) > _MAX_REASONS:
            yield f"and {count(len(groups) - _MAX_REASONS, 'more error')}"

    @_of_clean_record
    def forwarded(self, record: Record) -> str:
        fields = record.fields
        size = len(fields["messages"])
        return f"QUEUE {fields['queue']} {size}/{size} forwarded {self._took(fields)}\n"

    @_of_clean_record
    def promoted(self, record: Record) -> str:
        fields = record.fields
        return f"QUEUE {fields['queue']} {count(len(fields['messages']), 'delayed message')} made ready\n"

    @_of_clean_record
    def sent(self, record: Record) -> str:
        fields = record.fields
        ids = fields["messages"]
        text = f"SENT {count(len(ids), 'message')} to {fields['queue']} by {fields['source']} ({first_ids(ids)})"
        return self._style.dim(text) + "\n"

    @_of_clean_record
    def binding(self, record: Record) -> str:
        fields = record.fields
        what = f"{_kind(fields['binding_type'])} {fields['binding']} {fields['operation']} {fields['key']}".rstrip()
        size = f" {fields['size']:,} B" if fields["size"] else ""
        error = f" {fields['error']}" if fields["error"] else ""
        return self._style.dim(f"{one_line(what)}{size}{error} {self._took(fields)}{self._suffix(fields)}") + "\n"

    @_of_clean_record
    def fetch(self, record: Record) -> str:
        fields = record.fields
        result = fields["status"] or fields["error"]
        text = f"FETCH {fields['method']} {one_line(fields['url'])} {one_line(str(result))}"
        return self._style.dim(f"{text} {self._took(fields)}{self._suffix(fields)}") + "\n"

    @_of_clean_record
    def dead_lettered(self, record: Record) -> str:
        queue, to = record.fields["queue"], record.fields["to"]
        moved = [
            self._lost(f"{queue} moved {what} to {to}{tries}", error)
            for what, tries, error in _by_reason(record.fields["messages"])
        ]
        return "".join([*moved, f"  To look inside: {self._style.bold(f'emulator queues peek {to}')}\n"])

    @_of_clean_record
    def dropped(self, record: Record) -> str:
        queue, reason, messages = (record.fields[key] for key in ("queue", "reason", "messages"))
        if reason == "purged":
            return f"QUEUE {queue} {count(len(messages), 'message')} purged\n"
        if reason == "expired":
            text = f"{queue} dropped {_counted_with_ids(messages)}: older than the queue's retention period"
            return self._warning(text)
        return "".join(
            self._lost(f"{queue} has no dead letter queue and dropped {what}{tries}", error)
            for what, tries, error in _by_reason(messages)
        )

    def _lost(self, what: str, error: str) -> str:
        line = self._warning(what)
        return self._warning(f"{what}: {self._fit(error, line, ' ')}") if error else line

    @_of_clean_record
    def scheduled(self, record: Record) -> str:
        style, fields = self._style, record.fields
        outcome = style.green("ok") if fields["outcome"] == "ok" else style.red(fields["outcome"])
        return f"SCHEDULED {self._trigger(fields['cron'])} {outcome} {self._took(fields)}{self._suffix(fields)}\n"

    @_of_clean_record
    def email(self, record: Record) -> str:
        style, fields = self._style, record.fields
        outcome = style.green("ok") if fields["outcome"] == "ok" else style.red(fields["outcome"])
        if fields["rejected"] is not None:
            outcome = style.yellow(f"rejected: {fields['rejected']}")
        who = self._trigger(f"{fields['sender']} to {fields['recipient']}")
        return f"EMAIL {who} {outcome} {self._took(fields)}{self._suffix(fields)}\n"

    @_of_clean_record
    def failure(self, record: Record) -> str:
        fields = record.fields
        whose = f" ({fields['worker']})" if self._suffixes else ""
        return self._failure(f"Error in {self._trigger(fields['trigger'])}{whose}:", fields["failure"])

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
        whence = f"{fields['worker']} {self._trigger(fields['trigger'])}" if fields["trigger"] else fields["worker"]
        prefix = f"{self._style.dim(f'[{whence}]')} "
        text = printed(fields["text"])
        if fields["logger"]:
            prefix += f"{self._level(record.level)} {fields['logger']}: "
        elif record.level == "error":
            if not _SAYS_ERROR.search(text):
                prefix += f"{self._level(record.level)} "
            if "\x1b" not in text:
                text = "\n".join(map(self._style.red, text.split("\n")))
        indented = text.replace("\n", "\n  ")
        return f"{prefix}{indented}\n"

    @_of_clean_record
    def notice(self, record: Record) -> str:
        worker, text = record.fields["worker"], clean_lines(record.fields["text"])
        text = (f"{worker}: {text}" if worker else text).replace("\n", "\n  ")
        return {"warning": self._warning, "error": self._error}.get(record.level, "{}\n".format)(text)

    def _trigger(self, text: str) -> str:
        """A trigger, in at most half of a line."""
        return cut_middle(one_line(text), max(self._width // 2, _MIN_CUT)) if self._width else one_line(text)

    def _fit(self, text: str, *around: str) -> str:
        """`text` in the room that the rest of its line leaves."""
        if not self._width:
            return text
        return cut_middle(text, max(self._width - sum(len(_COLOR.sub("", each)) for each in around), _MIN_CUT))

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
        if failure == self._last_failure and failure.location:
            lines.append(f"  {style.dim(f'as above, at {self._name(failure.location)}')}")
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
            lines.append(f"  {style.dim(f'raised in {self._name(library[0].file)}:{library[0].line}')}")
        lines += [f"  {style.dim(f'because of {clean(cause)}')}" for cause in _causes(failure.text)]
        if self._whole_tracebacks:
            lines += [f"  {style.dim(f'| {clean_lines(line)}')}" for line in failure.text.splitlines()]
        return "\n".join(lines) + "\n"

    def _frame(self, frame: Frame) -> list[str]:
        place = self._style.cyan(f"{self._name(frame.file)}:{frame.line}")
        head = f"  {place} in {clean(frame.function)}"
        if not frame.code:
            return [head]
        lines = [head, f"    {clean(frame.code.expandtabs(4))}"]
        before, marked, _ = (clean(each.expandtabs(4)) for each in frame.marked())
        if marked:
            lines.append(f"    {' ' * len(before)}{self._style.red('^' * len(marked))}")
        return lines


def _retries(details: Mapping[str, Any]) -> str:
    """Which attempt the next delivery is, and when: ` (attempt 2 of 4, in 30 s)`."""
    attempts, most, delays = details["retry_attempts"], details["max_attempts"], details["retry_delays"]
    said = []
    if most:
        said.append(f"{'attempt' if len(attempts) == 1 else 'attempts'} {_span(attempts)} of {most}")
    if delays[-1]:
        said.append(f"in {_span(delays)} s")
    return f" ({', '.join(said)})" if said else ""


def _span(numbers: Sequence[int]) -> str:
    """The first and the last of sorted numbers: `5`, `5 to 30`."""
    return f"{numbers[0]}" if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"


def _counted_with_ids(messages: Sequence[Mapping[str, Any]]) -> str:
    """`2 messages (3f2a91c0, 88ab1e55)`."""
    return f"{count(len(messages), 'message')} ({first_ids([message['id'] for message in messages])})"


def _by_reason(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Messages grouped by the reason why they were lost: `2 messages (3f2a91c0, 88ab1e55)`, ` after 4 attempts`, and
    the error, which may be empty."""
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for message in messages:
        groups.setdefault((message["attempts"], message["error"]), []).append(message)
    return [
        (_counted_with_ids(group), f" after {count(attempts, 'attempt')}", error)
        for (attempts, error), group in groups.items()
    ]


def _causes(traceback: str) -> list[str]:
    """The last lines of the tracebacks that caused this one, nearest first, taken from the text that Python prints."""
    lines = [line for line in traceback.splitlines() if line.strip()]
    return [lines[index - 1].strip() for index, line in enumerate(lines) if index and line in _CAUSE_MARKERS][::-1]
