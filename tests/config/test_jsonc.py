"""The JSONC parser: what it accepts, where things stand, and what it says about the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.config.document import DocumentSyntaxError
from emulator.config.jsonc import MAX_DEPTH, parse

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NEAR_JSON = st.text(st.sampled_from(list('{}[]:,"\\/* \n\tu0d8-+.eE1truefalsn#\ufeff')))


@given(JSON_VALUES, st.booleans(), st.sampled_from([None, 2, "\t"]))
def test_it_agrees_with_the_standard_library_on_json(value: Any, ascii_only: bool, indent: int | str | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    parsed = parse(text).data
    assert parsed == value
    assert repr(parsed) == repr(json.loads(text))


@given(st.text() | NEAR_JSON)
def test_any_text_is_parsed_or_refused_with_a_place(text: str) -> None:
    try:
        parse(text)
    except DocumentSyntaxError as error:
        offset = error.offset
    else:
        offset = 0
    assert 0 <= offset <= len(text)


@given(NEAR_JSON)
def test_it_refuses_what_json_refuses_but_for_comments_and_commas(text: str) -> None:
    try:
        parsed = parse(text).data
    except DocumentSyntaxError:
        return
    if "/" not in text and "," not in text and "\ufeff" not in text:
        assert json.loads(text) == parsed


def test_comments_and_trailing_commas_are_allowed() -> None:
    text = """\ufeff// first
    { /* a */ "a" /* b */ : // c
      [1, 2, /* d */ ], "url": "http://not-a-comment/*", "b": {"c": null,}, }
    // last"""
    assert parse(text).data == {"a": [1, 2], "url": "http://not-a-comment/*", "b": {"c": None}}


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_comment_ends_with_its_line_whichever_way_lines_end(end: str) -> None:
    assert parse(f"[1 // a{end}, 2]").data == [1, 2]


def test_every_key_and_value_has_its_offset() -> None:
    text = '{ "a": [10, {"b": true}] }'
    document = parse(text)
    assert {path: text[at:][:2] for path, at in document.values.items()} == {
        (): "{ ",
        ("a",): "[1",
        ("a", 0): "10",
        ("a", 1): '{"',
        ("a", 1, "b"): "tr",
    }
    assert {path: text[at:][:3] for path, at in document.keys.items()} == {("a",): '"a"', ("a", 1, "b"): '"b"'}


def test_a_repeated_key_is_noted_and_the_last_one_counts() -> None:
    document = parse('{"a": 1, "b": {"c": 2, "c": 3}, "a": 4}')
    assert document.data == {"a": 4, "b": {"c": 3}}
    assert document.repeated == [(("b", "c"), 23), (("a",), 32)]


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("", 0, "expected a value, found the end of the file"),
        ("{", 1, "expected a key in double quotes, or `}`, found the end of the file"),
        ('{"a" 1}', 5, "expected `:`, found `1`"),
        ('{"a": 1 "b": 2}', 8, 'expected `,` or `}`, found `"`'),
        ("{a: 1}", 1, "expected a key in double quotes, or `}`, found `a`"),
        ("{'a': 1}", 1, "expected a key in double quotes, or `}`, found `'`"),
        ("[1 2]", 3, "expected `,` or `]`, found `2`"),
        ("[1,,2]", 3, "expected a value, found `,`"),
        ("[,]", 1, "expected a value, found `,`"),
        ("[01]", 2, "expected `,` or `]`, found `1`"),
        ("[0x1F]", 2, "expected `,` or `]`, found `x1F`"),
        ("[.5]", 1, "expected a value, found `.`"),
        ("[NaN]", 1, "expected a value, found `NaN`"),
        ("[undefined]", 1, "expected a value, found `undefined`"),
        ("[1e999]", 1, "this number is too large"),
        (f"[{'9' * 5000}]", 1, "this number has too many digits"),
        ('["abc]', 1, "this string is not closed on its line"),
        ('["a\nb"]', 1, "this string is not closed on its line"),
        (r'["a\x"]', 3, "bad escape in a string: Invalid \\escape"),
        (r'["\ud800"]', 1, "this string has half of a surrogate pair"),
        ("{} /* open", 3, "this comment is never closed"),
        ("{} {}", 3, "expected the end of the file, found `{`"),
        ("{}\x00", 2, "expected the end of the file, found the character U+0000"),
        ("[" * (MAX_DEPTH + 1), MAX_DEPTH, f"nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_what_is_not_json_is_named_at_its_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(DocumentSyntaxError) as caught:
        parse(text)
    assert (caught.value.offset, caught.value.message) == (offset, message)
