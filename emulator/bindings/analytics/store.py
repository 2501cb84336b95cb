"""The data points of all datasets, and SQL over them.

A point that has too much is not recorded, as in production; nobody there says so, so a warning does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import apsw
import msgspec

from emulator.base.clock import Clock
from emulator.bindings.analytics.dialect import Rewritten, quoted_name, rewrite
from emulator.bindings.analytics.functions import AGGREGATES, SCALARS, date_text
from emulator.storage.database import Database

MAX_FIELDS: Final = 20
MAX_INDEX_BYTES: Final = 96
MAX_BLOB_BYTES: Final = 16_000
"""Of all blobs of a point together; that workerd counts so is not documented."""

MAX_POINTS: Final = 250
"""In one invocation."""

RETENTION_SECONDS: Final = 92 * 86_400

SCHEMA: Final = (
    """
    CREATE TABLE points (
        id INTEGER PRIMARY KEY, dataset TEXT NOT NULL, at REAL NOT NULL, index1 TEXT NOT NULL, blobs TEXT NOT NULL,
        doubles TEXT NOT NULL
    );
    CREATE INDEX by_time ON points (dataset, at)
    """,
)

_FIELDS: Final = range(1, MAX_FIELDS + 1)
_COLUMNS: Final = ", ".join(
    [
        "dataset",
        "strftime('%Y-%m-%d %H:%M:%S', at, 'unixepoch') AS timestamp",
        "1 AS _sample_interval",
        "index1",
        *(f"coalesce(json_extract(blobs, '$[{number - 1}]'), '') AS blob{number}" for number in _FIELDS),
        *(f"coalesce(json_extract(doubles, '$[{number - 1}]'), 0.0) AS double{number}" for number in _FIELDS),
    ]
)
_READS: Final = frozenset({apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE})


class AnalyticsError(Exception):
    """A query is refused: what is wrong with it."""


class DataPoint(msgspec.Struct, frozen=True):
    """A point that was written; `at` is in seconds since the epoch."""

    at: float
    index: str
    blobs: Sequence[str]
    doubles: Sequence[float | None]


class QueryResult(msgspec.Struct, frozen=True):
    """The rows of a query, and how they are to be written: JSON, JSONEachRow or TabSeparated."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    format: str

    def objects(self) -> list[dict[str, Any]]:
        """The rows, by the names of the columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def refusal(indexes: Sequence[bytes], blobs: Sequence[bytes], doubles: Sequence[float]) -> str:
    """Why a point is not recorded; empty if it is."""
    for name, values, most in (("indexes", indexes, 1), ("blobs", blobs, MAX_FIELDS), ("doubles", doubles, MAX_FIELDS)):
        if len(values) > most:
            return f"Maximum of {most} {name} supported."
    if indexes and len(indexes[0]) > MAX_INDEX_BYTES:
        return f"Size of indexes[0] exceeds {MAX_INDEX_BYTES} bytes."
    if sum(map(len, blobs)) > MAX_BLOB_BYTES:
        return f"Cumulative size of blobs exceeds {MAX_BLOB_BYTES} bytes."
    return ""


class AnalyticsStore:
    """All datasets. One exists once it is declared, or has points."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._prepared: apsw.Connection | None = None
        self.declared: set[str] = set()
        """The names of the datasets that bindings lead to."""

    def write(self, dataset: str, index: str, blobs: Sequence[str], doubles: Sequence[float]) -> None:
        """Record a point, which was checked."""
        now = self._clock.now()
        values = (dataset, now, index, json.dumps(blobs, ensure_ascii=False), json.dumps(doubles))
        self._database.change(
            "INSERT INTO points (dataset, at, index1, blobs, doubles) VALUES (?, ?, ?, ?, ?)", *values
        )
        self._database.change("DELETE FROM points WHERE dataset = ? AND at < ?", dataset, now - RETENTION_SECONDS)

    def points(self, dataset: str) -> list[DataPoint]:
        """The points of a dataset, the oldest first."""
        rows = self._database.rows(
            "SELECT at, index1, blobs, doubles FROM points WHERE dataset = ? ORDER BY id", dataset
        )
        return [
            DataPoint(at, index, json.loads(blobs), [None if each != each else each for each in json.loads(doubles)])  # noqa: PLR0124 - not a number
            for at, index, blobs, doubles in rows
        ]

    def clear(self, dataset: str) -> None:
        """Remove all points of a dataset."""
        self._database.change("DELETE FROM points WHERE dataset = ?", dataset)

    def datasets(self) -> list[str]:
        """The names of all datasets."""
        written = {str(row[0]) for row in self._database.rows("SELECT DISTINCT dataset FROM points")}
        return sorted(written | self.declared)

    def query(self, sql: str) -> QueryResult:
        """Answer a query in the dialect of Analytics Engine, as far as SQLite can. Raises AnalyticsError."""
        try:
            asked = rewrite(sql)
        except ValueError as error:
            raise AnalyticsError(str(error)) from None
        if asked.shows is not None:
            rows = [[name, "dataset"] for name in self.datasets()] if asked.shows == "tables" else [["Etc/UTC"]]
            names = ["dataset", "type"] if asked.shows == "tables" else ["timezone"]
            return QueryResult(names, rows, asked.format)
        with self._reading() as connection:
            return _select(connection, asked)

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        """A connection that has the datasets as tables, and lets nobody change anything."""
        connection = self._database.connection
        if self._prepared is not connection:
            for name, (function, arguments) in SCALARS.items():
                connection.create_scalar_function(name, function, arguments, deterministic=True)
            for name, (aggregate, arguments) in AGGREGATES.items():
                connection.create_aggregate_function(name, aggregate, arguments)
            self._prepared = connection
        connection.create_scalar_function("now", lambda *_: date_text(self._clock.now()), 0)
        connection.create_scalar_function("today", lambda *_: date_text(self._clock.now())[:10], 0)
        for dataset in self.datasets():
            name, text = quoted_name(dataset), "'" + dataset.replace("'", "''") + "'"
            select = f"SELECT {_COLUMNS} FROM main.points WHERE dataset = {text}"
            connection.execute(f"CREATE TEMP VIEW IF NOT EXISTS {name} AS {select}")
        connection.authorizer = lambda operation, *_: apsw.SQLITE_OK if operation in _READS else apsw.SQLITE_DENY
        try:
            yield connection
        finally:
            connection.authorizer = None


def _select(connection: apsw.Connection, asked: Rewritten) -> QueryResult:
    """The rows of one statement."""
    columns: list[list[str]] = []

    def begins(cursor: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
        columns.append([each[0] for each in cursor.get_description()])
        return len(columns) == 1

    cursor = connection.cursor()
    cursor.exec_trace = begins
    try:
        rows = cursor.execute(asked.sql).fetchall()
    except apsw.ExecTraceAbort:
        raise AnalyticsError("unable to process query: one statement at a time") from None
    except (apsw.Error, ValueError, TypeError, ArithmeticError) as error:
        raise AnalyticsError(f"unable to process query: {error}") from None
    return QueryResult(columns[0] if columns else [], [list(row) for row in rows], asked.format)
