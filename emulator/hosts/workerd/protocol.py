"""The protocol between the emulator and its modules inside workerd: every name once, and the format of what is sent.

Two of the emulator's modules run inside workerd. `worker.js` wraps the user's module and runs its handlers;
`delivery.js` receives everything from the emulator that is not a user's request. Both get their names from here when
they are written. When a handler has raised, or asked for retries, `delivery.js` asks `worker.js` why: what the handler
called with `key` raised, or null, and what was logged when it asked for the retries of messages, by their ids.

| request | body | answer |
| --- | --- | --- |
| `POST /queue` | the description of a batch as JSON, then the bodies of its messages | an `Ended`, with decisions |
| `POST /scheduled` | `{"cron", "scheduledTime"}` | an `Ended` |
| `POST /email` | the description of a message as JSON, then the message as MIME | an `Ended` |
| `POST /decode` | the body of an answer in the coding that a header names | the body without it |
| `GET /handlers` | | a list of the handlers that the worker has |
| `GET /idle` | | 204, once no `waitUntil` work runs any more |
| `POST /why` | (from `delivery.js` to `worker.js`) `{"key", "retried"}` | `{"failure", "causes", "retryAllCause"}` |
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.hosts.triggers import HANDLERS, ScheduledTrigger
from emulator.hosts.workerd.lanes import BINDING, LANE_HEADER, MARK
from emulator.queues.message import Outcome, QueueMessage, Verdict, WorkerDelivery
from emulator.wire.codec import decode
from emulator.wire.structured_clone import is_serialized, serialize
from emulator.wire.texts import read_json
from emulator_runtime.hosting import well_formed

if TYPE_CHECKING:
    from emulator.bindings.email.incoming import IncomingEmail

QUEUE_PATH: Final = "/queue"
SCHEDULED_PATH: Final = "/scheduled"
EMAIL_PATH: Final = "/email"
HANDLERS_PATH: Final = "/handlers"
IDLE_PATH: Final = "/idle"
DECODE_PATH: Final = "/decode"
WHY_PATH: Final = "/why"

DESCRIPTION_HEADER: Final = "x-description-bytes"
"""A header of a batch or a message: how many bytes of the body are its description."""

CODING_HEADER: Final = "x-coding"
"""A header of a body that is to be decoded: `gzip` or `br`."""

FAILURE_HEADER: Final = "x-emulator-failure"
"""A header of an answer that describes what a `fetch` handler raised; its value is the token, which user code does not
know."""

INVOKE_ENTRYPOINT: Final = "__emulator__"
"""The export of `worker.js` that runs the worker's handlers."""

CONTROL_ENTRYPOINT: Final = "__emulatorControl__"
"""The export of `worker.js` that describes the handlers."""

LANES_NAME: Final = "__emulator_lanes__.js"
"""The name of the module that `worker.js` imports to tell invocations apart."""

NO_DEFAULT_EXPORT: Final = "no default export"
"""What `worker.js` answers, after the token, if it cannot run anything."""

_MODULES: Final = Path(__file__).parent / "modules"

_NAMES: Final = {
    "handlers": HANDLERS,
    "paths": {
        "queue": QUEUE_PATH,
        "scheduled": SCHEDULED_PATH,
        "email": EMAIL_PATH,
        "handlers": HANDLERS_PATH,
        "idle": IDLE_PATH,
        "decode": DECODE_PATH,
        "why": WHY_PATH,
    },
    "descriptionHeader": DESCRIPTION_HEADER,
    "codingHeader": CODING_HEADER,
    "failureHeader": FAILURE_HEADER,
    "laneHeader": LANE_HEADER,
    "noDefaultExport": NO_DEFAULT_EXPORT,
}

HUNG: Final = frozenset({"exception", "exceededCpu"})
"""The outcomes, without an exception of the handler, of an invocation that waits for something that can never happen:
workerd's word for it today, and in versions before that. It has no limit of CPU time."""

_OUTCOMES: Final[dict[str, Outcome]] = {"ok": "ok", "exceededWallTime": "exceeded_wall_time"}
"""workerd's words for how an invocation ended, and the emulator's; any other means an exception."""

_encode: Final = msgspec.json.Encoder().encode


def worker_module(main: str, token: str) -> bytes:
    """The emulator's module that wraps the user's, which is called `main`. `token` marks its reports."""
    text = _filled("worker.js").replace("EMULATOR_INVOKE", INVOKE_ENTRYPOINT)
    text = text.replace("EMULATOR_CONTROL", CONTROL_ENTRYPOINT)
    text = text.replace("EMULATOR_LANES", LANES_NAME)
    return text.replace("EMULATOR_MAIN", main).replace("EMULATOR_TOKEN", token).encode()


def lanes_module(token: str, *, tells_fetches: bool) -> bytes:
    """The emulator's module that tells invocations apart, and marks with `token` what they log, and what it tells
    of each `fetch()`."""
    text = (_MODULES / "lanes.js").read_text(encoding="utf-8")
    names = json.dumps({"binding": BINDING, "mark": MARK})
    text = text.replace("EMULATOR_TELLS_FETCHES", json.dumps(tells_fetches))
    return text.replace("EMULATOR_LANE_NAMES", names).replace("EMULATOR_TOKEN", token).encode()


def script_module(main: str) -> bytes:
    """The emulator's module that runs the script `main`, which is written in service-worker syntax."""
    text = (_MODULES / "service_worker.js").read_text(encoding="utf-8")
    return text.replace("EMULATOR_HANDLERS", json.dumps(HANDLERS)).replace("EMULATOR_MAIN", main).encode()


def delivery_module() -> bytes:
    """The emulator's module that passes deliveries to the worker."""
    return _filled("delivery.js").encode()


def services_module() -> bytes:
    """The emulator's module that calls other workers."""
    return (_MODULES / "services.js").read_bytes()


def _filled(module: str) -> str:
    return (_MODULES / module).read_text(encoding="utf-8").replace("EMULATOR_PROTOCOL", json.dumps(_NAMES))


def get_head(path: str) -> bytes:
    """The head of a request to the emulator's modules."""
    return b"GET %b HTTP/1.1\r\nHost: emulator\r\n\r\n" % path.encode()


def batch_request(delivery: WorkerDelivery) -> tuple[bytes, bytes]:
    """The head and the body of the request that delivers a batch."""
    bodies = [_body(message) for message in delivery.messages]
    description = _encode(_description(delivery, bodies))
    body = b"".join((description, *bodies))
    return _post_head(QUEUE_PATH, len(body), f"{DESCRIPTION_HEADER}: {len(description)}\r\n"), body


def scheduled_request(trigger: ScheduledTrigger) -> tuple[bytes, bytes]:
    """The head and the body of the request that runs the `scheduled` handler."""
    body = _encode({"cron": well_formed(trigger.cron), "scheduledTime": trigger.scheduled_time_ms})
    return _post_head(SCHEDULED_PATH, len(body)), body


def email_request(email: IncomingEmail) -> tuple[bytes, bytes]:
    """The head and the body of the request that runs the `email` handler."""
    described = {"key": email.key, "from": email.sender, "to": email.recipient, "headers": email.headers}
    description = _encode(described)
    body = description + email.raw
    return _post_head(EMAIL_PATH, len(body), f"{DESCRIPTION_HEADER}: {len(description)}\r\n"), body


def decode_head(coding: str) -> bytes:
    """The head of the request that decodes a body, which follows in chunks."""
    return (
        f"POST {DECODE_PATH} HTTP/1.1\r\nHost: emulator\r\n{CODING_HEADER}: {coding}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()


def _post_head(path: str, size: int, header: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: emulator\r\n{header}Content-Length: {size}\r\n\r\n".encode()


def _description(delivery: WorkerDelivery, bodies: list[bytes]) -> dict[str, Any]:
    metrics = delivery.metrics
    oldest = metrics.oldest_message_timestamp
    return {
        "queue": delivery.queue,
        "metrics": {
            "backlogCount": metrics.backlog_count,
            "backlogBytes": metrics.backlog_bytes,
            "oldestMessageTimestamp": None if oldest is None else round(oldest * 1000),
        },
        "messages": [
            {
                "id": message.id,
                "timestamp": round(message.timestamp * 1000),
                "attempts": message.attempts,
                "type": message.content_type,
                "size": len(body),
            }
            for message, body in zip(delivery.messages, bodies, strict=True)
        ],
    }


def _body(message: QueueMessage) -> bytes:
    """The body unchanged, or for a `v8` message from a Python worker, the same value as JavaScript encodes it."""
    body = message.body
    if message.content_type != "v8" or is_serialized(body):
        return body
    return serialize(decode(body, "v8"))


class _RetryBatch(msgspec.Struct, rename="camel", gc=False):
    retry: bool = False
    delay_seconds: int | None = None


class _Retry(msgspec.Struct, rename="camel", gc=False):
    msg_id: str
    delay_seconds: int | None = None


class Ended(msgspec.Struct, rename="camel", gc=False):
    """How an invocation ended, as `delivery.js` reports it: workerd's outcome, a batch handler's decisions, and its
    exception. `causes` are errors that were logged when it asked for the retry of a message, by id."""

    outcome: str
    ack_all: bool = False
    retry_batch: _RetryBatch = msgspec.field(default_factory=_RetryBatch)
    explicit_acks: list[str] = []
    retry_messages: list[_Retry] = []
    failure: dict[str, Any] | None = None
    causes: dict[str, dict[str, Any]] = {}
    retry_all_cause: dict[str, Any] | None = None

    def verdict(self) -> Verdict:
        """The result of the delivery, without a failure and without causes."""
        return Verdict(
            _OUTCOMES.get(self.outcome, "exception"),
            self.ack_all,
            self.retry_batch.retry,
            self.retry_batch.delay_seconds,
            set(self.explicit_acks),
            {retry.msg_id: retry.delay_seconds for retry in self.retry_messages},
        )


_REASONS: Final = frozenset({"failure", "causes", "retryAllCause"})
"""What of an `Ended` only explains what was decided."""

_read_ended: Final = msgspec.json.Decoder(Ended).decode


def read_ended(content: bytes) -> Ended:
    """How an invocation ended. Decisions are kept even if the exception cannot be read. Raises ValueError if `content`
    is not a report."""
    try:
        return _read_ended(content)
    except msgspec.DecodeError:
        told = read_json(content)
        try:
            return msgspec.convert(told, Ended)
        except ValueError:  # of its shape, or of a text that stands in a wrong place
            if not isinstance(told, dict):
                raise
            decided = {key: value for key, value in told.items() if key not in _REASONS}
            return msgspec.convert(decided, Ended)
