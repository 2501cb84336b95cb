"""Reads the keys that control how JavaScript is bundled. Python workers ignore them.

An environment inherits each of them from the top level, except `define`, which it must repeat. `alias` has an effect
only at the top level.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from emulator.config import checks
from emulator.config.checks import Check, found
from emulator.config.document import Findings, KeyPath
from emulator.config.model import ModuleRule

BUNDLING_KEYS: Final[Mapping[str, Check]] = {
    "rules": checks.ARRAY,
    "define": checks.OBJECT,
    "alias": checks.OBJECT,
    "no_bundle": checks.BOOLEAN,
    "base_dir": checks.TEXT,
    "find_additional_modules": checks.BOOLEAN,
    "preserve_file_names": checks.BOOLEAN,
    "minify": checks.BOOLEAN,
    "keep_names": checks.BOOLEAN,
    "tsconfig": checks.TEXT,
    "jsx_factory": checks.TEXT,
    "jsx_fragment": checks.TEXT,
}
_RULE_KEYS: Final[Mapping[str, Check]] = {
    "type": checks.MODULE_KIND,
    "globs": checks.ARRAY,
    "fallthrough": checks.BOOLEAN,
}


def read_bundling(findings: Findings, path: KeyPath, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Bundling` that `keys` sets. `keys` are those of a section; each has passed its check in
    `BUNDLING_KEYS`."""
    given = {key: keys[key] for key in BUNDLING_KEYS if key in keys}
    for key in ("define", "alias"):
        if key in given:
            given[key] = _texts(findings, (*path, key), given[key])
    if "rules" in given:
        rules = (_rule(findings, (*path, "rules", index), rule) for index, rule in enumerate(given["rules"]))
        given["rules"] = tuple(rule for rule in rules if rule is not None)
    return given


def inherited(top: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that an environment inherits from the top level unless it sets them itself."""
    return {key: top[key] for key in top if key != "define"}


def _texts(findings: Findings, path: KeyPath, value: Mapping[str, object]) -> dict[str, str]:
    for key, item in value.items():
        if not checks.STRING.accepts(item):
            findings.error((*path, key), f"must be {checks.STRING.allowed}, not {found(item)}")
    return {key: item for key, item in value.items() if isinstance(item, str)}


def _rule(findings: Findings, path: KeyPath, value: object) -> ModuleRule | None:
    if not isinstance(value, dict):
        findings.error(path, f"must be {checks.OBJECT.allowed}, not {found(value)}")
        return None
    is_sound = True
    for key in value.keys() - _RULE_KEYS.keys():
        findings.warn((*path, key), "is not a key that wrangler knows", code="unknown-key")
    for key, check in _RULE_KEYS.items():
        if key in value and not check.accepts(value[key]):
            findings.error((*path, key), f"must be {check.allowed}, not {found(value[key])}")
            is_sound = False
        elif key not in value and key != "fallthrough":
            findings.error((*path, key), f"is missing; it must be {check.allowed}", code="missing-key")
            is_sound = False
    if not is_sound:
        return None
    globs = cast("list[object]", value["globs"])
    for index, glob in enumerate(globs):
        if not checks.TEXT.accepts(glob):
            findings.error((*path, "globs", index), f"must be {checks.TEXT.allowed}, not {found(glob)}")
    return ModuleRule(
        value["type"], tuple(glob for glob in globs if isinstance(glob, str)), bool(value.get("fallthrough"))
    )
