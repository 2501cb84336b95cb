"""Events as rows of a list: what the log says of each, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from emulator.base.bus import Level
from emulator.dashboard.filters import Facts
from emulator.log.jsonlines import plain_fields
from emulator.log.recorder import Recorded
from emulator.log.style import Style
from emulator.log.table import TABLE
from emulator.log.text import TextLines


class EventRow(msgspec.Struct, frozen=True):
    """An event. `at` is in seconds since the epoch, `event`, `level` and `fields` are those of the log in JSON, and
    `text` is what the log says to people. `act` and `cause` are the ids of the act that it tells of and of the one that
    this is part of, which are those of requests and deliveries; empty if they are not known."""

    number: int
    at: float
    event: str
    level: Level
    text: str
    fields: Mapping[str, Any]
    act: str = ""
    cause: str = ""
    trace: str = ""


def event_row(recorded: Recorded) -> EventRow:
    """The row of an event."""
    event = recorded.event
    row = TABLE[type(event)]
    record = row.record(event)
    lines = TextLines(Style(enabled=False), Path.cwd())
    text = row.text(lines, event if row.hot else record).rstrip("\n")
    act = event.act
    ids = ("", "", "") if act is None else (act.id, act.cause, act.trace)
    return EventRow(recorded.number, recorded.at, record.event, record.level, text, plain_fields(record), *ids)


def event_facts(row: EventRow, now: float) -> Facts:
    """What a filter can ask of an event: its fields, `event`, `level`, `number` and `older` in seconds."""
    return {
        **row.fields,
        "event": row.event,
        "level": row.level,
        "number": row.number,
        "older": now - row.at,
        "text": row.text,
    }
