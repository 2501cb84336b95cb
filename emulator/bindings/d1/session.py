"""One database, as a binding, the REST API or a test uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from emulator.bindings.d1.database import MAX_SECONDS, Query, Result, SqlStore
from emulator.bindings.d1.store import SqlStores
from emulator.bindings.use import Use

_MAX_SHOWN: Final = 200


class SqlSession:
    """The operations on a database. All raise D1Error."""

    def __init__(self, stores: SqlStores, identifier: str, use: Use) -> None:
        self.id = identifier
        self.store: SqlStore = stores.open(identifier)
        self._stores = stores
        self._use = use

    async def run(self, queries: Sequence[Query], operation: str = "query") -> list[Result]:
        """The results of queries, all in one transaction."""
        async with self._use(operation, _shown(queries)):
            return await self.store.run(queries)

    async def run_each(self, sql: str, seconds: float = MAX_SECONDS) -> list[Result]:
        """The results of each statement in `sql`, all in one transaction."""
        async with self._use("query", _shown([Query(sql)])):
            return await self.store.run_each(sql, seconds)

    async def export(self, *, schema: bool = True, data: bool = True, tables: Sequence[str] = ()) -> list[str]:
        """The statements that make a copy."""
        async with self._use("export", ", ".join(tables)):
            return await self.store.export(schema=schema, data=data, tables=tables)

    def bookmark(self) -> str:
        """Says up to when the database has been seen."""
        return self._stores.bookmark()


def _shown(queries: Sequence[Query]) -> str:
    text = " ".join(" ".join(query.sql[:_MAX_SHOWN].split()) for query in queries[:3])
    return text if len(text) < _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
