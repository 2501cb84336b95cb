"""What lies in `python_modules/`: which files are compiled for Pyodide, which package they belong to, and how to
install the same for this Python."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emulator.base.installing import install_command, package_of
from emulator.base.words import shown_path
from emulator.config.model import PYTHON_MODULES

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_WEBASSEMBLY: Final = b"\0asm"
"""How a file that is compiled for Pyodide begins, whatever its name."""
_EXACT: Final = re.compile(r"^Requires-Dist: *([\w.-]+) *\(?==([\w.!+]+)", re.MULTILINE)


def has_webassembly(directory: Path, top: str) -> bool:
    """Whether a package or module in `directory` has files that are compiled for Pyodide."""
    return any(map(_is_webassembly, chain(directory.glob(f"{top}.*so"), _compiled_below(directory / top))))


def webassembly_of(name: str, directories: Iterable[str]) -> Path | None:
    """The file of the module `name`, without its packages, if it is compiled for Pyodide."""
    files = chain.from_iterable(Path(directory).glob(f"{name}.*so") for directory in directories)
    return next(filter(_is_webassembly, files), None)


def needs_another_version(directory: Path, top: str) -> str:
    """What the package `top` needs in exactly one version, which is compiled in `directory` and not installed in that
    version: `pydantic-core 2.27.2`. Empty if there is nothing. The distribution must have the name of the package."""
    for metadata in directory.glob(f"{top}-*.dist-info/METADATA"):
        for name, version in _EXACT.findall(metadata.read_text("utf-8", "replace")):
            if has_webassembly(directory, name.replace("-", "_")):
                installed = _installed(name)
                if installed is not None and installed.version != version:
                    return f"{name} {version}"
    return ""


def replacement(directory: Path, top: str, needed: str) -> str:
    """A sentence about the installed package that takes the place of `top` in `directory`; empty if it is the same
    version. `needed` is what `needs_another_version` found."""
    vendored = _distribution_of(directory, top)
    installed = _installed(vendored.name) if vendored is not None else None
    if vendored is None or installed is None or installed.version == vendored.version:
        return ""
    why = f"needs {needed}, and that version is not installed" if needed else "is built for Pyodide"
    return (
        f"{shown_path(directory)} has {vendored.name} {vendored.version}, which {why}: the installed "
        f"{installed.version} takes its place; `{_command(vendored)}` installs the same"
    )


def why_not_loadable(file: Path) -> str:
    """Why a compiled file in a `python_modules/` cannot be loaded, and how to install its package."""
    *_, directory = (parent for parent in file.parents if parent.name == PYTHON_MODULES)
    top = file.relative_to(directory).parts[0].partition(".")[0]
    found = _distribution_of(directory, top)
    command = install_command(package_of(top)) if found is None else _command(found)
    return (
        f"{shown_path(file)} is built for Pyodide and cannot be loaded here, and no {top} is installed where the "
        f"emulator runs: install it with `{command}`"
    )


def _compiled_below(package: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(package):
        yield from (Path(directory, name) for name in names if name.endswith(".so"))


def _is_webassembly(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_WEBASSEMBLY)) == _WEBASSEMBLY


def _distribution_of(directory: Path, top: str) -> Distribution | None:
    from importlib.metadata import distributions  # Most workers do not need it.

    for found in distributions(path=[str(directory)]):
        if any(file.parts[0].partition(".")[0] == top for file in found.files or ()):
            return found
    return None


def _installed(name: str) -> Distribution | None:
    from importlib.metadata import distributions

    return next(iter(distributions(name=name, path=sys.path)), None)


def _command(vendored: Distribution) -> str:
    return install_command(f"{vendored.name}=={vendored.version}")
