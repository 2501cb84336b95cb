"""What wrangler adds to a bundle for Node.js code, on a real workerd: modules and globals that the runtime lacks at a
compatibility date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.base.failure import Failure
from emulator.hosts.workerd.host import WorkerdHost
from emulator.hosts.workerd.tools import cache_directory
from emulator_runtime.workers.request import Request
from tests.hosts.support import fetch
from tests.hosts.workerd.support import Workers
from tests.hosts.workerd.test_bundled_workers import write
from tests.support.node_tools import NODE_MODULES, needs_node

pytestmark = needs_node

OLD: dict[str, Any] = {"compatibility_date": "2024-11-01", "compatibility_flags": frozenset({"nodejs_compat"})}


def install(directory: Path) -> None:
    """Install the packages that wrangler brings, as `npm install wrangler` would."""
    (directory / "node_modules/@cloudflare").mkdir(parents=True)
    for package in ("@cloudflare/unenv-preset", "unenv"):
        (directory / "node_modules" / package).symlink_to(NODE_MODULES / package)


def answer(workers: Workers) -> Any:
    """The JSON that the first worker answers."""

    async def ask(host: WorkerdHost) -> Any:
        assert host.failure is None, host.failure
        return json.loads(await (await fetch(host, Request("http://localhost/"))).text())

    return workers.run(ask)


def failure(workers: Workers) -> Failure:
    """Why the first worker was not loaded."""

    async def told(host: WorkerdHost) -> Failure:
        assert host.failure is not None
        return host.failure

    return workers.run(told)


MODULES = """
    import fs, { readFileSync } from "node:fs";
    import * as promises from "fs/promises";
    import { Buffer } from "node:buffer";
    import { performance } from "node:perf_hooks";
    import old from "./old.cjs";

    export default {
      async fetch() {
        const dynamic = await import("node:os");
        return Response.json([
          typeof fs.readFileSync, typeof readFileSync, typeof promises.readFile, Buffer.from("a").toString("hex"),
          typeof performance.now(), typeof dynamic.EOL, old, process.version.startsWith("v"), typeof console.Console,
        ]);
      },
    };
"""
OLD_CODE = """
    const fs = require("fs");
    const events = require("events");
    fs.patched = true;
    module.exports = [require("node:fs").patched, typeof events, fs.default === undefined];
"""


def test_modules_that_workerd_lacks_at_an_old_date_are_polyfilled(workers: Workers) -> None:
    install(workers.directory)
    workers.add(MODULES, suffix=".ts", **OLD)
    write(workers.directory, {"app/old.cjs": OLD_CODE})
    assert answer(workers) == [
        "function",
        "function",
        "function",
        "61",
        "number",
        "string",
        [True, "function", True],
        True,
        "function",
    ]


def test_a_shim_stands_in_for_a_package_and_its_other_files_are_the_packages(workers: Workers) -> None:
    install(workers.directory)
    workers.add(
        """
        import process from "process/browser";
        import fetch from "node-fetch";
        import inherits from "./inherits.cjs";
        export default { fetch: () => Response.json([process.name, typeof fetch, inherits]) };
        """,
        **OLD,
    )
    write(
        workers.directory,
        {
            "app/inherits.cjs": 'module.exports = typeof require("inherits");',
            "app/node_modules/process/package.json": '{"name": "process"}',
            "app/node_modules/process/browser.js": 'module.exports = { name: "of the package" };',
        },
    )
    assert answer(workers) == ["of the package", "function", "function"]


def test_what_the_preset_says_is_kept(workers: Workers) -> None:
    install(workers.directory)
    workers.add('import os from "node:os"; export default { fetch: () => Response.json(os.EOL) };', **OLD)
    assert answer(workers) == "\n"
    (kept,) = cache_directory().parent.glob("polyfills-*")
    (kept / "emulator-polyfills/import/os.js").write_text('export default { EOL: "from the cache" };')
    assert answer(workers) == "from the cache"


def test_a_cache_that_cannot_be_written_is_no_matter(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    (workers.directory / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(workers.directory / "file"))
    install(workers.directory)
    workers.add('import os from "node:os"; export default { fetch: () => Response.json(os.EOL) };', **OLD)
    assert answer(workers) == "\n"


def test_without_the_packages_a_module_that_workerd_lacks_says_what_to_install(workers: Workers) -> None:
    workers.add('import vm from "node:vm"; export default { fetch: () => Response.json(typeof vm) };', **OLD)
    told = failure(workers)
    assert told.message == 'No such module "node:vm"'
    assert "run `emulator install-js`, or `npm install --save-dev wrangler`" in told.text


def test_without_the_packages_a_module_that_commonjs_requires_says_what_to_install(workers: Workers) -> None:
    workers.add('import old from "./old.cjs"; export default { fetch: () => Response.json(old) };', **OLD)
    write(workers.directory, {"app/old.cjs": '\nmodule.exports = require("vm");'})
    told = failure(workers)
    assert told.message == 'No such module "node:vm"'
    assert told.location == f"{workers.directory / 'app/old.cjs'}:2"
    assert "run `emulator install-js`" in told.text


def test_without_the_packages_what_workerd_has_is_used(workers: Workers) -> None:
    workers.add(
        """
        import { Buffer } from "buffer";
        export default { fetch: () => Response.json([Buffer.from("a").toString("hex"), typeof process.env]) };
        """,
        **OLD,
    )
    assert answer(workers) == ["61", "object"]


def test_before_the_date_of_polyfills_there_are_none(workers: Workers) -> None:
    install(workers.directory)
    workers.add(
        """
        import { Buffer } from "node:buffer";
        export default { fetch: () => Response.json([Buffer.from("a").toString("hex"), typeof process]) };
        """,
        compatibility_date="2024-01-01",
        compatibility_flags=frozenset({"nodejs_compat"}),
    )
    assert answer(workers) == ["61", "undefined"]


def test_a_preset_that_cannot_be_run_is_named(workers: Workers) -> None:
    write(
        workers.directory,
        {
            "node_modules/@cloudflare/unenv-preset/package.json": '{"main": "index.js"}',
            "node_modules/@cloudflare/unenv-preset/index.js": "throw new Error('broken');",
            "node_modules/unenv/package.json": '{"main": "index.js"}',
            "node_modules/unenv/index.js": "",
        },
    )
    workers.add('import vm from "node:vm"; export default { fetch: () => Response.json(typeof vm) };', **OLD)
    message = failure(workers).message
    assert "node_modules/@cloudflare/unenv-preset" in message
    assert "cannot be asked for polyfills of Node.js modules" in message
