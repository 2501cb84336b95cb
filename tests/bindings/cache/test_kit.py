from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.base.bus import Notice
from emulator.base.errors import EmulatorError
from emulator.bindings.events import BindingUsed
from emulator.server.events import RequestFinished
from emulator.testing import AsyncEmulator, Emulator
from emulator_runtime.errors import NotEmulatedError
from emulator_runtime.js import caches
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture

# Answers from the cache; what is not there is made, and kept for a minute.
PYTHON = """
from js import Response, caches
from pyodide.ffi import JsException, create_proxy
from workers import WorkerEntrypoint

made = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global made
        cache = caches.default
        key = f"http://cache.example/{request.url.rsplit('/', 1)[1]}"
        if request.method == "DELETE":
            try:
                return Response.new(str(await cache.delete(key)))
            except JsException as error:
                return Response.new(f"{error.name}: {error.message}")
        response = await cache.match(key)
        if response is None:
            made += 1
            response = Response.new(f"made {made}", headers={"Cache-Control": "max-age=60"})
            self.ctx.waitUntil(create_proxy(cache.put(key, response.clone())))
        return response
"""
JAVASCRIPT = """
let made = 0;
export default {
  async fetch(request, env, ctx) {
    const cache = caches.default;
    const key = `http://cache.example/${request.url.split("/").at(-1)}`;
    if (request.method === "DELETE") {
      try {
        return new Response(String(await cache.delete(key)).replace(/^./, (first) => first.toUpperCase()));
      } catch (error) {
        return new Response(String(error));
      }
    }
    let response = await cache.match(key);
    if (!response) {
      response = new Response(`made ${++made}`, { headers: { "Cache-Control": "max-age=60" } });
      ctx.waitUntil(cache.put(key, response.clone()));
    }
    return response;
  },
};
"""
LANGUAGES = ["python", pytest.param("javascript", marks=needs_node)]


@pytest.fixture(params=LANGUAGES)
def emulator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Emulator]:
    if request.param == "python":
        with Emulator(main=PYTHON) as made:
            yield made
        return
    request.getfixturevalue("javascript")
    (tmp_path / "index.js").write_text(JAVASCRIPT)
    described = {"name": "worker", "main": "index.js", "compatibility_date": "2026-04-01"}
    (tmp_path / "wrangler.json").write_text(json.dumps(described))
    with Emulator(tmp_path) as made:
        yield made


def test_a_response_is_fresh_as_long_as_it_says_in_virtual_time(emulator: Emulator) -> None:
    assert emulator.get("/a").text == "made 1"
    emulator.advance(seconds=59)
    again = emulator.get("/a")
    assert (again.text, again.headers["age"], again.headers["cf-cache-status"]) == ("made 1", "59", "HIT")
    assert emulator.get("/b").text == "made 2"
    emulator.advance(seconds=1)
    assert emulator.get("/a").text == "made 3"


def test_a_test_reads_and_seeds(emulator: Emulator) -> None:
    cache = emulator.cache()
    lasting = {"Cache-Control": "max-age=3600"}
    assert cache.put("http://cache.example/ada", "seeded", headers={"X-A": "1", **lasting})
    assert cache.put("http://cache.example/json", {"a": [1]}, status=404)
    assert not cache.put("http://cache.example/private", b"\xff", headers={"Cache-Control": "private"})
    assert emulator.get("/ada").text == "seeded"
    assert emulator.get("/json").status_code == 404
    found = cache.get("http://cache.example/ada")
    assert found is not None
    assert (found.status, found.text, found.headers["x-a"], found.headers["age"]) == (200, "seeded", "1", "0")
    found = cache.get("http://cache.example/json")
    assert found is not None
    assert found.json() == {"a": [1]}
    assert cache.get("http://cache.example/absent") is None
    emulator.get("/own")
    assert cache.keys() == [f"http://cache.example/{name}" for name in ("ada", "json", "own")]
    assert cache.delete("http://cache.example/own")
    assert not cache.delete("http://cache.example/own")
    assert emulator.cache("another").keys() == []
    emulator.advance(seconds=180)
    assert cache.keys() == ["http://cache.example/ada"]
    cache.clear()
    assert cache.keys() == []
    assert repr(cache).endswith("Cache default>")


def test_in_trouble_nothing_is_found_or_kept_and_deleting_fails(emulator: Emulator) -> None:
    emulator.cache().put("http://cache.example/a", "seeded")
    emulator.cache().fail_next(2)
    assert emulator.get("/a").text == "made 1"
    assert emulator.get("/a").text == "seeded"
    emulator.cache().fail_next()
    assert emulator.delete("/a").text == "Error: Unable to delete cached response."
    assert emulator.delete("/a").text == "True"
    assert emulator.delete("/a").text == "False"


def test_what_is_wrong_with_the_disk_is_a_warning(emulator: Emulator) -> None:
    warnings: list[Notice] = []
    emulator._core.bus.subscribe(Notice, warnings.append)
    emulator.cache().fail_next(3, EmulatorError("there is no room left on the disk"))
    assert emulator.get("/a").text == "made 1"
    assert emulator.delete("/a").text == "Error: Unable to delete cached response."
    assert [(each.level, each.text) for each in warnings] == [("warning", "there is no room left on the disk")] * 3
    emulator.cache().fail_next(1, EmulatorError("there is no room left on the disk"))
    with pytest.raises(EmulatorError, match="no room"):
        emulator.cache().keys()


def test_an_operation_takes_as_long_as_a_test_wants(emulator: Emulator) -> None:
    emulator.cache().delay_next(30)
    before = emulator.now
    emulator.get("/a")
    assert (emulator.now - before).total_seconds() == 30


def test_each_operation_is_an_event(emulator: Emulator) -> None:
    used: list[BindingUsed] = []
    emulator._core.bus.subscribe(BindingUsed, used.append)
    emulator.get("/a")
    emulator.get("/a")
    emulator.delete("/a")
    emulator.cache("another").keys()
    assert [(each.worker, each.kind, each.name, each.operation, each.key, each.size) for each in used] == [
        ("worker", "cache", "caches.default", "match", "http://cache.example/a", 0),
        ("worker", "cache", "caches.default", "put", "http://cache.example/a", 6),
        ("worker", "cache", "caches.default", "match", "http://cache.example/a", 6),
        ("worker", "cache", "caches.default", "delete", "http://cache.example/a", 0),
        ("", "cache", "another", "keys", "", 0),
    ]


def test_a_request_knows_that_it_has_used_the_cache(emulator: Emulator) -> None:
    events: list[RequestFinished] = []
    emulator.get("/a")
    emulator._core.bus.subscribe(RequestFinished, events.append)
    emulator.get("/a")
    assert [event.bindings for event in events] == [{"cache": 1}]


def test_a_snapshot_has_the_cache_and_every_emulator_begins_without(emulator: Emulator) -> None:
    large = "x" * 100_000
    emulator.cache("large").put("http://cache.example/large", large)
    emulator.get("/a")
    snapshot = emulator.snapshot()
    emulator.delete("/a")
    emulator.cache("large").clear()
    emulator.restore(snapshot)
    assert emulator.get("/a").text == "made 1"
    found = emulator.cache("large").get("http://cache.example/large")
    assert found is not None
    assert found.text == large
    with Emulator(main=PYTHON) as other:
        assert other.cache().keys() == []


def test_a_worker_that_does_not_use_the_cache_has_no_store() -> None:
    with Emulator(
        main="from js import Response, caches\nasync def on_fetch(request):\n  return Response.new('x')\n"
    ) as made:
        assert made.get("/").text == "x"
        assert made._core.session.state.snapshot().databases == {}


def test_in_async_tests_it_is_awaited() -> None:
    async def main() -> None:
        async with AsyncEmulator(main=PYTHON) as emulator:
            cache = emulator.cache()
            assert await cache.put("http://cache.example/ada", "seeded")
            found = await cache.get("http://cache.example/ada")
            assert found is not None
            assert found.text == "seeded"
            assert await cache.keys() == ["http://cache.example/ada"]
            assert await cache.delete("http://cache.example/ada")
            await cache.clear()

    asyncio.run(main())


def test_a_closed_emulator_has_no_cache() -> None:
    with Emulator(main=PYTHON) as emulator:
        cache = emulator.cache()
    with pytest.raises(EmulatorError, match="closed"):
        cache.keys()


def test_the_requests_and_responses_of_the_sdk_go_in_as_their_js_objects() -> None:
    worker = """
from js import caches
from pyodide.ffi import JsException
from workers import Request, Response

async def on_fetch(request):
    told = []
    for call in (
        lambda: caches.default.match(Request("http://cache.example/a")),
        lambda: caches.default.put("http://cache.example/a", Response("x")),
        lambda: caches.default.put("http://cache.example/a", Response("x").js_object),
        lambda: caches.default.delete(Request("http://cache.example/a").js_object),
    ):
        try:
            told.append(await call())
        except JsException as error:
            told.append(f"{error.name}: {error.message}")
    return Response.from_json(told)
"""
    with Emulator(main=worker) as emulator:
        assert emulator.get("/").json() == [
            "TypeError: Invalid URL: Request(method='GET', url='http://cache.example/a'); pass its js_object",
            "TypeError: Failed to execute 'put' on 'Cache': parameter 2 is not of type 'Response'; pass its js_object.",
            None,
            True,
        ]


def test_the_request_that_came_in_is_a_key_under_another_url() -> None:
    worker = """
from js import Request, Response, caches, fetch
from pyodide.ffi import create_proxy
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        key = Request.new("http://cache.example/page", request)
        response = await caches.default.match(key)
        if response is None:
            response = await fetch("http://origin.example/")
            response = Response.new(response.body, response)
            response.headers.append("Cache-Control", "s-maxage=10")
            self.ctx.waitUntil(create_proxy(caches.default.put(key, response.clone())))
        return response
"""
    with Emulator(main=worker) as emulator:
        emulator.outbound.route("GET", "http://origin.example/", "0123456789")
        assert emulator.get("/").text == "0123456789"
        found = emulator.get("/", headers={"Range": "bytes=0-1"})
        assert (found.status_code, found.text, found.headers["cf-cache-status"]) == (206, "01", "HIT")
        assert len(emulator.outbound.calls) == 1
        emulator.advance(seconds=10)
        assert emulator.get("/").text == "0123456789"
        assert len(emulator.outbound.calls) == 2


def test_outside_of_a_worker_there_is_no_cache() -> None:
    with pytest.raises(NotEmulatedError, match=r"js.caches is not emulated yet; it is there while a worker runs"):
        _ = caches.default
