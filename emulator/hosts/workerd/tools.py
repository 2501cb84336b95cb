"""Finds what runs JavaScript workers: workerd, esbuild, which bundles them, and the packages that wrangler adds to
bundles.

All of it comes from npm, the two programs in packages that contain the program for one platform. `node_modules/.bin`
has only scripts that need node, so it is skipped. The search looks at EMULATOR_WORKERD and EMULATOR_ESBUILD, in the
`node_modules` beside the worker or above it (projects with wrangler have all), in the emulator's cache, which
`emulator install-js` fills, and for programs on the PATH.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from emulator.base.errors import EmulatorError

WORKERD_VERSION: Final = "1.20261117.1"
ESBUILD_VERSION: Final = "0.28.2"
"""The versions that `emulator install-js` installs: those of wrangler 4.164.0."""

POLYFILL_PACKAGES: Final = ("@cloudflare/unenv-preset", "unenv")
"""The packages that have wrangler's polyfills of Node.js modules."""

_INSTALL_HINT: Final = "Run `emulator install-js`, or `npm install --save-dev wrangler` beside the worker."


class _Program(msgspec.Struct, frozen=True):
    """A program: the packages that contain it by platform, the scopes and folders around them, and the variable that
    names another."""

    name: str
    purpose: str
    variable: str
    packages: Mapping[tuple[str, str], str]


_WORKERD: Final = _Program(
    "workerd",
    "runs JavaScript workers",
    "EMULATOR_WORKERD",
    {
        ("linux", "x86_64"): "@cloudflare/workerd-linux-64",
        ("linux", "aarch64"): "@cloudflare/workerd-linux-arm64",
        ("darwin", "x86_64"): "@cloudflare/workerd-darwin-64",
        ("darwin", "aarch64"): "@cloudflare/workerd-darwin-arm64",
    },
)
_ESBUILD: Final = _Program(
    "esbuild",
    "bundles JavaScript workers",
    "EMULATOR_ESBUILD",
    {
        ("linux", "x86_64"): "@esbuild/linux-x64",
        ("linux", "aarch64"): "@esbuild/linux-arm64",
        ("darwin", "x86_64"): "@esbuild/darwin-x64",
        ("darwin", "aarch64"): "@esbuild/darwin-arm64",
    },
)


def find_workerd(directory: Path) -> Path:
    """The workerd for a worker in `directory` (absolute). Raises EmulatorError if it is not found."""
    return _find(_WORKERD, directory)


def find_esbuild(directory: Path) -> Path:
    """The esbuild for a worker in `directory` (absolute). Raises EmulatorError if it is not found."""
    return _find(_ESBUILD, directory)


def find_package(name: str, directory: Path) -> Path | None:
    """The directory of an npm package that wrangler brings, for a worker in `directory` (absolute), with links
    resolved: in its `node_modules`, above it, or in the emulator's cache."""
    for parent in (
        *(each / "node_modules" for each in (directory, *directory.parents)),
        cache_directory() / "node_modules",
    ):
        if not parent.is_dir():
            continue
        stored = (parent / ".pnpm").glob(f"{name.replace('/', '+')}@*/node_modules")
        newest_first = sorted(stored, key=lambda path: _version_key(path.parent.name), reverse=True)
        for place in (parent, parent / "wrangler/node_modules", *newest_first):
            if (place / name / "package.json").is_file():
                return (place / name).resolve()
    return None


def cache_directory() -> Path:
    """The directory in which `emulator install-js` installs programs; each pair of versions has its own."""
    if sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        given = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    return base / "emulator" / f"workerd-{WORKERD_VERSION}-esbuild-{ESBUILD_VERSION}"


def installed_in(directory: Path) -> bool:
    """Whether both programs, for this platform, and the packages are in the `node_modules` of `directory`."""
    modules = directory / "node_modules"
    has_packages = all((modules / package / "package.json").is_file() for package in POLYFILL_PACKAGES)
    return has_packages and all(_in_node_modules(program, modules) for program in (_WORKERD, _ESBUILD))


def _find(program: _Program, directory: Path) -> Path:
    named = os.environ.get(program.variable)
    if named:
        return _named(program, Path(named))
    places = [parent / "node_modules" for parent in (directory, *directory.parents)]
    for node_modules in (*places, cache_directory() / "node_modules"):
        found = _in_node_modules(program, node_modules)
        if found is not None:
            return found
    on_path = shutil.which(program.name)
    if on_path is not None and not _is_script(Path(on_path)):
        return Path(on_path)
    raise EmulatorError(_not_found(program, places), hint=_INSTALL_HINT)


def _named(program: _Program, path: Path) -> Path:
    if not path.is_file():
        raise EmulatorError(f"{program.variable} names {path}, which does not exist")
    if not os.access(path, os.X_OK):
        raise EmulatorError(f"{program.variable} names {path}, which is not executable")
    return path.absolute()


def _in_node_modules(program: _Program, node_modules: Path) -> Path | None:
    """The program for this platform in a `node_modules`: at its top, below wrangler or its own launcher, or in pnpm's
    directories."""
    package = program.packages.get(_platform())
    if package is None or not node_modules.is_dir():
        return None
    for place in _places(node_modules, program, package):
        path = place / package / "bin" / program.name
        if path.is_file() and os.access(path, os.X_OK):
            return path
    return None


def _places(node_modules: Path, program: _Program, package: str) -> Iterator[Path]:
    yield node_modules
    for parent in (program.name, "wrangler", "miniflare", "wrangler/node_modules/miniflare"):
        yield node_modules / parent / "node_modules"
    store = node_modules / ".pnpm"
    if store.is_dir():
        name = package.replace("/", "+")
        newest_first = sorted(store.glob(f"{name}@*"), key=lambda path: _version_key(path.name), reverse=True)
        yield from (path / "node_modules" for path in newest_first)


def _version_key(name: str) -> tuple[int, ...]:
    version = name.rpartition("@")[2]
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _not_found(program: _Program, places: list[Path]) -> str:
    system, machine = _platform()
    if (system, machine) not in program.packages:
        return f"{program.name}, which {program.purpose}, is not available for {system} on {machine}"
    for node_modules in places:
        others = [name for name in program.packages.values() if (node_modules / name).is_dir()]
        if others:
            return (
                f"{node_modules} has {program.name} for another platform only ({', '.join(others)}); "
                f"this one needs {program.packages[system, machine]}"
            )
    return f"{program.name}, which {program.purpose}, is not installed"


def _platform() -> tuple[str, str]:
    machine = platform.machine().lower()
    return sys.platform, {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def _is_script(path: Path) -> bool:
    """Whether a program needs node to start it."""
    with path.open("rb") as file:
        return file.read(2) == b"#!"
