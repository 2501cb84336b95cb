"""Code that does not need bundling: a single file that imports no files or packages, or a worker with `no_bundle`.

Only a parser can say for certain whether a file imports something. Patterns here recognise what certainly is an import,
and what certainly is not; a file in between is bundled if esbuild is installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from emulator.config.model import WorkerConfig
from emulator.hosts.workerd.rules import matchers
from emulator.hosts.workerd.source import Module, Source

PROVIDED: Final = ("cloudflare:", "node:", "workerd:")
"""The beginnings of the names of workerd's own modules."""

_IMPORT: Final = re.compile(
    r"""^[ \t]*(?:import[ \t]*|(?:import|export)\b[^;'"`]*?\bfrom\s*)["'](?P<module>[^"'\n]+)["']""", re.MULTILINE
)
_DOUBTFUL: Final = re.compile(r"""\bimport\b|\brequire\s*\(|<[A-Za-z>]|\bfrom\s*["'/]|\bprocess\.env\.NODE_ENV\b""")


def need_of_bundling(config: WorkerConfig, content: bytes) -> Literal["none", "certain", "doubtful"]:
    """Whether the main module has to be bundled; `doubtful` if only a parser could say."""
    if config.main.suffix not in {".js", ".mjs"} or config.bundling.define or config.bundling.minify:
        return "certain"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "doubtful"
    modules = [match["module"] for match in _IMPORT.finditer(text)]
    if not all(module.startswith(PROVIDED) for module in modules):
        return "certain"
    may_lack_modules = any(module.startswith("node:") for module in modules)
    return "doubtful" if may_lack_modules or _DOUBTFUL.search(_IMPORT.sub("", text)) else "none"


def as_it_is(main: Path, content: bytes) -> Source:
    """A worker of one module."""
    return _source([Module(main.name, "esm", content)], [main])


def with_its_modules(config: WorkerConfig, content: bytes, root: Path) -> Source:
    """A worker with `no_bundle`: its main module, and every file below its `base_dir` that a rule matches, each under
    its path from there."""
    base = Path(os.path.normpath(root / (config.bundling.base_dir or config.directory)))
    modules = [Module(_name(config.main, base), "esm", content)]
    files = [config.main]
    patterns = matchers(config.bundling.rules)
    for file in _files(base):
        name = _name(file, base)
        kind = next((kind for pattern, kind in patterns if pattern.match(name)), None)
        if kind is not None and file != config.main:
            modules.append(Module(name, kind, file.read_bytes()))
            files.append(file)
    return _source(modules, files)


def _source(modules: list[Module], files: list[Path]) -> Source:
    by_name = {module.name: file for module, file in zip(modules, files, strict=True)}

    def locate(module: str, line: int, column: int) -> tuple[Path, int, int] | None:
        file = by_name.get(module)
        return None if file is None else (file, line, column)

    return Source(tuple(modules), frozenset(files), locate=locate)


def _files(base: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(base):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield from (Path(directory, name) for name in sorted(files))


def _name(file: Path, base: Path) -> str:
    return Path(os.path.relpath(file, base)).as_posix()
