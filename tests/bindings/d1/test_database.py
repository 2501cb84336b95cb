from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.base.clock import VirtualClock
from emulator.bindings.d1 import database
from emulator.bindings.d1.config import SqlDatabase
from emulator.bindings.d1.database import Query, SqlStore
from emulator.bindings.d1.sql import D1Error, statements
from emulator.bindings.d1.store import SqlStores
from emulator.storage.database import Database
from emulator.storage.state import State

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
LONG = f"{ENDLESS[: -len(' SELECT count(*) FROM n')][:-1]} WHERE i < 2000000) SELECT count(*) AS n FROM n"


def made(path: Path | None = None) -> SqlStore:
    return SqlStore(Database(path, None))


def ask(store: SqlStore, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    return list(asyncio.run(store.run([Query(sql, params)]))[-1].rows)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", ["SELECT 1"]),
        (" SELECT 1 ; SELECT 2;", [" SELECT 1 ;", " SELECT 2;"]),
        ("SELECT ';'; -- a; b\nSELECT 2", ["SELECT ';';", " -- a; b\nSELECT 2"]),
        ("/* ; */ ; ;; -- end", []),
        ("", []),
        (
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END; SELECT 3",
            ["CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;", " SELECT 3"],
        ),
        ("SELECT 'unfinished; SELECT 2", ["SELECT 'unfinished; SELECT 2"]),
    ],
)
def test_sql_is_divided_into_statements(sql: str, expected: list[str]) -> None:
    assert statements(sql) == expected


def test_what_takes_long_goes_on_beside_the_event_loop(tmp_path: Path) -> None:
    store = made(tmp_path / "db.sqlite")

    async def main() -> tuple[list[Any], int]:
        running = asyncio.ensure_future(store.run([Query(LONG)]))
        turns = 0
        while not running.done():
            await asyncio.sleep(0)
            turns += 1
        return list((await running)[0].rows), turns

    rows, turns = asyncio.run(main())
    assert rows == [(2_000_000,)]
    assert turns > 20  # the loop was free meanwhile


def test_calls_come_one_after_the_other(tmp_path: Path) -> None:
    store = made(tmp_path / "db.sqlite")
    ask(store, "CREATE TABLE t (a)")

    async def main() -> list[Any]:
        slow = store.run([Query(f"INSERT INTO t {LONG}")])
        quick = store.run([Query("SELECT a FROM t")])
        return list((await asyncio.gather(slow, quick))[1][0].rows)

    assert asyncio.run(main()) == [(2_000_000,)]


def test_in_memory_nothing_needs_a_thread() -> None:
    before = threading.active_count()
    assert ask(made(), LONG) == [(2_000_000,)]
    assert threading.active_count() == before


def test_a_query_has_thirty_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MAX_SECONDS", 0.05)
    for path in (None, tmp_path / "db.sqlite"):
        store = made(path)
        ask(store, "CREATE TABLE t (a)")
        with pytest.raises(D1Error, match="exceeded timeout which caused object to be reset"):
            asyncio.run(store.run([Query("INSERT INTO t VALUES (1)"), Query(ENDLESS)], seconds=0.05))
        assert ask(store, "SELECT * FROM t") == []


def test_a_constraint_that_is_checked_at_the_end_undoes_all() -> None:
    store = made()
    ask(
        store,
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    with pytest.raises(
        D1Error, match=r"FOREIGN KEY constraint failed: SQLITE_CONSTRAINT \(extended: SQLITE_CONSTRAINT_FO"
    ):
        asyncio.run(store.run([Query("INSERT INTO a VALUES (1)"), Query("INSERT INTO b VALUES (2)")]))
    assert ask(store, "SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b)") == [(0,)]
    asyncio.run(store.run([Query("INSERT INTO b VALUES (1)"), Query("INSERT INTO a VALUES (1)")]))


def test_a_statement_that_rolls_back_by_itself_is_an_error_like_others() -> None:
    store = made()
    ask(store, "CREATE TABLE a (id INTEGER PRIMARY KEY)")
    with pytest.raises(D1Error, match="UNIQUE constraint failed"):
        ask(store, "INSERT INTO a VALUES (1); INSERT OR ROLLBACK INTO a VALUES (1); SELECT 1")
    assert ask(store, "SELECT count(*) FROM a") == [(0,)]


def test_nothing_leads_out_of_the_database(tmp_path: Path) -> None:
    store = made(tmp_path / "db.sqlite")
    for sql in (
        f"ATTACH '{tmp_path}/other.sqlite' AS other",
        f"VACUUM INTO '{tmp_path}/other.sqlite'",
        "PRAGMA journal_mode = delete",
        "PRAGMA writable_schema = on",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM dbstat",
        "SELECT load_extension('x')",
        "CREATE TEMP TABLE t (a)",
        "BEGIN",
    ):
        with pytest.raises(D1Error):
            ask(store, sql)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db.sqlite", "db.sqlite-shm", "db.sqlite-wal"]


def test_each_database_has_a_file_whatever_its_id(tmp_path: Path) -> None:
    stores = SqlStores(State(tmp_path), VirtualClock(1_800_000_000.0))
    names = ["abc", "a/b", "..", ".", "é" * 80, "A", "a"]
    for name in names:
        stores.declare(name, f"the {name}")
        ask(stores.open(name), "CREATE TABLE t (name); ")
        ask(stores.open(name), "INSERT INTO t VALUES (?)", name)
    again = SqlStores(State(tmp_path), VirtualClock(1_800_000_000.0))
    assert [ask(again.open(name), "SELECT name FROM t") for name in names] == [[(name,)] for name in names]
    assert {entry.id for entry in again.entries()} == set(names)
    assert len(list((tmp_path / "bindings/d1").glob("*.sqlite"))) == len(names)
    assert SqlDatabase("abc", "x").migrations_pattern == "migrations/*.sql"


VALUES = st.one_of(
    st.none(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(max_size=20), st.binary(max_size=20)
)
WORK = st.lists(
    st.tuples(st.sampled_from(["insert", "update", "delete", "batch"]), st.integers(0, 5), VALUES), max_size=20
)


@settings(max_examples=60)
@given(WORK)
def test_it_is_sqlite(work: list[tuple[str, int, Any]]) -> None:
    store, plain = made(), sqlite3.connect(":memory:", isolation_level=None)
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, value UNIQUE)"
    ask(store, table)
    plain.execute(table)
    changes = {
        "insert": "INSERT OR IGNORE INTO t VALUES (?2, ?1)",
        "update": "UPDATE OR REPLACE t SET value = ?1 WHERE id <= ?2",
        "delete": "DELETE FROM t WHERE value = ?1 OR id = ?2",
    }
    for kind, number, value in work:
        given_value = float(value) if isinstance(value, int) else value
        if kind == "batch":
            queries = [
                Query("INSERT INTO t VALUES (?, ?)", [number, value]),
                Query("INSERT INTO t VALUES (0, 1), (0, 2)"),
            ]
            with pytest.raises(D1Error):
                asyncio.run(store.run(queries))
        else:
            ask(store, changes[kind], value, number)
            plain.execute(changes[kind], (given_value, float(number)))
    expected = plain.execute("SELECT id, value, typeof(value) FROM t ORDER BY id").fetchall()
    assert ask(store, "SELECT id, value, typeof(value) FROM t ORDER BY id") == expected
