"""D1 on the dashboard: tables, and a console for SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from emulator.base.words import count
from emulator.bindings.d1.database import Query, Result
from emulator.bindings.panel import PAGE_ROWS, Cell, Panel, Sheet, result_sheet, skipped

if TYPE_CHECKING:
    from emulator.bindings.d1.kind import OpenD1


def _name(text: str) -> str:
    """A name as SQL writes it."""
    return '"' + text.replace('"', '""') + '"'


def _sheet(result: Result, more: Mapping[str, str] | None = None) -> Sheet:
    changes = result.meta.get("changes", 0)
    return result_sheet(result.columns, result.rows, more, f"{count(changes, 'row')} changed" if changes else "")


async def _look(kinds: OpenD1, store: str, query: Mapping[str, str]) -> Sheet:
    database = kinds.stores.open(store)
    table = query.get("table")
    tables = database.tables()
    if table is not None and table in tables:
        skip = skipped(query)
        sql = f"SELECT * FROM {_name(table)} LIMIT {PAGE_ROWS} OFFSET {skip}"
        [result] = await database.run([Query(sql, [])])
        is_full = len(result.rows) == PAGE_ROWS
        return _sheet(result, {"table": table, "skip": str(skip + PAGE_ROWS)} if is_full else {})
    counted = (
        await database.run([Query(f"SELECT count(*) FROM {_name(name)}", []) for name in tables]) if tables else []
    )
    rows = [
        (Cell(name, {"table": name}), Cell(str(result.rows[0][0])))
        for name, result in zip(tables, counted, strict=True)
    ]
    return Sheet(("Table", "Rows"), rows)


async def _run(kinds: OpenD1, store: str, text: str) -> Sequence[Sheet]:
    return [_sheet(result) for result in await kinds.database(store).run_each(text)]


PANEL: Final = Panel(
    "D1",
    "database",
    lambda kinds: [(entry.id, entry.name) for entry in kinds.stores.entries()],
    _look,
    lambda settings: str(settings.id),
    "SQL",
    _run,
)
