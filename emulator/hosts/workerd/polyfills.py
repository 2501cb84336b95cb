"""The Node.js modules and globals that workerd lacks at a compatibility date, from the two npm packages that wrangler
takes them from, `@cloudflare/unenv-preset` and `unenv`.

Which modules these are, the first package works out of the date and the flags. It is JavaScript, so workerd runs it
once, and what follows from the answer is kept in the emulator's cache.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from emulator.base.errors import EmulatorError
from emulator.config.model import WorkerConfig
from emulator.hosts.workerd.esbuild import module_arguments, run
from emulator.hosts.workerd.nodejs import POLYFILLS
from emulator.hosts.workerd.tools import POLYFILL_PACKAGES, cache_directory, find_package, find_workerd

_MARK: Final = "polyfills: "
_INDEX: Final = "index.json"
_FORMAT: Final = 1
"""Counts the changes to what is kept."""

_DATE: Final = "2024-09-23"
"""The compatibility date with which the preset is run."""

_ASK: Final = """\
import { defineEnv } from "unenv";
import { getCloudflarePreset } from "@cloudflare/unenv-preset";
const settings = %s;
export default {
  test() {
    const presets = [getCloudflarePreset(settings), { alias: { debug: "debug" } }];
    const { env } = defineEnv({ presets, npmShims: true });
    console.log(%s + JSON.stringify(env));
  },
};
"""
_ASK_CONFIGURATION: Final = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = (
  modules = [(name = "main.js", esModule = embed "bundle.js")],
  compatibilityDate = "%s", compatibilityFlags = ["nodejs_compat"]))]);
"""
_MODULE: Final = 'export * from "{module}";\n'
_DEFAULT: Final = 'export {{ default }} from "{module}";\n'
_REQUIRED: Final = 'import all from "{module}";\nmodule.exports = all;\n'
_REQUIRED_SHIM: Final = """\
import * as all from "{module}";
module.exports = "default" in all ? all.default : {{}};
for (const [name, value] of Object.entries(all)) {{
  if (name !== "default") Object.defineProperty(module.exports, name, {{ value, enumerable: true }});
}}
"""
_PRESET, _UNENV = POLYFILL_PACKAGES
_SHIMS: Final = ("unenv/npm/", "unenv/mock/")


class Polyfills(msgspec.Struct, frozen=True):
    """What a bundle needs in order to have polyfills: modules in place of others, modules that run first, and the
    directories in which esbuild finds the packages."""

    aliases: Mapping[str, str]
    injected: Sequence[Path]
    modules: Sequence[Path]


async def read_polyfills(config: WorkerConfig, root: Path, esbuild: Path, directory: Path) -> Polyfills | None:
    """The polyfills of a worker whose project is at `root`. None if the packages are not installed. The empty
    `directory` is for what cannot be kept.

    Raises EmulatorError if the packages do not say what to add.
    """
    preset = find_package(_PRESET, root)
    unenv = None if preset is None else find_package(_UNENV, preset)
    if preset is None or unenv is None:
        return None
    date = config.compatibility_date or datetime.now(UTC).date().isoformat()
    settings = {"compatibilityDate": date, "compatibilityFlags": sorted(config.compatibility_flags)}
    manifests = [(package / "package.json").read_text(encoding="utf-8") for package in (preset, unenv)]
    key = sha256(json.dumps([_FORMAT, settings, *manifests]).encode()).hexdigest()[:32]
    kept = cache_directory().parent / f"polyfills-{key}"
    packages = [preset.parents[1], unenv.parent]
    with suppress(OSError, ValueError):
        return _read(kept, packages)
    said = await _ask(settings, [esbuild, find_workerd(root)], directory, packages)
    try:
        described = json.loads(said.partition(_MARK)[2].partition("\n")[0])
    except ValueError:
        lines = said.strip().splitlines() or ["it said nothing"]
        raise EmulatorError(
            f"cannot be asked for polyfills of Node.js modules: {lines[0]}", where=str(preset)
        ) from None
    with suppress(OSError):
        _keep(described, unenv, kept)
        return _read(kept, packages)
    _write(described, unenv, directory)
    return _read(directory, packages)


def _read(directory: Path, packages: Sequence[Path]) -> Polyfills:
    """Raises OSError or ValueError if `directory` does not have polyfills."""
    described = json.loads((directory / _INDEX).read_bytes())
    injected = [directory / name for name in described["injected"]]
    return Polyfills(described["aliases"], injected, list(dict.fromkeys((directory, *packages))))


def _keep(described: Mapping[str, Any], unenv: Path, kept: Path) -> None:
    """Write polyfills to the cache. Raises OSError if that is not possible, or another process was faster."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="polyfills-", dir=kept.parent) as name:
        draft = Path(name) / "whole"
        draft.mkdir()
        _write(described, unenv, draft)
        draft.rename(kept)


def _write(described: Mapping[str, Any], unenv: Path, directory: Path) -> None:
    """Write polyfills to the empty `directory`."""
    aliases = _write_package(described, unenv, directory / POLYFILLS)
    injected = list(_write_injected(described, directory))
    (directory / _INDEX).write_text(json.dumps({"aliases": aliases, "injected": injected}), encoding="utf-8")


async def _ask(settings: Mapping[str, Any], programs: Sequence[Path], directory: Path, packages: Sequence[Path]) -> str:
    """What workerd writes when it runs the preset. `programs` are esbuild and workerd, and `directory` is for what they
    need."""
    esbuild, workerd = programs
    directory = directory / "ask"
    directory.mkdir()
    absent = directory / "absent.cjs"
    absent.write_text("module.exports = {};\n", encoding="utf-8")
    main = directory / "main.mjs"
    main.write_text(_ASK % (json.dumps(settings), json.dumps(_MARK)), encoding="utf-8")
    bare = {"url": "node:url", "path": "node:path", "module": "node:module", "node:fs": absent, "node:v8": absent}
    arguments = [
        *module_arguments(main, directory / "bundle.js"),
        *(f"--alias:{name}={other}" for name, other in bare.items()),
        f'--define:import.meta.url="{main.as_uri()}"',
    ]
    status, said = await run(esbuild, arguments, directory, packages)
    if status:
        return said
    configuration = directory / "ask.capnp"
    configuration.write_text(_ASK_CONFIGURATION % _DATE, encoding="utf-8")
    return (await run(workerd, ["test", str(configuration)], directory))[1]


def _write_package(described: Mapping[str, Any], unenv: Path, package: Path) -> Mapping[str, str]:
    """Write the package, and return the modules that are to be taken in place of others."""
    aliases: dict[str, str] = {}
    exports: dict[str, Mapping[str, str]] = {}
    (package / "import").mkdir(parents=True)
    (package / "require").mkdir()
    for name, module in described["alias"].items():
        bare = name.removeprefix("node:")
        if module == name:
            if bare == name and name in described["external"]:
                aliases[name] = f"node:{name}"
            continue
        file = f"{bare.replace('/', '+')}.js"
        exports[f"./{bare}"] = {"require": f"./require/{file}", "default": f"./import/{file}"}
        default = _DEFAULT if _has_default(module, unenv) else ""
        (package / "import" / file).write_text((_MODULE + default).format(module=module), encoding="utf-8")
        required = _REQUIRED_SHIM if module.startswith(_SHIMS) else _REQUIRED
        (package / "require" / file).write_text(required.format(module=module), encoding="utf-8")
        aliases[name] = f"{POLYFILLS}/{bare}"
    manifest = {"name": POLYFILLS, "exports": exports}
    (package / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    return aliases


def _has_default(module: str, unenv: Path) -> bool:
    package, _, path = module.partition("/")
    if package != _UNENV:
        return True
    try:
        text = (unenv / "dist/runtime" / f"{path}.mjs").read_text(encoding="utf-8")
    except OSError:
        return True
    return "export default" in text or "default }" in text


def _write_injected(described: Mapping[str, Any], directory: Path) -> Iterator[str]:
    """Write the modules that set globals, and yield their names."""
    texts = [
        f'import {{ {export} as value }} from "{module}";\nglobalThis.{name} = value;\n'
        for name, source in described.get("inject", {}).items()
        for module, export in [source if isinstance(source, list) else (source, "default")]
    ]
    texts += [f'import "{module}";\n' for module in described.get("polyfill", ())]
    for number, text in enumerate(texts):
        name = f"injected-{number}.mjs"
        (directory / name).write_text(text, encoding="utf-8")
        yield name
