"""What binding kinds read from: the top level of a file, or one environment.

A kind has keys of its own. It checks what stands under them, takes what is sound as bindings and declarations, and
reports what is not, with its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from emulator.config import checks
from emulator.config.checks import Check, found
from emulator.config.document import Findings, KeyPath
from emulator.config.env_files import EnvFiles
from emulator.config.model import Binding, Declaration


class Key(NamedTuple):
    """A key of the top level. Unless it is `inherited`, an environment has to repeat it. A key that is
    `top_level_only` has no effect in an environment, and what it says at the top level holds there too."""

    check: Check
    inherited: bool = False
    top_level_only: bool = False


class Section:
    """The top level, or one environment, while it is read.

    `keys` are those that it has and whose values passed the check of the key; `path` is where they stand. With
    `inherited_only` the section is the top level and an environment was chosen: of keys that are not inherited only
    their errors count. `names` holds the key path of every binding by its name.
    """

    def __init__(
        self,
        findings: Findings,
        path: KeyPath = (),
        keys: Mapping[str, Any] | None = None,
        *,
        inherited_only: bool = False,
    ) -> None:
        self.findings = findings
        self.path = path
        self.keys: Mapping[str, Any] = keys or {}
        self.inherited_only = inherited_only
        self.names: dict[str, KeyPath] = {}
        self.bindings: list[tuple[str, Binding]] = []
        self.declarations: list[tuple[str, Declaration]] = []

    def items(self, key: str) -> Iterator[tuple[KeyPath, Any]]:
        """The elements of the array under `key`, each with its key path; none where there is no such key."""
        for index, item in enumerate(self.keys.get(key, ())):
            yield (*self.path, key, index), item

    def read_object(
        self,
        path: KeyPath,
        value: object,
        known: Mapping[str, Check],
        *,
        required: Collection[str] = (),
        quiet: Collection[str] = (),
    ) -> dict[str, Any]:
        """The keys of an object whose values are sound. Keys in `quiet` need no word."""
        return read_object(self.findings, path, value, known, required=required, quiet=quiet)

    def claim(self, name: str, path: KeyPath) -> bool:
        """Take the name of a binding. False, and an error at `path`, when another one has it."""
        if name in self.names:
            other = self.findings.document.place(self.names[name])
            self.findings.error(path, f"{found(name)} is already the name of {other.key} on line {other.line}")
            return False
        self.names[name] = path
        return True

    def bind(self, kind: str, name: str, settings: object, path: KeyPath) -> None:
        """Let `env` have a binding, whose name has been claimed. `path` is where it stands."""
        self.bindings.append((self._key(path), Binding(kind, name, settings, self.findings.document.place(path))))

    def declare(self, kind: str, settings: object, path: KeyPath) -> None:
        """Take a declaration without a name in `env`. `path` is where it stands."""
        place = self.findings.document.place(path)
        self.declarations.append((self._key(path), Declaration(kind, settings, place)))

    def inherit(self, top: Section, inherited: Collection[str]) -> None:
        """Take from the top level what stands there under keys in `inherited` that this environment does not have."""
        keys = {key for key in inherited if key not in self.keys}
        self.bindings[:0] = [
            (key, binding) for key, binding in top.bindings if key in keys and binding.name not in self.names
        ]
        self.declarations[:0] = [(key, declaration) for key, declaration in top.declarations if key in keys]

    def _key(self, path: KeyPath) -> str:
        return str(path[len(self.path)])


class Draft:
    """A worker that has been read, before it is complete.

    `section` is the environment that was chosen, with what it inherits, or the top level. `variables` are those of the
    command line, `env_files` what stands in `.dev.vars` and `.env`. `main` is None where there is an error about it.
    """

    def __init__(
        self, section: Section, findings: Findings, main: Path | None, env_files: EnvFiles, variables: Mapping[str, str]
    ) -> None:
        self.section = section
        self.findings = findings
        self.main = main
        self.env_files = env_files
        self.variables = variables
        self.bindings = [binding for _, binding in section.bindings]
        self.declarations = [declaration for _, declaration in section.declarations]

    def put(self, kind: str, name: str, settings: object) -> None:
        """Let `env` have a binding that stands in no file, in place of one of its kind and name."""
        binding = Binding(kind, name, settings)
        for index, other in enumerate(self.bindings):
            if (other.kind, other.name) == (kind, name):
                self.bindings[index] = binding
                return
        self.bindings.append(binding)

    def foreign_name(self, kind: str, name: str) -> KeyPath | None:
        """Where a binding of another kind than `kind` has this name; None when there is none."""
        others = {binding.name for binding in self.bindings if binding.kind == kind}
        return None if name in others else self.section.names.get(name)


def read_object(
    findings: Findings,
    path: KeyPath,
    value: object,
    known: Mapping[str, Check],
    *,
    required: Collection[str] = (),
    quiet: Collection[str] = (),
    suggested: Iterable[str] = (),
) -> dict[str, Any]:
    """Check the keys of one object and return those whose values are sound.

    Keys in `quiet` need no word. A key that nobody knows is a warning with the nearest name out of `known` and
    `suggested`.
    """
    sound: dict[str, Any] = {}
    if not isinstance(value, dict):
        findings.error(path, must_be(checks.OBJECT, value))
        return sound
    for key, item in value.items():
        inner = (*path, key)
        if key in known:
            if known[key].accepts(item):
                sound[key] = item
            else:
                findings.error(inner, must_be(known[key], item))
        elif key not in quiet:
            findings.warn(inner, "is not a key that wrangler knows", did_you_mean(key, [*known, *suggested]))
    for key in required:
        if key not in value:
            findings.error((*path, key), f"is missing; it must be {known[key].allowed}")
    return sound


def must_be(check: Check, value: object) -> str:
    """That a value is not what it must be."""
    return f"must be {check.allowed}, not {found(value)}"


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """A hint with that of `names` which is nearest to `name`; empty where none is near."""
    from difflib import get_close_matches  # Needed for a mistake only.

    close = get_close_matches(name, names, 1)
    return f"Did you mean `{close[0]}`?" if close else ""
