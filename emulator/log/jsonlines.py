"""Events as one JSON object a line, for programs. The keys are a contract, described in docs/terminal.md.

The methods are those of `emulator.log.text.TextLines`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from emulator.base.bus import Level, Notice
from emulator.base.failure import Failure
from emulator.hosts.events import HandlerFailed, ScheduledFinished, WorkerOutput
from emulator.log.summary import bindings, sorted_handlers
from emulator.log.text import attempts_and_error
from emulator.queues.events import (
    BatchDelivered,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesSent,
)
from emulator.queues.message import Message
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import ConfigurationChanged, WorkerReloaded

if TYPE_CHECKING:
    from emulator.hosts.host import Host

_encode = msgspec.json.Encoder().encode


def _line(event: str, level: Level, **fields: Any) -> str:
    record = {"time": datetime.now(UTC), "level": level, "event": event, **fields}
    try:
        return _encode(record).decode() + "\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 cannot carry and an escape can
        return json.dumps(record, default=str) + "\n"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "type": failure.type,
        "message": failure.message,
        "location": failure.location,
        "frames": [
            {
                "file": frame.file,
                "line": frame.line,
                "function": frame.function,
                "code": frame.code,
                "user": frame.is_user,
            }
            for frame in failure.frames
        ],
        "traceback": failure.text,
    }


def _lost(messages: Sequence[Message]) -> list[dict[str, Any]]:
    described = []
    for message in messages:
        attempts, error = attempts_and_error(message)
        described.append({"id": message.id, "attempts": attempts, "error": error})
    return described


def _worker(host: Host) -> dict[str, Any]:
    config = host.config
    return {
        "name": config.name,
        "main": str(config.main),
        "environment": config.environment,
        "loaded": host.failure is None,
        "handlers": sorted_handlers(host),
        "bindings": [{"name": name, "type": kind} for name, kind, _ in bindings(config)],
        "crons": list(config.crons),
        "consumers": [
            {"queue": consumer.queue, **msgspec.to_builtins(consumer.settings)} for consumer in config.consumers
        ],
    }


class JsonLines:
    """Writes events down for programs."""

    def name_workers(self, names: Sequence[str]) -> None:
        """Nothing to note: every record names its worker."""

    def ready(self, event: ServerReady, hosts: Sequence[Host]) -> str:
        token = event.api_token or None
        return _line("ready", "info", url=event.url, api_token=token, workers=[_worker(host) for host in hosts])

    def workers(self, hosts: Sequence[Host]) -> str:
        return _line("workers", "info", workers=[_worker(host) for host in hosts])

    def request(self, event: RequestFinished) -> str:
        return _line(
            "request",
            "info",
            worker=event.worker,
            method=event.method,
            path=event.path,
            status=event.status,
            duration_ms=_ms(event.duration),
        )

    def batch(self, event: BatchDelivered) -> str:
        settlement = event.settlement
        return _line(
            "batch",
            "info",
            worker=event.worker,
            queue=event.queue,
            size=len(event.messages),
            acked=len(settlement.acked),
            retried=len(settlement.retried),
            dead_lettered=len(settlement.dead),
            dropped=len(settlement.dropped),
            expired=len(settlement.expired),
            outcome=event.verdict.outcome,
            error=event.verdict.error,
            duration_ms=_ms(event.duration),
        )

    def forwarded(self, event: MessagesForwarded) -> str:
        ids = [message.id for message in event.messages]
        return _line("forwarded", "info", queue=event.queue, messages=ids, duration_ms=_ms(event.duration))

    def sent(self, event: MessagesSent) -> str:
        ids = [message.id for message in event.messages]
        return _line("sent", "debug", queue=event.queue, source=event.source, messages=ids)

    def dead_lettered(self, event: MessagesDeadLettered) -> str:
        return _line("dead_lettered", "warning", queue=event.queue, to=event.to, messages=_lost(event.messages))

    def dropped(self, event: MessagesDropped) -> str:
        level: Level = "info" if event.reason == "purged" else "warning"
        return _line("dropped", level, queue=event.queue, reason=event.reason, messages=_lost(event.messages))

    def scheduled(self, event: ScheduledFinished) -> str:
        return _line(
            "scheduled",
            "info",
            worker=event.worker,
            cron=event.cron,
            outcome=event.outcome,
            duration_ms=_ms(event.duration),
        )

    def handler_failed(self, event: HandlerFailed) -> str:
        return _line("failure", "error", worker=event.worker, trigger=event.trigger, failure=_failure(event.failure))

    def reloaded(self, event: WorkerReloaded) -> str:
        return _line(
            "reload",
            "info" if event.failure is None else "error",
            worker=event.worker,
            files=list(event.files),
            duration_ms=_ms(event.duration),
            failure=None if event.failure is None else _failure(event.failure),
        )

    def configuration(self, event: ConfigurationChanged) -> str:
        return _line("configuration", "info", file=event.file, changes=list(event.changes))

    def output(self, event: WorkerOutput) -> str:
        return _line(
            "output",
            event.level,
            worker=event.worker,
            trigger=event.trigger,
            logger=event.logger,
            text=event.text.removesuffix("\n"),
        )

    def notice(self, event: Notice) -> str:
        return _line("notice", event.level, worker=event.worker, text=event.text)
