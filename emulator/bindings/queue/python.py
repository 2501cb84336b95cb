"""A queue producer binding: `env.QUEUE`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from emulator.base.failure import running_line
from emulator.bindings.kind import Resources
from emulator.bindings.queue.config import Producer
from emulator.config.model import WorkerConfig
from emulator.queues.errors import QueueError
from emulator.queues.message import Backlog, NewMessage
from emulator.queues.service import Queues
from emulator.wire.codec import CONTENT_TYPES, ContentType, encode
from emulator_runtime.hosting import AttributeDict, to_int32

JSON_MESSAGES_SINCE: Final = "2024-03-18"
ERROR_CODES_SINCE: Final = "2026-03-12"

_MISSING: Final = object()
_NONE: Final[Mapping[str, Any]] = {}


def make_bindings(
    resources: Resources, worker: WorkerConfig, producers: Mapping[str, Producer]
) -> dict[str, QueueBinding]:
    """The producer bindings in `env` of a Python worker, by name."""
    content_type: ContentType = "json" if _has_flag(worker, "queues_json_messages", JSON_MESSAGES_SINCE) else "v8"
    return {
        name: QueueBinding(
            resources.queues,
            producer.queue,
            worker=worker.name,
            directory=worker.directory,
            content_type=content_type,
            expose_error_codes=_has_flag(worker, "queue_expose_error_codes", ERROR_CODES_SINCE),
            on_warning=partial(resources.warn, worker.name),
        )
        for name, producer in producers.items()
    }


class QueueBinding:
    """Sends to one queue; `env.<binding>` of one worker.

    `directory` is that of the worker `worker`. `content_type` is what `send` assumes (`json`, or `v8` before
    compatibility date 2024-03-18). With `expose_error_codes`, errors of the service end with their code.
    """

    __slots__ = ("_content_type", "_directory", "_expose", "_queue", "_queues", "_warn", "_worker")

    def __init__(
        self,
        queues: Queues,
        queue: str,
        *,
        worker: str,
        directory: Path,
        content_type: ContentType = "json",
        expose_error_codes: bool = True,
        on_warning: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._queues = queues
        self._queue = queue
        self._worker = worker
        self._directory = f"{directory}/"
        self._content_type = content_type
        self._expose = expose_error_codes
        self._warn = on_warning

    async def send(
        self, body: Any = _MISSING, options: Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> AttributeDict:
        """Send one message: `send(body, contentType="json", delaySeconds=0)`, or the options as a dict.

        When it returns, the message is accepted. Raises TypeError for a body that does not fit its content type and for
        a delay beyond 32 bits, and an error with a code for what the service refuses. Returns the backlog,
        `metadata.metrics`.
        """
        if keywords or options:
            given = {**(options or _NONE), **keywords}
            body = given.pop("body", body)
            if isinstance(content_type := given.get("contentType"), str):
                given["contentType"] = content_type.lower()  # here it has no case, in sendBatch it has
            outgoing = self._outgoing(body, given, "send()")
        else:
            outgoing = NewMessage(encode(_present(body), self._content_type), self._content_type)
        try:
            location = running_line(self._directory) if self._queues.tells_of_sends else ""
            backlog = await self._queues.send(self._queue, (outgoing,), source=self._worker, location=location)
        except QueueError as error:
            raise self._shown(error, "send") from None
        return AttributeDict(metadata=AttributeDict(metrics=_metrics(backlog)))

    async def sendBatch(  # noqa: N802 - production's name
        self, messages: Iterable[Mapping[str, Any]], options: Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> AttributeDict:
        """Send 1 to 100 messages, `{"body": ..., "contentType": ..., "delaySeconds": ...}` each, all or none.

        `delaySeconds` is the delay of those that have none. Raises the same errors as `send`.
        """
        given = {**(options or _NONE), **keywords}
        batch_delay = _seconds(given.pop("delaySeconds", None))
        self._unknown(given, "sendBatch()", "delaySeconds")
        outgoing = [self._entry(message) for message in messages]
        if not outgoing:
            raise TypeError("sendBatch() requires at least one message")
        try:
            backlog = await self._queues.send(
                self._queue,
                outgoing,
                source=self._worker,
                batch_delay_seconds=batch_delay,
                location=running_line(self._directory) if self._queues.tells_of_sends else "",
            )
        except QueueError as error:
            raise self._shown(error, "sendBatch") from None
        return AttributeDict(metadata=AttributeDict(metrics=_metrics(backlog)))

    async def metrics(self) -> AttributeDict:
        """The backlog of the queue: `backlogCount`, `backlogBytes`, `oldestMessageTimestamp`."""
        try:
            return _metrics(await self._queues.backlog(self._queue))
        except QueueError as error:
            raise self._shown(error, "metrics") from None

    def __repr__(self) -> str:
        return f"<Queue {self._queue}>"

    def _entry(self, message: Any) -> NewMessage:
        if type(message) is not dict and not isinstance(message, Mapping):  # the first is four times as fast
            raise TypeError(f'sendBatch() takes messages such as {{"body": ...}}, not {type(message).__name__}')
        if len(message) == 1 and "body" in message:
            return NewMessage(encode(message["body"], self._content_type), self._content_type)
        given = dict(message)
        return self._outgoing(given.pop("body", _MISSING), given, "sendBatch()")

    def _outgoing(self, body: Any, given: dict[str, Any], call: str) -> NewMessage:
        content_type = given.pop("contentType", None)
        if content_type is None:
            content_type = self._content_type
        elif not isinstance(content_type, str) or content_type not in CONTENT_TYPES:
            known = ", ".join(CONTENT_TYPES)
            raise TypeError(f"Unsupported queue message content type: {content_type} (there are {known})")
        delay = _seconds(given.pop("delaySeconds", None))
        self._unknown(given, call, "contentType and delaySeconds")
        known_type = cast("ContentType", content_type)
        return NewMessage(encode(_present(body), known_type), known_type, delay)

    def _shown(self, error: QueueError, call: str) -> QueueError:
        """The error as the worker's compatibility flags show it."""
        if not self._expose:
            error.args = (f"Queue {call} failed: {error.cause}",)
        return error

    def _unknown(self, given: Mapping[str, Any], call: str, known: str) -> None:
        for name in given:
            self._warn(f"{call} ignores the option {name!r}; it takes {known}")


def _present(body: Any) -> Any:
    if body is _MISSING:
        raise TypeError("Message body cannot be undefined")
    return body


def _seconds(delay: Any) -> int | None:
    return None if delay is None else to_int32(delay)


def _metrics(metrics: Backlog) -> AttributeDict:
    oldest = metrics.oldest_message_timestamp
    return AttributeDict(
        backlogCount=metrics.backlog_count,
        backlogBytes=metrics.backlog_bytes,
        oldestMessageTimestamp=None if oldest is None else datetime.fromtimestamp(oldest, UTC).replace(tzinfo=None),
    )


def _has_flag(worker: WorkerConfig, flag: str, since: str) -> bool:
    return worker.has_flag(flag, f"no_{flag}", since)
