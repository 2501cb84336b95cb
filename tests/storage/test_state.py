from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulator.base.errors import EmulatorError
from emulator.storage.state import State

SCHEMA = ("CREATE TABLE things (value)",)


async def pieces(value: bytes) -> AsyncIterator[bytes]:
    yield value


@pytest.fixture(params=["directory", "memory"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> State:
    return State(tmp_path / "state" if request.param == "directory" else None)


def test_nothing_is_made_before_it_is_asked_for(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    state.close()


def test_a_kind_has_one_database(state: State) -> None:
    state.database("a", SCHEMA).change("INSERT INTO things VALUES (1)")
    assert state.database("a", SCHEMA).rows("SELECT value FROM things") == [(1,)]
    assert state.database("b", SCHEMA).rows("SELECT value FROM things") == []
    state.close()


async def test_a_snapshot_brings_back_databases_and_files(state: State) -> None:
    first = state.database("a", SCHEMA)
    first.change("INSERT INTO things VALUES (1)")
    name = await state.files("a").write(pieces(b"value"))
    snapshot = state.snapshot()
    first.change("DELETE FROM things")
    state.database("b", SCHEMA).change("INSERT INTO things VALUES (2)")
    state.files("a").delete([name])
    for _ in range(2):
        state.restore(snapshot)
        assert first.rows("SELECT value FROM things") == [(1,)]
        assert state.database("b", SCHEMA).rows("SELECT value FROM things") == []
        assert state.files("a").contents() == {name: b"value"}
        first.change("INSERT INTO things VALUES (3)")
    state.close()


def test_two_sessions_share_a_directory_and_know_it(tmp_path: Path) -> None:
    one, other = State(tmp_path), State(tmp_path)
    one.database("a", SCHEMA).change("INSERT INTO things VALUES (1)")
    assert one.is_alone
    assert other.database("a", SCHEMA).rows("SELECT value FROM things") == [(1,)]
    assert not one.is_alone
    other.database("a", SCHEMA).change("INSERT INTO things VALUES (2)")
    assert one.database("a", SCHEMA).rows("SELECT value FROM things") == [(1,), (2,)]
    other.close()
    assert one.is_alone
    one.close()


def test_a_directory_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmulatorError, match="file/state/bindings cannot be used"):
        State(tmp_path / "file" / "state").database("a", SCHEMA)
