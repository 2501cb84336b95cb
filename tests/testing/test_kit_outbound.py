"""Outgoing requests of workers under test."""

from __future__ import annotations

import re
from typing import Any

import pytest

from emulator.testing import Emulator, OutboundCall
from emulator.testing.outbound import UnmatchedFetchError
from emulator_runtime.workers.response import Response
from tests.testing.kit_workers import worker

ASKS = """
async def fetch(self, request):
    what = await request.json()
    try:
        response = await fetch(what["url"], method=what.get("method", "GET"), body=what.get("body"))
    except OSError as error:
        return Response(f"failed: {error}")
    headers = {"x-kind": response.headers.get("x-kind") or ""}
    return Response(await response.text(), status=response.status, headers=headers)
"""


def ask(emulator: Emulator, url: str, **what: Any) -> Any:
    return emulator.post("/", json={"url": url, **what})


def test_a_route_answers_with_json_text_bytes_status_and_headers() -> None:
    with Emulator(**worker(ASKS)) as emulator:
        outbound = emulator.outbound
        outbound.get("https://api.example.com/json", json={"a": 1}, status=201, headers={"x-kind": "made"})
        outbound.get("https://api.example.com/text", text="hello")
        outbound.get("https://api.example.com/bytes", content=b"raw", status=404)
        outbound.get("https://api.example.com")
        response = ask(emulator, "https://api.example.com/json")
        assert (response.status_code, response.json(), response.headers["x-kind"]) == (201, {"a": 1}, "made")
        assert ask(emulator, "https://api.example.com/text").text == "hello"
        assert ask(emulator, "https://api.example.com/bytes").status_code == 404
        assert ask(emulator, "https://api.example.com/").text == ""


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (Response("a response", status=202), 202, "a response"),
        ({"as": "json"}, 200, '{"as": "json"}'),
        ("text", 200, "text"),
        (b"bytes", 200, "bytes"),
        (503, 503, ""),
        (ConnectionError("refused"), 200, "failed: refused"),
        (TimeoutError, 200, "failed: "),
        (lambda call: call.method, 200, "GET"),
        (lambda _call: None, 200, ""),
        (lambda _call: OSError("made"), 200, "failed: made"),
    ],
)
def test_an_answer_may_be_many_things_and_is_given_again_and_again(answer: Any, status: int, text: str) -> None:
    with Emulator(**worker(ASKS)) as emulator:
        emulator.outbound.get("https://example.com/x", answer)
        for _ in range(2):
            response = ask(emulator, "https://example.com/x")
            assert (response.status_code, response.text) == (status, text)


def test_an_answer_may_be_made_by_an_async_function_in_virtual_time() -> None:
    async def slowly(call: OutboundCall) -> dict[str, Any]:
        import asyncio

        await asyncio.sleep(20)
        return {"got": call.json()}

    with Emulator(**worker(ASKS)) as emulator:
        begun = emulator.now
        emulator.outbound.post("https://example.com/*", slowly)
        assert ask(emulator, "https://example.com/x", method="POST", body='{"n": 1}').json() == {"got": {"n": 1}}
        assert (emulator.now - begun).total_seconds() == 20


def test_the_latest_route_that_matches_wins() -> None:
    with Emulator(**worker(ASKS)) as emulator:
        outbound = emulator.outbound
        outbound.route("*", "https://example.com/*", text="glob")
        outbound.put("https://example.com/items", text="put")
        outbound.patch("https://example.com/items", text="patch")
        outbound.delete("https://example.com/items", text="delete")
        outbound.get(re.compile(r"/items/\d+$"), text="pattern")
        outbound.get("https://example.com/search?q=[a]", text="query")
        assert ask(emulator, "https://example.com/a/b").text == "glob"
        for method in ("put", "patch", "delete"):
            assert ask(emulator, "https://example.com/items", method=method.upper()).text == method
        assert ask(emulator, "https://example.com/items/12").text == "pattern"
        assert ask(emulator, "https://example.com/search?q=[a]").text == "query"
        outbound.get("https://example.com/*", text="later")
        assert ask(emulator, "https://example.com/items/12").text == "later"


def test_calls_are_recorded() -> None:
    with Emulator(**worker(ASKS)) as emulator:
        emulator.outbound.post("https://example.com/", text="")
        ask(emulator, "https://example.com/", method="POST", body='{"to": "someone"}')
        [call] = emulator.outbound.calls
        assert (call.method, call.url, call.text) == ("POST", "https://example.com/", '{"to": "someone"}')
        assert call.json() == {"to": "someone"}
        assert call.headers["content-type"].startswith("text/plain")
        assert repr(call) == '<OutboundCall POST https://example.com/ {"to": "someone"}>'


def test_a_request_without_a_route_fails_the_test_once() -> None:
    with Emulator(**worker(ASKS)) as emulator:
        emulator.outbound.get("https://example.com/known", text="")
        with pytest.raises(UnmatchedFetchError) as info:
            ask(emulator, "https://example.com/unknown")
        assert str(info.value) == (
            "the worker fetched GET https://example.com/unknown, which no route answers; the routes are:\n"
            "  GET https://example.com/known\n"
            "  Answer it with emulator.outbound.get('https://example.com/unknown', json=...)"
        )
        assert ask(emulator, "https://example.com/known").text == ""


SWALLOWS = """
async def fetch(self, request):
    try:
        await fetch("https://example.com/")
    except BaseException:
        return Response("all is well")
"""


def test_it_fails_also_when_the_worker_swallows_the_error() -> None:
    with Emulator(**worker(SWALLOWS)) as emulator, pytest.raises(UnmatchedFetchError, match="there are none"):
        emulator.get("/")


def test_it_fails_also_in_a_delivery() -> None:
    queue = "async def queue(self, batch, env, ctx):\n    await fetch('https://example.com/')"
    with Emulator(**worker(queue)) as emulator:
        emulator.queue("jobs").send("x")
        with pytest.raises(UnmatchedFetchError, match=r"https://example\.com/"):
            emulator.advance(seconds=5)
        assert [each.outcome for each in emulator.advance()] == ["exception"]


def test_it_fails_at_the_end_when_it_could_not_be_told_before() -> None:
    fetch = """
    async def fetch(self, request):
        try:
            await fetch("https://example.com/")
        except AssertionError as error:
            raise ValueError("not the reason") from error
    """
    emulator = Emulator(**worker(fetch))
    emulator.__enter__()
    with pytest.raises(ValueError, match="not the reason"):
        emulator.get("/")
    with pytest.raises(UnmatchedFetchError):
        emulator.close()
    with pytest.raises(ValueError, match="not the reason"), Emulator(**worker(fetch)) as emulator:
        emulator.get("/")


def test_an_assertion_about_a_fetch_fails_the_test_also_when_the_worker_swallows_it() -> None:
    def answer(call: OutboundCall) -> dict[str, bool]:
        assert call.method == "DELETE", "it should have been a DELETE"
        return {"ok": True}

    with Emulator(**worker(SWALLOWS)) as emulator:
        emulator.outbound.route("*", "*", answer)
        with pytest.raises(AssertionError, match="it should have been a DELETE") as info:
            emulator.get("/")
    assert info.traceback[-1].name == "answer"
