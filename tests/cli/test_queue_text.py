"""What `emulator queues` says of queues and messages that the REST API describes."""

from __future__ import annotations

from typing import Any

from emulator.cli.queue_text import message_notes, queue_facts, queue_row, redrive_lines


def queue(**fields: Any) -> dict[str, Any]:
    return {
        "queue_name": "jobs",
        "queue_id": "ab12",
        "metrics": {"backlog_count": 1_200, "backlog_bytes": 1, "oldest_message_timestamp_ms": 0},
        "settings": {"delivery_paused": False, "delivery_delay": 90, "message_retention_period": 345_600},
        "producers": [],
        "consumers": [],
        **fields,
    }


def test_the_row_of_a_queue_says_who_consumes_it() -> None:
    pulled = {"type": "http_pull", "dead_letter_queue": "dlq", "settings": {}}
    assert queue_row(queue()) == ("jobs", "1,200", "", "none")
    assert queue_row(queue(consumers=[pulled]))[3] == "pulled over HTTP, then dlq"
    elsewhere = queue(emulator={"forwarded_to": "worker mail of the session at http://127.0.0.1:8788"})
    assert queue_row(elsewhere)[3] == "worker mail of the session at http://127.0.0.1:8788"


def test_settings_are_shown_exactly() -> None:
    facts = dict(queue_facts(queue()))
    assert (facts["delay"], facts["kept for"]) == ("90 s", "4 days")
    assert facts["messages"] == "1,200 (1 byte)"


def test_the_notes_of_a_message_say_what_failed_and_how_long_it_waits() -> None:
    message = {"emulator": {"failed_attempts": [{"error": "", "outcome": "retry"}], "ready_at_ms": 61_000.0}}
    assert list(message_notes(message, 1_000.0)) == ["last attempt failed: retry", "delayed for 1 min more"]
    assert list(message_notes({}, 1_000.0)) == []


def test_a_dead_letter_of_a_queue_that_is_gone_stays() -> None:
    done = {"moved": {}, "no_dead_letters": 2, "orphans": {"old": 1}}
    assert list(redrive_lines("dlq", done)) == [
        "Left 1 message in dlq: queue old no longer exists (--to names another one)",
        "Left 2 messages that are not dead letters in dlq (--to moves everything)",
    ]
