"""R2 on the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from emulator.bindings.panel import MAX_SHOWN_BYTES, PAGE_ROWS, Cell, Excerpt, Panel, Sheet, content, moment
from emulator.bindings.r2.objects import R2Range

if TYPE_CHECKING:
    from emulator.bindings.r2.kind import OpenR2

_COLUMNS: Final = ("Key", "Bytes", "Type", "Uploaded")


async def _look(kinds: OpenR2, store: str, query: Mapping[str, str]) -> Sheet:
    prefix, key = query.get("prefix", ""), query.get("key")
    listing = kinds.store.list(store, prefix=prefix, limit=PAGE_ROWS, cursor=query.get("cursor", ""))
    rows = [
        (
            Cell(each.key, {**query, "key": each.key}),
            Cell(f"{each.size:,}"),
            Cell(str(each.metadata.http.get("contentType", ""))),
            Cell(moment(each.uploaded / 1000)),
        )
        for each in listing.objects
    ]
    more = {"prefix": prefix, "cursor": listing.cursor} if listing.cursor else {}
    return Sheet(_COLUMNS, rows, more, None if key is None else await _content(kinds, store, key))


async def _content(kinds: OpenR2, store: str, key: str) -> Excerpt | None:
    head = kinds.store.head(store, key)
    if head is None or head.metadata.customer_key:
        return None
    wanted = R2Range(0, min(head.size, MAX_SHOWN_BYTES)) if head.size else None
    got = kinds.store.get(store, key, wanted)
    if got is None or got[1] is None:
        return None
    return content(key, b"".join([piece async for piece in got[1]]), head.size)


PANEL: Final = Panel(
    "R2",
    "bucket",
    lambda kinds: [(name, name) for name in sorted(kinds.buckets())],
    _look,
    lambda settings: str(settings.name),
)
