"""Wrangler's module rules: they decide which files become separate modules when JavaScript imports them.

Rules in the configuration come before wrangler's own. Without `fallthrough`, a rule is the last of its kind: importing
files that only later rules name is an error, as in wrangler.

Bundling depends on the endings of files, because esbuild only knows these. A glob for anything but an ending has an
effect only if nothing is bundled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from emulator.config.model import JAVASCRIPT_SUFFIXES, ModuleRule
from emulator.hosts.workerd.source import ModuleKind

DEFAULT_RULES: Final = (
    ModuleRule("Text", ("**/*.txt", "**/*.html", "**/*.sql")),
    ModuleRule("Data", ("**/*.bin",)),
    ModuleRule("CompiledWasm", ("**/*.wasm", "**/*.wasm?module")),
)

_KINDS: Final[Mapping[str, ModuleKind]] = {
    "ESModule": "esm",
    "CommonJS": "commonjs",
    "Text": "text",
    "Data": "data",
    "CompiledWasm": "wasm",
}
_BUNDLED_KINDS: Final = frozenset({"Text", "Data", "CompiledWasm"})
_ENDING: Final = re.compile(r"(?:.*/)?\*(\.[^*?\[\]{}/]+)(?:\?module)?")


class Endings(msgspec.Struct, frozen=True):
    """How a bundle treats files by their endings, such as `.txt`. `kinds` maps endings to the kind of module; `ignored`
    has the endings of rules without effect, and `unusable` the globs that do not name an ending."""

    kinds: Mapping[str, ModuleKind]
    ignored: frozenset[str]
    unusable: Sequence[str]

    @property
    def all(self) -> frozenset[str]:
        """Every ending in a rule."""
        return self.ignored.union(self.kinds)

    def kind(self, file: str) -> ModuleKind | None:
        """The kind of module for `file`."""
        return self.kinds.get(self._ending(file))

    def ignored_ending(self, file: str) -> str:
        """The ending of `file` if only a rule without effect has it, else an empty string."""
        ending = self._ending(file)
        return ending if ending in self.ignored else ""

    def _ending(self, file: str) -> str:
        """If a file has two of the endings, the longer one is used."""
        return max((ending for ending in self.all if file.endswith(ending)), key=len, default="")


def endings(rules: Sequence[ModuleRule]) -> Endings:
    """The endings in the rules of a configuration and in wrangler's own."""
    kinds: dict[str, ModuleKind] = {}
    unusable: list[str] = []
    counting, ignored = _parted(rules)
    for rule in counting:
        if rule.kind not in _BUNDLED_KINDS:
            continue
        for glob in rule.globs:
            ending = _ending(glob)
            if ending:
                kinds.setdefault(ending, _KINDS[rule.kind])
            else:
                unusable.append(glob)
    dropped = {_ending(glob) for rule in ignored if rule.kind in _BUNDLED_KINDS for glob in rule.globs}
    return Endings(kinds, frozenset(dropped - kinds.keys() - {""}), unusable)


def matchers(rules: Sequence[ModuleRule]) -> list[tuple[re.Pattern[str], ModuleKind]]:
    """Patterns that give the kind of a file by its path with slashes, if nothing is bundled. The first match is
    used."""
    return [
        (_pattern(glob), _KINDS[rule.kind]) for rule in _parted(rules)[0] if rule.kind in _KINDS for glob in rule.globs
    ]


def _parted(rules: Sequence[ModuleRule]) -> tuple[list[ModuleRule], list[ModuleRule]]:
    """The rules with an effect, and those without one, because an earlier rule of their kind is the last."""
    counting: list[ModuleRule] = []
    ignored: list[ModuleRule] = []
    complete: set[str] = set()
    for rule in (*rules, *DEFAULT_RULES):
        (ignored if rule.kind in complete else counting).append(rule)
        if not rule.fallthrough:
            complete.add(rule.kind)
    return counting, ignored


def _ending(glob: str) -> str:
    match = _ENDING.fullmatch(glob)
    return match[1] if match and match[1] not in JAVASCRIPT_SUFFIXES else ""


def _pattern(glob: str) -> re.Pattern[str]:
    """A pattern for a glob: `*` matches anything except a slash, `**/` any directories."""
    return re.compile("".join(_translated(glob)) + r"\Z")


def _translated(glob: str) -> Iterator[str]:
    for token in re.findall(r"\*\*/|\*\*|\*|[^*]+", glob):
        yield {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}.get(token) or re.escape(token)
