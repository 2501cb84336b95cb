"""What workerd is to run: the modules of a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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
    where nobody knows. `warnings` are sentences about the code that ask for no answer.
    """

    modules: tuple[Module, ...]
    inputs: frozenset[Path] = field(default=frozenset())
    warnings: tuple[str, ...] = ()
    locate: Callable[[str, int, int], tuple[Path, int, int] | None] = lambda _module, _line, _column: None
