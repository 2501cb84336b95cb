"""Doubles in place of bindings, in workers of both languages: of every kind that is not emulated, and of others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.bindings.not_emulated.kind import _PLACES, NOT_EMULATED
from emulator.testing import Emulator
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture

PYTHON = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        asked = await request.json()
        results = {}
        for name in asked:
            try:
                results[name] = await getattr(self.env, name).run("model", {"prompt": "hi", "n": [1, None]})
            except Exception as error:
                results[name] = f"{type(error).__name__}: {error}"
        return Response.json(results)
"""
JAVASCRIPT = """
export default {
  async fetch(request, env) {
    const results = {};
    for (const name of await request.json()) {
      try {
        results[name] = await env[name].run("model", { prompt: "hi", n: [1, null] });
      } catch (error) {
        results[name] = `${error.name}: ${error.message}`;
      }
    }
    return Response.json(results);
  },
};
"""
Make = Callable[..., Emulator]


class Model:
    """A double, as a test writes it."""

    async def run(self, model: str, options: dict[str, Any]) -> dict[str, Any]:
        return {"model": model, "given": options}


@pytest.fixture(params=["entry.py", pytest.param("index.js", marks=needs_node)])
def make(request: pytest.FixtureRequest, tmp_path: Path, javascript: None) -> Make:  # noqa: F811
    """Makes an emulator of a worker with settings and doubles."""
    flags = ["python_workers"] if request.param == "entry.py" else []
    described = {"name": "app", "main": request.param, "compatibility_date": "2026-04-01", "compatibility_flags": flags}

    def made(settings: dict[str, Any], bindings: dict[str, Any], javascript: str = JAVASCRIPT) -> Emulator:
        (tmp_path / request.param).write_text(PYTHON if flags else javascript)
        (tmp_path / "wrangler.json").write_text(json.dumps({**described, **settings}))
        return Emulator(tmp_path / "wrangler.json", bindings=bindings)

    return made


def declared(key: str, name: str) -> Any:
    """What declares a binding of a kind that is not emulated, below its key."""
    container, field = _PLACES[key]
    if field is None:
        return {name: "file"}
    item = {field: name}
    if container:
        return {container: [item]}
    return item if key in {"ai", "browser", "images", "media", "stream"} else [item]


def test_there_is_a_double_for_everything_that_is_not_emulated(make: Make) -> None:
    names = {key: f"B{number}" for number, key in enumerate(NOT_EMULATED.keys)}
    settings = {key: declared(key, name) for key, name in names.items()}
    with make(settings, dict.fromkeys(names.values(), Model())) as emulator:
        results = emulator.post("/", json=list(names.values())).json()
    expected = {"model": "model", "given": {"prompt": "hi", "n": [1, None]}}
    assert results == dict.fromkeys(names.values(), expected)


def test_what_a_double_raises_the_worker_gets(make: Make) -> None:
    class Refuses:
        def run(self, *_values: Any) -> None:
            raise ValueError("no more neurons")

    with make({"ai": {"binding": "AI"}}, {"AI": Refuses()}) as emulator:
        assert emulator.post("/", json=["AI"]).json() == {"AI": "ValueError: no more neurons"}


def test_a_double_replaces_a_binding_that_is_emulated(make: Make) -> None:
    with make({"kv_namespaces": [{"binding": "KV", "id": "1"}]}, {"KV": Model()}) as emulator:
        assert emulator.post("/", json=["KV"]).json()["KV"]["model"] == "model"


@needs_node
def test_values_bytes_and_deeper_names_reach_a_javascript_worker(tmp_path: Path, javascript: None) -> None:  # noqa: F811
    class Files:
        def turned(self, content: bytes) -> bytes:
            return content[::-1]

    class Outer:
        files = Files()

    (tmp_path / "index.js").write_text("""
        export default {
          async fetch(request, env) {
            const turned = await env.STORE.files.turned(new Uint8Array([1, 2, 255]));
            return Response.json([env.LIMITS, env.NAME, turned instanceof Uint8Array, [...turned], !(await env.STORE)]);
          },
        };
    """)
    described = {"name": "app", "main": "index.js", "compatibility_date": "2026-04-01"}
    (tmp_path / "wrangler.json").write_text(json.dumps({**described, "vars": {"NAME": "real"}}))
    given = {"LIMITS": {"high": 1}, "NAME": "double", "STORE": Outer()}
    with Emulator(tmp_path / "wrangler.json", bindings=given) as emulator:
        assert emulator.get("/").json() == [{"high": 1}, "double", True, [255, 2, 1], False]
