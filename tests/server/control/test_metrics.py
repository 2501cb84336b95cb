"""What Prometheus reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from emulator.queues.events import MessagesSent
from emulator.server.addresses import METRICS_ADDRESS
from tests.server.control.api.rest_client import Rest

URL = f"http://localhost:8787{METRICS_ADDRESS}"


@pytest.fixture
def rest(tmp_path: Path) -> Iterator[Rest]:
    made = Rest(tmp_path)
    yield made
    made.close()


def read(rest: Rest) -> dict[tuple[str, ...], float]:
    """The values by their name and the values of their labels, in the order of the labels' names."""
    response = rest.send("GET", URL)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(response.text)
    return {
        (each.name, *(value for _, value in sorted(each.labels.items()))): each.value
        for family in families
        for each in family.samples
    }


def send(rest: Rest, queue: str, body: str) -> None:
    rest.ask("POST", f"{rest.path_of(queue)}/messages", {"body": body, "content_type": "text"})


def test_a_failing_message_is_counted_until_it_is_a_dead_letter(rest: Rest) -> None:
    assert not rest.session.bus.wants(MessagesSent)
    assert read(rest)["emulator_queue_messages", "jobs"] == 0
    send(rest, "jobs", "one")
    before = read(rest)
    assert before["emulator_queue_messages", "jobs"] == 1
    assert before["emulator_queue_bytes", "jobs"] == 3
    rest.settle()
    rest.advance(10)
    after = read(rest)
    assert after["emulator_queue_messages", "jobs"] == 0
    assert after["emulator_queue_messages", "jobs-dlq"] == 1
    assert after["emulator_queue_oldest_seconds", "jobs-dlq"] == 10
    assert after["emulator_messages_sent_total", "jobs", "api"] == 1
    assert after["emulator_messages_sent_total", "jobs-dlq", "dead letter"] == 1
    assert after["emulator_messages_settled_total", "jobs", "retried"] == 1
    assert after["emulator_messages_settled_total", "jobs", "dead"] == 1
    assert after["emulator_delivery_seconds_count", "exception", "jobs", "shop"] == 2
    assert after["emulator_queue_in_flight", "jobs"] == 0


def test_a_queue_that_was_deleted_is_left_out(rest: Rest) -> None:
    path = rest.queue("tasks")
    assert ("emulator_queue_messages", "tasks") in read(rest)
    rest.ask("DELETE", path)
    assert ("emulator_queue_messages", "tasks") not in read(rest)


def test_without_the_package_an_answer_says_how_to_get_it(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    response = rest.send("GET", URL)
    assert response.status_code == 501
    assert "Metrics need the package prometheus-client: install it with `" in response.text
