"""Bundles beside those that wrangler makes of the same files: the same polyfills, imports and modules."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from emulator.hosts.workerd.bundle import read_source
from emulator.hosts.workerd.source import Source
from tests.hosts.workerd.test_bundled_workers import write
from tests.hosts.workerd.test_polyfills import install
from tests.support.configs import load_config
from tests.support.node_tools import WRANGLER, needs_node, tool

pytestmark = [needs_node, pytest.mark.usefixtures("javascript")]

_POLYFILL = re.compile(r"^// .*/node_modules/((?:@cloudflare/unenv-preset|unenv)/\S+)$", re.MULTILINE)
_IMPORT = re.compile(r'^import .*"(?:node:)?([^".]+)";$', re.MULTILINE)


def both(directory: Path, node: str, files: Mapping[str, str], **settings: Any) -> tuple[Path, Source]:
    """What wrangler makes of a project, as a directory, and what the emulator makes of it."""
    write(directory, files)
    config = directory / "wrangler.json"
    config.write_text(json.dumps({"name": "app", "main": "src/index.js", **settings}))
    loaded = load_config(config)
    source = asyncio.run(read_source(loaded, directory.resolve()))
    environment = {
        "HOME": str(directory),
        "WRANGLER_SEND_METRICS": "false",
        "WRANGLER_LOG_PATH": str(directory / "log"),
    }
    command = [node, str(tool(WRANGLER)), "deploy", "--dry-run", "--outdir", "out"]
    run = subprocess.run(
        command, cwd=directory, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return directory / "out", source


@pytest.mark.parametrize("date", ["2024-10-01", "2025-09-20", "2026-04-01"])
def test_polyfills_are_those_of_wrangler(tmp_path: Path, newest_node: str, date: str) -> None:
    install(tmp_path)
    code = """
        import fs from "fs";
        import { hostname } from "node:os";
        import http from "node:http";
        import { Buffer } from "buffer";
        import vm from "./vm.cjs";
        export default { fetch: () => Response.json([typeof fs, hostname(), http.METHODS, Buffer.from("a"), vm]) };
    """
    files = {"src/index.js": code, "src/vm.cjs": 'module.exports = [require("vm"), require("node:tty")];'}
    out, source = both(tmp_path, newest_node, files, compatibility_date=date, compatibility_flags=["nodejs_compat"])
    theirs, ours = (out / "index.js").read_text(), source.modules[0].content.decode()
    assert set(_POLYFILL.findall(ours)) == set(_POLYFILL.findall(theirs))
    native_when_required = {"vm", "tty"}  # required here, and imported by wrangler
    assert set(_IMPORT.findall(ours)) | native_when_required == set(_IMPORT.findall(theirs)) | native_when_required


def test_additional_modules_are_those_of_wrangler(tmp_path: Path, newest_node: str) -> None:
    files = {
        "src/index.js": 'import en from "./lang/en.mjs"; export default { fetch: () => new Response(en) };',
        "src/lang/en.mjs": 'export default "hello";',
        "src/lang/de.mjs": 'export default "hallo";',
        "src/notes/a.txt": "a",
        "src/other.js": "",
    }
    rules = [{"type": "ESModule", "globs": ["**/*.mjs"]}]
    out, source = both(
        tmp_path, newest_node, files, compatibility_date="2026-04-01", find_additional_modules=True, rules=rules
    )
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {module.name for module in source.modules} == written - {"README.md", "index.js.map"}
    assert 'from "./lang/en.mjs"' in (out / "index.js").read_text()
    assert 'from "./lang/en.mjs"' in source.modules[0].content.decode()


@pytest.mark.parametrize(
    ("code", "is_script"),
    [
        ("addEventListener('fetch', (event) => event.respondWith(new Response()));", True),
        ("export const a = 1; addEventListener('fetch', (event) => event.respondWith(new Response()));", True),
        ("export * from './other.js';", True),
        ("export { a as default } from './other.js';", False),
        ("/* no export default here */ self.addEventListener('fetch', () => {});", True),
    ],
)
def test_what_is_a_script_for_wrangler_is_one_here(
    tmp_path: Path, newest_node: str, code: str, is_script: bool
) -> None:
    files = {"src/index.js": code, "src/other.js": "export const a = { fetch: () => new Response() };"}
    out, source = both(tmp_path, newest_node, files, compatibility_date="2026-04-01")
    assert ("(() => {" in (out / "index.js").read_text()) is is_script
    kinds = {module.name: module.kind for module in source.modules}
    assert (kinds["index.js"] == "commonjs") is is_script
