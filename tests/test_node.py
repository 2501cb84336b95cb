"""What the tests take from npm: a Node.js for wrangler, and the workerd and esbuild that users are given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.hosts.workerd.tools import ESBUILD_VERSION, WORKERD_VERSION
from tests.support import node

ROOT = Path(__file__).parents[1]


def program(file: Path, version: str) -> Path:
    file.parent.mkdir(parents=True)
    file.write_text(f"#!/bin/sh\necho {version}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("own", "brought", "found"),
    [
        ("v22.12.0", "v22.23.2", "own"),
        ("v24.1.0", None, "own"),
        ("v22.11.9", "v22.23.2", "brought"),
        ("v20.20.2", "v22.23.2", "brought"),
        (None, "v22.23.2", "brought"),
        ("v20.20.2", None, None),
        (None, None, None),
    ],
)
def test_the_machines_own_node_is_taken_where_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, brought: str | None, found: str | None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "own"))
    monkeypatch.setattr(node, "_BROUGHT", tmp_path / "brought/node")
    for name, version in (("own", own), ("brought", brought)):
        if version is not None:
            program(tmp_path / name / "node", version)
    assert node.find() == (None if found is None else str(tmp_path / found / "node"))


def test_a_node_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "own"))
    assert "there is none here" in node.missing()
    program(tmp_path / "own/node", "v20.20.2")
    assert node.missing().startswith("wrangler needs Node.js 22.12 or newer: the one here is 20.20,")


def test_the_tests_run_the_workerd_and_esbuild_that_install_js_installs() -> None:
    for lock in ("tests/npm", "emulator/hosts/workerd/npm", "bench"):
        packages = json.loads((ROOT / lock / "package-lock.json").read_text())["packages"]
        versions = {name: packages[f"node_modules/{name}"]["version"] for name in ("workerd", "esbuild")}
        assert versions == {"workerd": WORKERD_VERSION, "esbuild": ESBUILD_VERSION}, lock
