"""`emulator kv` in a directory in which no session runs; `tests/integration/test_kv.py` has a session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emulator.cli import cli
from tests.support.runtime_directory import runtime  # noqa: F401 - a fixture


def emulator(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["kv", *arguments], input=given)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, which is the working directory."""
    configuration = {"name": "app", "main": "entry.py", "kv_namespaces": [{"binding": "NOTES", "id": "n1"}]}
    (tmp_path / "wrangler.json").write_text(json.dumps({**configuration, "compatibility_flags": ["python_workers"]}))
    (tmp_path / "entry.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_values_are_kept_looked_at_and_removed(project: Path) -> None:
    assert emulator("list").output == "BINDING  TITLE  ID\nNOTES    n1     n1\n"
    assert emulator("put", "NOTES", "a/b é", "one").output == "Kept a/b é (3 bytes)\n"
    assert emulator("put", "n1", "bytes", "-", given=b"\xff\n").exit_code == 0
    (project / "file").write_bytes(b"content")
    kept = emulator("put", "NOTES", "file", "--path", "file", "--metadata", '{"n": 1}', "--ttl", "86400")
    assert (kept.exit_code, kept.output) == (0, "Kept file (7 bytes)\n")
    assert emulator("get", "NOTES", "a/b é").stdout_bytes == b"one"
    assert emulator("get", "NOTES", "bytes").stdout_bytes == b"\xff\n"
    listed = emulator("list", "NOTES").output.splitlines()
    assert [line.split()[0] for line in listed] == ["KEY", "a/b", "bytes", "file"]
    assert listed[-1].endswith(' UTC  {"n": 1}')
    told = json.loads(emulator("list", "NOTES", "--prefix", "f", "--json").output)
    assert [(key["name"], key["metadata"]) for key in told] == [("file", {"n": 1})]
    assert emulator("delete", "NOTES", "file", "absent").output == "Removed 2 keys\n"
    assert [key["name"] for key in json.loads(emulator("list", "NOTES", "--json").output)] == ["a/b é", "bytes"]


def test_many_values_are_kept_at_once(project: Path) -> None:
    entries = [{"key": f"{number:04}", "value": str(number)} for number in range(2500)]
    (project / "seed.json").write_text(json.dumps(entries))
    assert emulator("bulk", "NOTES", "seed.json").output == "Kept 2,500 keys\n"
    assert len(json.loads(emulator("list", "NOTES", "--json").output)) == 2500
    (project / "bad.json").write_text("{")
    assert "bad.json is not JSON" in emulator("bulk", "NOTES", "bad.json").output
    (project / "bad.json").write_text("{}")
    assert "must be an array of objects" in emulator("bulk", "NOTES", "bad.json").output
    (project / "bad.json").write_text('[{"key": "a"}]')
    assert "missing required field `value`" in emulator("bulk", "NOTES", "bad.json").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("get", "NOTES", "absent"), "key not found"),
        (("get", "CARTS", "a"), "there is no KV namespace 'CARTS'\n  There is: NOTES."),
        (("put", "NOTES", "a", "1", "--ttl", "5"), "Expiration TTL must be at least 60"),
        (("put", "NOTES", "k" * 513, "1"), "exceeds key length limit of 512"),
        (("put", "NOTES", "a"), "Give a VALUE, or --path FILE."),
        (("put", "NOTES", "a", "1", "--metadata", "{"), "`metadata` is not JSON"),
        (("list", "--url", "http://127.0.0.1:1"), "nothing answers at http://127.0.0.1:1"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    refused = emulator(*arguments)
    assert refused.exit_code == 2
    assert words in refused.output
