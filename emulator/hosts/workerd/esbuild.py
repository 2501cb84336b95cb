"""Runs esbuild with wrangler's settings, in a new process for each bundle, which takes about 15 ms.

esbuild's documented command line is the same in every version. The protocol that its JavaScript API uses with a
permanent process is not.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from emulator.base.errors import EmulatorError
from emulator.base.words import reason
from emulator.config.model import WorkerConfig
from emulator.hosts.workerd.nodejs import MODULES, REQUIRE, NodeCompat
from emulator.hosts.workerd.unbundled import PROVIDED, SCRIPT_BEGIN

_MOST_ERRORS: Final = 10
_NAVIGATOR_DATE: Final = "2022-03-21"
_BUNDLED_SCRIPT_END: Final = "}).call(globalThis, (name) => require(name));"
"""The last line of a bundled script, which requires the files that are copied beside it. workerd's `require` works only
if it is called by its name."""

_SYNTAX: Final = ("--target=es2024", "--supported:import-source=true")
_QUIET: Final = ("--log-level=warning", f"--log-limit={_MOST_ERRORS}", "--color=false")


class Bundle(msgspec.Struct, frozen=True):
    """What esbuild is to make, in the directory `out`: the code and a map, a `meta.json`, and a copy of each imported
    file with an ending in `copied`.

    With `is_script`, the code is a script. `external` are files that stay modules of their own. `packages` have the
    names of Node.js modules, but are packages. `aliases` are modules in place of others, and `injected` are modules
    that run first.
    """

    out: Path
    copied: Collection[str]
    is_script: bool = False
    external: Collection[Path] = ()
    packages: Collection[str] = ()
    aliases: Mapping[str, str] = msgspec.field(default_factory=dict)
    injected: Sequence[Path] = ()


def build_arguments(config: WorkerConfig, compat: NodeCompat, bundle: Bundle) -> Iterator[str]:
    """The options that bundle a worker."""
    out = bundle.out
    yield from (str(config.main), "--bundle", f"--format={'iife' if bundle.is_script else 'esm'}")
    yield from ("--platform=browser", *_SYNTAX, *_loaders(), f"--outdir={out}", f"--metafile={out / 'meta.json'}")
    yield from ("--sourcemap=external", "--sources-content=false")
    yield from ("--entry-names=[name]", "--asset-names=[name]-[hash]", "--conditions=workerd,worker,browser")
    yield from _QUIET
    yield from (f"--external:{prefix}*" for prefix in PROVIDED)
    yield "--external:__STATIC_CONTENT_MANIFEST"
    if bundle.external:
        yield from ("--charset=utf8", *(f"--external:{file}" for file in bundle.external))
    yield from (f"--loader:{ending}=copy" for ending in bundle.copied)
    yield from (f"--define:{name}={code}" for name, code in _defines(config).items())
    yield from (f"--alias:{name}={other}" for name, other in _aliases(config, compat, bundle).items())
    yield from (f"--inject:{file}" for file in bundle.injected)
    if bundle.is_script:
        yield from (f"--banner:js={SCRIPT_BEGIN}", f"--footer:js={_BUNDLED_SCRIPT_END}")
    elif compat == "v2":
        yield f"--banner:js={REQUIRE}"
    yield from _options(config)


def module_arguments(main: Path, output: Path) -> Iterator[str]:
    """The options that bundle the module `main` of the emulator for workerd."""
    yield from (str(main), "--bundle", "--format=esm", f"--outfile={output}", "--external:node:*", *_QUIET)


def syntax_arguments(config: WorkerConfig, out: Path, defines: Mapping[str, str]) -> Iterator[str]:
    """The options that translate the main module alone, without what it imports, into the directory `out`."""
    yield from (str(config.main), *_SYNTAX, *_loaders(), f"--outdir={out}", f"--metafile={out / 'meta.json'}")
    yield from ("--entry-names=[name]", *_QUIET)
    yield from (f"--define:{name}={code}" for name, code in defines.items())
    if config.bundling.tsconfig:
        yield f"--tsconfig={config.bundling.tsconfig}"


def _loaders() -> Iterator[str]:
    yield from (f"--loader:{suffix}=jsx" for suffix in (".js", ".mjs", ".cjs"))


async def run(
    program: Path, arguments: Iterable[str], directory: Path, modules: Iterable[Path] = ()
) -> tuple[int, str]:
    """Run a command, and return its status and output. `modules` are more directories in which esbuild finds packages.
    Cancelling this kills the process.

    Raises EmulatorError if it cannot be started.
    """
    searched = [*map(str, modules), *filter(None, [os.environ.get("NODE_PATH")])]
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            cwd=directory,
            env={**os.environ, "NODE_PATH": os.pathsep.join(searched)} if searched else None,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise EmulatorError(f"cannot be started: {reason(error)}", where=str(program)) from None
    try:
        said, _ = await process.communicate()
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


def _aliases(config: WorkerConfig, compat: NodeCompat, bundle: Bundle) -> Mapping[str, str]:
    bare = {name: f"node:{name}" for name in sorted(MODULES)} if compat == "v2" else {}
    given = {**bare, **bundle.aliases}
    return {**{name: given[name] for name in given if name not in bundle.packages}, **config.bundling.alias}
