"""What `python_modules/` says about its packages: which one a file belongs to, and how to install the same."""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

from emulator.base.words import shown_path
from emulator.config.model import PYTHON_MODULES


def version_warning(directory: Path, top: str) -> str:
    """A sentence if the installed package with the module `top` has another version than the one in `directory`, which
    is a `python_modules/`; else an empty string."""
    vendored = _distribution_of(directory, top)
    if vendored is None:
        return ""
    installed = next(iter(distributions(name=vendored.name, path=sys.path)), vendored)
    if installed.version == vendored.version:
        return ""
    return (
        f"{shown_path(directory)} has {vendored.name} {vendored.version}, which is built for Pyodide: the installed "
        f"{installed.version} takes its place; `{_command(vendored)}` installs the same"
    )


def for_pyodide(file: Path) -> str:
    """Why a compiled file in a `python_modules/` cannot be loaded, and how to install its package."""
    *_, directory = (parent for parent in file.parents if parent.name == PYTHON_MODULES)
    top = file.relative_to(directory).parts[0].partition(".")[0]
    found = _distribution_of(directory, top)
    command = f"{_pip()} {top}" if found is None else _command(found)
    return (
        f"{shown_path(file)} is built for Pyodide and cannot be loaded here, and no {top} is installed where the "
        f"emulator runs: install it with `{command}`"
    )


def _distribution_of(directory: Path, top: str) -> Distribution | None:
    for found in distributions(path=[str(directory)]):
        if any(file.parts[0].partition(".")[0] == top for file in found.files or ()):
            return found
    return None


def _command(vendored: Distribution) -> str:
    return f"{_pip()} {vendored.name}=={vendored.version}"


def _pip() -> str:
    return f"{shown_path(sys.executable)} -m pip install"
