"""A record: an event as a plain value, from which its text and its JSON are made.

There is one function here for each event; `table` says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from emulator.base.bus import Level, Notice
from emulator.bindings.events import BindingUsed
from emulator.hosts.events import (
    EmailFinished,
    FetchFinished,
    HandlerFailed,
    RuntimeExited,
    ScheduledFinished,
    WorkerOutput,
)
from emulator.queues.events import (
    BatchDelivered,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesPromoted,
    MessagesSent,
)
from emulator.queues.message import DeadLetter, QueueMessage, Settlement
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import ConfigurationChanged, WorkerReloaded

if TYPE_CHECKING:
    from emulator.hosts.host import WorkerHost

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Record(NamedTuple):
    """What an event says.

    `event`, `level` and the keys of `fields` are the ones that docs/terminal.md promises to programs. Durations are in
    milliseconds. A `failure` is a `Failure` and `workers` are hosts, which text and JSON each write in their own way;
    everything else is strings, numbers, lists and dicts. `details` holds what only people are shown.
    """

    event: str
    level: Level
    fields: Mapping[str, Any]
    details: Mapping[str, Any] = _NOTHING


def ready(event: ServerReady) -> Record:
    """`workers` is empty: whoever shows the record adds them."""
    fields = {
        "url": event.url,
        "network_url": event.network_url or None,
        "api_token": event.api_token or None,
        "inspector_url": event.inspector_url or None,
    }
    return Record("ready", "info", {**fields, "workers": ()})


def with_workers(record: Record, hosts: Sequence[WorkerHost]) -> Record:
    """`record` with the workers that run."""
    return record._replace(fields={**record.fields, "workers": hosts})


def workers(hosts: Sequence[WorkerHost]) -> Record:
    """What `emulator check` shows; not an event."""
    return Record("workers", "info", {"workers": hosts})


def request(event: RequestFinished) -> Record:
    return Record(
        "request",
        "info",
        {
            "worker": event.worker,
            "method": event.method,
            "path": event.path,
            "status": event.status,
            "duration_ms": _ms(event.duration),
            **_uses(event),
        },
    )


def _uses(event: RequestFinished) -> Mapping[str, Any]:
    if event.bindings is None:
        return _NOTHING
    return {"bindings": event.bindings, "bindings_ms": _ms(event.binding_seconds)}


def batch(event: BatchDelivered) -> Record:
    """The details say what became of which messages, under the names that their counts have in the fields. `reasons`
    are those for which the handler asked for retries, as far as they are known."""
    settlement, verdict, messages = event.settlement, event.verdict, event.messages
    acked, retried, dead = settlement.acked, settlement.retried, settlement.dead
    dropped, expired = settlement.dropped, settlement.expired
    fields = {
        "worker": event.worker,
        "queue": event.queue,
        "size": len(messages),
        "acked": len(acked),
        "retried": len(retried),
        "dead_lettered": len(dead),
        "dropped": len(dropped),
        "expired": len(expired),
        "outcome": verdict.outcome,
        "error": verdict.error,
        "reasons": _reasons(settlement) if retried or dead or dropped else [],
        "duration_ms": _ms(event.duration),
    }
    details = {
        "messages": messages,
        "became": {
            "acked": acked,
            "retried": [message for message, _ in retried] if retried else (),
            "dead_lettered": dead,
            "dropped": dropped,
            "expired": expired,
        },
        "retry_delays": sorted({delay for _, delay in retried}) if retried else (),
        "retry_attempts": sorted({message.attempts + 1 for message, _ in retried}) if retried else (),
        "max_attempts": settlement.max_attempts,
        "dead_letter_queue": settlement.dead_letter_queue,
    }
    return Record("batch", "info", fields, details)


def forwarded(event: MessagesForwarded) -> Record:
    fields = {"queue": event.queue, "messages": _ids(event.messages), "duration_ms": _ms(event.duration)}
    return Record("forwarded", "info", fields)


def promoted(event: MessagesPromoted) -> Record:
    return Record("promoted", "info", {"queue": event.queue, "messages": _ids(event.messages)})


def sent(event: MessagesSent) -> Record:
    fields = {"queue": event.queue, "source": event.source, "messages": _ids(event.messages)}
    return Record("sent", "debug", fields, {"messages": event.messages})


def binding(event: BindingUsed) -> Record:
    fields = {
        "worker": event.worker,
        "binding": event.name,
        "binding_type": event.kind,
        "operation": event.operation,
        "key": event.key,
        "size": event.size,
        "duration_ms": _ms(event.duration),
        "error": event.error or None,
    }
    return Record("binding", "debug", fields)


def fetch(event: FetchFinished) -> Record:
    fields = {
        "worker": event.worker,
        "method": event.method,
        "url": event.url,
        "status": event.status or None,
        "duration_ms": _ms(event.duration),
        "error": event.error or None,
    }
    return Record("fetch", "debug", fields)


def dead_lettered(event: MessagesDeadLettered) -> Record:
    return Record(
        "dead_lettered", "warning", {"queue": event.queue, "to": event.to, "messages": _with_errors(event.messages)}
    )


def dropped(event: MessagesDropped) -> Record:
    return Record(
        "dropped",
        "info" if event.reason == "purged" else "warning",
        {"queue": event.queue, "reason": event.reason, "messages": _with_errors(event.messages)},
    )


def scheduled(event: ScheduledFinished) -> Record:
    return Record(
        "scheduled",
        "info",
        {
            "worker": event.worker,
            "cron": event.cron,
            "outcome": event.outcome,
            "duration_ms": _ms(event.duration),
        },
    )


def email(event: EmailFinished) -> Record:
    return Record(
        "email",
        "warning" if event.rejected else "info",
        {
            "worker": event.worker,
            "sender": event.sender,
            "recipient": event.recipient,
            "outcome": event.outcome,
            "rejected": event.rejected or None,
            "duration_ms": _ms(event.duration),
        },
    )


def failure(event: HandlerFailed) -> Record:
    return Record("failure", "error", {"worker": event.worker, "trigger": event.trigger, "failure": event.failure})


def runtime_exited(event: RuntimeExited) -> Record:
    fields = {"worker": event.worker, "reason": event.reason, "restart_in_ms": _ms(event.restart_seconds)}
    return Record("runtime_exited", "error", fields)


def reload(event: WorkerReloaded) -> Record:
    return Record(
        "reload",
        "info" if event.failure is None else "error",
        {
            "worker": event.worker,
            "files": list(event.files),
            "duration_ms": _ms(event.duration),
            "failure": event.failure,
        },
    )


def configuration(event: ConfigurationChanged) -> Record:
    return Record("configuration", "info", {"file": event.file, "changes": list(event.changes)})


def output(event: WorkerOutput) -> Record:
    return Record(
        "output",
        event.level,
        {
            "worker": event.worker,
            "trigger": event.trigger,
            "logger": event.logger,
            "text": event.text.removesuffix("\n"),
        },
    )


def notice(event: Notice) -> Record:
    return Record("notice", event.level, {"worker": event.worker, "text": event.text})


def _reasons(settlement: Settlement) -> list[dict[str, Any]]:
    """Messages that their handler wants again because of an error of their own: which it was, in one line, and where in
    the worker's code it is from, empty if that is not known."""
    failed = (*(message for message, _ in settlement.retried), *settlement.dead, *settlement.dropped)
    last = ((message.id, message.failures[-1]) for message in failed if message.failures)
    verdict = settlement.verdict
    reasons = []
    for message_id, attempt in last:
        if attempt.outcome == "retry" and attempt.error not in ("", verdict.error):
            cause = verdict.cause_of(message_id)
            location = "" if cause is None else cause.location
            reasons.append({"id": message_id, "error": attempt.error, "location": location})
    return reasons


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _ids(messages: Sequence[QueueMessage]) -> list[str]:
    return [message.id for message in messages]


def _with_errors(messages: Sequence[QueueMessage]) -> list[dict[str, Any]]:
    """Messages that are lost: how often each was delivered before it left its queue, and its last error in one line,
    empty if none is known."""
    described = []
    for message in messages:
        letter = message.dead_letter
        if letter is not None:
            attempts, error = len(letter.attempts), letter.last_error
        else:
            attempts = max(message.attempts, len(message.failures))
            error = DeadLetter("", 0.0, message.failures).last_error
        described.append({"id": message.id, "attempts": attempts, "error": error})
    return described
