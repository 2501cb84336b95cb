"""Strings made well-formed, as the web platform does it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator_runtime.text import to_utf8, well_formed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", "abc"),
        ("é😀", "é😀"),
        ("\ud83d", "\ufffd"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("a\ud83dé", "a\ufffdé"),
        ("\ud83d\ude00", "😀"),
    ],
)
def test_each_lone_surrogate_becomes_the_replacement_character(text: str, expected: str) -> None:
    assert well_formed(text) == expected
    assert to_utf8(text) == expected.encode()


@given(st.text(st.characters()))
def test_every_text_can_be_encoded_and_well_formed_text_stays_the_same(text: str) -> None:
    assert to_utf8(text).decode() == well_formed(text)
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert well_formed(text) == text
