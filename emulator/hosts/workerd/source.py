"""The modules of a worker that workerd runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ModuleKind = Literal["esm", "commonjs", "text", "data", "wasm", "json"]


@dataclass(frozen=True, slots=True)
class Module:
    """A module, with the name that others import."""

    name: str
    kind: ModuleKind
    content: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """The modules of a worker; the first is its main module. `inputs` are the files that they were made from.

    `locate` returns the place in the user's files that a line and column of a module (both counted from 1) come from,
    or None if it is not known. `warnings` are sentences about the code.
    """

    modules: tuple[Module, ...]
    inputs: frozenset[Path] = field(default=frozenset())
    warnings: tuple[str, ...] = ()
    locate: Callable[[str, int, int], tuple[Path, int, int] | None] = lambda _module, _line, _column: None
