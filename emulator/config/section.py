"""The part of a configuration file that binding kinds read: the top level, or one environment.

A kind has its own keys. It checks the values under them, adds valid ones as bindings and declarations, and reports
problems with their places.
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
    """A key of the top level. Unless it is `inherited`, an environment must repeat it. A `top_level_only` key has no
    effect in an environment; its value at the top level applies there too."""

    check: Check
    inherited: bool = False
    top_level_only: bool = False


class Section:
    """The top level, or one environment, while it is being read.

    `keys` has the section's keys whose values passed the check of the key; `path` is the section's key path. With
    `inherited_only` the section is the top level and an environment was selected: keys that are not inherited are
    checked for errors only. `names` maps the name of every binding to its key path.
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
        self.no_code: Path | None = None
        """The main module of a worker that does without code of its own, if it may; a binding kind says so."""

    def items(self, key: str) -> Iterator[tuple[KeyPath, Any]]:
        """The elements of the array under `key`, each with its key path; none if the section does not have that key."""
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
        """The keys of an object that have valid values. Keys in `quiet` are ignored without a warning."""
        return read_object(self.findings, path, value, known, required=required, quiet=quiet)

    def claim(self, name: str, path: KeyPath) -> bool:
        """Reserve the name of a binding. If another binding has it, reports an error at `path` and returns False."""
        if name in self.names:
            other = self.findings.document.place(self.names[name])
            self.findings.error(
                path, f"{found(name)} is already the name of {other.key} on line {other.line}", code="name-taken"
            )
            return False
        self.names[name] = path
        return True

    def stores(self, key: str, known: Mapping[str, Check]) -> Iterator[tuple[str, dict[str, Any], KeyPath]]:
        """The bindings in the array under `key` to what is kept here: for each that is valid its name, which is claimed
        now, its valid keys, and the key path of the name. `remote` is warned of."""
        for path, item in self.items(key):
            sound = self.read_object(path, item, known, required=("binding",))
            name, name_path = sound.get("binding"), (*path, "binding")
            if name is not None and self.claim(name, name_path):
                if sound.get("remote"):
                    self.findings.not_here((*path, "remote"), "has no effect here: data stays on this machine")
                yield name, sound, name_path

    def bind(self, kind: str, name: str, settings: object, path: KeyPath) -> None:
        """Add a binding to `env`; its name has been claimed. `path` is its key path."""
        self.bindings.append((self._key(path), Binding(kind, name, settings, place=self.findings.document.place(path))))

    def declare(self, kind: str, settings: object, path: KeyPath) -> None:
        """Add a declaration, which has no name in `env`. `path` is its key path."""
        place = self.findings.document.place(path)
        self.declarations.append((self._key(path), Declaration(kind, settings, place=place)))

    def inherit(self, top: Section, inherited: Collection[str]) -> None:
        """Copy from the top level the values of those keys in `inherited` that this environment does not have."""
        keys = {key for key in inherited if key not in self.keys}
        self.no_code = self.no_code or top.no_code
        self.bindings[:0] = [
            (key, binding) for key, binding in top.bindings if key in keys and binding.name not in self.names
        ]
        self.declarations[:0] = [(key, declaration) for key, declaration in top.declarations if key in keys]

    def _key(self, path: KeyPath) -> str:
        return str(path[len(self.path)])


class Draft:
    """The settings of a worker before they are complete.

    `section` is the selected environment, with what it inherits, or the top level. `variables` come from the command
    line, `env_files` from `.dev.vars` and `.env`. `main` is None if an error about it was reported.
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
        """Add a binding that is not in the file to `env`. It replaces one of the same kind and name."""
        binding = Binding(kind, name, settings)
        for index, other in enumerate(self.bindings):
            if (other.kind, other.name) == (kind, name):
                self.bindings[index] = binding
                return
        self.bindings.append(binding)

    def foreign_name(self, kind: str, name: str) -> KeyPath | None:
        """The place of a binding of another kind than `kind` that has this name, or None."""
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
    """Check the keys of one object, and return those that have valid values.

    Keys in `quiet` are ignored. An unknown key gives a warning that suggests the nearest name out of `known` and
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
            findings.warn(
                inner, "is not a key that wrangler knows", did_you_mean(key, [*known, *suggested]), code="unknown-key"
            )
    for key in required:
        if key not in value:
            findings.error((*path, key), f"is missing; it must be {known[key].allowed}", code="missing-key")
    return sound


def must_be(check: Check, value: object) -> str:
    """Report a value that its check does not accept."""
    return f"must be {check.allowed}, not {found(value)}"


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """A hint that suggests the nearest of `names` to `name`; empty if none is near."""
    from difflib import get_close_matches  # Imported here because only mistakes need it.

    close = get_close_matches(name, names, 1)
    return f"Did you mean `{close[0]}`?" if close else ""
