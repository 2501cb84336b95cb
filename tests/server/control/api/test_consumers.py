"""Consumers by the REST API: adding, changing and removing them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.control.api.rest_client import Rest

WORKER = {"type": "worker", "script_name": "shop"}


def consumers_of(rest: Rest, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rest.ask("GET", f"{path}/consumers")
    return found


def test_the_consumer_of_the_configuration_is_shown(rest: Rest) -> None:
    path = rest.path_of("jobs")
    (consumer,) = consumers_of(rest, path)
    assert (consumer["type"], consumer["script"], consumer["script_name"]) == ("worker", "shop", "shop")
    assert (consumer["queue_name"], consumer["dead_letter_queue"]) == ("jobs", "jobs-dlq")
    assert consumer["settings"] == {
        "batch_size": 10,
        "max_retries": 1,
        "max_wait_time_ms": 0,
        "max_concurrency": None,
        "retry_delay": 0,
    }
    assert rest.ask("GET", f"{path}/consumers/{consumer['consumer_id']}") == consumer
    assert rest.ask("GET", path)["consumers"] == [consumer]


def test_an_added_worker_gets_the_messages_at_once(rest: Rest) -> None:
    path = rest.queue("tasks")
    rest.ask("POST", f"{path}/messages", {"body": 1})
    settings = {"max_wait_time_ms": 0, "max_retries": 0}
    rest.ask("POST", f"{path}/consumers", {**WORKER, "dead_letter_queue": "dead", "settings": settings})
    rest.settle()
    (letter,) = rest.ask("POST", f"{rest.path_of('dead')}/messages/peek", {})["messages"]
    assert letter["emulator"]["dead_letter"]["error"] == "ValueError: no luck"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (
            {"batch_size": 7, "max_wait_time_ms": 1500, "max_retries": 2, "max_concurrency": 3, "retry_delay": 4},
            {"batch_size": 7, "max_wait_time_ms": 1500, "max_retries": 2, "max_concurrency": 3, "retry_delay": 4},
        ),
        (
            {"max_batch_size": 7, "max_batch_timeout": 2},
            {"batch_size": 7, "max_wait_time_ms": 2000, "max_retries": 3, "max_concurrency": None, "retry_delay": 0},
        ),
        (
            {"batch_size": 7.0, "max_wait_time_ms": 5000.0, "max_concurrency": None, "visibility_timeout_ms": None},
            {"batch_size": 7, "max_wait_time_ms": 5000, "max_retries": 3, "max_concurrency": None, "retry_delay": 0},
        ),
    ],
)
def test_settings_go_by_the_names_of_the_api_and_of_the_configuration(
    rest: Rest, given: dict[str, Any], shown: dict[str, Any]
) -> None:
    made = rest.ask("POST", f"{rest.queue('tasks')}/consumers", {**WORKER, "settings": given})
    assert made["settings"] == shown


def test_a_pull_consumer_is_added(rest: Rest) -> None:
    path = rest.queue("tasks")
    settings = {"batch_size": 50, "max_retries": 5, "retry_delay": 10, "visibility_timeout_ms": 6000}
    made = rest.ask("POST", f"{path}/consumers", {"type": "http_pull", "settings": settings})
    assert (made["type"], made["settings"], made["dead_letter_queue"]) == ("http_pull", settings, "")
    assert "script" not in made


def test_a_second_consumer_is_refused(rest: Rest) -> None:
    path = rest.path_of("jobs")
    before = consumers_of(rest, path)
    for body in ({"type": "http_pull"}, WORKER):
        status, code, text = rest.refused("POST", f"{path}/consumers", body)
        assert (status, code) == (409, 11004)
        assert text == "queue jobs already has a consumer, the worker shop; a queue has one at most"
    assert consumers_of(rest, path) == before


@pytest.mark.parametrize(
    ("body", "status", "code", "part"),
    [
        (
            {"type": "worker", "script_name": "nobody"},
            404,
            10007,
            "'nobody' is not part of this session; its workers are: shop, web",
        ),
        ({"type": "worker"}, 404, 10007, "worker '' is not part of this session"),
        ({"type": "worker", "script_name": "web"}, 400, 11001, "queue handler is missing"),
        ({"type": "email"}, 400, 10207, "$.type"),
        ({}, 400, 10207, "type"),
        ({"type": "http_pull", "settings": {"batch_size": "many"}}, 400, 10207, "$.settings.batch_size"),
        ({"type": "http_pull", "settings": {"batch_size": True}}, 400, 10207, "$.settings.batch_size"),
        ({"type": "http_pull", "settings": {"batch_size": 0}}, 400, 100127, "settings.batch_size is 0"),
        ({"type": "http_pull", "settings": {"batch_size": 101}}, 400, 100127, "1 to 100"),
        ({"type": "http_pull", "settings": {"max_retries": 2.5}}, 400, 100127, "settings.max_retries is 2.5"),
        ({"type": "http_pull", "settings": {"visibility_timeout_ms": 43_200_001}}, 400, 100127, "43,200,000"),
        ({**WORKER, "settings": {"max_wait_time_ms": 60_001}}, 400, 100127, "settings.max_wait_time_ms"),
        ({**WORKER, "settings": {"max_concurrency": 0}}, 400, 100127, "settings.max_concurrency"),
        ({"type": "http_pull", "dead_letter_queue": "tasks"}, 400, 100127, "its own dead letter queue"),
        ({"type": "http_pull", "dead_letter_queue": "No Name"}, 400, 100127, "must be a queue name"),
    ],
)
def test_what_a_consumer_cannot_be_is_refused_whole(
    rest: Rest, body: dict[str, Any], status: int, code: int, part: str
) -> None:
    path = rest.queue("tasks")
    before = rest.ask("GET", "/queues")
    found = rest.refused("POST", f"{path}/consumers", {"dead_letter_queue": "dead", **body})
    assert found[:2] == (status, code)
    assert part in found[2]
    assert rest.ask("GET", "/queues") == before


def test_a_put_replaces_the_settings_and_keeps_the_id(rest: Rest) -> None:
    path = rest.pull_queue(settings={"batch_size": 50, "max_retries": 9}, dead_letter_queue="dead")
    (before,) = consumers_of(rest, path)
    rest.advance(5)
    address = f"{path}/consumers/{before['consumer_id']}"
    after = rest.ask("PUT", address, {"type": "http_pull", "settings": {"batch_size": 20}})
    assert (after["consumer_id"], after["created_on"]) == (before["consumer_id"], before["created_on"])
    assert (after["settings"]["batch_size"], after["settings"]["max_retries"]) == (20, 3)
    assert after["dead_letter_queue"] == ""
    assert rest.refused("PUT", address, {"type": "http_pull", "settings": {"batch_size": 0}})[:2] == (400, 100127)
    assert consumers_of(rest, path) == [after]


def test_a_removed_consumer_leaves_the_messages(rest: Rest) -> None:
    path = rest.pull_queue()
    rest.ask("POST", f"{path}/messages", {"body": 1})
    (consumer,) = consumers_of(rest, path)
    assert rest.ask("DELETE", f"{path}/consumers/{consumer['consumer_id']}") is None
    assert consumers_of(rest, path) == []
    assert rest.ask("GET", f"{path}/metrics")["backlog_count"] == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_consumer_is_not_found(rest: Rest, method: str) -> None:
    path = rest.pull_queue()
    body = {"type": "http_pull"} if method == "PUT" else None
    assert rest.refused(method, f"{path}/consumers/{'0' * 32}", body)[:2] == (404, 11005)
    assert len(consumers_of(rest, path)) == 1
