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
    for name, sound, path in section.stores("kv_namespaces", NAMESPACE_KEYS):
        section.bind(KIND, name, Namespace(sound.get("preview_id") or sound.get("id") or name), path)
