"""The caches on the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from emulator.bindings.panel import PAGE_ROWS, Cell, Panel, Sheet, cells, skipped

if TYPE_CHECKING:
    from emulator.bindings.cache.kind import OpenCaches

DEFAULT: Final = "default"
"""How the cache without a name is called here."""


def _stores(kinds: OpenCaches) -> list[tuple[str, str]]:
    names = {"", *kinds.names()}
    return [(name or DEFAULT, f"caches.open({name})" if name else "caches.default") for name in sorted(names)]


async def _look(kinds: OpenCaches, store: str, query: Mapping[str, str]) -> Sheet:
    keys = kinds.store.keys("" if store == DEFAULT else store)
    skip = skipped(query)
    rows: list[list[Cell]] = [cells(key) for key in keys[skip : skip + PAGE_ROWS]]
    return Sheet(("Key",), rows, {"skip": str(skip + PAGE_ROWS)} if len(keys) > skip + PAGE_ROWS else {})


PANEL: Final = Panel("Cache", "cache", _stores, _look)
