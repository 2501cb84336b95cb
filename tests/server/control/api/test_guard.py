"""Who may use the REST API, what is no request of it, and that it is not loaded before it is asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.control.api.rest_client import Rest

BODY = {"queue_name": "tasks"}
BEARER = {"authorization": "Bearer s3cret"}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Rest]:
    made = Rest(tmp_path, token="s3cret", bound_host="192.168.1.5")
    yield made
    made.close()


def created(rest: Rest) -> bool:
    return "tasks" in rest.session.queues.states


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", "https://localhost:8787"])
def test_a_request_from_a_page_of_another_origin_is_refused(rest: Rest, origin: str) -> None:
    headers = {"origin": origin, "authorization": "Bearer x"}
    assert rest.refused("POST", "/queues", BODY, headers=headers)[0] == 403
    assert rest.refused("GET", "/queues", headers=headers)[0] == 403
    assert not created(rest)


def test_a_request_from_a_page_of_its_own_is_let_through(rest: Rest) -> None:
    response = rest.send("POST", "/queues", json=BODY, headers={"origin": "http://localhost:8787"})
    assert response.status_code == 200
    assert created(rest)


def test_no_answer_has_cors_headers(rest: Rest) -> None:
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    for response in (
        rest.send("OPTIONS", "/queues", headers=headers),
        rest.send("OPTIONS", "/queues"),
        rest.send("GET", "/queues"),
    ):
        assert not [name for name in response.headers if name.startswith("access-control")]
    assert rest.send("OPTIONS", "/queues").status_code == 405


def test_a_foreign_host_is_refused(rest: Rest) -> None:
    response = rest.send("POST", "/queues", json=BODY, headers={"host": "evil.example"})
    assert response.status_code == 403
    assert not created(rest)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_must_be_declared_as_json(rest: Rest, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    status, code, text = rest.refused("POST", "/queues", content=b'{"queue_name": "tasks"}', headers=headers)
    assert (status, code) == (415, 6003)
    assert "application/json" in text
    assert not created(rest)


def test_wranglers_plain_text_is_taken_for_json_where_it_comes_with_a_token(rest: Rest) -> None:
    headers = {"content-type": "text/plain;charset=UTF-8", "authorization": "Bearer anything"}
    assert rest.send("POST", "/queues", content=b'{"queue_name": "tasks"}', headers=headers).status_code == 200
    assert created(rest)


@pytest.mark.parametrize("body", [b"", b"{", b"queue", b'{"queue_name": "\xff"}', b'{"queue_name": NaN}'])
def test_a_body_that_is_no_json_is_malformed(rest: Rest, body: bytes) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert rest.refused("POST", "/queues", content=body, headers=headers)[:2] == (400, 10208)


def test_a_body_that_is_nested_without_end_is_malformed(rest: Rest) -> None:
    body, headers = b'{"body": ' + b"[" * 100_000, {"content-type": "application/json"}
    path = f"{rest.path_of('jobs')}/messages"
    assert rest.refused("POST", path, content=body, headers=headers)[:2] == (400, 10208)


@pytest.mark.parametrize("body", [[], "x", 5, {"queue_name": 5}, {}, {"queue_name": "tasks", "settings": []}])
def test_a_body_of_the_wrong_shape_is_invalid(rest: Rest, body: object) -> None:
    response = rest.send("POST", "/queues", json=body)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, 10207)
    assert not created(rest)


def test_a_body_that_is_too_large_is_refused(rest: Rest) -> None:
    large = b'{"queue_name": "tasks", "filler": "' + b"x" * 2_000_000 + b'"}'
    headers = {"content-type": "application/json"}
    assert rest.refused("POST", "/queues", content=large, headers=headers)[0] == 413

    async def chunks() -> object:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    assert rest.refused("POST", "/queues", content=chunks(), headers=headers)[0] == 413
    assert not created(rest)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic s3cret"}])
def test_a_server_that_others_can_reach_requires_its_token(guarded: Rest, headers: dict[str, str]) -> None:
    response = guarded.send("POST", "/queues", json=BODY, headers=headers)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (401, 10000)
    assert response.headers["www-authenticate"] == "Bearer"
    assert not created(guarded)


def test_the_token_opens_it(guarded: Rest) -> None:
    headers = {**BEARER, "host": "192.168.1.5:8787"}
    assert guarded.send("POST", "/queues", json=BODY, headers=headers).status_code == 200


def test_an_unknown_queue_is_not_found(rest: Rest) -> None:
    for path in ("/queues/0123", f"/queues/{'0' * 32}", f"/queues/{'0' * 32}/metrics", "/queues/jobs"):
        assert rest.refused("GET", path)[:2] == (404, 10104)


def test_what_is_not_emulated_says_so(rest: Rest) -> None:
    for method in ("GET", "POST", "DELETE"):
        found = rest.refused(method, "/event_subscriptions/subscriptions")
        assert found == (501, 11099, "Event subscriptions are not emulated")
    status, code, text = rest.refused("GET", "/workers/scripts")
    assert (status, code) == (404, 7003)
    assert "GET /accounts/a1/workers/scripts" in text


def test_a_method_that_does_not_fit_is_not_available(rest: Rest) -> None:
    assert rest.refused("DELETE", "/queues")[:2] == (405, 7001)


def test_a_bug_of_ours_is_an_answer_too(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_name: str) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(rest.session.queues, "backlog", break_down)
    status, code, text = rest.refused("GET", f"{rest.path_of('jobs')}/metrics")
    assert (status, code) == (500, 15000)
    assert "RuntimeError: broken" in text


def test_neither_starlette_nor_the_api_is_loaded_at_the_start() -> None:
    code = "import sys, emulator.server.serving, emulator.server.app, emulator.server.gateway; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("starlette", "emulator.server.control"))]
