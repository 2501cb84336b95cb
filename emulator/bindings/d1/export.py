"""A database as the SQL that makes a copy of it, as the service exports it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emulator.bindings.d1.sql import D1Error
from emulator.storage.database import Database

_TABLES = (
    "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL "
    "ORDER BY tbl_name = 'sqlite_sequence', rowid"
)
_REST = (
    "SELECT name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger', 'view') AND sql IS NOT NULL "
    "ORDER BY type COLLATE NOCASE"
)
_VIRTUAL = "D1 Export error: cannot export databases with Virtual Tables (fts5)"


def export(database: Database, *, schema: bool, data: bool, tables: Sequence[str]) -> Iterator[str]:
    """The statements, a line or more each; of `tables` alone, if there are any. Raises D1Error if there is a virtual
    table."""
    yield "PRAGMA defer_foreign_keys=TRUE;"
    for name, sql in database.rows(_TABLES):
        if tables and name not in tables:
            continue
        if sql.upper().startswith("CREATE VIRTUAL TABLE"):
            raise D1Error(_VIRTUAL)
        if name == "sqlite_sequence":
            if schema:
                yield "DELETE FROM sqlite_sequence;"
        elif name.startswith("sqlite_"):
            continue
        elif schema:
            yield f"{_if_absent(sql)};"
        if data:
            yield from _rows(database, name)
    if schema:
        yield from (f"{sql};" for name, sql in database.rows(_REST) if not tables or name in tables)


def _if_absent(sql: str) -> str:
    quoted = sql.removeprefix("CREATE TABLE ")
    return f"CREATE TABLE IF NOT EXISTS {quoted}" if quoted != sql and quoted[:1] in {'"', "'"} else sql


def _rows(database: Database, table: str) -> Iterator[str]:
    columns = [_quoted(row[1]) for row in database.rows(f"PRAGMA table_info({_quoted(table)})")]
    names = ",".join(columns)
    literals = ", ".join(f"quote({column})" for column in columns)
    for row in database.connection.execute(f"SELECT {literals} FROM {_quoted(table)}"):
        yield f"INSERT INTO {_quoted(table)} ({names}) VALUES({','.join(map(str, row))});"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
