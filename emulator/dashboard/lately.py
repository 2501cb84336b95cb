"""What happened last, and what failed last, for a page that shows it at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from emulator.dashboard.events import EventRow, event_row
from emulator.hosts.events import EmailFinished, HandlerFailed, ScheduledFinished
from emulator.log.table import RANK, TABLE
from emulator.queues.events import BatchDelivered, MessagesSent
from emulator.queues.message import QueueMessage
from emulator.server.addresses import DASHBOARD
from emulator.server.events import RequestFinished

if TYPE_CHECKING:
    from emulator.log.recorder import Recorder

_MOST_SEARCHED: Final = 2_000
"""How many events are looked through."""


class Failed(NamedTuple):
    """Something that failed, `at` seconds since the epoch: `what` it was, in which worker, the error in one line, what
    became of it, and where its page is. Either may be empty."""

    at: float
    what: str
    worker: str
    error: str
    result: str
    address: str


def happened(recorder: Recorder, most: int) -> list[EventRow]:
    """The newest events that the log shows, newest first."""
    rows: list[EventRow] = []
    for recorded in islice(recorder.newest(), _MOST_SEARCHED):
        if RANK[TABLE[type(recorded.event)].level] > RANK["debug"]:
            rows.append(event_row(recorded))
            if len(rows) == most:
                break
    return rows


def failed(recorder: Recorder, most: int) -> list[Failed]:
    """The newest messages, requests and crons that failed and have not gone well since, newest first."""
    found: list[Failed] = []
    places: dict[str, int] = {}
    """Where in `found` the requests are, by the ids of their acts."""
    seen: set[str] = set()
    for _, at, event in islice(recorder.newest(), _MOST_SEARCHED):
        if len(found) > most:  # one more, as the error of a request was told of before it
            break
        act = "" if event.act is None else event.act.id
        if isinstance(event, HandlerFailed):
            if act and act in places:
                found[places[act]] = found[places[act]]._replace(error=event.failure.summary)
        elif isinstance(event, BatchDelivered):
            found += _of_batch(at, event, seen)
        elif isinstance(event, MessagesSent) and event.source == "redrive":
            seen.update(message.id for message in event.messages)
        else:
            request = _of_request(at, event)
            if request is not None:
                places[act] = len(found)
                found.append(request)
    return found[:most]


def _of_batch(at: float, event: BatchDelivered, seen: set[str]) -> Iterator[Failed]:
    for result, messages in event.settlement.by_result():
        for message in messages:
            if message.id not in seen and result != "acked":
                what = f"Message {message.id[:8]} of {event.queue}, attempt {message.attempts}"
                yield Failed(at, what, event.worker, _error(message), result, f"{DASHBOARD}/messages/{message.id}")
            seen.add(message.id)


def _error(message: QueueMessage) -> str:
    failures = message.failures or (message.dead_letter.attempts if message.dead_letter is not None else ())
    return failures[-1].error if failures else ""


def _of_request(at: float, event: Any) -> Failed | None:
    if isinstance(event, RequestFinished) and event.status >= 500:
        what, result = f"{event.method} {event.path}", str(event.status)
    elif isinstance(event, ScheduledFinished) and event.outcome != "ok":
        what, result = f"Cron {event.cron}", event.outcome
    elif isinstance(event, EmailFinished) and event.outcome != "ok":
        what, result = f"E-mail from {event.sender}", event.outcome
    else:
        return None
    address = "" if event.act is None else f"{DASHBOARD}/requests/{quote(event.act.id, safe='')}"
    return Failed(at, what, event.worker, "", result, address)
