"""Queues by the REST API, and what a reload of the configuration leaves of it."""

from __future__ import annotations

import pytest

from tests.server.control.api.rest_client import QUEUES, Rest

NO_QUEUES: dict[str, list[object]] = {}


def names(rest: Rest) -> list[str]:
    return [queue["queue_name"] for queue in rest.ask("GET", "/queues")]


def test_the_queues_of_the_configuration_are_listed(rest: Rest) -> None:
    jobs, dead = rest.ask("GET", "/queues")
    assert (jobs["queue_name"], dead["queue_name"]) == ("jobs", "jobs-dlq")
    assert jobs["producers"] == [{"type": "worker", "script": "shop"}]
    assert (jobs["producers_total_count"], jobs["consumers_total_count"]) == (1, 1)
    assert (dead["producers"], dead["consumers"], dead["consumers_total_count"]) == ([], [], 0)


def test_a_queue_is_made_with_its_settings(rest: Rest) -> None:
    settings = {"delivery_delay": 5, "delivery_paused": True, "message_retention_period": 600}
    made = rest.ask("POST", "/queues", {"queue_name": "my-app-events", "settings": settings})
    assert made["settings"] == settings
    assert rest.ask("GET", f"/queues/{made['queue_id']}") == made
    assert made["created_on"] == made["modified_on"] == "2027-01-15T08:00:00.000000Z"


def test_a_queue_id_is_32_hex_digits_and_the_same_for_a_name(rest: Rest) -> None:
    path = rest.queue("tasks")
    rest.ask("DELETE", path)
    assert rest.queue("tasks") == path
    assert int(path.removeprefix("/queues/"), 16) >= 0
    assert len(path.removeprefix("/queues/")) == 32


def test_a_queue_cannot_be_made_twice(rest: Rest) -> None:
    rest.queue("tasks", delivery_delay=5)
    assert rest.refused("POST", "/queues", {"queue_name": "tasks"}) == (
        409,
        11009,
        "Queue name 'tasks' is already taken",
    )
    assert rest.ask("GET", rest.path_of("tasks"))["settings"]["delivery_delay"] == 5


def test_a_queue_of_the_configuration_can_be_made_once(rest: Rest) -> None:
    rest.queue("jobs", delivery_delay=5)
    assert rest.ask("GET", rest.path_of("jobs"))["consumers_total_count"] == 1
    assert rest.refused("POST", "/queues", {"queue_name": "jobs"})[:2] == (409, 11009)


@pytest.mark.parametrize("name", ["", "Tasks", "-tasks", "tasks-", "my_tasks", "x" * 64, "täsks"])
def test_a_bad_name_is_refused(rest: Rest, name: str) -> None:
    status, code, text = rest.refused("POST", "/queues", {"queue_name": name})
    assert (status, code) == (400, 10207)
    assert "must be a queue name" in text


def test_a_list_comes_in_pages(rest: Rest) -> None:
    for number in range(5):
        rest.queue(f"q{number}")
    response = rest.send("GET", "/queues?page=2&per_page=3").json()
    assert [queue["queue_name"] for queue in response["result"]] == ["q1", "q2", "q3"]
    assert response["result_info"] == {"page": 2, "per_page": 3, "count": 3, "total_count": 7, "total_pages": 3}
    assert rest.ask("GET", "/queues?page=4&per_page=3") == []


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=0", "per_page=1001", "page=-1", "page=1e3"])
def test_a_page_that_cannot_be_is_refused(rest: Rest, query: str) -> None:
    assert rest.refused("GET", f"/queues?{query}")[:2] == (400, 10207)


def test_a_list_can_be_asked_for_names(rest: Rest) -> None:
    rest.queue("tasks")
    found = rest.ask("GET", "/queues?name=tasks&name=jobs&name=nowhere")
    assert [queue["queue_name"] for queue in found] == ["jobs", "tasks"]


def test_any_account_will_do(rest: Rest) -> None:
    assert rest.send("GET", "../other/queues").json()["result"] == rest.ask("GET", "/queues")


def test_patch_changes_what_it_names_and_put_the_rest_too(rest: Rest) -> None:
    path = rest.queue("tasks", delivery_delay=5, message_retention_period=600)
    rest.advance(10)
    patched = rest.ask("PATCH", path, {"queue_name": "tasks", "settings": {"delivery_paused": True}})
    assert patched["settings"] == {"delivery_delay": 5, "delivery_paused": True, "message_retention_period": 600}
    assert patched["modified_on"] > patched["created_on"]
    put = rest.ask("PUT", path, {"queue_name": "tasks", "settings": {"delivery_delay": 7.0}})
    assert put["settings"] == {"delivery_delay": 7, "delivery_paused": False, "message_retention_period": 345_600}


def test_settings_act_at_once(rest: Rest) -> None:
    path = rest.path_of("jobs")
    rest.ask("PATCH", path, {"settings": {"delivery_paused": True}})
    rest.ask("POST", f"{path}/messages", {"body": 1})
    rest.advance(60)
    assert len(rest.bodies("jobs")) == 1
    rest.ask("PATCH", path, {"settings": {"delivery_paused": False}})
    rest.settle()
    assert len(rest.bodies("jobs-dlq")) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"delivery_delay": -1},
        {"delivery_delay": 86_401},
        {"delivery_delay": 1.5},
        {"message_retention_period": 59},
        {"delivery_paused": True, "message_retention_period": 1_209_601},
    ],
)
def test_settings_out_of_range_are_refused_whole(rest: Rest, settings: dict[str, object]) -> None:
    path = rest.queue("tasks")
    before = rest.ask("GET", path)
    status, code, text = rest.refused("PATCH", path, {"settings": settings})
    assert (status, code) == (400, 100128)
    assert "must be a whole number" in text
    assert rest.refused("POST", "/queues", {"queue_name": "other", "settings": settings})[:2] == (400, 100128)
    assert rest.ask("GET", path) == before
    assert "other" not in names(rest)


def test_a_rename_is_refused(rest: Rest) -> None:
    assert "renaming" in rest.refused("PATCH", rest.path_of("jobs"), {"queue_name": "other"})[2]


def test_a_deleted_queue_is_gone_with_its_messages(rest: Rest) -> None:
    path = rest.queue("tasks")
    rest.ask("POST", f"{path}/messages", {"body": 1})
    assert rest.ask("DELETE", path) is None
    assert rest.refused("GET", path)[:2] == (404, 10104)
    rest.queue("tasks")
    assert rest.ask("GET", f"{path}/metrics")["backlog_count"] == 0


def test_changes_are_told_in_the_terminal(rest: Rest) -> None:
    path = rest.queue("tasks")
    rest.ask("PATCH", path, {"settings": {"delivery_paused": True}})
    rest.ask("DELETE", path)
    assert rest.notices == [
        "REST API: queue tasks created",
        "REST API: delivery of queue tasks paused",
        "REST API: queue tasks deleted",
    ]


def test_metrics_tell_the_backlog(rest: Rest) -> None:
    path = rest.queue("tasks")
    nothing = {"backlog_count": 0, "backlog_bytes": 0, "oldest_message_timestamp_ms": 0}
    assert rest.ask("GET", f"{path}/metrics") == nothing
    rest.ask("POST", f"{path}/messages", {"body": "four", "content_type": "text"})
    rest.advance(5)
    assert rest.ask("GET", f"{path}/metrics") == {
        "backlog_count": 1,
        "backlog_bytes": 4,
        "oldest_message_timestamp_ms": 1_800_000_000_000,
    }


def test_a_purge_deletes_what_waits_and_is_remembered(rest: Rest) -> None:
    path = rest.queue("tasks")
    assert rest.ask("GET", f"{path}/purge") == {"completed": None, "started_at": None}
    rest.ask("POST", f"{path}/messages", {"body": 1})
    assert rest.ask("POST", f"{path}/purge", {"delete_messages_permanently": True})["queue_name"] == "tasks"
    assert rest.ask("GET", f"{path}/metrics")["backlog_count"] == 0
    assert rest.ask("GET", f"{path}/purge") == {"completed": "true", "started_at": "2027-01-15T08:00:00.000000Z"}


@pytest.mark.parametrize("body", [{}, {"delete_messages_permanently": False}])
def test_a_purge_must_say_that_it_means_it(rest: Rest, body: dict[str, object]) -> None:
    path = rest.queue("tasks")
    rest.ask("POST", f"{path}/messages", {"body": 1})
    assert rest.refused("POST", f"{path}/purge", body)[:2] == (400, 10207)
    assert rest.ask("GET", f"{path}/metrics")["backlog_count"] == 1


def test_a_reload_leaves_queues_that_were_made_or_changed_by_a_client(rest: Rest) -> None:
    rest.queue("tasks")
    rest.ask("PATCH", rest.path_of("jobs-dlq"), {"settings": {"delivery_delay": 5}})
    rest.reconfigure(NO_QUEUES)
    assert names(rest) == ["jobs-dlq", "tasks"]
    assert rest.ask("GET", rest.path_of("jobs-dlq"))["settings"]["delivery_delay"] == 5


def test_a_reload_leaves_a_consumer_that_a_client_has_changed(rest: Rest) -> None:
    path = rest.path_of("jobs")
    (consumer,) = rest.ask("GET", f"{path}/consumers")
    body = {"type": "worker", "script_name": "shop", "settings": {"batch_size": 7}}
    rest.ask("PUT", f"{path}/consumers/{consumer['consumer_id']}", body)
    rest.reconfigure(QUEUES, vars={"GREETING": "hello"})
    assert rest.ask("GET", f"{path}/consumers")[0]["settings"]["batch_size"] == 7


def test_a_reload_that_changes_a_consumer_wins(rest: Rest) -> None:
    path = rest.path_of("jobs")
    (consumer,) = rest.ask("GET", f"{path}/consumers")
    rest.ask("PUT", f"{path}/consumers/{consumer['consumer_id']}", {"type": "http_pull"})
    changed = {**QUEUES, "consumers": [{"queue": "jobs", "max_batch_size": 3}]}
    rest.reconfigure(changed)
    (consumer,) = rest.ask("GET", f"{path}/consumers")
    assert (consumer["type"], consumer["settings"]["batch_size"]) == ("worker", 3)


def test_a_reload_does_not_bring_back_what_a_client_has_removed(rest: Rest) -> None:
    path = rest.path_of("jobs")
    (consumer,) = rest.ask("GET", f"{path}/consumers")
    rest.ask("DELETE", f"{path}/consumers/{consumer['consumer_id']}")
    rest.reconfigure(QUEUES, vars={"GREETING": "hello"})
    assert rest.ask("GET", f"{path}/consumers") == []
    rest.ask("DELETE", path)
    rest.reconfigure(QUEUES, vars={"GREETING": "goodbye"})
    assert "jobs" not in names(rest)
    rest.reconfigure(NO_QUEUES)
    assert "jobs" not in names(rest)


def test_a_reload_leaves_a_consumer_that_a_client_has_added(rest: Rest) -> None:
    rest.pull_queue("tasks", dead_letter_queue="tasks-dlq")
    rest.reconfigure(NO_QUEUES)
    assert names(rest) == ["tasks", "tasks-dlq"]
    assert rest.ask("GET", rest.path_of("tasks"))["consumers"][0]["type"] == "http_pull"


def test_a_reload_that_drops_a_consumer_leaves_the_one_that_took_its_place(rest: Rest) -> None:
    path = rest.path_of("jobs")
    (consumer,) = rest.ask("GET", f"{path}/consumers")
    rest.ask("DELETE", f"{path}/consumers/{consumer['consumer_id']}")
    rest.ask("POST", f"{path}/consumers", {"type": "http_pull"})
    rest.reconfigure(NO_QUEUES)
    assert rest.ask("GET", f"{path}/consumers")[0]["type"] == "http_pull"


def test_a_queue_that_a_configuration_names_anew_is_made(rest: Rest) -> None:
    rest.reconfigure({**QUEUES, "producers": [*QUEUES["producers"], {"binding": "MAIL", "queue": "mail"}]})
    assert names(rest) == ["jobs", "jobs-dlq", "mail"]
