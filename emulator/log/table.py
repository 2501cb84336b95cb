"""The events that are shown: for each its record, its text, its level and how often it comes.

Everything that shows events uses this table: the terminal and the testing kit's timeline. To add an event, add a row
here, a function to `record` and a method to `text`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

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
from emulator.log import record
from emulator.log.record import Record
from emulator.log.text import TextLines
from emulator.queues.events import (
    BatchDelivered,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesPromoted,
    MessagesSent,
)
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import ConfigurationChanged, WorkerReloaded

RANK: Final[Mapping[Level, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""Levels by importance."""

SILENT: Final = 100
"""Above all of them."""


class Row(NamedTuple):
    """How an event of one type is shown.

    `record` turns an event into a record, and `text` turns that record into lines, line ends included. `level` is the
    highest level of such a record. The lines of a `frequent` event may be collected instead of being shown at once. A
    `hot` event may come tens of thousands of times a second: its `text` takes the event itself, because making the
    record takes longer than making the line.
    """

    record: Callable[[Any], Record]
    text: Callable[[TextLines, Any], str]
    level: Level
    frequent: bool = False
    hot: bool = False


TABLE: Final[Mapping[type[Any], Row]] = {
    ServerReady: Row(record.ready, TextLines.ready, "info"),
    RequestFinished: Row(record.request, TextLines.request, "info", frequent=True, hot=True),
    BatchDelivered: Row(record.batch, TextLines.batch, "info", frequent=True),
    MessagesForwarded: Row(record.forwarded, TextLines.forwarded, "info", frequent=True),
    MessagesPromoted: Row(record.promoted, TextLines.promoted, "info"),
    MessagesSent: Row(record.sent, TextLines.sent, "debug", frequent=True),
    BindingUsed: Row(record.binding, TextLines.binding, "debug", frequent=True),
    FetchFinished: Row(record.fetch, TextLines.fetch, "debug", frequent=True),
    MessagesDeadLettered: Row(record.dead_lettered, TextLines.dead_lettered, "warning"),
    MessagesDropped: Row(record.dropped, TextLines.dropped, "warning"),
    EmailFinished: Row(record.email, TextLines.email, "info", frequent=True),
    ScheduledFinished: Row(record.scheduled, TextLines.scheduled, "info", frequent=True),
    HandlerFailed: Row(record.failure, TextLines.failure, "error"),
    RuntimeExited: Row(record.runtime_exited, TextLines.runtime_exited, "error"),
    WorkerReloaded: Row(record.reload, TextLines.reload, "error"),
    ConfigurationChanged: Row(record.configuration, TextLines.configuration, "info"),
    WorkerOutput: Row(record.output, TextLines.output, "error", frequent=True),
    Notice: Row(record.notice, TextLines.notice, "error"),
}
