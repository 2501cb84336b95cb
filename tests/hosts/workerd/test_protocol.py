"""What passes between us and the modules inside workerd."""

from __future__ import annotations

import json
import re

import pytest

from emulator.hosts.triggers import ScheduledTrigger
from emulator.hosts.workerd import protocol
from emulator.queues.message import Backlog, QueueMessage, WorkerDelivery

MODULES = {
    "worker.js": protocol.worker_module("index.js", "token").decode(),
    "delivery.js": protocol.delivery_module().decode(),
}


@pytest.mark.parametrize("name", MODULES)
def test_nothing_is_left_to_be_filled_in(name: str) -> None:
    code = "\n".join(line for line in MODULES[name].splitlines() if not line.startswith("//"))
    assert "EMULATOR_" not in code


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_no_names_of_its_own_for_what_is_shared(name: str) -> None:
    source = (protocol._MODULES / name).read_text(encoding="utf-8")
    for text in ("/queue", "/scheduled", "/handlers", "/idle", "/why", "x-description", "x-emulator"):
        assert not re.search(rf'["`\'/]{re.escape(text)}\b', source), text


def test_every_shared_name_is_used_by_a_module() -> None:
    sources = "".join((protocol._MODULES / name).read_text(encoding="utf-8") for name in MODULES)
    for name in protocol._NAMES:
        assert f"PROTOCOL.{name}" in sources
    for name in protocol._NAMES["paths"]:
        assert f"PROTOCOL.paths.{name}" in sources


def test_a_batch_is_its_description_and_the_bodies_after_it() -> None:
    messages = [
        QueueMessage("a" * 32, b'{"n": 1}', "json", 1.5, 1.5, 1.5, attempts=2),
        QueueMessage("b" * 32, b"\xff", "bytes", 2.0, 2.0, 2.0, attempts=1),
    ]
    head, body = protocol.batch_request(WorkerDelivery("jobs", messages, Backlog(2, 9, 1.5)))
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /queue HTTP/1.1"
    headers = dict(line.lower().split(": ") for line in lines[1:-2])
    assert int(headers["content-length"]) == len(body)
    size = int(headers[protocol.DESCRIPTION_HEADER])
    assert body[size:] == b'{"n": 1}\xff'
    described = json.loads(body[:size])
    assert described["queue"] == "jobs"
    assert described["metrics"] == {"backlogCount": 2, "backlogBytes": 9, "oldestMessageTimestamp": 1500}
    assert described["messages"][0] == {
        "id": "a" * 32,
        "timestamp": 1500,
        "attempts": 2,
        "type": "json",
        "size": 8,
    }


def test_a_cron_is_sent_with_the_time_at_which_it_was_due() -> None:
    head, body = protocol.scheduled_request(ScheduledTrigger("*/5 * * * *", 60_000))
    assert head.startswith(b"POST /scheduled HTTP/1.1\r\n")
    assert head.endswith(b"Content-Length: %d\r\n\r\n" % len(body))
    assert json.loads(body) == {"cron": "*/5 * * * *", "scheduledTime": 60_000}


@pytest.mark.parametrize(
    ("outcome", "ours"),
    [
        ("ok", "ok"),
        ("exceededCpu", "exception"),
        ("exceededWallTime", "exceeded_wall_time"),
        ("canceled", "exception"),
    ],
)
def test_an_outcome_of_workerd_is_one_of_ours(outcome: str, ours: str) -> None:
    assert protocol.read_ended(json.dumps({"outcome": outcome}).encode()).verdict().outcome == ours


def test_what_the_handler_of_a_batch_asked_for_is_read() -> None:
    said = {
        "outcome": "ok",
        "ackAll": False,
        "retryBatch": {"retry": True, "delaySeconds": 5},
        "explicitAcks": ["a"],
        "retryMessages": [{"msgId": "b", "delaySeconds": 10}, {"msgId": "c"}],
        "failure": None,
    }
    decision = protocol.read_ended(json.dumps(said).encode()).verdict()
    assert (decision.retry_all, decision.retry_all_delay, decision.ack_all) == (True, 5, False)
    assert (decision.explicit_acks, decision.retry_messages) == ({"a"}, {"b": 10, "c": None})


@pytest.mark.parametrize("failure", [r'{"message": "Unexpected token \ud83d", "stack": "\udc00"}', r'"\ud83d"', "7"])
def test_what_was_decided_counts_where_what_was_raised_is_odd(failure: str) -> None:
    content = f'{{"outcome": "exception", "explicitAcks": ["a"], "failure": {failure}}}'.encode()
    ended = protocol.read_ended(content)
    assert ended.verdict().explicit_acks == {"a"}
    assert ended.failure in (None, {"message": "Unexpected token \ud83d", "stack": "\udc00"})


@pytest.mark.parametrize("reasons", [r'"causes": {"b": {"message": "\ud83d"}}', '"causes": 7', '"retryAllCause": [1]'])
def test_what_was_decided_counts_where_the_reason_of_a_retry_is_odd(reasons: str) -> None:
    content = f'{{"outcome": "ok", "explicitAcks": ["a"], "retryMessages": [{{"msgId": "b"}}], {reasons}}}'.encode()
    decided = protocol.read_ended(content).verdict()
    assert (decided.explicit_acks, decided.retry_messages) == ({"a"}, {"b": None})


def test_what_is_no_end_of_an_invocation_is_a_value_error() -> None:
    for content in (b"", b"[1]", b"{}", b'"text"'):
        with pytest.raises(ValueError, match=r".+"):
            protocol.read_ended(content)
