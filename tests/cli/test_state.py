from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from emulator.base.clock import WallClock
from emulator.bindings.kv.store import FILE_BYTES, SCHEMA, KvStore
from emulator.bindings.r2.store import R2Store, open_store
from emulator.bindings.secrets_store.store import SCHEMA as SECRETS_SCHEMA
from emulator.bindings.secrets_store.store import SecretsStore
from emulator.cli import cli
from emulator.storage.state import PLACE, State
from emulator.testing import Emulator
from tests.support.node_tools import MINIFLARE, WRANGLER, needs_node, tool

LARGE = b"x" * (FILE_BYTES + 1)


def emulator(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["state", *arguments], input=given)


class Kept:
    """What is kept beside a configuration."""

    def __init__(self, directory: Path) -> None:
        self.state = State(directory)
        self.store = KvStore(self.state.database("kv", SCHEMA), self.state.files("kv"), WallClock())

    def put(self, key: str, value: bytes) -> None:
        asyncio.run(self.store.put("notes", key, value))

    def values(self) -> dict[str, Any]:
        found = {key.name: asyncio.run(self.store.get("notes", key.name)) for key in self.store.list("notes").keys}
        self.state.close()
        return {name: None if entry is None else entry.value for name, entry in found.items()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which two values are kept; it is the working directory."""
    configuration = {
        "name": "app",
        "main": "index.js",
        "kv_namespaces": [{"binding": "NOTES", "id": "notes"}],
        "d1_databases": [{"binding": "DB", "database_name": "shop", "database_id": "shop-1"}],
    }
    (tmp_path / "wrangler.json").write_text(json.dumps(configuration))
    (tmp_path / "index.js").write_text("export default {}")
    monkeypatch.chdir(tmp_path)
    kept = Kept(tmp_path / PLACE)
    kept.put("small", b"1")
    kept.put("large", LARGE)
    kept.state.close()
    return tmp_path


def test_info_says_how_much_there_is(project: Path) -> None:
    shown = emulator("info")
    assert (shown.exit_code, shown.output.splitlines()[0]) == (0, PLACE)
    told = json.loads(emulator("info", "--json").output)
    assert told["directory"] == str(project / PLACE)
    assert told["bytes"]["kv"] > FILE_BYTES
    assert emulator("info", "--persist-to", str(project / "elsewhere")).output.endswith("Nothing is kept there.\n")


def test_an_export_can_be_begun_from_elsewhere(project: Path, tmp_path: Path) -> None:
    exported = emulator("export", "shop.zip")
    assert exported.exit_code == 0
    assert exported.output.startswith("Wrote shop.zip (")
    other = tmp_path / "other"
    kept = Kept(other)
    kept.put("gone", b"1")
    kept.state.close()
    assert emulator("import", "shop.zip", "--persist-to", str(other), given="n\n").exit_code == 1
    done = emulator("import", "shop.zip", "--persist-to", str(other), "--yes")
    assert (done.exit_code, done.output) == (0, "other is now what shop.zip contains\n")
    assert Kept(other).values() == {"small": b"1", "large": LARGE}
    assert sorted(path.name for path in other.iterdir()) == ["bindings"]
    assert Kept(project / PLACE).values() == {"small": b"1", "large": LARGE}


def test_a_test_begins_from_an_export(project: Path) -> None:
    emulator("export", "shop.zip")
    code = (
        "from workers import Response\n"
        "async def on_fetch(request, env):\n"
        "    return Response(str(len(await env.NOTES.get('large'))))\n"
    )
    settings = {"kv_namespaces": [{"binding": "NOTES", "id": "notes"}]}
    with Emulator(main=code, settings=settings, state="shop.zip") as first:
        assert first.get("/").text == str(len(LARGE))
        first.kv("NOTES").put("small", "2")
        before = first.snapshot()
        first.kv("NOTES").delete("small")
        first.kv("NOTES").put("more", "3")
        first.restore(before)
        assert (first.kv("NOTES").keys(), first.kv("NOTES").get("small")) == (["large", "small"], "2")
    with Emulator(main=code, settings=settings, state="shop.zip") as second:
        assert second.kv("NOTES").get("small") == "1"
    with Emulator(main=code, settings=settings) as third:
        third.restore(before)
        assert third.kv("NOTES").get("small") == "2"


def test_reset_removes_one_kind_or_everything(project: Path) -> None:
    unknown = emulator("reset", "r2")
    assert unknown.exit_code == 2
    assert "keeps nothing of 'r2', but of: kv" in unknown.output
    assert emulator("reset", given="n\n").exit_code == 1
    assert Kept(project / PLACE).values() != {}
    assert emulator("reset", "kv", "-y").output == "Removed kv\n"
    assert Kept(project / PLACE).values() == {}
    assert emulator("reset", given="y\n").exit_code == 0


def test_a_directory_that_a_session_uses_is_left_alone(project: Path) -> None:
    emulator("export", "shop.zip")
    running = Kept(project / PLACE)
    for arguments in (("reset", "-y"), ("import", "shop.zip", "-y")):
        refused = emulator(*arguments)
        assert refused.exit_code == 2
        assert "a session uses .wrangler/state/emulator" in refused.output
    assert emulator("export", "again.zip").exit_code == 0
    assert running.values() == {"small": b"1", "large": LARGE}


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_export_is_refused_and_changes_nothing(project: Path, content: bytes) -> None:
    (project / "bad.zip").write_bytes(content)
    refused = emulator("import", "bad.zip", "-y")
    assert refused.exit_code == 2
    assert "bad.zip is not what `emulator state export` writes" in refused.output
    assert Kept(project / PLACE).values() == {"small": b"1", "large": LARGE}
    assert "cannot be read" in emulator("import", "absent.zip", "-y").output
    assert "Give a FILE, or --from-wrangler DIR" in emulator("import").output


@needs_node
def test_what_wrangler_has_kept_is_taken_over(project: Path, newest_node: str) -> None:
    emulator("reset", "-y")
    environment = {**os.environ, "WRANGLER_SEND_METRICS": "false", "WRANGLER_LOG_PATH": "logs", "CI": "1"}
    entries = [{"key": key, "value": value, "metadata": {"n": 1}} for key, value in (("a", "one"), ("b", "two"))]
    (project / "entries.json").write_text(json.dumps(entries))
    command = [newest_node, str(tool(WRANGLER)), "kv", "bulk", "put", "entries.json", "--binding", "NOTES", "--local"]
    command += ["--preview", "false"]
    subprocess.run(command, cwd=project, env=environment, timeout=60, check=True, capture_output=True)
    sql = "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)"
    command = [newest_node, str(tool(WRANGLER)), "d1", "execute", "DB", "--local", "--command", sql]
    subprocess.run(command, cwd=project, env=environment, timeout=60, check=True, capture_output=True)
    secret = ["create", "store-1", "--name", "api_key", "--value", "k-1", "--scopes", "workers"]
    command = [newest_node, str(tool(WRANGLER)), "secrets-store", "secret", *secret]
    subprocess.run(command, cwd=project, env=environment, timeout=60, check=True, capture_output=True)
    theirs = {path: path.read_bytes() for path in (project / ".wrangler/state/v3").rglob("*") if path.is_file()}
    taken = emulator("import", "--from-wrangler", ".wrangler/state/v3")
    expected = "Took over KV notes: 2 keys\nTook over D1 shop: 1 table\nTook over Secrets Store store-1: 1 secret\n"
    assert (taken.exit_code, taken.output) == (0, expected)
    told = CliRunner().invoke(cli, ["d1", "execute", "DB", "SELECT sum(a) AS n FROM t", "--json"])
    assert json.loads(told.output)[0]["results"] == [{"n": 3}]
    kept = Kept(project / PLACE)
    secrets = SecretsStore(kept.state.database("secrets_store", SECRETS_SCHEMA), WallClock())
    assert secrets.get("store-1", "api_key") == "k-1"
    assert [key.metadata for key in kept.store.list("notes").keys] == ['{"n":1}', '{"n":1}']
    assert kept.values() == {"a": b"one", "b": b"two"}
    assert {path: path.read_bytes() for path in theirs} == theirs
    (project / "empty").mkdir()
    assert "there is nothing of wrangler's in empty" in emulator("import", "--from-wrangler", "empty").output


@needs_node
def test_objects_that_miniflare_has_kept_are_taken_over(project: Path, newest_node: str) -> None:
    script = Path(__file__).parents[1] / "bindings/r2/kept.mjs"
    command = [newest_node, str(script), str(tool(MINIFLARE)), str(project / "v3")]
    told = json.loads(subprocess.run(command, timeout=60, check=True, capture_output=True).stdout)
    theirs = {path: path.read_bytes() for path in (project / "v3").rglob("*") if path.is_file()}
    for _ in range(2):
        taken = emulator("import", "--from-wrangler", "v3")
        assert (taken.exit_code, taken.output) == (0, "Took over R2 pictures: 4 objects\n")
    state = State(project / PLACE)
    store = open_store(state, WallClock())
    found = store.list("pictures").objects
    ours = [[each.key, each.version, each.etag, each.size, each.uploaded, dict(each.checksums)] for each in found]
    assert ours == told
    values = {each.key: asyncio.run(value_of(store, each.key)) for each in found}
    large = b"\1" * (5 << 20) + b"\2" * 1000
    assert values == {"empty": b"", "large": large, "replaced": b"now", "small/é": b"value"}
    assert [(each.metadata.http, each.metadata.custom) for each in (found[1], found[3])] == [
        ({}, {"c": "d"}),
        ({"contentType": "text/plain", "cacheExpiry": 1_700_000_000_000}, {"a": "b"}),
    ]
    assert set(state.files("r2").contents()) == store.files()
    assert {path: path.read_bytes() for path in (project / "v3").rglob("*") if path.is_file()} == theirs
    state.close()


async def value_of(store: R2Store, key: str) -> bytes:
    got = store.get("pictures", key)
    assert got is not None
    assert got[1] is not None
    return b"".join([piece async for piece in got[1]])
