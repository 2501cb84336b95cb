"""`emulator d1` in a directory in which no session runs; `tests/integration/test_d1.py` has a session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emulator.cli import cli
from tests.support.runtime_directory import runtime  # noqa: F401 - a fixture


def emulator(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["d1", *arguments], input=given)


def rows(sql: str) -> object:
    return json.loads(emulator("execute", "DB", sql, "--json").output)[-1]["results"]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, which is the working directory."""
    databases = [{"binding": "DB", "database_name": "shop", "database_id": "abc"}]
    configuration = {"name": "app", "main": "entry.py", "d1_databases": databases}
    (tmp_path / "wrangler.json").write_text(json.dumps({**configuration, "compatibility_flags": ["python_workers"]}))
    (tmp_path / "entry.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sql_is_executed_and_rows_are_shown() -> None:
    created = emulator("execute", "DB", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
    assert (created.exit_code, created.output.startswith("0 rows (")) == (0, True)
    added = emulator("execute", "shop", "INSERT INTO users (name) VALUES ('Ada'), (NULL)")
    assert added.output.startswith("2 rows changed (")
    lines = emulator("execute", "abc", "SELECT * FROM users; SELECT 1 AS one").output.splitlines()
    assert [line.rstrip() for line in lines[:3]] == ["id  name", "1   Ada", "2   NULL"]
    assert lines[3].startswith("2 rows (")
    assert lines[4:6] == ["one", "1"]
    given = emulator("execute", "DB", "-", "--param", "Ada", "--json", given=b"SELECT id FROM users WHERE name = ?")
    assert json.loads(given.output)[0]["results"] == [{"id": 1}]
    assert emulator("list").output.splitlines()[1].split() == ["DB", "shop", "1", "8,192", "abc"]
    assert json.loads(emulator("list", "--json").output)[0]["bindings"] == ["DB"]


def test_a_file_is_executed_as_a_whole_or_not_at_all(project: Path) -> None:
    (project / "seed.sql").write_text("CREATE TABLE t (a);\n" + "INSERT INTO t VALUES (1);\n" * 500)
    done = emulator("execute", "DB", "--file", "seed.sql")
    assert done.output.startswith("Executed 501 statements in ")
    assert done.output.endswith("500 rows written)\n")
    assert json.loads(emulator("execute", "DB", "--file", "seed.sql", "--json").stdout or "null") is None
    (project / "bad.sql").write_text("INSERT INTO t VALUES (2); -- it's one\nINSERT INTO nowhere VALUES (3);")
    refused = emulator("execute", "DB", "--file", "bad.sql")
    assert refused.exit_code == 2
    assert "bad.sql cannot be executed, and has changed nothing: no such table: nowhere" in refused.output
    assert rows("SELECT count(*) AS n FROM t") == [{"n": 500}]


def test_an_export_makes_a_copy(project: Path) -> None:
    emulator(
        "execute",
        "DB",
        'CREATE TABLE t (a, "b c" BLOB); CREATE INDEX i ON t (a); '
        "INSERT INTO t VALUES ('it''s\nhere', x'00ff'), (1e999, NULL)",
    )
    assert emulator("export", "DB", "--output", "copy.sql").output.startswith("Wrote copy.sql (")
    printed = emulator("export", "DB").output
    assert printed == (project / "copy.sql").read_text()
    assert printed.startswith("PRAGMA defer_foreign_keys=TRUE;\nCREATE TABLE t (")
    assert "INSERT" not in emulator("export", "DB", "--no-data").output
    assert emulator("export", "DB", "--no-schema", "--table", "t").output.count("\nINSERT") == 2
    before = rows('SELECT a, hex("b c") AS b FROM t')
    emulator("execute", "DB", "DROP TABLE t")
    assert emulator("execute", "DB", "--file", "copy.sql").exit_code == 0
    assert rows('SELECT a, hex("b c") AS b FROM t') == before
    emulator("execute", "DB", "CREATE VIRTUAL TABLE f USING fts5(x)")
    assert "cannot export databases with Virtual Tables" in emulator("export", "DB").output


def test_migrations_are_made_listed_and_applied_once(project: Path) -> None:
    first, second = project / "migrations/0001_add_users.sql", project / "migrations/0002_add_age.sql"
    assert emulator("migrations", "create", "DB", "add", "users").output == "Made migrations/0001_add_users.sql\n"
    assert emulator("migrations", "create", "DB", "add age").output == "Made migrations/0002_add_age.sql\n"
    assert first.read_text() == "-- 0001_add_users: add users\n"
    first.write_text("CREATE TABLE users (name TEXT)")  # without a semicolon
    second.write_text("ALTER TABLE users ADD COLUMN age INTEGER;\nINSERT INTO nowhere VALUES (1);")
    listed = emulator("migrations", "list", "DB").output.splitlines()
    assert [line.split() for line in listed] == [
        ["MIGRATION", "APPLIED"],
        ["0001_add_users.sql", "no"],
        ["0002_add_age.sql", "no"],
    ]
    failed = emulator("migrations", "apply", "DB")
    assert failed.exit_code == 2
    assert "0001_add_users.sql  applied\n" in failed.output
    assert "0002_add_age.sql cannot be applied, and has changed nothing: no such table: nowhere" in failed.output
    assert rows("SELECT name FROM pragma_table_info('users')") == [{"name": "name"}]
    second.write_text("ALTER TABLE users ADD COLUMN age INTEGER; -- that's all")
    assert emulator("migrations", "apply", "shop").output == "0002_add_age.sql  applied\nApplied 1 migration\n"
    assert emulator("migrations", "apply", "DB").output == "Every migration has been applied.\n"
    assert json.loads(emulator("migrations", "list", "DB", "--json").output)[1] == {
        "name": "0002_add_age.sql",
        "applied": True,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("execute", "DB", "selec"), 'near "selec": syntax error at offset 0: SQLITE_ERROR'),
        (("execute", "CARTS", "select 1"), "there is no D1 database 'CARTS'\n  There is: DB."),
        (("execute", "DB"), "Give SQL, or --file FILE."),
        (("execute", "DB", "select ?"), "Wrong number of parameter bindings"),
        (("execute", "DB", " -- nothing"), "No SQL statements detected."),
        (("migrations", "apply", "DB"), "there are no migrations: the directory migrations does not exist"),
        (("list", "--url", "http://127.0.0.1:1"), "nothing answers at http://127.0.0.1:1"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    refused = emulator(*arguments)
    assert refused.exit_code == 2
    assert words in refused.output
