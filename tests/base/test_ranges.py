"""Ranges of whole numbers: what is in one, and how a message shows it."""

from __future__ import annotations

import pytest

from emulator.base.ranges import Range


@pytest.mark.parametrize("value", [1, 50, 100])
def test_both_ends_are_in_a_range(value: int) -> None:
    assert value in Range(1, 100)


@pytest.mark.parametrize("value", [0, 101, True, 5.0, "5", None])
def test_other_numbers_and_other_types_are_not_in_a_range(value: object) -> None:
    assert value not in Range(1, 100)


def test_a_range_is_shown_with_thousands_separators() -> None:
    assert str(Range(0, 86_400)) == "0 to 86,400"
