"""One D1 database: SQLite, with the limits, the counters and the words of the service."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import Any, Final

import apsw
import msgspec

from emulator.bindings.d1.export import export
from emulator.bindings.d1.sql import (
    LIMITS,
    MAX_SQL_BYTES,
    MODULES,
    NOTHING,
    TOO_LONG,
    TRANSACTIONS,
    D1Error,
    changes_schema,
    is_allowed,
    refusal,
    statements,
)
from emulator.storage.database import Database

MAX_SECONDS: Final = 30.0
"""How long a call may take."""

QUICK_SECONDS: Final = 0.005
"""How long a call may keep the event loop busy. One that takes longer begins anew on a thread."""

_STEPS: Final = 1_000
"""After how many instructions of SQLite's machine the time is looked at."""

_COUNTS: Final = re.compile(r"\bcount\s*\(", re.IGNORECASE)

Value = float | int | str | bytes | None


class Query(msgspec.Struct):
    """What is asked: SQL, and the values of its parameters."""

    sql: str
    params: Sequence[Value] = ()


class Result(msgspec.Struct):
    """The rows of a query, and what there is to say of it."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    meta: dict[str, Any]

    def raw(self) -> dict[str, Any]:
        """The result as rows of values; bytes are lists of numbers, as everywhere in D1's JSON."""
        return {"columns": self.columns, "rows": [[_plain(value) for value in row] for row in self.rows]}

    def objects(self) -> list[dict[str, Any]]:
        """The rows by the names of their columns. Of columns with one name, the last counts."""
        return [dict(zip(self.columns, map(_plain, row), strict=True)) for row in self.rows]


def from_json(params: Sequence[Any] | None) -> list[Value]:
    """Values of parameters as they come in JSON."""
    return [bytes(each) if type(each) is list else each for each in params or ()]


class SqlStore:
    """A database in `database`, which nobody else may use. Calls come one after the other."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.connection
        self._turn = asyncio.Lock()
        self._guards = False
        """Whether what runs is not the emulator's own."""
        self._forbidden = ""
        self._ends = 0.0
        self._columns: Sequence[tuple[str, str | None, str | None, str | None, str | None]] = []
        self._only_reads = False
        self._scanned = 0
        self._written: Counter[tuple[str, str, tuple[int, ...]]] = Counter()
        self._indexes: dict[str, list[frozenset[int]]] = {}
        self._connection.execute("PRAGMA foreign_keys = on; PRAGMA recursive_triggers = off").fetchall()
        for limit, most in LIMITS.items():
            self._connection.limit(limit, most)
        self._page_bytes = int(self._connection.pragma("page_size"))
        self._size = 0
        self._connection.drop_modules(MODULES)
        self._connection.authorizer = self._authorize
        self._connection.exec_trace = self._begins
        self._connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._ended)
        self._connection.preupdate_hook(self._changes)
        self._connection.set_progress_handler(self._is_late, _STEPS)

    async def run(self, queries: Sequence[Query], seconds: float = MAX_SECONDS) -> list[Result]:
        """The results of queries, all in one transaction: one that fails undoes the others. Raises D1Error, also if it
        takes longer."""
        async with self._turn:
            if self._database.path is None:
                return self._run(queries, seconds)
            with suppress(_TooLongError):
                return self._run(queries, QUICK_SECONDS)
            return await asyncio.to_thread(self._run, queries, seconds)

    async def run_each(self, sql: str, seconds: float = MAX_SECONDS) -> list[Result]:
        """The results of each statement in `sql`, all in one transaction. Raises D1Error."""
        return await self.run([Query(statement) for statement in statements(sql)], seconds)

    async def export(self, *, schema: bool = True, data: bool = True, tables: Sequence[str] = ()) -> list[str]:
        """The statements that make a copy; see `export`. Raises D1Error."""
        async with self._turn:
            return list(export(self._database, schema=schema, data=data, tables=tables))

    def size(self) -> int:
        """The size in bytes."""
        return int(self._connection.execute("PRAGMA page_count").get) * self._page_bytes

    def tables(self) -> list[str]:
        """The names of the tables, in order."""
        rows = self._database.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return sorted(name for (name,) in rows)

    def applied(self, table: str) -> list[str]:
        """The names of the migrations that `table` says have been applied."""
        if table not in self.tables():
            return []
        quoted = table.replace('"', '""')
        return [str(name) for (name,) in self._database.rows(f'SELECT name FROM "{quoted}" ORDER BY id')]

    def clear(self) -> None:
        """Remove everything."""
        self._database.clear()
        self._indexes.clear()

    def contents(self) -> bytes:
        """The whole database."""
        return self._database.contents()

    def replace(self, contents: bytes) -> None:
        """Replace everything by the contents of another database."""
        self._database.replace(contents)
        self._indexes.clear()

    def _run(self, queries: Sequence[Query], seconds: float) -> list[Result]:
        asked = [(found, query.params) for query in queries if (found := statements(query.sql))]
        if not asked:
            raise D1Error(NOTHING)
        self._ends = perf_counter() + seconds
        try:
            if len(asked) == 1 and len(asked[0][0]) == 1 and not _vacuums(asked[0][0][0]):
                return [self._answer(*asked[0])]
            with self._transaction():
                return [self._answer(*each) for each in asked]
        except apsw.Error as error:
            if isinstance(error, apsw.InterruptError) and seconds == QUICK_SECONDS:
                raise _TooLongError from None
            if self._forbidden and isinstance(error, apsw.AuthError):
                raise D1Error(self._forbidden) from None
            raise refusal(error) from None
        finally:
            self._ends = float("inf")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._ends = float("inf")
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _answer(self, texts: Sequence[str], params: Sequence[Value]) -> Result:
        """Execute statements of one query. The last one has the parameters, the rows and the counters."""
        connection = self._connection
        if perf_counter() > self._ends:
            raise apsw.InterruptError
        changes, last_row = connection.total_changes(), connection.last_insert_rowid()
        if any(len(text) > MAX_SQL_BYTES for text in texts):
            raise D1Error(TOO_LONG)
        self._forbidden = ""
        self._guards = True
        began = perf_counter()
        try:
            for text in texts[:-1]:
                connection.execute(text).fetchall()
            self._columns = []
            self._scanned = 0
            self._written.clear()
            rows = connection.execute(texts[-1], [float(each) if type(each) is int else each for each in params])
            content = rows.fetchall()
        finally:
            self._guards = False
        duration = (perf_counter() - began) * 1000
        scanned = self._rows_read(texts[-1], content)
        written = self._rows_written()
        changed, last_row_after = connection.total_changes() - changes, connection.last_insert_rowid()
        size, self._size = self._size, self.size()
        has_changed = not self._only_reads and self._size != size
        meta = {
            "served_by": "emulator",
            "served_by_primary": True,
            "total_attempts": 1,
            "timings": {"sql_duration_ms": duration},
            "duration": duration,
            "changes": changed,
            "last_row_id": last_row_after,
            "changed_db": changed != 0 or last_row_after != last_row or has_changed,
            "size_after": self._size,
            "rows_read": scanned,
            "rows_written": written,
        }
        return Result([column[0] for column in self._columns], content, meta)

    def _rows_read(self, sql: str, rows: Sequence[Sequence[Value]]) -> int:
        """About how many rows a statement has read: SQLite itself counts only the steps of full scans."""
        scanned = self._scanned + 1 if self._scanned else 0
        if scanned:
            return scanned
        if len(rows) == 1 and _COUNTS.search(sql):
            return max((value for value in rows[0] if isinstance(value, int)), default=0)
        of_tables = any(table for _, _, _, table, _ in self._columns)
        looked_up = sum(number for (kind, *_), number in self._written.items() if kind != "INSERT")
        return max(len(rows) if of_tables else 0, looked_up)

    def _rows_written(self) -> int:
        """How many rows of tables and indexes a statement has written."""
        total = 0
        for (kind, table, columns), number in list(self._written.items()):
            each = 1
            if kind == "INSERT":
                each += len(self._indexes_of(table))
            elif kind == "UPDATE":
                each += sum(bool(index.intersection(columns)) for index in self._indexes_of(table))
            elif self._written["INSERT", table, ()]:  # they were replaced
                continue
            total += each * number
        return total

    def _indexes_of(self, table: str) -> list[frozenset[int]]:
        """The columns of each index of a table, by number; expressions are -2."""
        found = self._indexes.get(table)
        if found is None:
            rows = self._database.rows
            without_rowid = any(row[0] for row in rows("SELECT wr FROM pragma_table_list(?)", table))
            found = self._indexes[table] = [
                frozenset(row[0] for row in rows("SELECT cid FROM pragma_index_info(?)", name))
                for name, origin in rows("SELECT name, origin FROM pragma_index_list(?)", table)
                if not (without_rowid and origin == "pk")
            ]
        return found

    def _authorize(self, action: int, first: str | None, second: str | None, _schema: object, _by: object) -> int:
        if self._guards and not is_allowed(action, first, second):
            if action in {apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT}:
                self._forbidden = TRANSACTIONS
            return int(apsw.SQLITE_DENY)
        if changes_schema(action):
            self._indexes.clear()
        return int(apsw.SQLITE_OK)

    def _begins(self, cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        if self._guards:
            self._columns = cursor.description_full or []
            self._only_reads = cursor.is_readonly
        return True

    def _ended(self, event: Mapping[str, Any]) -> None:
        if self._guards:
            self._scanned = event["stmt_status"]["SQLITE_STMTSTATUS_FULLSCAN_STEP"]

    def _changes(self, update: apsw.PreUpdate) -> None:
        if not self._guards:
            return
        columns: tuple[int, ...] = ()
        if update.op == "UPDATE" and update.update is not None:
            columns = tuple(number for number, new in enumerate(update.update) if new is not apsw.no_change)
        self._written[update.op, update.table_name, columns] += 1

    def _is_late(self) -> bool:
        return perf_counter() > self._ends


def _plain(value: Value) -> Any:
    return list(value) if type(value) is bytes else value


class _TooLongError(Exception):
    """A call would keep the event loop busy."""


def _vacuums(sql: str) -> bool:
    """Whether a statement would be possible only outside a transaction, where the service has none."""
    return sql.lstrip()[:6].upper() == "VACUUM"
