"""Which files become modules of their own when JavaScript imports them: wrangler's module rules.

A rule of the configuration comes before wrangler's own. Unless it has `fallthrough`, it is the last of its kind: what
the rules after it name is then an error to import, as in wrangler.

Bundling goes by the endings of files, as that is what esbuild knows. A glob that is about something else than an ending
counts only where nothing is bundled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Endings:
    """What a bundle makes of files by their endings, such as `.txt`. `kinds` are those that become modules; `ignored`
    those of a rule that does not count; `unusable` the globs that are about no ending."""

    kinds: Mapping[str, ModuleKind]
    ignored: frozenset[str]
    unusable: Sequence[str]

    @property
    def all(self) -> frozenset[str]:
        """Every ending that a rule is about."""
        return self.ignored.union(self.kinds)

    def kind(self, file: str) -> ModuleKind | None:
        """What `file` becomes."""
        return self.kinds.get(self._ending(file))

    def ignored_ending(self, file: str) -> str:
        """The ending of `file` when only a rule that does not count is about it, else nothing."""
        ending = self._ending(file)
        return ending if ending in self.ignored else ""

    def _ending(self, file: str) -> str:
        """Of two endings that a file has, the longer one counts."""
        return max((ending for ending in self.all if file.endswith(ending)), key=len, default="")


def endings(rules: Sequence[ModuleRule]) -> Endings:
    """The endings that the rules of a configuration and wrangler's own are about."""
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
    """What tells the kind of a file by its path with slashes, where nothing is bundled. The first match counts."""
    return [
        (_pattern(glob), _KINDS[rule.kind]) for rule in _parted(rules)[0] if rule.kind in _KINDS for glob in rule.globs
    ]


def _parted(rules: Sequence[ModuleRule]) -> tuple[list[ModuleRule], list[ModuleRule]]:
    """The rules that count and those that do not, because one of their kind before them is the last one."""
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
    """`*` is anything but a slash, `**/` any directories."""
    return re.compile("".join(_translated(glob)) + r"\Z")


def _translated(glob: str) -> Iterator[str]:
    for token in re.findall(r"\*\*/|\*\*|\*|[^*]+", glob):
        yield {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}.get(token) or re.escape(token)
