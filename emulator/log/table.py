"""Which events there are to show: for each its record, its text, how much it matters and how often it comes.

Whoever shows events goes by this table: the terminal, the testing kit's timeline. An event that is added is one row
here, with a function in `record` and one in `text`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from emulator.base.bus import Level, Notice
from emulator.hosts.events import HandlerFailed, ScheduledFinished, WorkerOutput
from emulator.log import record
from emulator.log.record import Record
from emulator.log.text import TextLines
from emulator.queues.events import (
    BatchDelivered,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesSent,
)
from emulator.server.events import RequestFinished, ServerReady
from emulator.session.events import ConfigurationChanged, WorkerReloaded

RANK: Final[Mapping[Level, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""Levels by how much they matter."""


class Row(NamedTuple):
    """How an event of one type is shown.

    `record` makes a record of an event, and `text` makes lines of that record, line ends included. `level` is the
    highest one that such a record has. A `frequent` event need not be shown at once: its lines may be collected. Of a
    `hot` one, of which there are tens of thousands a second, `text` takes the event itself, because a record takes
    twice as long to make as the line.
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
    MessagesSent: Row(record.sent, TextLines.sent, "debug", frequent=True),
    MessagesDeadLettered: Row(record.dead_lettered, TextLines.dead_lettered, "warning"),
    MessagesDropped: Row(record.dropped, TextLines.dropped, "warning"),
    ScheduledFinished: Row(record.scheduled, TextLines.scheduled, "info", frequent=True),
    HandlerFailed: Row(record.failure, TextLines.failure, "error"),
    WorkerReloaded: Row(record.reload, TextLines.reload, "error"),
    ConfigurationChanged: Row(record.configuration, TextLines.configuration, "info"),
    WorkerOutput: Row(record.output, TextLines.output, "error", frequent=True),
    Notice: Row(record.notice, TextLines.notice, "error"),
}
