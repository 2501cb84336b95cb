"""What a record says of an event."""

from __future__ import annotations

from typing import Any

from emulator.log import record
from emulator.queues.events import MessagesDropped
from emulator.queues.message import Attempt, Cause, DeadLetter, Message, Settlement, Verdict
from emulator.server.events import RequestFinished
from tests.log.showing import batch, message


def test_durations_are_milliseconds() -> None:
    assert record.request(RequestFinished("w", "GET", "/", 200, 0.0012345)).fields["duration_ms"] == 1.234


def test_a_batch_counts_what_became_of_its_messages() -> None:
    messages = [message(number) for number in range(5)]
    settlement = Settlement(
        messages[:1],
        retried=[(messages[1], 30), (messages[2], 5)],
        dead=messages[3:4],
        expired=messages[4:],
        dead_letter_queue="dlq",
    )
    made = record.batch(batch(settlement, 5, Verdict("exception", error="ValueError: no")))
    counts = {name: made.fields[name] for name in ("size", "acked", "retried", "dead_lettered", "dropped", "expired")}
    assert counts == {"size": 5, "acked": 1, "retried": 2, "dead_lettered": 1, "dropped": 0, "expired": 1}
    assert (made.fields["outcome"], made.fields["error"]) == ("exception", "ValueError: no")
    assert (made.details["retry_delays"], made.details["dead_letter_queue"]) == ([5, 30], "dlq")
    assert {name: len(those) for name, those in made.details["became"].items()} == {
        name: counts[name] for name in ("acked", "retried", "dead_lettered", "dropped", "expired")
    }


def test_a_batch_tells_why_its_handler_asked_for_retries() -> None:
    def failed(number: int, outcome: Any, error: str) -> Message:
        return message(number, failures=(Attempt(1, 1.0, outcome, error),))

    one, dead = failed(1, "retry", "ValueError: one"), failed(4, "retry", "ValueError: four")
    retried = [one, failed(2, "retry", ""), failed(3, "exception", "KeyError: 3")]
    causes = {one.id: Cause("ValueError: one", "Traceback", "/app/src/entry.py:7")}
    verdict = Verdict("exception", error="KeyError: 3", causes=causes)
    settlement = Settlement([], [(each, 0) for each in retried], [dead], verdict=verdict)
    assert record.batch(batch(settlement, 4)).fields["reasons"] == [
        {"id": one.id, "error": "ValueError: one", "location": "/app/src/entry.py:7"},
        {"id": dead.id, "error": "ValueError: four", "location": ""},
    ]


def test_a_lost_message_tells_its_attempts_and_its_last_error() -> None:
    failed = Attempt(4, 1.0, "exception", "ValueError: no")
    dead = message(1, dead_letter=DeadLetter("q", 9.0, (failed, Attempt(5, 2.0, "retry"))))
    lost = message(2, attempts=4, failures=(failed,))
    described = record.dropped(MessagesDropped("q", [dead, lost], "retries")).fields["messages"]
    assert described == [
        {"id": dead.id, "attempts": 2, "error": "ValueError: no"},
        {"id": lost.id, "attempts": 4, "error": "ValueError: no"},
    ]


def test_a_purge_matters_less_than_a_loss() -> None:
    assert record.dropped(MessagesDropped("q", [], "purged")).level == "info"
    assert record.dropped(MessagesDropped("q", [], "expired")).level == "warning"
