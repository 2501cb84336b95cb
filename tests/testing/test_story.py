"""What a timeline says of each entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulator.base.bus import Notice
from emulator.hosts.events import ScheduledFinished, WorkerOutput
from emulator.log.style import Style
from emulator.log.table import TABLE
from emulator.log.text import TextLines
from emulator.queues.events import MessagesDropped, MessagesForwarded, MessagesSent
from emulator.queues.message import Attempt, Settlement, Verdict
from emulator.server.events import RequestFinished
from emulator.testing.story import Happened, Noted, Story
from tests.log.showing import batch, message


def happened(event: Any) -> Happened:
    row = TABLE[type(event)]
    record = row.record(event)
    return Happened(0.0, row, record, record.details.get("messages", ()))


def tell(*events: Any) -> list[tuple[str, str] | None]:
    entries = [event if isinstance(event, Noted) else happened(event) for event in events]
    story = Story(entries, TextLines(Style(enabled=False), Path("/app")))
    return [story.tell(entry) for entry in entries]


def test_a_request_has_a_duration_only_when_virtual_time_passed() -> None:
    assert tell(RequestFinished("w", "GET", "/", 200, 0.0), RequestFinished("w", "GET", "/", 200, 30.0)) == [
        ("request", "GET / 200 OK"),
        ("request", "GET / 200 OK after 30 s"),
    ]


def test_messages_are_shown_with_their_bodies_and_delays() -> None:
    delayed = message(1, attempts=1, ready_at=60.0)
    assert tell(MessagesSent("q", [delayed], "test")) == [("sent", "10000000 to q by the test, delayed 60 s: {}")]
    (many,) = tell(MessagesSent("q", [message(number) for number in range(7)], "w"))
    assert many is not None
    assert many[1].splitlines()[0] == "7 messages to q by w"
    assert many[1].splitlines()[-1] == "and 2 more"


def test_a_batch_says_what_became_of_which_messages() -> None:
    messages = [message(number, attempts=number) for number in range(1, 6)]
    settlement = Settlement(
        messages[:1],
        retried=[(messages[1], 5), (messages[2], 30)],
        dropped=[messages[3]],
        expired=[messages[4]],
    )
    event = batch(settlement, messages, Verdict("exception", error="ValueError: no"), 0.0)
    (told,) = tell(event)
    assert told is not None
    assert told[0] == "batch"
    assert told[1].split("; ") == [
        "my-app-events: acked 10000000",
        "to be retried: 2 (20000000, 30000000) in 5 to 30 s (attempts 2 to 3)",
        "out of retries: 40000000, dropped, because there is no dead letter queue (attempt 4)",
        "too old: 50000000 (attempt 5) because of ValueError: no",
    ]


def test_a_batch_says_for_which_errors_its_handler_asked_for_retries() -> None:
    failed = message(1, failures=(Attempt(1, 1.0, "retry", "ValueError: no"),))
    (told,) = tell(batch(Settlement([], [(failed, 0)]), [failed]))
    assert told is not None
    assert told[1].splitlines()[1:] == ["10000000: ValueError: no"]


def test_what_a_batch_has_told_is_not_told_again() -> None:
    assert tell(
        MessagesSent("dlq", [message(1)], "dead letter"),
        MessagesDropped("q", [message(1)], "retries"),
        MessagesDropped("q", [message(1)], "purged"),
    ) == [None, None, ("dropped", "10000000 of q: purged")]


def test_output_is_what_was_printed_or_logged() -> None:
    assert tell(WorkerOutput("w", "GET /", "info", "hi\n"), WorkerOutput("w", "GET /", "error", "no\n", "mail")) == [
        ("print", "hi"),
        ("log", "ERROR mail: no"),
    ]


def test_notices_and_chaos() -> None:
    assert tell(Notice("warning", "careful"), Notice("debug", "CHAOS q: reordered")) == [
        ("warning", "careful"),
        ("chaos", "q: reordered"),
    ]


def test_with_several_workers_an_entry_says_whose_it_is() -> None:
    assert tell(ScheduledFinished("a", "* * * * *", "ok", 0.0), RequestFinished("b", "GET", "/", 200, 0.0)) == [
        ("scheduled", "* * * * * ok (a)"),
        ("request", "GET / 200 OK (b)"),
    ]


def test_all_else_is_told_as_in_the_log() -> None:
    assert tell(MessagesForwarded("q", [message(1)], 0.0), Noted(0.0, "fetch", "GET https://known.example/ 200")) == [
        ("forwarded", "QUEUE q 1/1 forwarded (0 ms)\n"),
        ("fetch", "GET https://known.example/ 200"),
    ]
