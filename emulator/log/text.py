"""Events as lines that people read. `emulator.log.jsonlines` has the same methods for lines that programs read.

Each method takes one event and returns its lines, line ends included. Nothing here writes; `terminal` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.base.bus import Level, Notice
from emulator.base.failure import Failure, Frame
from emulator.hosts.events import HandlerFailed, ScheduledFinished, WorkerOutput
from emulator.log.style import Style
from emulator.log.summary import describe
from emulator.queues.events import (
    BatchDelivered,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesSent,
)
from emulator.queues.message import DeadLetter, Message
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import ConfigurationChanged, WorkerReloaded

if TYPE_CHECKING:
    from emulator.hosts.host import Host

MAX_PATH = 160
"""A longer path is shortened in the middle, so that one request stays one line."""

_MAX_IDS = 3
_MAX_FILES = 3
_MAX_LIBRARY_FRAMES = 3
_CAUSE_MARKERS = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_OUTCOMES = {
    "exceeded_cpu": "out of CPU time",
    "exceeded_wall_time": "out of time",
    "lease_expired": "the lease expired",
}


def clean(text: str) -> str:
    """`text` with what a terminal would obey, or could not show, as an escape such as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def duration(seconds: float) -> str:
    """`3 ms`, from ten seconds on `12.3 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def count(number: int, noun: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class TextLines:
    """Writes events down for people, in the colours of `style`."""

    def __init__(self, style: Style, directory: Path, *, whole_tracebacks: bool = False) -> None:
        """Files below `directory` are named by their path from there. `whole_tracebacks` adds Python's own text."""
        self._style = style
        self._prefix = f"{directory}/"
        self._whole_tracebacks = whole_tracebacks
        self._statuses: dict[int, str] = {}
        self._suffixes: dict[str, str] = {}
        self._after_duration = " ms)\x1b[0m" if style.enabled else " ms)"
        self._last_failure: Failure | None = None

    def name_workers(self, names: Sequence[str]) -> None:
        """Take note of who runs: with several workers each line tells whose it is."""
        self._suffixes = {name: " " + self._style.dim(name) for name in names} if len(names) > 1 else {}

    def ready(self, event: ServerReady, hosts: Sequence[Host]) -> str:
        lines = [*describe(hosts, self._style, url=event.url), "", self.address(event), ""]
        return "\n".join(lines) + "\n"

    def workers(self, hosts: Sequence[Host]) -> str:
        return "\n".join(describe(hosts, self._style)) + "\n"

    def address(self, event: ServerReady) -> str:
        """What is never left out at the start: a line, and another where the REST API requires a token."""
        line = f"{self._style.green('Ready')} on {self._style.bold(event.url)}"
        return f"{line}\nREST API token: {event.api_token}" if event.api_token else line

    def request(self, event: RequestFinished) -> str:
        path = event.path
        if len(path) > MAX_PATH or not path.isprintable():
            path = _one_line(path)
        status = self._statuses.get(event.status) or self._status(event.status)
        seconds = event.duration
        suffix = self._suffixes.get(event.worker, "")
        if seconds >= 10:
            return f"{event.method} {path} {status}{seconds:.1f}{self._after_duration.replace('ms', 's')}{suffix}\n"
        return f"{event.method} {path} {status}{seconds * 1000:.0f}{self._after_duration}{suffix}\n"

    def _status(self, status: int) -> str:
        """`200 OK (` in its colour: the part of a request's line that is the same for every such answer."""
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Client went away" if status == 499 else ""
        style = self._style
        colors = {2: style.green, 3: style.cyan, 4: style.yellow, 5: style.red}
        colored = colors.get(status // 100, str)(f"{status} {phrase}".rstrip())
        made = f"{colored} \x1b[2m(" if style.enabled else f"{colored} ("
        self._statuses[status] = made
        return made

    def batch(self, event: BatchDelivered) -> str:
        style = self._style
        settlement = event.settlement
        acked, size = len(settlement.acked), len(event.messages)
        parts = [f"{acked}/{size} acked"]
        if settlement.retried:
            parts.append(f"{len(settlement.retried)} retried{_delays([delay for _, delay in settlement.retried])}")
        if settlement.dead:
            parts.append(f"{len(settlement.dead)} moved to {settlement.dead_letter_queue}")
        if settlement.dropped:
            parts.append(f"{len(settlement.dropped)} dropped")
        if settlement.expired:
            parts.append(f"{len(settlement.expired)} expired")
        if event.verdict.outcome in _OUTCOMES:
            parts.append(_OUTCOMES[event.verdict.outcome])
        if acked == size:
            color = style.green
        elif settlement.dead or settlement.dropped or settlement.expired:
            color = style.red
        else:
            color = style.yellow
        suffix = self._suffixes.get(event.worker, "")
        return f"QUEUE {event.queue} {color(', '.join(parts))} {style.dim(f'({duration(event.duration)})')}{suffix}\n"

    def forwarded(self, event: MessagesForwarded) -> str:
        size = len(event.messages)
        return f"QUEUE {event.queue} {size}/{size} forwarded {self._style.dim(f'({duration(event.duration)})')}\n"

    def sent(self, event: MessagesSent) -> str:
        text = (
            f"SENT {count(len(event.messages), 'message')} to {event.queue} by {event.source} ({_ids(event.messages)})"
        )
        return self._style.dim(text) + "\n"

    def dead_lettered(self, event: MessagesDeadLettered) -> str:
        return "".join(
            self._warning(f"{event.queue} moved {what} to {event.to}{why}") for what, why in _by_reason(event.messages)
        )

    def dropped(self, event: MessagesDropped) -> str:
        if event.reason == "purged":
            return f"QUEUE {event.queue} {count(len(event.messages), 'message')} purged\n"
        if event.reason == "expired":
            what = f"{count(len(event.messages), 'message')} ({_ids(event.messages)})"
            return self._warning(f"{event.queue} dropped {what}: older than the queue's retention period")
        return "".join(
            self._warning(f"{event.queue} has no dead letter queue and dropped {what}{why}")
            for what, why in _by_reason(event.messages)
        )

    def scheduled(self, event: ScheduledFinished) -> str:
        style = self._style
        outcome = style.green("ok") if event.outcome == "ok" else style.red(clean(event.outcome))
        suffix = self._suffixes.get(event.worker, "")
        return f"SCHEDULED {event.cron} {outcome} {style.dim(f'({duration(event.duration)})')}{suffix}\n"

    def handler_failed(self, event: HandlerFailed) -> str:
        whose = f" ({event.worker})" if self._suffixes else ""
        return self._failure(f"Error in {_one_line(event.trigger)}{whose}:", event.failure)

    def reloaded(self, event: WorkerReloaded) -> str:
        style = self._style
        if event.failure is not None:
            return self._failure(f"Error: {event.worker} does not load, and what is for it waits:", event.failure)
        names = [clean(file) for file in event.files]
        if len(names) > _MAX_FILES:
            names = [*names[: _MAX_FILES - 1], f"{len(names) - _MAX_FILES + 1} more"]
        files = f" {style.dim('(' + ', '.join(names) + ')')}" if names else ""
        return f"{style.cyan('Reloaded')} {event.worker} in {duration(event.duration)}{files}\n"

    def configuration(self, event: ConfigurationChanged) -> str:
        head = f"{self._style.cyan('Configuration')} {clean(self._name(event.file))}:"
        if len(event.changes) == 1:
            return f"{head} {event.changes[0]}\n"
        return f"{head}\n" + "".join(f"  {change}\n" for change in event.changes)

    def output(self, event: WorkerOutput) -> str:
        whence = f"[{event.worker} {_one_line(event.trigger)}]" if event.trigger else f"[{event.worker}]"
        prefix = f"{self._style.dim(whence)} "
        if event.logger:
            prefix += f"{self._level(event.level)} {event.logger}: "
        text = event.text.removesuffix("\n")
        return f"{prefix}{text}\n" if "\n" not in text else prefix + text.replace("\n", "\n  ") + "\n"

    def notice(self, event: Notice) -> str:
        text = f"{event.worker}: {event.text}" if event.worker else event.text
        text = text.replace("\n", "\n  ")
        return {"warning": self._warning, "error": self._error}.get(event.level, "{}\n".format)(text)

    def _level(self, level: Level) -> str:
        style = self._style
        return {"debug": style.dim, "warning": style.yellow, "error": style.red}.get(level, str)(level.upper())

    def _warning(self, text: str) -> str:
        return f"{self._style.yellow('Warning:')} {text}\n"

    def _error(self, text: str) -> str:
        return f"{self._style.red('Error:')} {text}\n"

    def _name(self, file: str) -> str:
        return file.removeprefix(self._prefix)

    def _failure(self, head: str, failure: Failure) -> str:
        """The message, then the user's own frames from the innermost out, then where in a library it was raised."""
        style = self._style
        summary = "\n".join(map(clean, failure.summary.splitlines())).replace("\n", "\n    ")
        lines = [f"{style.red(head)} {style.bold(summary)}"]
        if failure == self._last_failure:
            lines.append(style.dim(f"  as above, at {self._name(failure.location)}"))
            return "\n".join(lines) + "\n"
        self._last_failure = failure
        if failure.verbatim:
            said = (f"  {clean(line)}".rstrip() for line in failure.text.splitlines())
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
            lines += [style.dim(f"  | {line}") for line in failure.text.splitlines()]
        return "\n".join(lines) + "\n"

    def _frame(self, frame: Frame) -> list[str]:
        place = self._style.cyan(f"{self._name(frame.file)}:{frame.line}")
        head = f"  {place} in {frame.function}"
        return [head, f"    {frame.code}"] if frame.code else [head]


def _one_line(text: str) -> str:
    """`text`, cleaned, in at most `MAX_PATH` characters: its beginning and, after an ellipsis, its end."""
    text = clean(text)
    if len(text) <= MAX_PATH:
        return text
    tail = MAX_PATH // 4
    return f"{text[: MAX_PATH - tail - 3]}...{text[-tail:]}"


def _delays(delays: Sequence[int]) -> str:
    low, high = min(delays), max(delays)
    if high == 0:
        return ""
    return f" in {high} s" if low == high else f" in {low} to {high} s"


def _ids(messages: Sequence[Message]) -> str:
    """The first digits of the ids: enough to find a message again in a list."""
    ids = [message.id[:8] for message in messages[:_MAX_IDS]]
    if len(messages) > _MAX_IDS:
        ids.append(f"{len(messages) - _MAX_IDS:,} more")
    return ", ".join(ids)


def attempts_and_error(message: Message) -> tuple[int, str]:
    """How often `message` was delivered before it left its queue, and its last error in one line; empty: none known."""
    letter = message.dead_letter
    if letter is not None:
        return len(letter.attempts), letter.last_error
    failures = message.failures
    return max(message.attempts, len(failures)), DeadLetter("", 0.0, failures).last_error


def _by_reason(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Messages that share a reason, as `(what, why)`: `2 messages (3f2a91c0, 88ab1e55)`, ` after 4 attempts: ...`."""
    groups: dict[tuple[int, str], list[Message]] = {}
    for message in messages:
        groups.setdefault(attempts_and_error(message), []).append(message)
    return [
        (
            f"{count(len(group), 'message')} ({_ids(group)})",
            f" after {count(attempts, 'attempt')}" + (f": {clean(error)}" if error else ""),
        )
        for (attempts, error), group in groups.items()
    ]


def _causes(traceback: str) -> list[str]:
    """The last lines of the tracebacks that led to this one, nearest first, from the text that Python prints."""
    lines = [line for line in traceback.splitlines() if line.strip()]
    return [lines[index - 1].strip() for index, line in enumerate(lines) if index and line in _CAUSE_MARKERS][::-1]
