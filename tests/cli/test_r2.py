"""`emulator r2` in a directory in which no session runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emulator.cli import cli
from tests.support.runtime_directory import runtime  # noqa: F401 - a fixture


def emulator(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["r2", *arguments], input=given)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, which is the working directory."""
    configuration = {"name": "app", "main": "entry.py", "r2_buckets": [{"binding": "FILES", "bucket_name": "files"}]}
    (tmp_path / "wrangler.json").write_text(json.dumps({**configuration, "compatibility_flags": ["python_workers"]}))
    (tmp_path / "entry.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_objects_are_kept_looked_at_and_removed(project: Path) -> None:
    assert emulator("list").output == "BINDING  BUCKET\nFILES    files\n"
    large = bytes(range(256)) * 1000
    (project / "large").write_bytes(large)
    kept = emulator("put", "FILES", "a/b é", "large", "--content-type", "image/png")
    assert (kept.exit_code, kept.output) == (0, "Kept a/b é (256,000 bytes)\n")
    assert emulator("put", "files", "small", "-", given=b"\xff\n").exit_code == 0
    assert emulator("get", "FILES", "a/b é").stdout_bytes == large
    assert emulator("get", "FILES", "small").stdout_bytes == b"\xff\n"
    listed = emulator("list", "FILES").output.splitlines()
    assert [line.split()[0] for line in listed] == ["KEY", "a/b", "small"]
    assert listed[1].endswith(" UTC  image/png")
    told = json.loads(emulator("list", "FILES", "--prefix", "s", "--json").output)
    assert [(each["key"], each["size"]) for each in told] == [("small", 2)]
    assert emulator("delete", "FILES", "small", "absent").output == "Removed 2 objects\n"
    assert "The specified key does not exist. (10007)" in emulator("get", "FILES", "small").output
    assert "there is no R2 bucket 'MORE'" in emulator("list", "MORE").output
