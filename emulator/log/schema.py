"""What the JSON log consists of: a class for each event, whose fields are the keys of its line.

Programs read `docs/log.schema.json`, which `python -m emulator.log.schema` writes; the tests hold that file, the
documentation and every line to what stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from emulator.base.bus import Level


class Line(msgspec.Struct, tag_field="event", forbid_unknown_fields=True):
    """What every line has. `time` is in UTC; durations are in milliseconds."""

    time: datetime
    level: Level


class LinePart(msgspec.Struct, forbid_unknown_fields=True):
    """A part of a line."""


class FramePart(LinePart):
    """A line of code that was running. Lines and columns count from 1; columns are 0 where they are not known."""

    file: str
    line: int
    column: int
    end_column: int
    function: str
    code: str
    user: bool


class FailurePart(LinePart):
    """What went wrong. Frames go from the outermost call to the innermost."""

    type: str
    message: str
    location: str
    frames: Sequence[FramePart]
    traceback: str


class ReasonPart(LinePart):
    """Why a handler asked for the retry of a message."""

    id: str
    error: str
    location: str


class LostMessagePart(LinePart):
    """A message that left its queue without an ack."""

    id: str
    attempts: int
    error: str


class BindingPart(msgspec.Struct):
    """A name of `env`. Its type adds keys of its own."""

    name: str
    type: str


class WorkerPart(msgspec.Struct):
    """A worker that runs. The kinds of its bindings add keys, such as `consumers`."""

    name: str
    main: str | None
    environment: str | None
    loaded: bool
    handlers: Sequence[str]
    bindings: Sequence[BindingPart]
    crons: Sequence[str]
    crons_due: dict[str, str | None]
    consumers: Sequence[dict[str, Any]]


class ReadyLine(Line, tag="ready"):
    """Connections are accepted. The REST API requires the token, if there is one. `network_url` is where other machines
    reach it, if it is bound to every address, and `inspector_url` where debuggers reach JavaScript workers."""

    url: str
    network_url: str | None
    api_token: str | None
    inspector_url: str | None
    workers: Sequence[WorkerPart]


class RequestLine(Line, tag="request"):
    """A request was answered; 499 if the client went away first. `bindings` are the numbers of its operations by kinds
    of bindings, if there were any, as far as they are known."""

    worker: str
    method: str
    path: str
    status: int
    duration_ms: float
    bindings: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    bindings_ms: float | msgspec.UnsetType = msgspec.UNSET


class BatchLine(Line, tag="batch"):
    """A batch was settled. The numbers say what became of its messages."""

    worker: str
    queue: str
    size: int
    acked: int
    retried: int
    dead_lettered: int
    dropped: int
    expired: int
    outcome: Literal["ok", "exception", "exceeded_cpu", "exceeded_wall_time", "lease_expired"]
    error: str
    reasons: Sequence[ReasonPart]
    duration_ms: float


class ForwardedLine(Line, tag="forwarded"):
    """Messages went to the session that consumes their queue."""

    queue: str
    messages: Sequence[str]
    duration_ms: float


class PromotedLine(Line, tag="promoted"):
    """Delayed messages were made ready at once."""

    queue: str
    messages: Sequence[str]


class SentLine(Line, tag="sent"):
    """Messages entered a queue."""

    queue: str
    source: str
    messages: Sequence[str]


class BindingLine(Line, tag="binding"):
    """A binding was used: `operation` on `key`. `size` is in bytes; `error` is why it was refused."""

    worker: str
    binding: str
    binding_type: str
    operation: str
    key: str
    size: int
    duration_ms: float
    error: str | None


class FetchLine(Line, tag="fetch"):
    """A `fetch()` of worker code ended. `status` is null if there was no answer, and `error` says why."""

    worker: str
    method: str
    url: str
    status: int | None
    duration_ms: float
    error: str | None


class DeadLetteredLine(Line, tag="dead_lettered"):
    """Messages moved to a dead letter queue."""

    queue: str
    to: str
    messages: Sequence[LostMessagePart]


class DroppedLine(Line, tag="dropped"):
    """Messages were deleted without an ack."""

    queue: str
    reason: Literal["retries", "expired", "purged"]
    messages: Sequence[LostMessagePart]


class ScheduledLine(Line, tag="scheduled"):
    """A scheduled handler ended."""

    worker: str
    cron: str
    outcome: Literal["ok", "exception"]
    duration_ms: float


class EmailLine(Line, tag="email"):
    """An email handler ended."""

    worker: str
    sender: str
    recipient: str
    outcome: Literal["ok", "exception"]
    rejected: str | None
    duration_ms: float


class FailureLine(Line, tag="failure"):
    """Worker code raised an exception."""

    worker: str
    trigger: str
    failure: FailurePart


class RuntimeExitedLine(Line, tag="runtime_exited"):
    """The process of a JavaScript worker ended by itself."""

    worker: str
    reason: str
    restart_in_ms: float


class ReloadLine(Line, tag="reload"):
    """A worker runs new code, or its new code failed to load."""

    worker: str
    files: Sequence[str]
    duration_ms: float
    failure: FailurePart | None


class ConfigurationLine(Line, tag="configuration"):
    """A configuration was read again."""

    file: str
    changes: Sequence[str]


class OutputLine(Line, tag="output"):
    """A line that worker code printed or logged."""

    worker: str
    trigger: str
    logger: str
    text: str


class NoticeLine(Line, tag="notice"):
    """Something that the emulator says."""

    worker: str
    text: str


AnyLine = (
    ReadyLine
    | RequestLine
    | BatchLine
    | ForwardedLine
    | PromotedLine
    | SentLine
    | BindingLine
    | FetchLine
    | DeadLetteredLine
    | DroppedLine
    | ScheduledLine
    | EmailLine
    | FailureLine
    | RuntimeExitedLine
    | ReloadLine
    | ConfigurationLine
    | OutputLine
    | NoticeLine
)
"""Any line of the JSON log."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> str:
    """The JSON Schema of a line. It allows keys that a later version adds."""
    schema = {"$schema": DIALECT, "title": "A line of emulator dev --log-format json", **msgspec.json.schema(AnyLine)}
    for definition in schema["$defs"].values():
        definition.pop("additionalProperties", None)
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")
