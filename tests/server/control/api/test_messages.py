"""Messages by the REST API: pushed, pulled, acknowledged, looked at and deleted."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from emulator.base.coroutines import run_now
from emulator.queues.message import NewMessage
from emulator.server.addresses import API_PREFIX
from emulator.wire.codec import encode
from tests.server.control.api.rest_client import Rest


def pull(rest: Rest, path: str, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rest.ask("POST", f"{path}/messages/pull", body)["messages"]
    return found


def push(rest: Rest, path: str, *bodies: Any) -> None:
    rest.ask("POST", f"{path}/messages/batch", {"messages": [{"body": body} for body in bodies]})


def backlog(rest: Rest, path: str) -> int:
    count: int = rest.ask("GET", f"{path}/metrics")["backlog_count"]
    return count


def test_a_pushed_message_can_be_pulled(rest: Rest) -> None:
    path = rest.pull_queue()
    pushed = rest.ask("POST", f"{path}/messages", {"body": {"user": 123, "tags": ["a", 1.5, None]}})
    assert pushed["metadata"]["metrics"]["backlog_count"] == 1
    (message,) = pull(rest, path)
    assert b64decode(message["body"]) == b'{"user":123,"tags":["a",1.5,null]}'
    assert message["metadata"] == {"CF-Content-Type": "json", "CF-sourceMessageSource": "api"}
    assert (message["attempts"], message["timestamp_ms"], len(message["id"])) == (1, 1_800_000_000_000, 32)


def test_text_is_pulled_as_it_is_and_all_else_as_base64(rest: Rest) -> None:
    path = rest.pull_queue()
    for body, content_type in (("grüße", "text"), ({"a": 1}, "json"), (b"\x00\xff", "bytes"), ({1, 2}, "v8")):
        message = NewMessage(encode(body, content_type), content_type)  # type: ignore[arg-type]
        rest.runner.run(rest.session.queues.send("tasks", [message], source="shop"))
    text, json, data, v8 = pull(rest, path)
    assert (text["body"], b64decode(json["body"]), b64decode(data["body"])) == ("grüße", b'{"a":1}', b"\x00\xff")
    assert v8["metadata"] == {"CF-Content-Type": "v8", "CF-sourceMessageSource": "worker"}


def test_a_pushed_message_is_delivered_to_the_worker(rest: Rest) -> None:
    rest.ask("POST", f"{rest.path_of('jobs')}/messages", {"body": "hello", "content_type": "text"})
    rest.settle()
    rest.settle()
    assert len(rest.bodies("jobs-dlq")) == 1


def test_delays_are_the_messages_else_the_batchs(rest: Rest) -> None:
    path = rest.pull_queue()
    batch = {"messages": [{"body": 1, "delay_seconds": 5}, {"body": 2}, {"body": 3, "delay_seconds": 0}]}
    rest.ask("POST", f"{path}/messages/batch", {**batch, "delay_seconds": 10})
    seen = []
    for _ in range(3):
        seen.append([b64decode(each["body"]) for each in pull(rest, path)])
        rest.advance(5)
    assert seen == [[b"3"], [b"1"], [b"2"]]


@pytest.mark.parametrize(
    ("address", "body", "status", "code"),
    [
        ("", {}, 400, 10207),
        ("", {"body": 1, "content_type": "text"}, 400, 10207),
        ("", {"body": 1, "content_type": 5}, 400, 10207),
        ("", {"body": 1, "content_type": "xml"}, 400, 10203),
        ("", {"body": "AA==", "content_type": "bytes"}, 400, 10203),
        ("", {"body": 1, "delay_seconds": -1}, 400, 10203),
        ("", {"body": 1, "delay_seconds": 86_401}, 400, 10203),
        ("", {"body": 1, "delay_seconds": 1.5}, 400, 10203),
        ("", {"body": 1, "delay_seconds": "1"}, 400, 10207),
        ("", {"body": "x" * 128_001}, 400, 10204),
        ("", [], 400, 10207),
        ("/batch", {}, 400, 10207),
        ("/batch", {"messages": []}, 400, 10206),
        ("/batch", {"messages": [{"body": 1}] * 101}, 400, 10206),
        ("/batch", {"messages": [{"body": "x" * 90_000}] * 3}, 400, 10205),
        ("/batch", {"messages": [{"body": 1}, {"body": 2, "delay_seconds": 86_401}]}, 400, 10203),
        ("/batch", {"messages": [{"body": 1}], "delay_seconds": 86_401}, 400, 10202),
        ("/batch", {"messages": [{"body": 1}], "delay_seconds": 0.5}, 400, 10202),
        ("/batch", {"messages": [{"body": 1}, {}]}, 400, 10207),
    ],
)
def test_what_cannot_be_sent_is_refused_whole(rest: Rest, address: str, body: Any, status: int, code: int) -> None:
    path = rest.pull_queue()
    assert rest.refused("POST", f"{path}/messages{address}", body)[:2] == (status, code)
    assert backlog(rest, path) == 0


def test_an_error_in_a_batch_says_which_message_it_is(rest: Rest) -> None:
    path = rest.pull_queue()
    body = {"messages": [{"body": 1}, {"body": 2, "content_type": "text"}]}
    assert rest.refused("POST", f"{path}/messages/batch", body)[2].startswith("messages[1].body: ")


def test_a_pull_takes_five_unless_it_says_otherwise_and_tells_the_backlog(rest: Rest) -> None:
    path = rest.pull_queue()
    push(rest, path, *range(100))
    answer = rest.ask("POST", f"{path}/messages/pull", {})
    assert (len(answer["messages"]), answer["message_backlog_count"]) == (5, 100)
    assert answer["metadata"]["metrics"]["backlog_count"] == 100
    assert len(pull(rest, path, batch_size=100.0)) == 95
    assert pull(rest, path) == []


def test_acks_and_retries_are_counted(rest: Rest) -> None:
    path = rest.pull_queue()
    push(rest, path, 1, 2, 3)
    one, two, three = (message["lease_id"] for message in pull(rest, path))
    body = {"acks": [{"lease_id": one}, {"lease_id": two}], "retries": [{"lease_id": three, "delay_seconds": 5}]}
    answer = rest.ask("POST", f"{path}/messages/ack", body)
    assert answer == {"ackCount": 2, "retryCount": 1, "warnings": {}}
    rest.advance(5)
    (again,) = pull(rest, path)
    assert (b64decode(again["body"]), again["attempts"]) == (b"3", 2)


def test_unknown_and_expired_lease_ids_are_warnings_and_change_nothing(rest: Rest) -> None:
    path = rest.pull_queue()
    push(rest, path, 1)
    (message,) = pull(rest, path, visibility_timeout_ms=1000)
    rest.advance(1)
    late = message["lease_id"]
    body = {"acks": [{"lease_id": "nonsense"}], "retries": [{"lease_id": late}]}
    answer = rest.ask("POST", f"{path}/messages/ack", body)
    assert (answer["ackCount"], answer["retryCount"], set(answer["warnings"])) == (0, 0, {"nonsense", late})
    assert "unknown" in answer["warnings"]["nonsense"]
    assert "expired" in answer["warnings"][late]
    assert backlog(rest, path) == 1
    assert rest.ask("POST", f"{path}/messages/ack", {"acks": [{"lease_id": late}]})["ackCount"] == 1


def test_a_lease_id_of_another_queue_is_unknown(rest: Rest) -> None:
    path, other = rest.pull_queue("tasks"), rest.pull_queue("others")
    push(rest, path, 1)
    (message,) = pull(rest, path)
    answer = rest.ask("POST", f"{other}/messages/ack", {"acks": [{"lease_id": message["lease_id"]}]})
    assert (answer["ackCount"], list(answer["warnings"])) == (0, [message["lease_id"]])


def test_a_paused_queue_answers_pulls_with_409(rest: Rest) -> None:
    path = rest.pull_queue()
    rest.ask("PATCH", path, {"settings": {"delivery_paused": True}})
    status, _, text = rest.refused("POST", f"{path}/messages/pull", {})
    assert status == 409
    assert "queue_delivery_paused" in text


def test_a_queue_of_a_worker_cannot_be_pulled_from(rest: Rest) -> None:
    status, _, text = rest.refused("POST", f"{rest.path_of('jobs')}/messages/pull", {})
    assert status == 400
    assert "no consumer of type http_pull" in text


@pytest.mark.parametrize(
    ("address", "body", "code"),
    [
        ("pull", {"batch_size": 0}, 10207),
        ("pull", {"batch_size": 101}, 10207),
        ("pull", {"batch_size": 2.5}, 10207),
        ("pull", {"batch_size": "5"}, 10207),
        ("pull", {"visibility_timeout_ms": -1}, 10207),
        ("pull", {"visibility_timeout_ms": 43_200_001}, 10207),
        ("ack", {"acks": ["id"]}, 10207),
        ("ack", {"acks": [{}]}, 10207),
        ("ack", {"acks": [{"lease_id": "LEASE"}], "retries": [{"lease_id": "x", "delay_seconds": 86_401}]}, 10203),
        ("ack", {"acks": [{"lease_id": "LEASE"}], "retries": [{"lease_id": "x", "delay_seconds": 0.5}]}, 10203),
        ("peek", {"batch_size": 0}, 10207),
        ("peek", {"batch_size": 101}, 10207),
        ("purge", {}, 10207),
        ("purge", {"refs": ["x"]}, 10207),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(rest: Rest, address: str, body: Any, code: int) -> None:
    path = rest.pull_queue()
    push(rest, path, 1, 2)
    (message,) = pull(rest, path, batch_size=1)
    for ack in body.get("acks", []):
        if isinstance(ack, dict) and ack.get("lease_id") == "LEASE":
            ack["lease_id"] = message["lease_id"]
    assert rest.refused("POST", f"{path}/messages/{address}", body)[:2] == (400, code)
    backlog = run_now(rest.session.queues.backlog("tasks"))
    assert (len(rest.bodies("tasks")), backlog.backlog_count) == (1, 2)


def test_a_peek_tells_why_a_message_died(rest: Rest) -> None:
    path = rest.pull_queue("tasks", dead_letter_queue="tasks-dlq", settings={"max_retries": 1})
    push(rest, path, 1)
    pull(rest, path, visibility_timeout_ms=1000)
    rest.advance(1)
    (message,) = pull(rest, path)
    rest.ask("POST", f"{path}/messages/ack", {"retries": [{"lease_id": message["lease_id"]}]})
    (letter,) = rest.ask("POST", f"{rest.path_of('tasks-dlq')}/messages/peek", {})["messages"]
    assert (letter["id"], letter["attempts"], b64decode(letter["body"])) == (message["id"], 0, b"1")
    story = letter["emulator"]["dead_letter"]
    assert (story["queue"], story["died_at_ms"]) == ("tasks", 1_800_000_001_000)
    assert story["error"] == "the client that pulled it asked for a retry"
    assert [attempt["outcome"] for attempt in story["attempts"]] == ["lease_expired", "retry"]


def test_a_peek_leaves_the_messages_as_they_are(rest: Rest) -> None:
    path = rest.pull_queue()
    push(rest, path, *range(9))
    peeked = rest.ask("POST", f"{path}/messages/peek", {"batch_size": 9})["messages"]
    assert [b64decode(each["body"]) for each in peeked] == [str(number).encode() for number in range(9)]
    assert len(rest.ask("POST", f"{path}/messages/peek", {})["messages"]) == 5
    assert all("dead_letter" not in each["emulator"] for each in peeked)
    assert [each["attempts"] for each in pull(rest, path)] == [1] * 5


def test_messages_are_deleted_by_the_refs_of_a_peek(rest: Rest) -> None:
    path = rest.pull_queue()
    push(rest, path, 1, 2, 3)
    first, second, _ = rest.ask("POST", f"{path}/messages/peek", {})["messages"]
    refs = [{"ref": second["ref"]}, {"ref": "nonsense"}]
    answer = rest.ask("POST", f"{path}/messages/purge", {"refs": refs})
    assert (answer["errors"], list(answer["warnings"])) == ([], ["nonsense"])
    assert [b64decode(each["body"]) for each in pull(rest, path)] == [b"1", b"3"]
    assert rest.ask("POST", f"{path}/messages/purge", {"refs": [{"ref": first["ref"]}]})["warnings"]


def test_redriving_moves_dead_letters_back_and_tells(rest: Rest) -> None:
    jobs, letters = rest.path_of("jobs"), rest.path_of("jobs-dlq")
    push(rest, jobs, 1, 2)
    rest.settle()
    assert backlog(rest, letters) == 2
    rest.ask("PATCH", jobs, {"settings": {"delivery_paused": True}})
    own = f"http://localhost:8787{API_PREFIX}/emulator{letters}/redrive"
    assert rest.ask("POST", own, {}) == {"moved": {"jobs": 2}, "no_dead_letters": 0, "orphans": {}}
    assert (backlog(rest, jobs), backlog(rest, letters)) == (2, 0)
    assert rest.notices[-1] == "REST API: 2 messages of jobs-dlq redriven to jobs"


def test_delayed_messages_are_made_ready(rest: Rest) -> None:
    jobs = rest.path_of("jobs")
    rest.ask("PATCH", jobs, {"settings": {"delivery_paused": True}})
    for delay in (0, 600):
        rest.ask("POST", f"{jobs}/messages", {"body": delay, "delay_seconds": delay})
    own = f"http://localhost:8787{API_PREFIX}/emulator{jobs}/promote"
    assert rest.ask("POST", own) == {"promoted": 1}
    assert rest.ask("POST", own) == {"promoted": 0}
    assert rest.refused("POST", own.replace("/promote", "0/promote"))[:2] == (404, 10104)
    assert rest.refused("POST", own, headers={"origin": "http://evil.example"})[0] == 403


def test_a_redrive_that_cannot_be_is_refused(rest: Rest) -> None:
    own = f"http://localhost:8787{API_PREFIX}/emulator{rest.path_of('jobs-dlq')}/redrive"
    assert rest.refused("POST", own, {"to": "nope"})[:2] == (404, 10104)
    assert rest.refused("POST", own, {"to": "jobs-dlq"})[:2] == (400, 10207)
    assert rest.refused("POST", own, {"to": 5})[:2] == (400, 10207)
    assert rest.refused("POST", own.replace("/redrive", "0/redrive"), {})[:2] == (404, 10104)
    assert rest.refused("POST", own, {}, headers={"origin": "http://evil.example"})[0] == 403
