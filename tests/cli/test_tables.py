"""Aligned columns on a terminal."""

from __future__ import annotations

import pytest

from emulator.cli.tables import print_pairs, print_table


def test_columns_are_aligned_and_notes_are_below_their_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("ID", "BODY"), [("3f2a", "a"), ("1", "b\x1b")], [["failed"], []])
    assert capsys.readouterr().out == "ID    BODY\n3f2a  a\n      failed\n1     b\\x1b\n"


def test_values_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_pairs([("id", "1"), ("messages", "2")])
    assert capsys.readouterr().out == "id        1\nmessages  2\n"
