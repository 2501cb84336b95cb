"""A record as one line of JSON, for programs. The keys are a contract, described in docs/terminal.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from emulator.base.failure import Failure
from emulator.bindings.registry import KINDS
from emulator.log.record import Record
from emulator.log.summary import bindings, sorted_handlers
from emulator.wire.texts import write_json

if TYPE_CHECKING:
    from emulator.hosts.host import WorkerHost


def json_line(record: Record) -> str:
    """`record` as a line, with the current time."""
    written = {"time": datetime.now(UTC), "level": record.level, "event": record.event, **plain_fields(record)}
    return write_json(written).decode() + "\n"


def plain_fields(record: Record) -> dict[str, Any]:
    """The fields of a record as they are in JSON."""
    written = dict(record.fields)
    for key, write in _FORMS.items():
        if written.get(key) is not None:
            written[key] = write(written[key])
    return written


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "type": failure.type,
        "message": failure.message,
        "location": failure.location,
        "frames": [
            {
                "file": frame.file,
                "line": frame.line,
                "column": frame.column,
                "end_column": frame.end_column,
                "function": frame.function,
                "code": frame.code,
                "user": frame.is_user,
            }
            for frame in failure.frames
        ],
        "traceback": failure.text,
    }


def _workers(hosts: Sequence[WorkerHost]) -> list[dict[str, Any]]:
    return [_worker(host) for host in hosts]


def _worker(host: WorkerHost) -> dict[str, Any]:
    config = host.config
    record: dict[str, Any] = {
        "name": config.name,
        "main": str(config.main) if config.has_code else None,
        "environment": config.environment,
        "loaded": host.failure is None,
        "handlers": sorted_handlers(host),
        "bindings": [
            {"name": name, "type": kind.name, **kind.binding_record(settings)}
            for kind, name, settings in bindings(config)
        ],
        "crons": list(config.crons),
        "crons_due": {cron: _due(cron) for cron in config.crons},
    }
    for kind in KINDS:
        record.update(kind.worker_record(config))
    return record


def _due(cron: str) -> datetime | None:
    from emulator.config.cron import parse  # most workers have none

    now = datetime.now(UTC)
    due = parse(cron).next_after(now.timestamp())
    return None if due is None else datetime.fromtimestamp(due, UTC)


_FORMS: Final[Mapping[str, Callable[[Any], object]]] = {"failure": _failure, "workers": _workers}
"""How the values of these keys are written, which a record holds as they are."""
