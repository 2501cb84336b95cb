from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.base.clock import VirtualClock
from emulator.bindings.rate_limit.limiter import Limiter, read_options
from emulator.testing import Emulator
from tests.support.node_tools import needs_node

PYTHON = """
from pyodide.ffi import JsException
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        key = request.url.rsplit("/", 1)[1]
        try:
            outcome = await self.env.LIMITER.limit({"key": key} if key != "wrong" else {"kay": key})
        except JsException as error:
            return Response(error.message)
        assert outcome["success"] is outcome.success
        return Response("yes" if outcome.success else "no")
"""
JAVASCRIPT = """
export default {
  async fetch(request, env) {
    const key = request.url.split("/").pop();
    try {
      const { success } = await env.LIMITER.limit(key === "wrong" ? { kay: key } : { key });
      return new Response(success ? "yes" : "no");
    } catch (error) {
      return new Response(error.message);
    }
  },
};
"""
LIMITS = {"ratelimits": [{"name": "LIMITER", "namespace_id": "1", "simple": {"limit": 2, "period": 10}}]}


def test_a_window_allows_so_many() -> None:
    clock = VirtualClock(1_000.0)
    limiter = Limiter(clock)
    assert [limiter.limit("a", 2, 10, 1) for _ in range(3)] == [True, True, False]
    assert limiter.limit("b", 2, 10, 5)  # what goes over the limit is still counted, but nothing after it
    assert not limiter.limit("b", 2, 10, 1)
    assert limiter.limit("a", 2, 60, 1)  # a window of its own
    clock.move_to(1_009.9)
    assert not limiter.limit("a", 2, 10, 1)
    clock.move_to(1_010.0)
    assert limiter.limit("a", 2, 10, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (None, "invalid rate limit options"),
        ({"kay": 1, "x": 2}, "bad rate limit options: [kay,x]"),
        ({"key": 1}, "invalid key: 1"),
        ({"limit": "x"}, "limit must be a number: x"),
        ({"period": 11}, "unsupported period: 11"),
        ({"delta": 0}, "delta must be non-zero"),
        ({"delta": -1}, "The value cannot be converted because it is negative and this API expects a positive number."),
        ({"delta": 2**32}, "Value out of range. Must be less than or equal to 4294967295."),
        ({"delta": "x"}, "The value cannot be converted because it is not an integer."),
    ],
)
def test_what_is_refused_is_told_in_the_services_words(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_options(options, 2, 10)
    assert str(caught.value) == words


def test_a_python_worker_is_limited_in_virtual_time() -> None:
    with Emulator(main=PYTHON, settings=LIMITS) as emulator:
        assert [emulator.get("/ada").text for _ in range(3)] == ["yes", "yes", "no"]
        assert emulator.get("/grace").text == "yes"
        assert emulator.get("/wrong").text == "bad rate limit options: [kay]"
        emulator.advance(seconds=10)
        assert emulator.get("/ada").text == "yes"


@needs_node
@pytest.mark.usefixtures("javascript")
def test_both_languages_count_together(tmp_path: Path) -> None:
    paths = []
    for name, main, source in (("js", "index.js", JAVASCRIPT), ("py", "entry.py", PYTHON)):
        (tmp_path / name).mkdir()
        (tmp_path / name / main).write_text(source)
        flags = ["python_workers"] if name == "py" else []
        described = {"name": name, "main": main, "compatibility_date": "2026-04-01", "compatibility_flags": flags}
        paths.append(tmp_path / name / "wrangler.json")
        paths[-1].write_text(json.dumps({**described, **LIMITS}))
    with Emulator(paths) as emulator:
        assert emulator.get("/ada").text == "yes"
        assert emulator.get("http://py.localhost/ada").text == "yes"
        assert emulator.get("/ada").text == emulator.get("http://py.localhost/ada").text == "no"
        assert emulator.get("/wrong").text == "bad rate limit options: [kay]"
        emulator.advance(seconds=10)
        assert emulator.get("/ada").text == "yes"
