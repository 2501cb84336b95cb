"""Typed settings of one worker: the combination of its configuration file, its secrets and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from emulator.base.errors import Problem

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

DEFAULT_CPU_MS: Final = 30_000

JAVASCRIPT_SUFFIXES: Final = frozenset({".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"})
"""The file name endings that wrangler allows for `main` of a JavaScript or TypeScript worker."""

PYTHON_FLAG: Final = "python_workers"
"""The compatibility flag of every Python worker."""

PYTHON_MODULES: Final = "python_modules"
"""The directory beside the configuration that holds the third-party modules of a Python worker."""


class Place(NamedTuple):
    """The place of a setting: the file as the user wrote it, line and column counted from 1, and the key path."""

    file: str
    line: int
    column: int
    key: str

    @property
    def where(self) -> str:
        """`wrangler.jsonc:12:9`, or the file alone if the line is not known."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class _Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that knows where it was read. Places are ignored in comparisons: a setting that moved to another line
    is the same setting."""

    place: Place | None = None

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._compared())

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self._compared()))

    def _compared(self) -> Iterator[str]:
        return (name for name in self.__struct_fields__ if not name.endswith("place"))


class Binding(_Placed, frozen=True):
    """What `env` has under `name`: a binding of one kind, with the settings that the kind has read."""

    kind: str
    name: str
    settings: Any


class Declaration(_Placed, frozen=True):
    """A setting of a binding kind that has no name in `env`, such as that the worker consumes a queue."""

    kind: str
    settings: Any


class ModuleRule(msgspec.Struct, frozen=True):
    """How JavaScript imports files that match one of `globs`: as a module of type `kind`, one of wrangler's words such
    as `Text`. Without `fallthrough`, later rules of the same kind are ignored, including wrangler's own."""

    kind: str
    globs: tuple[str, ...]
    fallthrough: bool = False


class Bundling(msgspec.Struct, frozen=True):
    """How JavaScript is bundled; the names are wrangler's keys. `define` maps expressions to the code that replaces
    them, and `alias` maps modules to the modules that replace them. `tsconfig` and `base_dir` are relative to the
    configuration; if empty, they mean the `tsconfig.json` nearest to the code, and the directory of `main`.
    `find_additional_modules` is on by default if nothing is bundled, and off otherwise."""

    rules: tuple[ModuleRule, ...] = ()
    define: Mapping[str, str] = msgspec.field(default_factory=dict)
    alias: Mapping[str, str] = msgspec.field(default_factory=dict)
    no_bundle: bool = False
    base_dir: str = ""
    find_additional_modules: bool | None = None
    preserve_file_names: bool = False
    minify: bool = False
    keep_names: bool = True
    tsconfig: str = ""
    jsx_factory: str = "React.createElement"
    jsx_fragment: str = "React.Fragment"


class Build(msgspec.Struct, frozen=True):
    """What makes the code of a worker before it is loaded: a shell command, its directory, and the files and
    directories whose change means that it runs again. Paths are absolute."""

    command: str
    directory: Path
    watched: tuple[Path, ...]


class WorkerConfig(_Placed, frozen=True):
    """One worker's settings.

    Paths are absolute. `bindings` and `declarations` are what the binding kinds have read, in the order of the file;
    only a kind knows what its settings mean. `cpu_ms` is CPU time in milliseconds. `watched` lists the files whose
    change means a new configuration: the configuration itself, and every `.dev.vars` and `.env` file that was read or
    would be if it existed. `origin` is where production would serve it, such as `http://shop.example.com`, or empty.
    `account_id` is that of the Cloudflare account, or empty.
    `place` is the place of the name.
    """

    name: str
    path: Path
    main: Path
    environment: str | None = None
    compatibility_date: str = ""
    compatibility_flags: frozenset[str] = frozenset()
    bindings: tuple[Binding, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    bundling: Bundling = msgspec.field(default_factory=Bundling)
    """How the code is bundled; JavaScript only."""
    build: Build | None = None
    has_code: bool = True
    """False if `main` only stands for the module of a worker that does without one."""
    crons: tuple[str, ...] = ()
    crons_place: Place | None = None
    cpu_ms: int = DEFAULT_CPU_MS
    dev_port: int | None = None
    dev_ip: str | None = None
    dev_inspector_port: int | None = None
    dev_protocol: str = "http"
    """`http` or `https`."""
    origin: str = ""
    account_id: str = ""
    watched: tuple[Path, ...] = ()
    warnings: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    """What could be left out or is worth knowing; only `emulator check` says it."""

    @property
    def directory(self) -> Path:
        """The directory of `main`: what the worker can import from."""
        return self.main.parent

    def has_flag(self, enable: str, disable: str, since: str) -> bool:
        """Whether a compatibility flag is set: by the name that enables it or the one that disables it, else by date.
        Without a date, today's rules apply."""
        if disable in self.compatibility_flags:
            return False
        return enable in self.compatibility_flags or not self.compatibility_date or self.compatibility_date >= since
