"""The JavaScript and TypeScript of the documentation: esbuild, which bundles workers, takes all of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.docs.blocks import BLOCKS, Block
from tests.support.node_tools import ESBUILD, needs_node, tool

SCRIPTS = [block for block in BLOCKS if block.language in ("js", "ts")]


def module_of(source: str) -> str:
    """A whole module: statements that wait stand in a function, and a method in an object."""
    if re.search(r"^(import|export|addEventListener|async function)\b", source, re.MULTILINE):
        return source
    return f"export async function handle(batch, env, ctx, message, request) {{\n{source}\n}}\n"


def bundled(directory: Path, blocks: dict[str, str]) -> str:
    """What esbuild says of the modules; an empty string if it takes them."""
    for name, source in blocks.items():
        (directory / name).write_text(source, encoding="utf-8")
    options = [
        "--bundle",
        "--format=esm",
        "--outdir=out",
        "--external:cloudflare:*",
        "--external:node:*",
        "--external:./*",
    ]
    command = [str(tool(ESBUILD)), *blocks, *options, "--log-level=warning"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=20, check=False)
    return done.stderr


@needs_node
def test_esbuild_takes_every_block(tmp_path: Path) -> None:
    modules = {f"{number}.{block.language}": module_of(block.text) for number, block in enumerate(SCRIPTS)}
    assert modules
    assert bundled(tmp_path, modules) == "", [str(block) for block in SCRIPTS]


@needs_node
def test_esbuild_would_say_what_is_wrong(tmp_path: Path) -> None:
    block = Block("page.md", 1, "js", "", "export default { async fetch() { retrun new Response(); } };\n")
    assert 'Expected ";" but found "new"' in bundled(tmp_path, {"0.js": module_of(block.text)})
