from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.base.errors import EmulatorError
from emulator.bindings.d1.sql import D1Error
from emulator.bindings.events import BindingUsed
from emulator.testing import AsyncEmulator, Emulator

WORKER = """
from pyodide.ffi import JsException
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        db = self.env.DB
        try:
            if request.method == "POST":
                await db.prepare("INSERT INTO users (name) VALUES (?)").bind(await request.text()).run()
            found = await db.prepare("SELECT name FROM users ORDER BY id").all()
            return Response(" ".join(row.name for row in found.results))
        except JsException as error:
            return Response(error.message)
"""
SETTINGS = {"d1_databases": [{"binding": "DB", "database_name": "shop", "database_id": "abc"}]}
USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(main=WORKER, settings=SETTINGS) as made:
        yield made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "wrangler.toml").write_text(
        'name = "app"\nmain = "entry.py"\ncompatibility_flags = ["python_workers"]\n'
        '[[d1_databases]]\nbinding = "DB"\nmigrations_dir = "sql"\nmigrations_table = "done"\n'
    )
    (tmp_path / "entry.py").write_text(WORKER)
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql/0001_users.sql").write_text(f"{USERS};")
    (tmp_path / "sql/0002_ada.sql").write_text("INSERT INTO users (name) VALUES ('Ada')")
    return tmp_path


def test_a_test_reads_and_seeds(emulator: Emulator) -> None:
    db = emulator.d1("DB")
    assert emulator.get("/").text == "D1_ERROR: no such table: users: SQLITE_ERROR"
    db.execute(f"{USERS}; INSERT INTO users (name) VALUES ('Ada')")
    assert emulator.post("/", content="Grace").text == "Ada Grace"
    assert db.execute("SELECT * FROM users WHERE name = ?", "Grace") == [{"id": 2, "name": "Grace"}]
    assert db.execute("SELECT ? AS a, ? AS b, x'00' AS c", None, 1) == [{"a": None, "b": 1.0, "c": b"\x00"}]
    assert db.tables() == ["users"]
    with pytest.raises(D1Error, match=r'near "selec": syntax error at offset 0: SQLITE_ERROR'):
        db.execute("selec")


def test_migrations_are_applied_once_and_copied(project: Path) -> None:
    for _ in range(2):
        with Emulator(project) as emulator:
            db = emulator.d1("DB")
            assert db.migrate() == ["0001_users.sql", "0002_ada.sql"]
            assert db.migrate() == []
            assert emulator.post("/", content="Grace").text == "Ada Grace"
            assert [row["name"] for row in db.execute("SELECT name FROM done ORDER BY id")] == [
                "0001_users.sql",
                "0002_ada.sql",
            ]
    (project / "sql/0003_bad.sql").write_text("INSERT INTO nowhere VALUES (1)")
    with Emulator(project) as emulator:
        with pytest.raises(EmulatorError, match=r"0003_bad\.sql cannot be applied: no such table: nowhere"):
            emulator.d1("DB").migrate()
        assert emulator.get("/").text == "Ada"


def test_snapshots_have_it(emulator: Emulator) -> None:
    db = emulator.d1("DB")
    db.execute(USERS)
    snapshot = emulator.snapshot()
    emulator.post("/", content="Ada")
    emulator.restore(snapshot)
    assert emulator.get("/").text == ""
    assert emulator.post("/", content="Grace").text == "Grace"


def test_calls_can_be_made_to_fail(emulator: Emulator) -> None:
    db = emulator.d1("DB")
    db.execute(USERS)
    db.fail_next()
    assert emulator.get("/").text == "D1_ERROR: D1 DB is overloaded. Requests queued for too long."
    assert emulator.get("/").text == ""


def test_each_operation_is_an_event(emulator: Emulator) -> None:
    used: list[BindingUsed] = []
    emulator._core.bus.subscribe(BindingUsed, used.append)
    emulator.get("/")
    emulator.d1("DB").execute(USERS)
    assert [(each.worker, each.kind, each.name, each.operation, each.key, each.error) for each in used] == [
        ("worker", "d1", "DB", "query", "SELECT name FROM users ORDER BY id", "no such table: users: SQLITE_ERROR"),
        ("", "d1", "abc", "query", USERS, ""),
    ]


def test_an_unknown_database_is_told_by_those_there_are(emulator: Emulator) -> None:
    with pytest.raises(EmulatorError, match=r"there is no D1 database 'SHOP'; the bindings are: DB"):
        emulator.d1("SHOP")


def test_in_async_tests_it_is_awaited() -> None:
    async def main() -> None:
        async with AsyncEmulator(main=WORKER, settings=SETTINGS) as emulator:
            db = emulator.d1("DB")
            await db.execute(USERS)
            assert await db.tables() == ["users"]

    asyncio.run(main())
