"""KV on the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from emulator.bindings.panel import PAGE_ROWS, Cell, Panel, Sheet, content, moment

if TYPE_CHECKING:
    from emulator.bindings.kv.kind import OpenKv

_COLUMNS: Final = ("Key", "Expires", "Metadata")


async def _look(kinds: OpenKv, store: str, query: Mapping[str, str]) -> Sheet:
    prefix, key = query.get("prefix", ""), query.get("key")
    listing = kinds.store.list(store, prefix=prefix, limit=PAGE_ROWS, cursor=query.get("cursor", ""))
    rows = [
        (
            Cell(each.name, {**query, "key": each.name}),
            Cell("" if each.expiration is None else moment(each.expiration)),
            Cell(each.metadata or ""),
        )
        for each in listing.keys
    ]
    more = {"prefix": prefix, "cursor": listing.cursor} if listing.cursor else {}
    entry = None if key is None else await kinds.store.get(store, key)
    return Sheet(_COLUMNS, rows, more, None if entry is None or key is None else content(key, entry.value))


PANEL: Final = Panel("KV", "namespace", lambda kinds: kinds.namespaces(), _look, lambda settings: str(settings.id))
