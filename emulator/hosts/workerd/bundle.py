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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

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
from emulator.hosts.workerd.esbuild import Bundle, build_arguments, run, syntax_arguments
from emulator.hosts.workerd.nodejs import (
    POLYFILLS,
    NodeCompat,
    import_hint,
    is_node_module,
    misnamed_packages,
    node_compat,
)
from emulator.hosts.workerd.rules import Endings, endings
from emulator.hosts.workerd.source import Module, ModuleKind, Source
from emulator.hosts.workerd.sourcemap import SourceMap
from emulator.hosts.workerd.tools import find_esbuild
from emulator.hosts.workerd.unbundled import (
    PROVIDED,
    additional_modules,
    as_it_is,
    is_surely_script,
    need_of_bundling,
    runner,
    with_its_modules,
)

if TYPE_CHECKING:
    from emulator.hosts.workerd.polyfills import Polyfills

_UNRESOLVED: Final = re.compile(r'Could not resolve "(?P<name>[^"]*)"(?: \(originally "[^"]*"\))?')
_NO_LOADER: Final = re.compile(r'No loader is configured for "(?P<ending>\.[^"]*)" files')
_LISTENER: Final = "__EMULATOR_LISTENER__"
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
    return await _Bundling(config, root, esbuild).run(is_script=is_surely_script(content))


class _Bundling:
    """The making of a bundle, which may take several runs of esbuild."""

    def __init__(self, config: WorkerConfig, root: Path, esbuild: Path) -> None:
        self._config = config
        self._root = root
        self._esbuild = esbuild
        self._endings: Endings = endings(config.bundling.rules)
        self._compat: NodeCompat = node_compat(config.compatibility_date, config.compatibility_flags)
        self._polyfills: Polyfills | None = None

    async def run(self, *, is_script: bool) -> Source:
        with tempfile.TemporaryDirectory(prefix="emulator-bundle-") as name:
            out = Path(os.path.realpath(name))  # noqa: ASYNC240 - of a directory that was just made
            bundle = Bundle(out, self._endings.all, is_script)
            if self._compat == "v2":
                bundle = await self._with_polyfills(bundle)
            found = {}
            if self._config.bundling.find_additional_modules:
                found = additional_modules(self._config, self._root)
                bundle = replace(bundle, external=list(found))
            described, diagnostics = await self._build(bundle)
            if not is_script and await self._is_script(described, out):
                bundle = replace(bundle, is_script=True)
                described, diagnostics = await self._build(bundle)
            if bundle.is_script:
                self._check_script(described)
            return self._read(bundle, described, found, [one_line(each) for each in diagnostics])

    async def _with_polyfills(self, bundle: Bundle) -> Bundle:
        from emulator.hosts.workerd.polyfills import read_polyfills  # start-up does not need it

        directory = bundle.out / "polyfills"
        directory.mkdir()
        self._polyfills = await read_polyfills(self._config, self._root, self._esbuild, directory)
        if self._polyfills is None:
            return bundle
        return replace(bundle, aliases=self._polyfills.aliases, injected=self._polyfills.injected)

    async def _build(self, bundle: Bundle) -> tuple[dict[str, Any], list[Diagnostic]]:
        """Create the bundle, and return esbuild's description of its files and its messages. What esbuild resolves in
        another way than wrangler is resolved, and esbuild runs again."""
        while True:
            arguments = build_arguments(self._config, self._compat, bundle)
            modules = () if self._polyfills is None else self._polyfills.modules
            status, said = await run(self._esbuild, arguments, self._root, modules)
            diagnostics = read_diagnostics(said, self._root, self._hint)
            if status:
                packages, aliases = self._resolved(diagnostics)
            else:
                described = json.loads((bundle.out / "meta.json").read_bytes())
                packages, aliases = misnamed_packages(_imported(described)), {}
            if packages <= set(bundle.packages) and aliases.keys() <= bundle.aliases.keys():
                if status:
                    raise build_error([each for each in diagnostics if each.is_error], said, self._root)
                return described, diagnostics
            bundle = replace(bundle, packages={*bundle.packages, *packages}, aliases={**bundle.aliases, **aliases})

    def _resolved(self, diagnostics: Sequence[Diagnostic]) -> tuple[frozenset[str], dict[str, str]]:
        """What helps esbuild with imports that it could not resolve: the packages in whose place a polyfill was taken,
        and where files are that a package has, but does not export."""
        packages: set[str] = set()
        aliases: dict[str, str] = {}
        for diagnostic in diagnostics:
            unresolved = _UNRESOLVED.fullmatch(diagnostic.text)
            if unresolved is None:
                continue
            name, mark, query = unresolved["name"].partition("?")
            if name.startswith(f"{POLYFILLS}/"):
                packages.add(name.split("/")[1])
            elif self._endings.kind(name) is not None:
                file = self._unexported(name, self._root / diagnostic.file)
                if file is not None:
                    aliases[unresolved["name"]] = f"{file}{mark}{query}"
        return frozenset(packages), aliases

    def _unexported(self, name: str, importer: Path) -> Path | None:
        """A file of a package by its path, exported or not; or a file beside the main module."""
        places = [parent / "node_modules" for parent in importer.parents]
        return next((place / name for place in (*places, self._config.directory) if (place / name).is_file()), None)

    async def _is_script(self, described: Mapping[str, Any], out: Path) -> bool:
        """Whether the main module is written in service-worker syntax: it exports nothing, or no default and adds
        listeners. What it exports from other files does not count."""
        if "default" in _exports(described):
            return False
        defines = {f"{prefix}addEventListener": _LISTENER for prefix in ("", "self.", "globalThis.")}
        alone = out / "alone"
        status, _ = await run(self._esbuild, syntax_arguments(self._config, alone, defines), self._root)
        if status:
            return False
        exports = _exports(json.loads((alone / "meta.json").read_bytes()))
        text = (alone / f"{self._config.main.stem}.js").read_text(encoding="utf-8")
        return not exports or ("default" not in exports and _LISTENER in text)

    def _check_script(self, described: Mapping[str, Any]) -> None:
        """Raises BuildError if a script imports modules of workerd, which it cannot."""
        if self._config.bundling.find_additional_modules:
            raise EmulatorError(
                f"{self._config.path.name}: find_additional_modules needs a worker with a default export: "
                "export default { async fetch(request, env, ctx) { ... } }"
            )
        imported = sorted(name for name in _imported(described) if name.startswith(PROVIDED))
        if not imported:
            return
        text = f"{', '.join(imported)} cannot be imported in service-worker syntax"
        files = described["inputs"].items()
        file = next((file for file, each in files if any(i["path"] == imported[0] for i in each["imports"])), "")
        hint = (
            "Without a default export, the worker is a script: write export default { async fetch(request, env, ctx) }."
        )
        raise build_error([self._refused(file, imported[0], text, hint)], "", self._root)

    def _read(
        self,
        bundle: Bundle,
        described: Mapping[str, Any],
        found: Mapping[Path, tuple[str, ModuleKind]],
        warnings: list[str],
    ) -> Source:
        warnings += self._check_imports(described["inputs"], _imported(described))
        out = bundle.out
        name = f"{self._config.main.stem}.js"
        code = _renamed((out / name).read_bytes(), _names(out, described, found))
        main = Module(name, "commonjs" if bundle.is_script else "esm", code)
        additional = [Module(known, kind, file.read_bytes()) for file, (known, kind) in found.items()]
        modules = {
            module.name: module for module in (*self._copied(out, described), *additional) if module.name != name
        }
        inputs = {
            Path(os.path.normpath(self._root / path.partition("?")[0]))
            for path in described["inputs"]
            if not _is_no_file(path)
        }
        own = {file for file in inputs if self._polyfills and file.is_relative_to(self._polyfills.modules[0])}
        warnings += [
            f"{self._config.path.name}: rules: {glob!r} does not name a file ending, so it has no effect here"
            for glob in self._endings.unusable
        ]
        source_map = (out / f"{name}.map").read_bytes()
        places = _Origin(name, source_map, out, {known: file for file, (known, _) in found.items()})
        return Source(
            (*runner(main), main, *modules.values()),
            frozenset((inputs - own) | found.keys() | self._tsconfig()),
            tuple(warnings),
            places.locate,
            lacks_polyfills=self._compat == "v2" and self._polyfills is None,
            maps={name: (source_map, out)},
        )

    def _copied(self, out: Path, described: Mapping[str, Any]) -> Iterator[Module]:
        """The files that the bundle imports; with `preserve_file_names` also under the names that the code uses."""
        written = _written_names(described) if self._config.bundling.preserve_file_names else {}
        for path, output in described["outputs"].items():
            if len(output["inputs"]) != 1 or "entryPoint" in output:
                continue
            file = next(iter(output["inputs"])).partition("?")[0]
            kind = self._endings.kind(file)
            if kind is None:
                continue
            name = PurePosixPath(path).name
            content = (out / name).read_bytes()
            yield Module(name, kind, content)
            yield from (Module(other, kind, content) for other in written.get(file, ()))

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
    """A function that finds the original place of a place in the bundle. `others` are the files of modules beside
    it."""

    def __init__(self, module: str, content: bytes, base: Path, others: Mapping[str, Path]) -> None:
        self._module = module
        self._content = content
        self._base = base
        self._others = others

    @cached_property
    def _map(self) -> SourceMap:
        return SourceMap(self._content, self._base)

    def locate(self, module: str, line: int, column: int) -> tuple[Path, int, int] | None:
        if module in self._others:
            return self._others[module], line, column
        return self._map.locate(line, column) if module == self._module else None


def _names(
    out: Path, described: Mapping[str, Any], found: Mapping[Path, tuple[str, ModuleKind]]
) -> Iterator[tuple[str, str]]:
    """The names of modules that the bundle imports, and what they are called: additional modules, of which it has the
    paths, and files that are imported as `x.wasm?module`."""
    for file, (name, _) in found.items():
        yield os.path.relpath(file, out), f"./{name}"
    queries = sorted({path[path.index("?") :] for path in described["inputs"] if "?" in path})
    for name in (PurePosixPath(path).name for path in described["outputs"]) if queries else ():
        yield from ((f"./{name}{query}", f"./{name}") for query in queries)


def _renamed(code: bytes, names: Iterable[tuple[str, str]]) -> bytes:
    """The code of a bundle that imports modules by other names. Spaces keep every column where the source map has
    it."""
    for old, new in names:
        given, taken = (json.dumps(name, ensure_ascii=False).encode() for name in (old, new))
        code = code.replace(given, taken.ljust(len(given)))
    return code


def _written_names(described: Mapping[str, Any]) -> Mapping[str, set[str]]:
    """The names by which code imports files, if modules can have them."""
    names: dict[str, set[str]] = {}
    for each in described["inputs"].values():
        for imported in each["imports"]:
            name = PurePosixPath(imported.get("original", "").partition("?")[0]).as_posix()
            if not name.startswith(("..", "/")):
                names.setdefault(imported["path"].partition("?")[0], set()).add(name)
    return names


def _exports(described: Mapping[str, Any]) -> list[str]:
    """What the main module exports."""
    outputs = described["outputs"].values()
    return next((output.get("exports", []) for output in outputs if "entryPoint" in output), [])


def _imported(described: Mapping[str, Any]) -> frozenset[str]:
    """The imports of the bundle. Files of which no code is left in it may have more."""
    outputs = described["outputs"].values()
    return frozenset(imported["path"] for output in outputs for imported in output["imports"])


def _is_no_file(path: str) -> bool:
    """Whether an input was created by esbuild, such as `(disabled):fs` or `<define:X>`."""
    return path.startswith(("(", "<"))
