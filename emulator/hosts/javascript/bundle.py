"""Turns a worker's main module into what workerd runs: with esbuild, or as it is where it imports nothing of its own.

The settings are wrangler's in effect, so that a worker is bundled for the emulator as it is for production. Modules of
other kinds (WebAssembly, text, data) are copied beside the bundle under a name of their own, and become modules of
workerd.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

from emulator.errors import EmulatorError
from emulator.failure import Failure, Frame
from emulator.hosts.javascript.source import Module, ModuleKind, Source
from emulator.hosts.javascript.sourcemap import SourceMap
from emulator.hosts.javascript.tools import find_esbuild

_KINDS: Final[dict[str, ModuleKind]] = {
    ".wasm": "wasm",
    ".txt": "text",
    ".html": "text",
    ".sql": "text",
    ".bin": "data",
}
"""What a file becomes that is imported and is no code: wrangler's default rules."""

_PROVIDED: Final = ("cloudflare:", "node:", "workerd:")
"""Modules that workerd has itself."""

# fmt: off
_NODE_MODULES: Final = (
    "assert", "assert/strict", "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto",
    "dgram", "diagnostics_channel", "dns", "dns/promises", "domain", "events", "fs", "fs/promises", "http", "http2",
    "https", "inspector", "module", "net", "os", "path", "path/posix", "path/win32", "perf_hooks", "process",
    "punycode", "querystring", "readline", "repl", "stream", "stream/consumers", "stream/promises", "stream/web",
    "string_decoder", "sys", "timers", "timers/promises", "tls", "trace_events", "tty", "url", "util", "util/types",
    "v8", "vm", "wasi", "worker_threads", "zlib",
)
# fmt: on
"""Modules of Node.js that may be imported without `node:` with the flag nodejs_compat."""

_IMPORT: Final = re.compile(
    r"""^[ \t]*(?:import[ \t]*|(?:import|export)\b[^;'"`]*?\bfrom\s*)["'](?P<module>[^"'\n]+)["']""", re.MULTILINE
)
_DOUBTFUL: Final = re.compile(r"\bimport\b|\brequire\s*\(|<[A-Za-z>]|\bexport\b[^;'\"`{(]*\bfrom\b")
_ERROR: Final = re.compile(r"^✘ \[ERROR\] (?P<message>.*?)(?: \[[\w-]+\])?$", re.MULTILINE)
_PLACE: Final = re.compile(r"^    (?P<file>.+?):(?P<line>\d+):(?P<column>\d+):$", re.MULTILINE)
_MOST_ERRORS: Final = 10


class BuildError(Exception):
    """The code of a worker cannot be bundled; `failure` says why, as esbuild does."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary)
        self.failure = failure


async def read_source(main: Path, root: Path, compatibility_flags: Collection[str] = ()) -> Source:
    """The worker whose main module is the file `main`, in a project at `root` (both absolute).

    Raises BuildError for code that cannot be bundled, EmulatorError when it cannot be read, or has to be bundled and
    there is no esbuild.
    """
    try:
        content = main.read_bytes()  # noqa: ASYNC240 - a small local file
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise EmulatorError(f"cannot be read: {reason}", where=str(main)) from None
    need = _need_of_bundling(main, content)
    if need == "none":
        return _as_it_is(main, content)
    try:
        esbuild = find_esbuild(root)
    except EmulatorError:
        if need == "doubtful":
            return _as_it_is(main, content)
        raise
    return await _bundle(esbuild, main, root, compatibility_flags)


def _need_of_bundling(main: Path, content: bytes) -> str:
    """Whether a file has to be bundled: `none`, `certain`, or `doubtful` where only a parser could tell."""
    if main.suffix not in {".js", ".mjs"}:
        return "certain"
    text = content.decode("utf-8", "replace")
    modules = [match["module"] for match in _IMPORT.finditer(text)]
    if not all(module.startswith(_PROVIDED) for module in modules):
        return "certain"
    return "doubtful" if _DOUBTFUL.search(_IMPORT.sub("", text)) else "none"


def _as_it_is(main: Path, content: bytes) -> Source:
    def locate(module: str, line: int, column: int) -> tuple[Path, int, int] | None:
        return (main, line, column) if module == main.name else None

    return Source((Module(main.name, "esm", content),), frozenset({main}), locate)


async def _bundle(esbuild: Path, main: Path, root: Path, compatibility_flags: Collection[str]) -> Source:
    with tempfile.TemporaryDirectory(prefix="emulator-bundle-") as name:
        out = Path(os.path.realpath(name))  # noqa: ASYNC240 - of a directory that was just made
        process = await asyncio.create_subprocess_exec(
            *_command(esbuild, main, out, compatibility_flags),
            cwd=root,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        if process.returncode:
            raise BuildError(_failure(said.decode("utf-8", "replace"), root, process.returncode))
        return _read_bundle(out, main, root)


def _command(esbuild: Path, main: Path, out: Path, compatibility_flags: Collection[str]) -> Iterator[str]:
    yield from (str(esbuild), str(main), "--bundle", "--format=esm", "--platform=browser", "--target=es2024")
    yield from (f"--outdir={out}", f"--metafile={out / 'meta.json'}", "--sourcemap=external", "--sources-content=false")
    yield from ("--entry-names=[name]", "--asset-names=[name]-[hash]", "--conditions=workerd,worker,browser")
    yield from ("--log-level=error", f"--log-limit={_MOST_ERRORS}", "--color=false")
    yield from (f"--external:{prefix}*" for prefix in _PROVIDED)
    yield from (f"--loader:{suffix}=jsx" for suffix in (".js", ".mjs", ".cjs"))
    yield from (f"--loader:{suffix}=copy" for suffix in _KINDS)
    yield from ('--define:process.env.NODE_ENV="development"', '--define:navigator.userAgent="Cloudflare-Workers"')
    if any(flag.startswith("nodejs_compat") for flag in compatibility_flags):
        yield from (f"--alias:{module}=node:{module}" for module in _NODE_MODULES)


def _read_bundle(out: Path, main: Path, root: Path) -> Source:
    described = json.loads((out / "meta.json").read_bytes())
    code = out / f"{main.stem}.js"
    modules = [Module(code.name, "esm", code.read_bytes())]
    for file in sorted(out.iterdir()):
        kind = _KINDS.get(file.suffix)
        if kind is not None:
            modules.append(Module(file.name, kind, file.read_bytes()))
    inputs = frozenset((root / path.partition("?")[0]).resolve() for path in described["inputs"] if ":" not in path)
    return Source(tuple(modules), inputs, _Origin(code.name, (out / f"{code.name}.map").read_bytes(), out).locate)


class _Origin:
    """Where the places of a bundle come from."""

    def __init__(self, module: str, content: bytes, base: Path) -> None:
        self._module = module
        self._content = content
        self._base = base

    @cached_property
    def _map(self) -> SourceMap:
        return SourceMap(self._content, self._base)

    def locate(self, module: str, line: int, column: int) -> tuple[Path, int, int] | None:
        return self._map.locate(line, column) if module == self._module else None


def _failure(said: str, root: Path, status: int) -> Failure:
    """What esbuild said, which has the code and a mark below it, without its ornament."""
    errors = list(_ERROR.finditer(said))
    if not errors:
        text = said.strip() or f"esbuild ended with status {status}"
        return Failure("BuildError", text.partition("\n")[0], (), text)
    place = _PLACE.search(said, errors[0].end(), errors[1].start() if len(errors) > 1 else len(said))
    frames: tuple[Frame, ...] = ()
    if place is not None:
        frames = (_frame(root / place["file"], int(place["line"])),)
    text = _ERROR.sub(lambda match: f"Error: {match['message']}", said).strip()
    return Failure("BuildError", errors[0]["message"], frames, text)


def _frame(file: Path, line: int) -> Frame:
    try:
        lines = file.read_text("utf-8", "replace").splitlines(keepends=True)
    except OSError:
        lines = []
    code = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return Frame(str(file), line, "<module>", code, True, lines)
