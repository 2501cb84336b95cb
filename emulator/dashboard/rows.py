"""Messages and requests as rows of lists, and what a filter can ask of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from emulator.dashboard.filters import Facts
from emulator.dashboard.story import MessageState, RequestStory
from emulator.queues.message import Attempt, QueueMessage
from emulator.wire.codec import decode


class FoundMessage(NamedTuple):
    """A message in a queue, or one that has left it, in its state. `leased_until` is when the lease of a client on it
    ends, in seconds since the epoch; None if no client has it."""

    queue: str
    state: MessageState
    message: QueueMessage
    leased_until: float | None = None

    @property
    def failures(self) -> Sequence[Attempt]:
        """The attempts that failed; of a dead letter, those in the queue that it came from."""
        message = self.message
        letter = message.dead_letter
        return letter.attempts if letter is not None and not message.failures else message.failures

    @property
    def attempts(self) -> int:
        """How often it was delivered; for a dead letter, in the queue that it came from."""
        return self.message.attempts or len(self.failures)

    @property
    def error(self) -> str:
        """The last error in one line; empty if there is none."""
        return next((each.error for each in reversed(self.failures) if each.error), "")

    @property
    def states(self) -> str | Sequence[str]:
        """Its state, and `retrying` if it waits after it was delivered."""
        return (self.state, "retrying") if self.state in WAITING and self.message.attempts else self.state


WAITING: Final = ("ready", "delayed", "dead")
"""The states of messages that wait in a queue."""


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a list, as in MessageStory. `leased_until` is when the lease of a client on it ends; None if no
    client has it."""

    id: str
    queue: str
    state: MessageState
    text: str
    content_type: str
    size: int
    sent_at: float
    attempts: int
    error: str
    next_at: float | None = None
    leased_until: float | None = None


class MessageFacts(Mapping[str, Any]):
    """What a filter can ask of a message: `id`, `queue`, `state`, `attempts`, `error`, `body`, `type`, `size` in bytes,
    `source`, `worker`, `older` (its age in seconds). Each is found when it is asked for."""

    def __init__(self, found: FoundMessage, now: float) -> None:
        self._found = found
        self._now = now

    def __getitem__(self, name: str) -> Any:
        return _FACTS[name](self._found, self._now)

    def __contains__(self, name: object) -> bool:
        return name in _FACTS

    def __iter__(self) -> Iterator[str]:
        return iter(_FACTS)

    def __len__(self) -> int:
        return len(_FACTS)


_FACTS: Final[Mapping[str, Callable[[FoundMessage, float], Any]]] = {
    "id": lambda found, _now: found.message.id,
    "queue": lambda found, _now: found.queue,
    "state": lambda found, _now: found.states,
    "attempts": lambda found, _now: found.attempts,
    "error": lambda found, _now: found.error,
    "body": lambda found, _now: value_of(found.message),
    "type": lambda found, _now: found.message.content_type,
    "size": lambda found, _now: len(found.message.body),
    "source": lambda found, _now: found.message.source,
    "worker": lambda found, _now: found.message.source,
    "older": lambda found, now: now - found.message.timestamp,
    "text": lambda found, _now: f"{found.message.id} {text_of(value_of(found.message))} {found.error}",
}


def request_facts(story: RequestStory, now: float) -> Facts:
    """What a filter can ask of a request: `id`, `kind`, `worker`, `method`, `path`, `status`, `outcome`, `duration` and
    `older` in seconds."""
    return {
        "id": story.id,
        "kind": story.kind,
        "worker": story.worker,
        "method": story.method,
        "path": story.path,
        "status": story.status,
        "outcome": story.outcome,
        "duration": story.duration,
        "older": now - story.at,
        "text": f"{story.id} {story.text} {story.outcome}",
    }


def state_of(message: QueueMessage, now: float) -> MessageState:
    if message.ready_at > now:
        return "delayed"
    return "ready" if message.dead_letter is None else "dead"


def message_row(found: FoundMessage) -> MessageRow:
    message = found.message
    return MessageRow(
        id=message.id,
        queue=found.queue,
        state=found.state,
        text=text_of(value_of(message))[:300],
        content_type=message.content_type,
        size=len(message.body),
        sent_at=message.timestamp,
        attempts=found.attempts,
        error=found.error,
        next_at=message.ready_at if found.state == "delayed" else None,
        leased_until=found.leased_until,
    )


def json_line(found: FoundMessage) -> bytes:
    """A message for a program, as a line of JSON. A body that is not JSON or text is in hexadecimal. Times are in
    seconds since the epoch."""
    message, letter = found.message, found.message.dead_letter
    body: Any = None
    is_read = message.content_type in {"json", "text"}
    if is_read:
        try:
            body = decode(message.body, message.content_type)
        except (ValueError, RecursionError):
            is_read = False
    row = {
        "id": message.id,
        "queue": found.queue,
        "state": found.state,
        "content_type": message.content_type,
        "body": body if is_read else message.body.hex(),
        "timestamp": message.timestamp,
        "ready_at": message.ready_at,
        "leased_until": found.leased_until,
        "attempts": found.attempts,
        "source": message.source,
        "failures": [
            {"number": each.number, "at": each.at, "outcome": each.outcome, "error": each.error}
            for each in found.failures
        ],
        "dead_letter": None if letter is None else {"queue": letter.queue, "died_at": letter.died_at},
    }
    return json.dumps(row, default=str).encode() + b"\n"


def value_of(message: QueueMessage) -> Any:
    """The value of a body; its bytes if it cannot be read, or is nested too deep."""
    try:
        return decode(message.body, message.content_type)
    except (ValueError, RecursionError):
        return message.body


def text_of(value: Any) -> str:
    """A body for people."""
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value, enc_hook=repr).decode()
    except (TypeError, ValueError):
        return repr(value)
