"""The format of secrets files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.config.dotenv import parse_env


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("K=v", "v"),
        ("K = v ", "v"),
        ("export K=v", "v"),
        ("K: v", "v"),
        ("K=", ""),
        ("K=a b # comment", "a b"),
        ("K=a#b", "a"),
        ("K='a # b'", "a # b"),
        ('K="a # b" # c', "a # b"),
        ('K=`it\'s "x"`', 'it\'s "x"'),
        (r'K="a\nb"', "a\nb"),
        (r"K='a\nb'", r"a\nb"),
        ('K="a\nb"', "a\nb"),
        ("K='it", "'it"),
        ("K=a=b", "a=b"),
        ("K='a'b'", "a'b"),
        ("\r\nK=v\r\n", "v"),
    ],
)
def test_the_format_is_that_of_dotenv(text: str, value: str) -> None:
    assert parse_env(text) == ({"K": value}, [])


@given(st.text() | st.text(st.sampled_from(list("AB=:'\"`\\#$ \r\n."))))
def test_any_text_is_values_and_bad_lines(text: str) -> None:
    values, bad_lines = parse_env(text)
    assert all(values)
    assert all(1 <= line <= text.count("\n") + 1 for line in bad_lines)
