"""What is told of a message or a request, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Literal

import msgspec

MessageState = Literal[
    "ready", "delayed", "in flight", "acked", "dead", "dropped", "expired", "purged", "forwarded", "gone"
]
"""`dead` messages wait in a dead letter queue. `gone` ones have left their queue, and how is not known."""


class SourceLine(msgspec.Struct, frozen=True):
    """A line of a file, counted from 1; `is_it` marks the one that is meant."""

    number: int
    text: str
    is_it: bool = False


class ActPart(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened within a request or a delivery: `line` of output, operation on a `binding`,
    outgoing `fetch`, messages `sent`, or `error`. `at` is when it began, in seconds since the epoch, and `duration` in
    seconds."""

    kind: Literal["line", "binding", "fetch", "sent", "error"]
    at: float
    text: str
    level: str = "info"
    duration: float = 0.0
    queue: str = ""
    messages: Sequence[str] = ()


class LocalScope(msgspec.Struct, frozen=True, kw_only=True):
    """The local variables of a frame of the worker's own code when an exception was raised: name -> short text, in
    the order of the code, and how many `more` there were. `function` is at `location`, `file:line`. `error` is the
    exception, in one line, if it was one that led to what was raised in the end. Secrets are hidden."""

    function: str
    location: str
    variables: Mapping[str, str]
    more: int = 0
    error: str = ""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong: `error` in one line, the whole `traceback`, and where in the worker's code, as `file:line`, with
    the lines around it and the local variables of the worker's frames, innermost first, and then those of the
    exceptions behind it. Empty where that is not known."""

    error: str
    traceback: str = ""
    location: str = ""
    source: Sequence[SourceLine] = ()
    scopes: Sequence[LocalScope] = ()


class Companion(msgspec.Struct, frozen=True, kw_only=True):
    """Another message of a batch, and its body in short."""

    id: str
    text: str


class AttemptStory(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery of a message, the `number`th of at most `of` (0: not known).

    `at` is when it began, in seconds since the epoch; `duration` and `delay` are in seconds, None where not known or
    not retried. `result` is what became of the message, `decision` what decided that, and `delay_from` the setting that
    chose the delay. `delivery` is the id of the delivery, and `batch` are the ids of all messages in it; of the first
    others, `beside` has the bodies.
    """

    number: int
    of: int
    at: float
    result: str
    decision: str
    worker: str = ""
    duration: float | None = None
    delay: int | None = None
    delay_from: str = ""
    trouble: Trouble | None = None
    delivery: str = ""
    batch: Sequence[str] = ()
    beside: Sequence[Companion] = ()
    parts: Sequence[ActPart] = ()


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """What has put a message into a queue. `kind` is `request`, `delivery`, `scheduled`, `email`, `worker` (nothing
    more is known), `dead letter`, `redrive`, `api`, `test` or `forwarded`; `text` says it in words that complete "it
    came": `from worker shop, in POST /signup`. `id` is that of the request or the delivery, and `location` the line of
    code that sent it, as `file:line`, with `source` around it; empty if they are not known. If another session has
    forwarded it, `session` is the URL of that, and the rest is as that one knows it."""

    kind: str
    text: str
    worker: str = ""
    id: str = ""
    location: str = ""
    source: Sequence[SourceLine] = ()
    session: str = ""


class Life(msgspec.Struct, kw_only=True):
    """A message's time in one queue, from `began` to `ended`, in seconds since the epoch; None where that is not
    known. `end` is the state in which it left; empty while it is there. `to` describes the session that it was
    forwarded to, if it was, and `session` is the URL of that."""

    queue: str
    began: float | None = None
    origin: Provenance | None = None
    attempts: list[AttemptStory] = []
    ended: float | None = None
    end: str = ""
    to: str = ""
    session: str = ""


class MessageStory(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a message.

    `because` answers in a sentence why it is as it is, and `next` says what comes, at `next_at`; both may be empty, or
    None. `body` is the value, as far as JSON can represent it, and `text` the body for people. Times are in seconds
    since the epoch. `is_whole` says that nothing of it has been forgotten.
    """

    id: str
    queue: str
    state: MessageState
    because: str
    next: str = ""
    next_at: float | None = None
    body: Any = None
    text: str = ""
    content_type: str = ""
    size: int = 0
    sent_at: float | None = None
    attempts: int = 0
    error: str = ""
    lives: Sequence[Life] = ()
    is_whole: bool = True
    zone: str = ""
    """Of the times in texts: `UTC`, or empty for that of the machine."""

    def __str__(self) -> str:
        from emulator.dashboard.telling import tell

        return tell(self)


class RequestStory(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was answered, or a cron or an e-mail that was handled. `kind` says which, and `text` in words:
    `POST /signup`. `id` is that of its act, and `trace` that of everything that it caused. `at` is in seconds since the
    epoch, and `duration` in seconds. `outcome` is the status, or `ok` or `exception`.

    `headers` are those of the request, with what must not be seen as dots, and `body` is as much of its body as is
    kept, which `body_note` says; None if it is not known. In a list it has none of these, and no `parts`.
    """

    id: str
    trace: str
    kind: Literal["request", "scheduled", "email"]
    worker: str
    text: str
    outcome: str
    at: float
    duration: float
    method: str = ""
    path: str = ""
    status: int = 0
    because: str = ""
    trouble: Trouble | None = None
    parts: Sequence[ActPart] = ()
    headers: Sequence[tuple[str, str]] = ()
    body: str | None = None
    body_note: str = ""


def time_of_day(at: float, now: float, zone: tzinfo | None) -> str:
    """A time of day, with the date if that is not the one of `now`."""
    moment = datetime.fromtimestamp(at, zone)
    is_today = moment.date() == datetime.fromtimestamp(now, zone).date()
    return f"{moment:%H:%M:%S}" if is_today else f"{moment:%Y-%m-%d %H:%M:%S}"
