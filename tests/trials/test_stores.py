"""The short form of the trial that kills a process which writes to KV and R2."""

from __future__ import annotations

from pathlib import Path

from emulator.storage.state import State
from tests.trials.stores import _compare, run


def test_what_was_kept_is_there_and_nothing_is_half(tmp_path: Path) -> None:
    report = run(tmp_path, rounds=4, seed=5)
    assert report.is_good, str(report)
    assert report.done > 20


async def test_what_is_lost_or_left_over_is_noticed(tmp_path: Path) -> None:
    assert "has -1 bytes in place of 3" in await _compare(tmp_path, {("kv", "key 1"): 3}, None)
    state = State(tmp_path)  # a second session, so that nothing is cleaned
    state.claim()
    (tmp_path / "bindings/r2/ab").mkdir(parents=True)
    (tmp_path / "bindings/r2/ab/abc").touch()
    assert "r2 has files" in await _compare(tmp_path, {}, None)
    state.close()
    assert await _compare(tmp_path, {}, None) == ""
