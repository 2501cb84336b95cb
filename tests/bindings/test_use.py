"""What a request does with bindings: counted, delayed and made to fail."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from emulator.log.style import Style
from emulator.log.text import TextLines
from emulator.server.events import RequestFinished
from emulator.testing import AsyncEmulator, Emulator
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture

PYTHON = """
import asyncio
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/nothing"):
            return Response("nothing")
        await asyncio.gather(self.env.KV.put("a", "1"), self.env.KV.get("b"))
        await self.env.DB.prepare("SELECT 1").all()
        await self.env.FILES.head("a")
        return Response(await self.env.KV.get("a"))
"""
JAVASCRIPT = """
export default {
  async fetch(request, env) {
    await env.KV.put("a", "1");
    await env.KV.get("a");
    await env.DB.prepare("SELECT 1").all();
    await env.FILES.head("a");
    return new Response(await env.KV.get("a"));
  },
};
"""
SETTINGS = {
    "kv_namespaces": [{"binding": "KV"}],
    "d1_databases": [{"binding": "DB"}],
    "r2_buckets": [{"binding": "FILES", "bucket_name": "files"}],
}
USED = {"kv": 3, "d1": 1, "r2": 1}


def finished(emulator: Emulator | AsyncEmulator) -> list[RequestFinished]:
    events: list[RequestFinished] = []
    emulator._core.bus.subscribe(RequestFinished, events.append)
    return events


def in_javascript(directory: Path) -> Emulator:
    (directory / "index.js").write_text(JAVASCRIPT)
    described = {"name": "js", "main": "index.js", "compatibility_date": "2026-04-01"}
    (directory / "wrangler.json").write_text(json.dumps({**described, **SETTINGS}))
    return Emulator(directory)


def test_a_request_knows_what_it_has_used() -> None:
    with Emulator(main=PYTHON, settings=SETTINGS) as emulator:
        events = finished(emulator)
        emulator.get("/")
        emulator.get("/nothing")
        emulator.kv("KV").get("a")
        emulator.get("/")
    assert [event.bindings for event in events] == [USED, None, USED]
    assert events[0].binding_seconds > 0


def test_requests_at_the_same_time_are_told_apart() -> None:
    async def main() -> list[RequestFinished]:
        async with AsyncEmulator(main=PYTHON, settings=SETTINGS) as emulator:
            events = finished(emulator)
            emulator.kv("KV").delay_next(5, 2)
            await asyncio.gather(emulator.get("/"), emulator.get("/nothing"), emulator.get("/"))
            return events

    assert sorted(str(event.bindings) for event in asyncio.run(main())) == ["None", str(USED), str(USED)]


@needs_node
@pytest.mark.usefixtures("javascript")
def test_a_request_of_a_javascript_worker_knows_it_too(tmp_path: Path) -> None:
    with in_javascript(tmp_path) as emulator:
        events = finished(emulator)
        emulator.get("/")
    assert [event.bindings for event in events] == [USED]


@pytest.mark.parametrize("binding", ["kv", "d1", "r2"])
def test_an_operation_takes_as_long_as_a_test_wants(binding: str) -> None:
    with Emulator(main=PYTHON, settings=SETTINGS) as emulator:
        reached: Any = {"kv": emulator.kv("KV"), "d1": emulator.d1("DB"), "r2": emulator.r2("FILES")}[binding]
        reached.delay_next(30)
        before = emulator.now
        assert emulator.get("/").text == "1"
        assert (emulator.now - before).total_seconds() == 30
        emulator.get("/")
        assert (emulator.now - before).total_seconds() == 30


@needs_node
@pytest.mark.usefixtures("javascript")
def test_an_operation_of_a_javascript_worker_does_so_too(tmp_path: Path) -> None:
    with in_javascript(tmp_path) as emulator:
        emulator.d1("DB").delay_next(30)
        before = emulator.now
        assert emulator.get("/").text == "1"
        assert (emulator.now - before).total_seconds() == 30


def test_the_line_of_a_request_says_so() -> None:
    event = RequestFinished("app", "GET", "/cart", 200, 0.009, {"kv": 3, "d1": 1}, 0.002)
    assert TextLines(Style(False), Path()).request(event) == "GET /cart 200 OK (9 ms)  3 KV, 1 D1 (2 ms)\n"
