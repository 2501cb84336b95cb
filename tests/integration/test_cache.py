"""The Cache API in the real program: kept over `kill -9`, answered over HTTP, and told of where it is damaged."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import Running, write_worker

WORKER = """
    from js import Request, Response, caches
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            name = request.url.rsplit("/", 1)[1]
            key = Request.new(f"http://cache.example/{name}", headers=request.js_object.headers)
            if request.method == "PUT":
                response = Response.new(request.body, headers={"Cache-Control": "max-age=600", "ETag": '"a"'})
                await caches.default.put(key, response)
                return Response.new("put")
            return await caches.default.match(key) or Response.new("nothing", status=404)
"""
STATE = ".wrangler/state/emulator/bindings"


@pytest.fixture
def session(dev: Callable[..., Running], tmp_path: Path) -> Running:
    write_worker(tmp_path, WORKER)
    return dev(tmp_path)


def test_kill_9_loses_nothing_that_was_answered(dev: Callable[..., Running], session: Running, tmp_path: Path) -> None:
    contents = [str(number) * (1 if number % 3 else 100_000) for number in range(30)]
    with httpx.Client() as client:
        for number, content in enumerate(contents):
            assert client.put(f"{session.url}/{number}", content=content).text == "put"
    session.end(signal.SIGKILL)
    again = dev(tmp_path)
    with httpx.Client() as client:
        for number, content in enumerate(contents):
            assert client.get(f"{again.url}/{number}").text == content


@pytest.mark.parametrize("size", [10, 100_000])
def test_ranges_and_what_has_not_changed_go_to_the_client(session: Running, size: int) -> None:
    content = "0123456789" * (size // 10)
    with httpx.Client() as client:  # one connection, which each answer has to leave in order
        client.put(f"{session.url}/a", content=content)
        for _ in range(2):
            unchanged = client.get(f"{session.url}/a", headers={"If-None-Match": '"a"'})
            assert (unchanged.status_code, unchanged.headers["content-length"]) == (304, str(size))
            part = client.get(f"{session.url}/a", headers={"Range": "bytes=2-4"})
            assert (part.status_code, part.text, part.headers["content-range"]) == (206, "234", f"bytes 2-4/{size}")
            absent = client.get(f"{session.url}/a", headers={"Range": f"bytes={size}-"})
            assert (absent.status_code, absent.text) == (416, "")
            assert client.get(f"{session.url}/a").text == content


def test_a_damaged_cache_is_a_warning_and_finds_nothing(dev: Callable[..., Running], tmp_path: Path) -> None:
    write_worker(tmp_path, WORKER)
    (tmp_path / STATE).mkdir(parents=True)
    (tmp_path / STATE / "cache.sqlite").write_bytes(b"no database" * 1000)
    running = dev(tmp_path)
    assert httpx.put(f"{running.url}/a", content="x").text == "put"
    assert httpx.get(f"{running.url}/a").text == "nothing"
    running.wait_for(r"bindings/cache\.sqlite is damaged")
