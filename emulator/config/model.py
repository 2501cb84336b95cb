"""Typed settings of one worker, as its configuration file, its secrets and the command line say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from emulator.base.errors import Problem

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

DEFAULT_CPU_MS: Final = 30_000

JAVASCRIPT_SUFFIXES: Final = frozenset({".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"})
"""What `main` may end in under wrangler for a worker in JavaScript or TypeScript."""


class Place(NamedTuple):
    """Where a setting stands: the file as the user wrote it, line and column counted from 1, and the key path."""

    file: str
    line: int
    column: int
    key: str

    @property
    def where(self) -> str:
        """`wrangler.jsonc:12:9`, or the file alone where there is no line."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Binding:
    """What `env` holds under `name`: a thing of one kind, with the settings that this kind has read.

    `place` does not count when two are compared: a binding that moved to another line is the same.
    """

    kind: str
    name: str
    settings: Any
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a configuration says about a kind without a name in `env`, such as that the worker consumes a queue.

    `place` does not count when two are compared.
    """

    kind: str
    settings: Any
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ModuleRule:
    """What a file becomes that JavaScript imports and that matches one of `globs`: `kind` in wrangler's words, such as
    `Text`. Without `fallthrough`, later rules of its kind do not count, wrangler's own included."""

    kind: str
    globs: tuple[str, ...]
    fallthrough: bool = False


@dataclass(frozen=True, slots=True)
class Bundling:
    """How JavaScript is bundled, in the words of wrangler's keys. `define` maps expressions to the code that replaces
    them, `alias` modules to those that are taken instead; `tsconfig` and
    `base_dir` are relative to the configuration; empty, they are the `tsconfig.json` nearest to the code, and the
    directory of `main`."""

    rules: tuple[ModuleRule, ...] = ()
    define: Mapping[str, str] = field(default_factory=dict)
    alias: Mapping[str, str] = field(default_factory=dict)
    no_bundle: bool = False
    base_dir: str = ""
    minify: bool = False
    keep_names: bool = True
    tsconfig: str = ""
    jsx_factory: str = "React.createElement"
    jsx_fragment: str = "React.Fragment"


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """One worker's settings.

    Paths are absolute. `bindings` and `declarations` are what the binding kinds have read, in the order in which they
    stand; only a kind knows what its settings are. `cpu_ms` is CPU time in milliseconds. `watched` lists the files
    whose change means a new configuration: the configuration itself and every `.dev.vars` and `.env` that was, or would
    be, read. `place` is where the name stands.
    """

    name: str
    path: Path
    main: Path
    environment: str | None = None
    compatibility_date: str = ""
    compatibility_flags: frozenset[str] = frozenset()
    bindings: tuple[Binding, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    bundling: Bundling = field(default_factory=Bundling)
    """How its code is bundled; for JavaScript only."""
    crons: tuple[str, ...] = ()
    cpu_ms: int = DEFAULT_CPU_MS
    dev_port: int | None = None
    dev_ip: str | None = None
    watched: tuple[Path, ...] = ()
    warnings: tuple[Problem, ...] = ()
    place: Place | None = field(default=None, compare=False, repr=False)

    @property
    def directory(self) -> Path:
        """The directory of `main`: what the worker can import from."""
        return self.main.parent
