"""Messages and requests as rows of lists, and what a filter can ask of them."""

from __future__ import annotations

from typing import Any

import msgspec

from emulator.dashboard.filters import Facts
from emulator.dashboard.story import MessageState, RequestStory
from emulator.queues.message import QueueMessage
from emulator.wire.codec import decode


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a list, as in MessageStory."""

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


def message_facts(row: MessageRow, message: QueueMessage, now: float) -> Facts:
    """What a filter can ask of a message: `id`, `queue`, `state`, `attempts`, `error`, `body`, `type`, `size` in bytes,
    `source`, `worker`, `older` (its age in seconds)."""
    return {
        "id": row.id,
        "queue": row.queue,
        "state": row.state,
        "attempts": row.attempts,
        "error": row.error,
        "body": value_of(message),
        "type": row.content_type,
        "size": row.size,
        "source": message.source,
        "worker": message.source,
        "older": now - row.sent_at,
        "text": f"{row.id} {row.text} {row.error}",
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


def message_row(message: QueueMessage, queue: str, state: MessageState) -> MessageRow:
    letter = message.dead_letter
    failures = letter.attempts if letter is not None and not message.failures else message.failures
    return MessageRow(
        id=message.id,
        queue=queue,
        state=state,
        text=text_of(value_of(message))[:300],
        content_type=message.content_type,
        size=len(message.body),
        sent_at=message.timestamp,
        attempts=message.attempts or len(failures),
        error=next((each.error for each in reversed(failures) if each.error), ""),
        next_at=message.ready_at if state == "delayed" else None,
    )


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
