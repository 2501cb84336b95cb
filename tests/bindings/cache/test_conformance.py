"""One script against the Cache API as workers of ours see it, in both languages, and against Miniflare.

`workerd serve` has no cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulator.testing import Emulator
from tests.support import oracles
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture

HERE = Path(__file__).parent

KEPT_HERE_ONLY = {"upper case", "public alone", "nothing said", "a 500", "a 204", "the same tag of a 204"}
"""Steps in which Miniflare keeps nothing: it reads directives in lower case only, knows no times for responses that do
not say one, and keeps no error and nothing without a body."""

SAID_OTHERWISE = {
    "a cookie that is private",  # Miniflare takes the directive out of Cache-Control
    "a status text",  # which Miniflare forgets
    "a range that is not there",  # without a Content-Length there
    "no range",  # the range of another unit is an error there
    "two ranges",  # are two parts there
    "a range of a stream",  # which has no Content-Length
    "the same tag of a 404",  # is compared there, too
    "the same tag of a stream",  # without a Content-Length there
    "compressed",  # is not read as text there
}


IN_PYTHON = {"the same tag of a stream", "compressed"}
"""Steps in which the headers have no Content-Length in Python, or have one, as bodies are not compressed."""


def ours(path: Path) -> dict[str, Any]:
    with Emulator(path) as emulator:
        results: dict[str, Any] = emulator.get("/").json()
        return results


@needs_node
@pytest.mark.usefixtures("javascript")
def test_javascript_sees_what_miniflare_shows(tmp_path: Path, newest_node: str) -> None:
    found = ours(oracles.project(tmp_path / "js", HERE / "script.js", {}))
    theirs = oracles.miniflares(newest_node, HERE / "script.js", {})
    assert list(found) == list(theirs)
    different = {name for name in theirs if theirs[name] != found[name]}
    assert different == KEPT_HERE_ONLY | SAID_OTHERWISE
    assert {theirs[name] for name in KEPT_HERE_ONLY} == {"undefined"}
    assert {found[name][3] for name in KEPT_HERE_ONLY} == {"kept", "x", ""}


@needs_node
@pytest.mark.usefixtures("javascript")
def test_python_sees_what_javascript_does(tmp_path: Path) -> None:
    in_javascript = ours(oracles.project(tmp_path / "js", HERE / "script.js", {}))
    in_python = ours(oracles.project(tmp_path / "py", HERE / "script.py.txt", {}))
    assert list(in_python) == list(in_javascript)
    for name in IN_PYTHON:
        for results in (in_javascript, in_python):
            results[name][2].pop("content-length", None)
    for name, expected in in_javascript.items():
        assert in_python[name] == (None if expected == "undefined" else expected), name


PYTHON = """
from js import Response, caches
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        key = request.js_object
        if request.method == "PUT":
            response = Response.new(request.body, headers={"Cache-Control": "max-age=60", "ETag": '"a"'})
            return Response.new(str(await caches.default.put("http://shared.example/large", response)))
        key = type(key).new("http://shared.example/large", headers=key.headers)
        return await caches.default.match(key) or Response.new("nothing", status=404)
"""
JAVASCRIPT = """
export default {
  async fetch(request) {
    if (request.method === "PUT") {
      const response = new Response(request.body, { headers: { "Cache-Control": "max-age=60", ETag: '"a"' } });
      return new Response(String(await caches.default.put("http://shared.example/large", response)));
    }
    const key = new Request("http://shared.example/large", { headers: request.headers });
    return (await caches.default.match(key)) ?? new Response("nothing", { status: 404 });
  },
};
"""
HERE_URL, THERE_URL = "http://localhost/", "http://js.localhost/"


@needs_node
@pytest.mark.usefixtures("javascript")
@pytest.mark.parametrize("size", [0, 1000, 205_000])
def test_what_one_language_keeps_the_other_answers_with(tmp_path: Path, size: int) -> None:
    python = oracles.project(tmp_path / "py", HERE / "script.py.txt", {})
    js = oracles.project(tmp_path / "js", HERE / "script.js", {})
    (python.parent / "entry.py").write_text(PYTHON)
    (js.parent / "index.js").write_text(JAVASCRIPT)
    content = (bytes(range(256)) * 801)[:size]  # of three sizes: nothing, in the database, and a file
    with Emulator([python, js]) as emulator:
        for putting, matching in ((HERE_URL, THERE_URL), (THERE_URL, HERE_URL), (HERE_URL, HERE_URL)):
            assert emulator.get(matching).status_code == 404
            emulator.put(putting, content=content)
            found = emulator.get(matching)
            assert (found.status_code, found.content) == (200, content)
            assert found.headers["cf-cache-status"] == "HIT"
            unchanged = emulator.get(matching, headers={"If-None-Match": '"a"'})
            assert (unchanged.status_code, unchanged.content) == (304, b"")
            if size:
                part = emulator.get(matching, headers={"Range": "bytes=1-3"})
                assert (part.status_code, part.content) == (206, content[1:4])
                assert part.headers["content-range"] == f"bytes 1-3/{size}"
            emulator.cache().clear()
