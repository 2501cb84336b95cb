"""Reads KV namespaces from a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.section import Key, Section

KIND: Final = "kv"
KEYS: Final[Mapping[str, Key]] = {"kv_namespaces": Key(checks.ARRAY)}
NAMESPACE_KEYS: Final[Mapping[str, Check]] = {
    "binding": checks.BINDING,
    "id": checks.TEXT,
    "preview_id": checks.TEXT,
    "remote": checks.BOOLEAN,
}


class Namespace(NamedTuple):
    """A namespace: its id, or the name of the binding where the configuration gives none."""

    id: str


def read_namespaces(section: Section) -> None:
    """Read the valid namespaces. As under wrangler dev, a `preview_id` counts more than the `id`."""
    for path, item in section.items("kv_namespaces"):
        sound = section.read_object(path, item, NAMESPACE_KEYS, required=("binding",))
        name = sound.get("binding")
        if name is None or not section.claim(name, (*path, "binding")):
            continue
        if sound.get("remote"):
            section.findings.not_here((*path, "remote"), "has no effect here: data stays on this machine")
        section.bind(KIND, name, Namespace(sound.get("preview_id") or sound.get("id") or name), (*path, "binding"))
