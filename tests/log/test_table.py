"""The table of the events that are shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

import emulator.bindings.events as bindings_events
import emulator.hosts.events as hosts_events
import emulator.queues.events as queues_events
import emulator.server.events as server_events
import emulator.session.events as session_events
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
from emulator.log.style import Style
from emulator.log.table import RANK, TABLE
from emulator.log.text import TextLines
from emulator.queues.events import (
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesPromoted,
    MessagesSent,
)
from emulator.queues.message import Settlement
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import ConfigurationChanged, WorkerReloaded
from tests.log.showing import FAILURE, batch, message

EVENTS: list[Any] = [
    ServerReady("http://127.0.0.1:1"),
    RequestFinished("w", "GET", "/", 200, 0.0),
    batch(Settlement([message(1)]), 1),
    MessagesForwarded("q", [message(1)], 0.1),
    MessagesPromoted("q", [message(1)]),
    MessagesSent("q", [message(1)], "sign-up"),
    BindingUsed("w", "kv", "SESSIONS", "get", "a", 12, 0.001),
    MessagesDeadLettered("q", "dlq", [message(1)]),
    MessagesDropped("q", [message(1)], "purged"),
    MessagesDropped("q", [message(1)], "expired"),
    EmailFinished("w", "a@a.example", "b@b.example", "ok", "", 0.1),
    ScheduledFinished("w", "* * * * *", "ok", 0.1),
    HandlerFailed("w", "GET /", FAILURE),
    FetchFinished("w", "GET", "https://example.com/", 200, 0.1),
    FetchFinished("w", "GET", "https://example.com/", 0, 0.1, "refused"),
    RuntimeExited("w", "was killed by SIGKILL", 0.5),
    WorkerReloaded("w", [], 0.1),
    WorkerReloaded("w", [], 0.1, FAILURE),
    ConfigurationChanged("wrangler.jsonc", ["a"]),
    *[WorkerOutput("w", "GET /", level, "hello") for level in get_args(Level)],
    *[Notice(level, "hello") for level in get_args(Level)],
]


def test_every_event_is_shown_but_those_that_tell_people_nothing() -> None:
    modules = [bindings_events, hosts_events, queues_events, server_events, session_events]
    defined = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    }
    untold = {queues_events.ConsumerChanged, queues_events.SendCounted, session_events.AssetsChanged}
    assert defined - TABLE.keys() == untold


def test_every_event_of_the_table_is_tried_here() -> None:
    assert {type(event) for event in EVENTS} == TABLE.keys()


@pytest.mark.parametrize("event_type", TABLE)
def test_the_level_of_a_row_is_the_highest_of_its_records(event_type: type[Any]) -> None:
    row = TABLE[event_type]
    levels = [row.record(event).level for event in EVENTS if type(event) is event_type]
    assert max(levels, key=RANK.__getitem__) == row.level


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_lines_that_end(event: Any) -> None:
    row = TABLE[type(event)]
    text = row.text(TextLines(Style(enabled=False), Path("/")), event if row.hot else row.record(event))
    assert re.fullmatch(r"(.+\n)+", text)


@pytest.mark.parametrize("event", EVENTS)
def test_every_record_is_documented(event: Any) -> None:
    record = TABLE[type(event)].record(event)
    documented = (Path(__file__).parents[2] / "docs" / "terminal.md").read_text()
    row = next(line for line in documented.splitlines() if line.startswith(f"| `{record.event}` |"))
    assert all(f"`{name}`" in row for name in record.fields)
