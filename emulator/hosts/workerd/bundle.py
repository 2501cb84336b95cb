"""Turns a worker's main module into the modules that workerd runs: with esbuild, or unchanged if it imports no files or
packages.

The settings have the same effect as wrangler's, so a worker is bundled as it is for production. Files of other kinds
(WebAssembly, text, data) are copied beside the bundle under new names, and become modules in workerd.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Final

from emulator.base.errors import EmulatorError
from emulator.base.words import reason
from emulator.config.model import WorkerConfig
from emulator.hosts.workerd.diagnostics import (
    Diagnostic,
    build_error,
    import_error,
    one_line,
    read_diagnostics,
)
from emulator.hosts.workerd.esbuild import build_arguments, run
from emulator.hosts.workerd.nodejs import NodeCompat, import_hint, is_node_module, misnamed_packages, node_compat
from emulator.hosts.workerd.rules import Endings, endings
from emulator.hosts.workerd.source import Module, Source
from emulator.hosts.workerd.sourcemap import SourceMap
from emulator.hosts.workerd.tools import find_esbuild
from emulator.hosts.workerd.unbundled import as_it_is, need_of_bundling, with_its_modules

_UNRESOLVED: Final = re.compile(r'Could not resolve "(?P<name>.*)"')
_NO_LOADER: Final = re.compile(r'No loader is configured for "(?P<ending>\.[^"]*)" files')
_AS_EXTERNAL: Final = "You can mark the path"


async def read_source(config: WorkerConfig, root: Path) -> Source:
    """The code of a worker whose project is at `root` (absolute).

    Raises BuildError if the code cannot be bundled, and EmulatorError if it cannot be read, or has to be bundled and
    esbuild is not installed.
    """
    try:
        content = config.main.read_bytes()
    except OSError as error:
        raise EmulatorError(f"cannot be read: {reason(error)}", where=str(config.main)) from None
    if config.bundling.no_bundle:
        return with_its_modules(config, content, root)
    need = need_of_bundling(config, content)
    if need == "none":
        return as_it_is(config.main, content)
    try:
        esbuild = find_esbuild(root)
    except EmulatorError:
        if need == "doubtful":
            return as_it_is(config.main, content)
        raise
    return await _Bundling(config, root).run(esbuild)


class _Bundling:
    """One run of esbuild."""

    def __init__(self, config: WorkerConfig, root: Path) -> None:
        self._config = config
        self._root = root
        self._endings: Endings = endings(config.bundling.rules)
        self._compat: NodeCompat = node_compat(config.compatibility_date, config.compatibility_flags)

    async def run(self, esbuild: Path) -> Source:
        with tempfile.TemporaryDirectory(prefix="emulator-bundle-") as name:
            out = Path(os.path.realpath(name))  # noqa: ASYNC240 - of a directory that was just made
            described, diagnostics = await self._build(esbuild, out)
            packages = misnamed_packages(_imported(described))
            if packages:
                described, diagnostics = await self._build(esbuild, out, packages)
            return self._read(out, described, [one_line(each) for each in diagnostics])

    async def _build(
        self, esbuild: Path, out: Path, packages: Collection[str] = ()
    ) -> tuple[dict[str, Any], list[Diagnostic]]:
        """Create the bundle, and return esbuild's description of its files and its messages. `packages` have the names
        of Node.js modules, but are packages."""
        arguments = build_arguments(self._config, self._compat, self._endings.all, packages, out)
        status, said = await run(esbuild, arguments, self._root)
        diagnostics = read_diagnostics(said, self._root, self._hint)
        if status:
            raise build_error([each for each in diagnostics if each.is_error], said, self._root)
        return json.loads((out / "meta.json").read_bytes()), diagnostics

    def _read(self, out: Path, described: Mapping[str, Any], warnings: list[str]) -> Source:
        warnings += self._check_imports(described["inputs"], _imported(described))
        name = f"{self._config.main.stem}.js"
        code = (out / name).read_bytes()
        modules = [Module(name, "esm", code), *self._copied(out, described)]
        inputs = {
            Path(os.path.normpath(self._root / path.partition("?")[0]))
            for path in described["inputs"]
            if not _is_no_file(path)
        }
        warnings += [
            f"{self._config.path.name}: rules: {glob!r} does not name a file ending, so it has no effect here"
            for glob in self._endings.unusable
        ]
        locate = _Origin(name, (out / f"{name}.map").read_bytes(), out).locate
        return Source(tuple(modules), frozenset(inputs | self._tsconfig()), tuple(warnings), locate)

    def _copied(self, out: Path, described: Mapping[str, Any]) -> Iterator[Module]:
        """The files that the bundle imports, under every name that it uses, also with `?module`."""
        queries = sorted({path[path.index("?") :] for path in described["inputs"] if "?" in path})
        for path, output in described["outputs"].items():
            if len(output["inputs"]) != 1 or "entryPoint" in output:
                continue
            kind = self._endings.kind(next(iter(output["inputs"])).partition("?")[0])
            if kind is None:
                continue
            name = PurePosixPath(path).name
            content = (out / name).read_bytes()
            yield Module(name, kind, content)
            for query in queries:
                yield Module(name + query, kind, content)

    def _tsconfig(self) -> set[Path]:
        """The `tsconfig.json` for the main module."""
        if self._config.bundling.tsconfig:
            return {Path(os.path.normpath(self._root / self._config.bundling.tsconfig))}
        directories = (self._config.directory, *self._config.directory.parents)
        nearest = next((path for path in (each / "tsconfig.json" for each in directories) if path.is_file()), None)
        return set() if nearest is None else {nearest}

    def _check_imports(self, inputs: Mapping[str, Any], imported_at_all: Collection[str]) -> Iterator[str]:
        """Yield a warning for each import that fails when its code runs. Raises BuildError for imports without which
        the worker cannot start."""
        errors: list[Diagnostic] = []
        for file, described in inputs.items():
            for imported in described["imports"]:
                path = imported["path"]
                if imported.get("external"):
                    if not self._lacks(path) or path not in imported_at_all:
                        continue
                    hint = import_hint(path, self._compat)
                    refused = self._refused(file, path, f'Could not resolve "{path}"', hint)
                    if imported["kind"] == "import-statement":
                        errors.append(refused)
                    else:
                        yield f"{one_line(refused)}. {hint}"
                elif ending := self._endings.ignored_ending(path.partition("?")[0]):
                    written = imported.get("original", path)
                    text = f"The rule for {path} has no effect"
                    errors.append(self._refused(file, written, text, self._unused(ending)))
        if errors:
            raise build_error(errors, "", self._root)

    def _lacks(self, name: str) -> bool:
        """Whether workerd certainly does not have a module of this name."""
        if self._compat == "als" and name == "node:async_hooks":
            return False
        return self._compat in ("none", "als") and name.startswith("node:")

    def _refused(self, file: str, name: str, text: str, hint: str) -> Diagnostic:
        """An error about the import of `name` in an input."""
        return import_error(self._root, file.partition("?")[0], (name,), text, hint) or Diagnostic(
            True, text, "", file, 1, 1, hint
        )

    def _hint(self, said: Diagnostic) -> str:
        config = self._config.path.name
        unresolved = _UNRESOLVED.fullmatch(said.text)
        if unresolved is not None:
            name = unresolved["name"]
            if is_node_module(name):
                return import_hint(name, self._compat)
            if _AS_EXTERNAL in said.detail:
                package = "/".join(name.split("/")[: 2 if name.startswith("@") else 1])
                return f"Install it with `npm install {package}`, or add an alias for it in {config}."
        no_loader = _NO_LOADER.match(said.text)
        if no_loader is not None:
            ending = no_loader["ending"]
            return f'To import it as text, add {{"type": "Text", "globs": ["**/*{ending}"]}} to rules in {config}.'
        return ""

    def _unused(self, ending: str) -> str:
        return (
            f'An earlier rule of the same type keeps the one for "**/*{ending}" from taking effect: '
            f'give it "fallthrough": true in {self._config.path.name}.'
        )


class _Origin:
    """A function that finds the original place of a place in the bundle."""

    def __init__(self, module: str, content: bytes, base: Path) -> None:
        self._module = module
        self._content = content
        self._base = base

    @cached_property
    def _map(self) -> SourceMap:
        return SourceMap(self._content, self._base)

    def locate(self, module: str, line: int, column: int) -> tuple[Path, int, int] | None:
        return self._map.locate(line, column) if module == self._module else None


def _imported(described: Mapping[str, Any]) -> frozenset[str]:
    """The imports of the bundle. Files of which no code is left in it may have more."""
    outputs = described["outputs"].values()
    return frozenset(imported["path"] for output in outputs for imported in output["imports"])


def _is_no_file(path: str) -> bool:
    """Whether an input was created by esbuild, such as `(disabled):fs` or `<define:X>`."""
    return path.startswith(("(", "<"))
