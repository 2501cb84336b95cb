"""One script against KV as workers of ours see it, in both languages, and against `workerd serve`."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.testing import Emulator
from tests.support import oracles
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture
from tests.support.oracles import ours, workerds

HERE = Path(__file__).parent

NOT_CACHED = {"get with metadata", "get without metadata", "get absent with metadata"}
"""Steps in which workerd says MISS where Miniflare, and ours, say that there is no cache."""

RESULTS_OF_NOTHING = ("undefined", None)
"""What a call that returns nothing gives, in JavaScript and in Python."""

IN_PYTHON = {
    "get what is no json": "SyntaxError",
}
"""Steps whose words come from the language's own JSON; both begin so."""


BINDINGS = {"kv_namespaces": [{"binding": "KV", "id": "conformance"}]}


def project(directory: Path, script: str) -> Path:
    return oracles.project(directory, HERE / script, BINDINGS)


@needs_node
@pytest.mark.usefixtures("javascript")
def test_javascript_sees_what_workerd_shows(tmp_path: Path) -> None:
    ours_there, theirs = ours(project(tmp_path / "ours", "script.js")), workerds(project(tmp_path / "kv", "script.js"))
    assert ours_there.keys() == theirs.keys()
    different = {name for name in theirs if theirs[name] != ours_there[name]}
    assert different == NOT_CACHED
    assert all(theirs[name] == {**ours_there[name], "cacheStatus": "MISS"} for name in NOT_CACHED)


@needs_node
@pytest.mark.usefixtures("javascript")
def test_python_sees_what_javascript_does(tmp_path: Path) -> None:
    in_javascript = ours(project(tmp_path / "js", "script.js"))
    in_python = ours(project(tmp_path / "py", "script.py.txt"))
    assert list(in_python) == list(in_javascript)
    for name, expected in in_javascript.items():
        found = in_python[name]
        if name in IN_PYTHON:
            assert found.startswith(IN_PYTHON[name])
            assert expected.startswith(IN_PYTHON[name])
        elif expected == RESULTS_OF_NOTHING[0]:
            assert found is None, name
        else:
            assert found == expected, name


@needs_node
@pytest.mark.usefixtures("javascript")
def test_what_one_language_puts_the_other_gets(tmp_path: Path) -> None:
    python, js = project(tmp_path / "kv", "script.py.txt"), project(tmp_path / "js", "script.js")
    (python.parent / "entry.py").write_text(
        "from workers import Response, WorkerEntrypoint\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n"
        "        return Response(str(await self.env.KV.get('json')))\n"
    )
    with Emulator([python, js]) as emulator:
        assert emulator.get("/").text == "None"
        emulator.get("http://js.localhost/")
        assert emulator.get("/").text == '{"a":[1,null]}'
