"""Who may use what is under `/cdn-cgi/`: the REST API, what runs a handler, and what takes messages of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from emulator.server.addresses import API_PREFIX
from tests.server.control.api.rest_client import Rest

SCHEDULED = "/cdn-cgi/handler/scheduled"
QUEUES = f"{API_PREFIX}/accounts/a1/queues"
BEARER = {"authorization": "Bearer s3cret"}


@pytest.fixture
def open_one(tmp_path: Path) -> Iterator[Rest]:
    """A session that only this machine can reach."""
    made = Rest(tmp_path)
    yield made
    made.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Rest]:
    """A session that other machines can reach."""
    made = Rest(tmp_path, token="s3cret", bound_host="192.168.1.5")
    yield made
    made.close()


def ask(rest: Rest, method: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
    body = {"queue_name": "tasks"} if path == QUEUES and method == "POST" else None
    return rest.send(method, f"http://localhost:8787{path}", headers=headers, json=body)


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:3000"},
    {"origin": "https://localhost:8787"},
    {"origin": "http://web.localhost:8787"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    {"sec-fetch-site": "same-origin", "origin": "http://evil.example"},
    {"host": "evil.example"},
    {"host": "localhost.evil.example:8787"},
    {"host": "192.168.1.5"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", SCHEDULED), ("POST", SCHEDULED), ("HEAD", SCHEDULED), ("GET", QUEUES), ("POST", QUEUES)],
)
def test_a_page_of_another_origin_is_refused(open_one: Rest, method: str, path: str, headers: dict[str, str]) -> None:
    response = ask(open_one, method, path, {**headers, "authorization": "Bearer x"})
    assert response.status_code == 403
    assert open_one.crons == []
    assert "tasks" not in open_one.session.queues.states


FOLLOWED = {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize("path", ["messages/abc", "requests/abc"])
def test_a_link_from_another_session_leads_to_the_page_of_a_message_or_a_request(open_one: Rest, path: str) -> None:
    assert ask(open_one, "GET", f"/cdn-cgi/emulator/{path}", FOLLOWED).status_code == 404  # this one has no pages


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/cdn-cgi/emulator/messages/abc", FOLLOWED),
        ("GET", "/cdn-cgi/emulator/api/messages/abc", FOLLOWED),
        ("GET", SCHEDULED, FOLLOWED),
        ("GET", "/cdn-cgi/emulator/messages/abc", {**FOLLOWED, "sec-fetch-site": "cross-site"}),
        ("GET", "/cdn-cgi/emulator/messages/abc", {**FOLLOWED, "sec-fetch-dest": "iframe"}),
        ("GET", "/cdn-cgi/emulator/messages/abc", {**FOLLOWED, "sec-fetch-mode": "no-cors"}),
        ("GET", "/cdn-cgi/emulator/messages/abc", {**FOLLOWED, "origin": "http://localhost:3000"}),
    ],
)
def test_nothing_else_comes_from_another_port(open_one: Rest, method: str, path: str, headers: dict[str, str]) -> None:
    assert ask(open_one, method, path, headers).status_code == 403


def test_a_link_does_not_stand_in_for_the_token(guarded: Rest) -> None:
    assert ask(guarded, "GET", "/cdn-cgi/emulator/messages/abc", FOLLOWED).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost:8787"},
        {"origin": "http://LOCALHOST:8787"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "http://localhost:8787"},
    ],
    ids=str,
)
def test_a_command_and_a_page_of_its_own_are_let_through(open_one: Rest, headers: dict[str, str]) -> None:
    assert ask(open_one, "POST", QUEUES, headers).status_code == 200
    assert "tasks" in open_one.session.queues.states
    assert ask(open_one, "GET", f"{SCHEDULED}?cron=now", headers).text == "ok"
    assert open_one.crons == ["now"]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic s3cret"}], ids=str)
@pytest.mark.parametrize("path", [SCHEDULED, QUEUES, "/cdn-cgi/emulator/forward/jobs", "/cdn-cgi/nothing"])
def test_a_server_that_others_can_reach_requires_its_token(guarded: Rest, path: str, headers: dict[str, str]) -> None:
    response = ask(guarded, "POST", path, headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "the token that `emulator dev` printed" in response.text
    assert guarded.crons == []
    assert "tasks" not in guarded.session.queues.states


def test_the_token_opens_it(guarded: Rest) -> None:
    headers = {**BEARER, "host": "192.168.1.5:8787"}
    assert ask(guarded, "POST", QUEUES, headers).status_code == 200
    assert ask(guarded, "POST", SCHEDULED, headers).text == "ok"


def test_a_refusal_is_in_the_words_of_what_was_asked(open_one: Rest) -> None:
    headers = {"origin": "http://evil.example"}
    (error,) = ask(open_one, "GET", QUEUES, headers).json()["errors"]
    assert error == {"code": 10000, "message": "requests from pages of http://evil.example are refused"}
    refused = ask(open_one, "GET", SCHEDULED, headers)
    assert refused.text == "403: requests from pages of http://evil.example are refused\n"
    assert refused.headers["content-type"].startswith("text/plain")
