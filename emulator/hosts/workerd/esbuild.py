"""Runs esbuild with wrangler's settings, in a new process for each bundle, which takes about 15 ms.

esbuild's documented command line is the same in every version. The protocol that its JavaScript API uses with a
permanent process is not.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from emulator.base.errors import EmulatorError
from emulator.base.words import reason
from emulator.config.model import WorkerConfig
from emulator.hosts.workerd.nodejs import MODULES, REQUIRE, NodeCompat
from emulator.hosts.workerd.unbundled import PROVIDED

_MOST_ERRORS: Final = 10
_NAVIGATOR_DATE: Final = "2022-03-21"


def build_arguments(
    config: WorkerConfig, compat: NodeCompat, copied: Iterable[str], packages: Collection[str], out: Path
) -> Iterator[str]:
    """The command that bundles a worker into the directory `out`: its code and a map, a `meta.json`, and a copy of each
    imported file with an ending in `copied`. `packages` have the names of Node.js modules, but are packages."""
    yield from (str(config.main), "--bundle", "--format=esm", "--platform=browser", "--target=es2024")
    yield from (f"--outdir={out}", f"--metafile={out / 'meta.json'}")
    yield from ("--sourcemap=external", "--sources-content=false", "--supported:import-source=true")
    yield from ("--entry-names=[name]", "--asset-names=[name]-[hash]", "--conditions=workerd,worker,browser")
    yield from ("--log-level=warning", f"--log-limit={_MOST_ERRORS}", "--color=false")
    yield from (f"--external:{prefix}*" for prefix in PROVIDED)
    yield "--external:__STATIC_CONTENT_MANIFEST"
    yield from (f"--loader:{suffix}=jsx" for suffix in (".js", ".mjs", ".cjs"))
    yield from (f"--loader:{ending}=copy" for ending in copied)
    yield from (f"--define:{name}={code}" for name, code in _defines(config).items())
    yield from (f"--alias:{name}={other}" for name, other in _aliases(config, compat, packages).items())
    if compat == "v2":
        yield f"--banner:js={REQUIRE}"
    yield from _options(config)


async def run(esbuild: Path, arguments: Iterable[str], directory: Path) -> tuple[int, str]:
    """Run a command, and return its status and output. Cancelling this kills the process.

    Raises EmulatorError if it cannot be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            esbuild,
            *arguments,
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise EmulatorError(f"cannot be started: {reason(error)}", where=str(esbuild)) from None
    try:
        _, said = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    return process.returncode or 0, said.decode("utf-8", "replace")


def _options(config: WorkerConfig) -> Iterator[str]:
    settings = config.bundling
    yield from (f"--jsx-factory={settings.jsx_factory}", f"--jsx-fragment={settings.jsx_fragment}")
    if settings.minify:
        yield "--minify"
    if settings.keep_names:
        yield "--keep-names"
    if settings.tsconfig:
        yield f"--tsconfig={settings.tsconfig}"


def _defines(config: WorkerConfig) -> Mapping[str, str]:
    name, environment = "process.env.NODE_ENV", json.dumps(os.environ.get("NODE_ENV") or "development")
    defines = {name: environment, f"global.{name}": environment, f"globalThis.{name}": environment}
    if _has_navigator(config):
        defines["navigator.userAgent"] = '"Cloudflare-Workers"'
    return {**defines, **config.bundling.define}


def _has_navigator(config: WorkerConfig) -> bool:
    if "global_navigator" in config.compatibility_flags:
        return True
    is_recent = not config.compatibility_date or config.compatibility_date >= _NAVIGATOR_DATE
    return is_recent and "no_global_navigator" not in config.compatibility_flags


def _aliases(config: WorkerConfig, compat: NodeCompat, packages: Collection[str]) -> Mapping[str, str]:
    names = sorted(MODULES.difference(packages)) if compat == "v2" else ()
    bare = {name: f"node:{name}" for name in names}
    return {**bare, **config.bundling.alias}
