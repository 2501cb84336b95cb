from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from emulator.base.errors import EmulatorError
from emulator.storage.database import Database

SCHEMA = ("CREATE TABLE things (name TEXT PRIMARY KEY, value)",)


@pytest.fixture(params=["file", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "things.sqlite" if request.param == "file" else None


def test_what_is_written_can_be_read(path: Path | None) -> None:
    database = Database(path, SCHEMA)
    assert database.change("INSERT INTO things VALUES (?, ?), (?, ?)", "a", 1, "b", b"x") == 2
    assert database.row("SELECT value FROM things WHERE name = ?", "b") == (b"x",)
    assert database.row("SELECT value FROM things WHERE name = ?", "c") is None
    assert database.rows("SELECT name FROM things ORDER BY name DESC") == [("b",), ("a",)]
    database.close()


def test_a_transaction_happens_as_a_whole_or_not_at_all(path: Path | None) -> None:
    database = Database(path, SCHEMA)

    @database.transaction()
    def half() -> None:
        database.change("INSERT INTO things VALUES ('a', 1)")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with database.transaction():
        database.change("INSERT INTO things VALUES ('b', 2)")
    assert database.rows("SELECT name FROM things") == [("b",)]
    database.close()


def test_contents_can_be_taken_over_by_another_database(tmp_path: Path, path: Path | None) -> None:
    database = Database(path, SCHEMA)
    database.change("INSERT INTO things VALUES ('a', 1)")
    contents = database.contents()
    others = [Database(None, SCHEMA), Database(tmp_path / "other.sqlite", SCHEMA)]
    for other in others:
        other.change("INSERT INTO things VALUES ('gone', 1)")
        other.replace(contents)
        assert other.rows("SELECT * FROM things") == [("a", 1)]
        other.change("INSERT INTO things VALUES ('b', 2)")
        other.clear()
        assert other.rows("SELECT * FROM things") == []
        other.close()
    assert database.rows("SELECT * FROM things") == [("a", 1)]
    database.close()


def test_an_older_database_is_upgraded_and_a_newer_one_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "things.sqlite"
    old = Database(path, SCHEMA)
    old.change("INSERT INTO things VALUES ('a', 1)")
    old.close()
    upgraded = Database(path, (*SCHEMA, "ALTER TABLE things ADD COLUMN more DEFAULT 7"))
    assert upgraded.rows("SELECT * FROM things") == [("a", 1, 7)]
    upgraded.close()
    with pytest.raises(EmulatorError, match=r"things.sqlite was written by a newer version of the emulator"):
        Database(path, SCHEMA)
    again = Database(path, (*SCHEMA, "ALTER TABLE things ADD COLUMN more DEFAULT 7"))
    assert again.rows("SELECT * FROM things") == [("a", 1, 7)]
    again.close()


def test_a_damaged_file_is_a_sentence_and_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "things.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(EmulatorError, match=r"things.sqlite is damaged") as caught:
        Database(path, SCHEMA)
    assert "emulator state reset" in str(caught.value)
    assert path.read_bytes() == b"this is no database" * 100


def test_a_directory_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "things.sqlite").mkdir()
    with pytest.raises(EmulatorError, match=r"things.sqlite cannot be used: "):
        Database(tmp_path / "things.sqlite", SCHEMA)


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    script = f"""
        from pathlib import Path
        from emulator.storage.database import Database
        database = Database(Path({str(tmp_path / "things.sqlite")!r}), {SCHEMA!r})
        for number in range(1_000_000):
            database.change("INSERT INTO things VALUES (?, ?)", f"{{number:07}}", b"x" * 1000)
            print(number, flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 300:
                os.kill(process.pid, signal.SIGKILL)
                break
        last = max([300, *(int(line) for line in process.stdout if line.endswith("\n"))])
    database = Database(tmp_path / "things.sqlite", SCHEMA)
    names = [int(name) for (name,) in database.rows("SELECT name FROM things ORDER BY name")]
    assert names in (list(range(last + 1)), list(range(last + 2)))
    database.close()


def test_a_write_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.sqlite", SCHEMA)
    assert database.connection.pragma("journal_mode") == "wal"
    assert database.connection.pragma("synchronous") == 1
