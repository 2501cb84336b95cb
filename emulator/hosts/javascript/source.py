"""What workerd is to run: the modules of a worker, and the workerd that runs them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from emulator.errors import EmulatorError

ModuleKind = Literal["esm", "commonjs", "text", "data", "wasm", "json"]


@dataclass(frozen=True, slots=True)
class Module:
    """A module under the name by which others import it."""

    name: str
    kind: ModuleKind
    content: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """A worker as it is run. The first module is its main one. `inputs` are the files that it was made of.

    `locate` tells where a line and a column (both counted from 1) of a module come from, as the user wrote it; None
    where nobody knows.
    """

    modules: tuple[Module, ...]
    inputs: frozenset[Path] = field(default=frozenset())
    locate: Callable[[str, int, int], tuple[Path, int, int] | None] = lambda _module, _line, _column: None


async def read_source(main: Path) -> Source:
    """The worker whose main module is the file `main`, which imports no other file of its own.

    Raises EmulatorError when it cannot be read.
    """
    try:
        content = main.read_bytes()  # noqa: ASYNC240 - a small local file
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise EmulatorError(f"cannot be read: {reason}", where=str(main)) from None

    def locate(module: str, line: int, column: int) -> tuple[Path, int, int] | None:
        return (main, line, column) if module == main.name else None

    return Source((Module(main.name, "esm", content),), frozenset({main}), locate)


def find_workerd(directory: Path) -> Path:
    """The workerd for a worker in `directory`: the one that EMULATOR_WORKERD names, or one that npm has installed
    there or above, or the one on the PATH.

    Raises EmulatorError when there is none.
    """
    named = os.environ.get("EMULATOR_WORKERD")
    if named:
        if Path(named).is_file():
            return Path(named)
        raise EmulatorError(f"EMULATOR_WORKERD names {named}, and there is no such file")
    for parent in (directory, *directory.parents):
        for candidate in sorted(parent.glob("node_modules/@cloudflare/workerd-*/bin/workerd")):
            return candidate
    on_path = shutil.which("workerd")
    if on_path:
        return Path(on_path)
    raise EmulatorError(
        "workerd, which runs JavaScript workers, is not installed",
        hint="Install it beside the worker with `npm install --save-dev workerd`, or name it in EMULATOR_WORKERD.",
    )
