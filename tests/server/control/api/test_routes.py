"""What is no request of the REST API, and that it is not loaded before it is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.server.control.api.rest_client import Rest

BODY = {"queue_name": "tasks"}


def created(rest: Rest) -> bool:
    return "tasks" in rest.session.queues.states


def test_no_answer_has_cors_headers(rest: Rest) -> None:
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    for response in (
        rest.send("OPTIONS", "/queues", headers=headers),
        rest.send("OPTIONS", "/queues"),
        rest.send("GET", "/queues"),
    ):
        assert not [name for name in response.headers if name.startswith("access-control")]
    assert rest.send("OPTIONS", "/queues").status_code == 405


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
