"""Where things stand in a document, and how a place is written."""

from __future__ import annotations

import pytest

from emulator.config import jsonc
from emulator.config.document import Findings, KeyPath, excerpt, format_path, line_and_column
from emulator.config.model import Place

TEXT = '{\n  "a": [1, {"b": 2}],\n  "c": {}\n}'
DOCUMENT = jsonc.parse(TEXT, "wrangler.jsonc")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("a",), "a"),
        (("a", 0, "b"), "a[0].b"),
        (("vars", "my-var", "$x"), "vars.my-var.$x"),
        (("env", "two words"), 'env."two words"'),
        (("vars", ""), 'vars.""'),
    ],
)
def test_a_key_path_is_written_as_in_javascript(path: KeyPath, text: str) -> None:
    assert format_path(path) == text


@pytest.mark.parametrize(("offset", "place"), [(0, (1, 1)), (1, (1, 2)), (2, (2, 1)), (4, (2, 3)), (len(TEXT), (4, 2))])
def test_lines_and_columns_count_from_one(offset: int, place: tuple[int, int]) -> None:
    assert line_and_column(TEXT, offset) == place


def test_a_value_has_the_place_where_it_begins_and_a_key_its_own() -> None:
    assert DOCUMENT.place(("a", 1, "b")) == Place("wrangler.jsonc", 2, 18, "a[1].b")
    assert DOCUMENT.place(("a", 1, "b"), at_key=True) == Place("wrangler.jsonc", 2, 13, "a[1].b")


def test_what_is_not_there_stands_where_the_nearest_thing_around_it_does() -> None:
    assert DOCUMENT.place(("c", "d", "e")) == Place("wrangler.jsonc", 3, 8, "c.d.e")
    assert DOCUMENT.place(("x",), at_key=True) == Place("wrangler.jsonc", 1, 1, "x")
    assert DOCUMENT.has(("a", 1))
    assert not DOCUMENT.has(("a", 2))


def test_an_error_is_at_the_value_and_a_warning_at_the_key() -> None:
    findings = Findings(DOCUMENT)
    findings.error(("c",), "is wrong", "Mend it.")
    findings.warn(("c",), "is doubtful")
    assert [str(problem) for problem in (*findings.errors, *findings.warnings)] == [
        "wrangler.jsonc:3:8: c: is wrong\n  Mend it.",
        "wrangler.jsonc:3:3: c: is doubtful",
    ]


def test_an_excerpt_is_the_line_with_a_caret_below_the_character() -> None:
    assert excerpt(TEXT, TEXT.index("2")) == '  "a": [1, {"b": 2}],\n                   ^'
    assert excerpt("\tx\r\n", 1) == " x\n   ^"
