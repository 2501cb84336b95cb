from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from emulator.cli.progress import SHOWN_BYTES, shown


class Terminal(io.StringIO):
    """A terminal that remembers what it is shown."""

    def isatty(self) -> bool:
        return True


PIECES = [b"x" * (SHOWN_BYTES // 4)] * 8


def seen(monkeypatch: pytest.MonkeyPatch, where: Any, pieces: list[bytes], total: int | None) -> str:
    monkeypatch.setattr(sys, "stderr", where)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    assert list(shown(pieces, "cats/1", total)) == pieces
    output: str = where.getvalue()
    return output


@pytest.mark.parametrize("total", [2 * SHOWN_BYTES, None])
def test_a_bar_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, total: int | None) -> None:
    output = seen(monkeypatch, Terminal(), PIECES, total)
    assert "cats/1" in output
    assert "16.8" in output  # MB
    assert ("0:00:00" in output) == (total is not None)  # how long it still takes


def test_nobody_is_shown_a_bar_of_short_work_or_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(monkeypatch, Terminal(), [b"x"], 1) == ""
    assert seen(monkeypatch, io.StringIO(), PIECES, 2 * SHOWN_BYTES) == ""
