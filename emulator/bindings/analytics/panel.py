"""Analytics Engine on the dashboard: the points of a dataset, and a console for SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from emulator.base.words import count
from emulator.bindings.panel import PAGE_ROWS, Panel, Sheet, cells, moment, result_sheet, skipped

if TYPE_CHECKING:
    from emulator.bindings.analytics.kind import OpenAnalytics


def _stores(kinds: OpenAnalytics) -> list[tuple[str, str]]:
    return [(name, name) for name in sorted({each.name for each in kinds.declared.values()})]


async def _look(kinds: OpenAnalytics, store: str, query: Mapping[str, str]) -> Sheet:
    points = kinds.store.points(store)[::-1]
    skip = skipped(query)
    rows = [
        cells(moment(each.at), each.index, ", ".join(each.blobs), ", ".join(map(str, each.doubles)))
        for each in points[skip : skip + PAGE_ROWS]
    ]
    more = {"skip": str(skip + PAGE_ROWS)} if len(points) > skip + PAGE_ROWS else {}
    return Sheet(("Written", "Index", "Blobs", "Doubles"), rows, more, text=count(len(points), "point"))


async def _run(kinds: OpenAnalytics, _store: str, text: str) -> Sequence[Sheet]:
    result = kinds.store.query(text)
    return [result_sheet(result.columns, result.rows)]


PANEL: Final = Panel(
    "Analytics Engine", "dataset", _stores, _look, lambda settings: str(settings.name), console="SQL", run=_run
)
