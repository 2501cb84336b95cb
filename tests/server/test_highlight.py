from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from emulator.server.highlight import MOST_LINES, highlighted


@pytest.mark.parametrize(
    ("file", "line", "marked"),
    [
        ("entry.py", "return 1", '<span class="k">return</span> <span class="mi">1</span>'),
        ("index.ts", "const a = 1", '<span class="kd">const</span>'),
        ("notes.of-no-language", "a < b", "a &lt; b"),
        ("<string>", "a < b", "a &lt; b"),
    ],
)
def test_a_line_is_marked_by_the_language_of_its_file(file: str, line: str, marked: str) -> None:
    assert marked in highlighted([line + "\n"], file)[0]


def test_a_string_over_several_lines_is_closed_on_each() -> None:
    for line in highlighted(['x = """a\n', "b\n", 'c"""\n', "y = 2\n"], "entry.py"):
        assert line.count("<span") == line.count("</span>")


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=5))
def test_nothing_is_lost_and_nothing_is_code(lines: list[str]) -> None:
    for line, marked in zip(lines, highlighted(lines, "entry.py"), strict=True):
        assert isinstance(marked, Markup)
        assert marked.striptags() == Markup("").join([marked]).striptags()
        assert "<script" not in marked
        assert line.replace("\0", "") == "" or marked != ""


def test_a_very_long_file_is_left_as_it_is() -> None:
    assert highlighted(["return 1\n"] * (MOST_LINES + 1), "entry.py")[0] == "return 1"
