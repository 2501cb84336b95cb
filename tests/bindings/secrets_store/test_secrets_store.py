"""Secrets of the Secrets Store, in both languages, in tests, and as wrangler keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from emulator.base.bus import Notice
from emulator.base.errors import EmulatorError
from emulator.bindings.events import BindingUsed
from emulator.bindings.secrets_store.store import SecretError
from emulator.cli import cli
from emulator.testing import Emulator
from tests.support import oracles
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture
from tests.support.runtime_directory import runtime  # noqa: F401 - a fixture

PYTHON = """
from pyodide.ffi import JsException
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        try:
            return Response.json({"value": await self.env.API_KEY.get()})
        except JsException as error:
            return Response.json({"error": error.message})
"""
JAVASCRIPT = """
export default {
  async fetch(request, env) {
    try {
      return Response.json({ value: await env.API_KEY.get() });
    } catch (error) {
      return Response.json({ error: error.message });
    }
  },
};
"""
SETTINGS = {"secrets_store_secrets": [{"binding": "API_KEY", "store_id": "s1", "secret_name": "api key"}]}
NOT_FOUND = {"error": 'Secret "api key" not found'}
"""What Miniflare says."""


def project(directory: Path, main: str, source: str) -> Path:
    script = directory / f"script.{'js' if main.endswith('.js') else 'py.txt'}"
    script.write_text(source)
    return oracles.project(directory / main.partition(".")[0], script, SETTINGS)


@pytest.fixture(params=["entry.py", pytest.param("index.js", marks=needs_node)])
def emulator(request: pytest.FixtureRequest, tmp_path: Path, javascript: None) -> Any:  # noqa: F811
    path = project(tmp_path, request.param, PYTHON if request.param == "entry.py" else JAVASCRIPT)
    with Emulator(path) as made:
        yield made


def test_a_worker_gets_what_is_kept(emulator: Emulator) -> None:
    secret = emulator.secret("API_KEY")
    assert secret.value is None
    secret.put("é" * 512)
    assert emulator.get("/").json() == {"value": "é" * 512}
    secret.put("other")
    assert emulator.get("/").json() == {"value": secret.value} == {"value": "other"}
    secret.delete()
    assert emulator.get("/").json() == NOT_FOUND
    secret.put("more")
    secret.fail_next()
    assert emulator.get("/").json() == {"error": "internal error"}
    assert emulator.get("/").json() == {"value": "more"}


def test_a_secret_without_a_value_is_told_once(emulator: Emulator) -> None:
    used: list[BindingUsed] = []
    told: list[Notice] = []
    emulator._core.bus.subscribe(BindingUsed, used.append)
    emulator._core.bus.subscribe(Notice, told.append)
    for _ in range(2):
        assert emulator.get("/").json() == NOT_FOUND
    expected = "the secret api key has no value yet: `emulator secrets-store put API_KEY` keeps one"
    assert [notice.text for notice in told if "secret" in notice.text] == [expected]
    assert [(each.kind, each.name, each.operation, each.key, each.error) for each in used] == [
        ("secrets_store", "API_KEY", "get", "api key", NOT_FOUND["error"])
    ] * 2


def test_values_have_a_limit_and_unknown_names_are_told() -> None:
    with Emulator(main=PYTHON, settings=SETTINGS) as emulator:
        for wrong in ("", "x" * 1025):
            with pytest.raises(SecretError, match=r"a secret has 1 to 1,024 bytes; api key has"):
                emulator.secret("API_KEY").put(wrong)
        with pytest.raises(EmulatorError, match=r"there is no secret 'KEY' .*; the bindings are: API_KEY"):
            emulator.secret("KEY")


def test_the_command_keeps_values_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project(tmp_path, "entry.py", PYTHON)
    monkeypatch.chdir(path.parent)

    def run(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["secrets-store", *arguments], input=given)

    assert run("list").output == "BINDING  SECRET   STORE  SET\nAPI_KEY  api key  s1     no\n"
    assert run("put", "API_KEY", "one").output == "Kept api key\n"
    assert run("put", "API_KEY", "-", given="two\n").output == "Kept api key\n"
    [listed] = json.loads(run("list", "--json").output)
    assert listed == {"name": "API_KEY", "secret_name": "api key", "store_id": "s1", "is_set": True}
    asked = run("put", "API_KEY", given="three\n")
    assert asked.exit_code == 0
    assert "three" not in asked.output
    assert run("delete", "API_KEY").output == run("delete", "API_KEY").output == "Removed api key\n"
    refused = run("put", "KEY", "x")
    assert (refused.exit_code, "there is no secret 'KEY'\n  There is: API_KEY." in refused.output) == (2, True)
    assert "a secret has 1 to 1,024 bytes" in run("put", "API_KEY", "x" * 1025).output
