"""Describes in words how a configuration has changed since it was last read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from msgspec.structs import fields

from emulator.config.model import Bundling, WorkerConfig

if TYPE_CHECKING:
    from emulator.config.kind import ConfigKind

_PLAIN: Final = (
    ("name", "name"),
    ("main", "main"),
    ("compatibility_date", "compatibility_date"),
    ("cpu_ms", "limits.cpu_ms"),
    ("dev_port", "dev.port"),
    ("dev_ip", "dev.ip"),
    ("dev_inspector_port", "dev.inspector_port"),
    ("dev_protocol", "dev.local_protocol"),
    ("origin", "origin of requests"),
)


def describe_changes(old: WorkerConfig, new: WorkerConfig, kinds: Iterable[ConfigKind]) -> list[str]:
    """One phrase for each difference, such as `queue orders: max_batch_size 10 -> 5`, `var GREETING added` or `consumer
    of orders removed`. Names vars and secrets, but never shows their values."""
    return list(_changes(old, new, kinds))


def _changes(old: WorkerConfig, new: WorkerConfig, kinds: Iterable[ConfigKind]) -> Iterator[str]:
    for attribute, key in _PLAIN:
        yield from difference(key, getattr(old, attribute), getattr(new, attribute))
    yield from _bundling_changes(old.bundling, new.bundling)
    if old.build != new.build:
        yield "build changed"
    yield from set_changes("compatibility flag", sorted(old.compatibility_flags), sorted(new.compatibility_flags))
    for kind in kinds:
        yield from kind.changes(old, new)
    yield from set_changes("cron", old.crons, new.crons)


def _bundling_changes(old: Bundling, new: Bundling) -> Iterator[str]:
    for setting in fields(old):
        if getattr(old, setting.name) != getattr(new, setting.name):
            yield f"{setting.name} changed"


def difference(what: str, old: object, new: object) -> Iterator[str]:
    """`queue orders: max_batch_size 10 -> 5` if the two values differ, else nothing."""
    if old != new:
        yield f"{what} {_shown(old)} -> {_shown(new)}"


def set_changes(what: str, old: Collection[str], new: Collection[str]) -> Iterator[str]:
    """`producer ORDERS added` and `producer OLD removed`."""
    yield from (f"{what} {name} added" for name in new if name not in old)
    yield from (f"{what} {name} removed" for name in old if name not in new)


def mapping_changes(what: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    """What `set_changes` yields, and `var GREETING changed`."""
    yield from set_changes(what, old, new)
    for name, value in new.items():
        # 1, 1.0 and True are equal in Python, but they are different vars.
        if name in old and repr(old[name]) != repr(value):
            yield f"{what} {name} changed"


def _shown(value: object) -> str:
    return "none" if value in (None, "") else str(value)
