"""The tools from npm that tests run for real: wrangler, workerd and esbuild, as `make test` installs them.

Where there is no node, the tests that need them are skipped, and say so. Where there is, they must be there: a test
that fails for want of them tells more than one that nobody notices is skipped. A test that runs wrangler itself needs a
newer node than npm does, and is skipped where there is none: see `node.py`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support import node

NODE_MODULES = Path(__file__).parents[1] / "npm/node_modules"
MINIFLARE = NODE_MODULES / "miniflare/dist/src/index.js"
WRANGLER = NODE_MODULES / "wrangler/wrangler-dist/cli.js"
"""What `wrangler` starts in a process of its own, with the warnings of Node.js switched off."""
WORKERD = next(NODE_MODULES.glob("@cloudflare/workerd-*/bin/workerd"), NODE_MODULES / "@cloudflare/workerd")
ESBUILD = next(NODE_MODULES.glob("@esbuild/*/bin/esbuild"), NODE_MODULES / "@esbuild")

os.environ["NODE_COMPILE_CACHE"] = str(NODE_MODULES / ".compile-cache")
"""Wrangler is started often, and is large: a newer Node.js keeps what it has compiled of it."""
os.environ["NODE_NO_WARNINGS"] = "1"

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None, reason="there is no node with npm here"
)


def tool(path: Path) -> Path:
    """A tool that is installed. Fails the test where `make test` was not run to install it."""
    if not path.exists():
        pytest.fail(f"{path.relative_to(NODE_MODULES.parent)} is missing: `make test` installs it")
    return path


@pytest.fixture
def javascript(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Lets JavaScript workers be bundled and run by what is installed for the tests, and by nothing else."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EMULATOR_WORKERD", str(tool(WORKERD)))
    monkeypatch.setenv("EMULATOR_ESBUILD", str(tool(ESBUILD)))


@pytest.fixture(scope="session")
def newest_node() -> str:
    """The path of a Node.js that the installed wrangler runs on. Skips the test where there is none."""
    found = node.find()
    if found is None:
        pytest.skip(node.missing())
    return found
