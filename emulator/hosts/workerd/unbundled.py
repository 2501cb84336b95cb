"""Code that does not need bundling: a single file that imports no files or packages, or a worker with `no_bundle`.

Only a parser can say for certain whether a file imports or exports something. Patterns here recognise what certainly
does, and what certainly does not; a file in between is bundled if esbuild is installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from emulator.config.model import WorkerConfig
from emulator.hosts.workerd.nodejs import node_compat
from emulator.hosts.workerd.rules import matchers
from emulator.hosts.workerd.source import SCRIPT_NAME, Module, ModuleKind, Source

PROVIDED: Final = ("cloudflare:", "node:", "workerd:")
"""The beginnings of the names of workerd's own modules."""

_IMPORT: Final = re.compile(
    r"""^[ \t]*(?:import[ \t]*|(?:import|export)\b[^;'"`]*?\bfrom\s*)["'](?P<module>[^"'\n]+)["']""", re.MULTILINE
)
_DOUBTFUL: Final = re.compile(r"""\bimport\b|\brequire\s*\(|<[A-Za-z>]|\bfrom\s*["'/]|\bprocess\.env\.NODE_ENV\b""")
_EXPORT: Final = re.compile(rb"\bexport\b")
_DEFAULT_EXPORT: Final = re.compile(r"^[ \t]*export\s+default\b|\bexport\s*\{[^}]*\bdefault\b", re.MULTILINE)
_LISTENER: Final = re.compile(r"\baddEventListener\b")
_POLYFILLED: Final = re.compile(r"\bprocess\b|\bperformance\b")
_NATIVE_DATE: Final = "2026-03-17"
"""Globals that wrangler replaces, and the compatibility date from which on it does not."""

SCRIPT_BEGIN: Final = "(function (require, module, exports) {"
SCRIPT_END: Final = "}).call(globalThis);"
"""The first and the last line of a script. It becomes a function in a CommonJS module, with the scope that a bundle has
in production."""


def is_surely_script(content: bytes) -> bool:
    """Whether a file exports nothing, which makes it a script in service-worker syntax."""
    return _EXPORT.search(content) is None


def need_of_bundling(config: WorkerConfig, content: bytes) -> Literal["none", "certain", "doubtful"]:
    """Whether the main module has to be bundled; `doubtful` if only a parser could say."""
    settings = config.bundling
    if config.main.suffix not in {".js", ".mjs"} or settings.define or settings.minify:
        return "certain"
    if settings.find_additional_modules:
        return "certain"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "doubtful"
    modules = [match["module"] for match in _IMPORT.finditer(text)]
    if not all(module.startswith(PROVIDED) for module in modules):
        return "certain"
    if modules and is_surely_script(content):
        return "certain"
    may_lack_modules = any(module.startswith("node:") for module in modules)
    if may_lack_modules or _DOUBTFUL.search(_IMPORT.sub("", text)):
        return "doubtful"
    if not is_surely_script(content) and not _DEFAULT_EXPORT.search(text) and _LISTENER.search(text):
        return "doubtful"
    return "doubtful" if _has_polyfilled_globals(config) and _POLYFILLED.search(text) else "none"


def _has_polyfilled_globals(config: WorkerConfig) -> bool:
    date = config.compatibility_date
    return "" < date < _NATIVE_DATE and node_compat(date, config.compatibility_flags) == "v2"


def as_it_is(main: Path, content: bytes) -> Source:
    """A worker of one module, or of one script."""
    return unbundled([_main(main.name, content)], [main])


def with_its_modules(config: WorkerConfig, content: bytes, root: Path) -> Source:
    """A worker with `no_bundle`: its main module, and every file below its `base_dir` that a rule matches, each under
    its path from there."""
    main = _main(_name(config.main, base_directory(config, root)), content)
    if config.bundling.find_additional_modules is False:
        return unbundled([main], [config.main])
    found = additional_modules(config, root)
    modules = [Module(name, kind, file.read_bytes()) for file, (name, kind) in found.items()]
    return unbundled([main, *modules], [config.main, *found])


def base_directory(config: WorkerConfig, root: Path) -> Path:
    """The directory of additional modules: `base_dir`, or that of the main module."""
    return Path(os.path.normpath(root / (config.bundling.base_dir or config.directory)))


def additional_modules(config: WorkerConfig, root: Path) -> dict[Path, tuple[str, ModuleKind]]:
    """Every file below `base_dir` that a rule matches, except the main module: its name, which is its path from there,
    and its kind."""
    base = base_directory(config, root)
    patterns = matchers(config.bundling.rules)
    found: dict[Path, tuple[str, ModuleKind]] = {}
    for file in _files(base):
        name = _name(file, base)
        kind = next((kind for pattern, kind in patterns if pattern.match(name)), None)
        if kind is not None and file not in (config.main, config.path):
            found[file] = (name, kind)
    return found


def unbundled(modules: list[Module], files: list[Path]) -> Source:
    """A source of files as they are. The first is the main module, which may be a script."""
    return Source((*runner(modules[0]), *modules), frozenset(files), locate=_Places(modules, files).locate)


def runner(main: Module) -> tuple[Module, ...]:
    """The emulator's module that runs `main` if that is a script."""
    if main.kind == "esm":
        return ()
    from emulator.hosts.workerd.protocol import script_module

    return (Module(SCRIPT_NAME, "esm", script_module(main.name)),)


class _Places:
    """A function that finds places in files that are run as they are."""

    def __init__(self, modules: list[Module], files: list[Path]) -> None:
        self._script = modules[0].name if modules[0].kind == "commonjs" else ""
        self._by_name = {module.name: file for module, file in zip(modules, files, strict=True)}

    def locate(self, module: str, line: int, column: int) -> tuple[Path, int, int] | None:
        file = self._by_name.get(module)
        if module == self._script:
            line -= 1
        return None if file is None else (file, line, column)


def _main(name: str, content: bytes) -> Module:
    if is_surely_script(content):
        return Module(name, "commonjs", b"\n".join((SCRIPT_BEGIN.encode(), content, SCRIPT_END.encode())))
    return Module(name, "esm", content)


def _files(base: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(base):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield from (Path(directory, name) for name in sorted(files))


def _name(file: Path, base: Path) -> str:
    return Path(os.path.relpath(file, base)).as_posix()
