"""The modules of a worker that workerd runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

ModuleKind = Literal["esm", "commonjs", "text", "data", "wasm", "json"]


class Module(msgspec.Struct, frozen=True):
    """A module, with the name that others import."""

    name: str
    kind: ModuleKind
    content: bytes


SCRIPT_NAME: Final = "__emulatorScript__.js"
"""The name of the emulator's module that runs a script. Its frames are not shown in stack traces."""


class Source(msgspec.Struct, frozen=True):
    """The modules of a worker; the first is its main module. `inputs` are the files that they were made from.

    `locate` returns the place in the user's files that a line and column of a module (both counted from 1) come from,
    or None if it is not known. `maps` are source maps of modules, by their names, each with the directory to which its
    files are relative. `warnings` are sentences about the code. `lacks_polyfills` says that it may import Node.js
    modules that wrangler would add, but that are not installed.
    """

    modules: tuple[Module, ...]
    inputs: frozenset[Path] = msgspec.field(default=frozenset())
    warnings: tuple[str, ...] = ()
    locate: Callable[[str, int, int], tuple[Path, int, int] | None] = lambda _module, _line, _column: None
    lacks_polyfills: bool = False
    maps: Mapping[str, tuple[bytes, Path]] = msgspec.field(default_factory=dict)
