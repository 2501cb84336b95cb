from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from emulator.dashboard.api import ADDRESSES, openapi
from emulator.server.addresses import DASHBOARD_API
from emulator.testing import Emulator
from tests.testing.kit_workers import FAILS, SENDS, worker


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(**worker(SENDS, FAILS)) as opened:
        opened.post("/signup?a=1", json={"type": "welcome-email"})
        opened.run_until_idle()
        yield opened


def ask(emulator: Emulator, path: str, status: int = 200, **query: Any) -> Any:
    answer = emulator.get(f"{DASHBOARD_API}{path}", params=query)
    assert answer.status_code == status, answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.json()


def test_messages_are_listed_by_a_filter_and_told(emulator: Emulator) -> None:
    listed = ask(emulator, "/messages", filter="state:dead attempts>3 body.type=welcome-email error~Connection")
    assert [(each["queue"], each["state"], each["attempts"]) for each in listed["messages"]] == [
        ("dead-jobs", "dead", 4)
    ]
    assert ask(emulator, "/messages", filter="state:acked") == {"messages": [], "missing": ""}
    told = ask(emulator, f"/messages/{listed['messages'][0]['id'][:8]}")
    assert (told["id"], told["state"]) == (listed["messages"][0]["id"], "dead")
    assert told["because"].startswith("It died in queue jobs")


def test_it_is_told_where_a_message_came_from_when_it_entered_a_queue(emulator: Emulator) -> None:
    [letter] = emulator.queue("dead-jobs").messages
    address = f"/messages/{letter.id}/origin"
    assert ask(emulator, address, queue="dead-jobs")["text"] == "because it died"
    origin = ask(emulator, address, queue="jobs")
    assert (origin["kind"], origin["text"]) == ("request", "from worker worker, in POST /signup?a=1")
    sent_at = int(letter.timestamp.timestamp() * 1000)
    assert ask(emulator, address, queue="jobs", until_ms=sent_at + 1) == origin
    assert "nothing is known" in ask(emulator, address, 404, queue="jobs", until_ms=sent_at - 1)["error"]
    assert "nothing is known" in ask(emulator, address, 404)["error"]


def test_requests_are_listed_and_told_with_what_they_sent(emulator: Emulator) -> None:
    listed = ask(emulator, "/requests", filter="method:POST path~signup status<300")["requests"]
    assert [(each["text"], each["outcome"]) for each in listed] == [("POST /signup?a=1", "200")]
    told = ask(emulator, f"/requests/{listed[0]['id']}")
    assert [(part["kind"], part["queue"]) for part in told["parts"]] == [("sent", "jobs")]
    assert ask(emulator, "/requests", limit=1)["before"] is not None


def test_events_come_newest_first_or_from_a_number_on(emulator: Emulator) -> None:
    newest = ask(emulator, "/events", limit=2)
    assert newest["events"][0]["number"] == newest["last"]
    assert newest["events"][1]["number"] == newest["last"] - 1
    oldest = ask(emulator, "/events", after=0, limit=3)["events"]
    assert [each["number"] for each in oldest] == [1, 2, 3]
    failures = ask(emulator, "/events", filter="event:failure worker:worker")["events"]
    assert len(failures) == 4
    assert failures[0]["fields"]["failure"]["message"] == "mail server is down"


def test_queues_and_workers_are_listed(emulator: Emulator) -> None:
    queues = ask(emulator, "/queues")["queues"]
    assert [(each["name"], each["backlog"], each["worker"]) for each in queues] == [
        ("jobs", 0, "worker"),
        ("dead-jobs", 1, ""),
    ]
    assert ask(emulator, "/workers")["workers"][0]["consumes"] == ["jobs"]


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("/messages", {"filter": "attempts>many"}, 400, "must be a number"),
        ("/requests", {"limit": "all"}, 400, "whole number"),
        ("/messages/" + "f" * 32, {}, 404, "nothing is known of a message"),
        ("/requests/" + "f" * 16, {}, 404, "nothing is known of a request"),
    ],
)
def test_what_is_refused_is_refused_in_a_sentence(
    emulator: Emulator, path: str, query: dict[str, str], status: int, said: str
) -> None:
    assert said in ask(emulator, path, status, **query)["error"]


def test_the_description_has_every_address_and_type(emulator: Emulator) -> None:
    described = ask(emulator, "/openapi.json")
    assert described == msgspec.json.decode(msgspec.json.encode(openapi()))
    assert set(described["paths"]) == {f"{DASHBOARD_API}{each.path}" for each in ADDRESSES}
    shapes = described["components"]["schemas"]
    for each in ADDRESSES:
        operation = described["paths"][f"{DASHBOARD_API}{each.path}"][each.method.lower()]
        reference = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        assert reference.rpartition("/")[2] in shapes
        assert operation["summary"].endswith(".")
