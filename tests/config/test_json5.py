"""Files that only json5 reads: what they mean, where things stand in them, and the limits that are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import json5 as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.config import json5, jsonc
from emulator.config.document import Document, DocumentSyntaxError, format_path
from tests.config.project import assert_errors, assert_warnings, wrap, write
from tests.config.test_jsonc import JSON_VALUES, NEAR_JSON

REFUSED = DocumentSyntaxError("the strict reader's word", 0)
NEAR_JSON5 = st.text(st.sampled_from(list("{}[]:,'\"\\/* \n\r\tabx0dN8-+.eE1\u2028\u00a0\ufeff")))
SPACES = st.sampled_from(["", " ", "\n", "\r\n", "\t", "\u00a0", "/* } ' */", '// ] "\n', "// {\u2028"])


def parse(text: str) -> Document:
    return json5.parse(text, "wrangler.jsonc", REFUSED)


def shown(document: Document, offsets: dict[Any, int]) -> dict[str, str]:
    """The character at each offset, by key path."""
    return {format_path(path): document.text[at] for path, at in offsets.items()}


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """`value` in JSON5, in any of the ways to write it."""

    def space() -> str:
        return draw(SPACES)

    def string(text: str) -> str:
        quoted = json.dumps(text, ensure_ascii=draw(st.booleans()))
        if draw(st.booleans()):
            return quoted
        return "'" + quoted[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"

    def key(text: str) -> str:
        return text if text.isascii() and text.isidentifier() and draw(st.booleans()) else string(text)

    def write_value(inner: Any) -> str:
        if isinstance(inner, dict):
            members = [f"{space()}{key(name)}{space()}:{space()}{write_value(item)}" for name, item in inner.items()]
            return f"{{{f'{space()},'.join(members)}{space()}}}"
        if isinstance(inner, list):
            comma = draw(st.sampled_from(["", ","])) if inner else ""
            return f"[{f'{space()},'.join(space() + write_value(item) for item in inner)}{space()}{comma}]"
        if isinstance(inner, str):
            return string(inner)
        if isinstance(inner, int) and not isinstance(inner, bool) and draw(st.booleans()):
            return hex(inner)
        return json.dumps(inner)

    return space() + write_value(value) + space()


@given(JSON_VALUES.flatmap(lambda value: st.tuples(st.just(value), written(value))))
def test_every_way_to_write_a_value_is_read_and_every_value_has_its_place(case: tuple[Any, str]) -> None:
    value, text = case
    document = parse(text)
    assert document.data == value
    for path, offset in document.values.items():
        found = value
        for step in path:
            found = found[step]
        rest = text[offset:]
        if isinstance(found, dict | list):
            assert rest[0] in "{["
        elif isinstance(found, str):
            assert rest[0] in "\"'"
        else:
            assert rest.startswith((json.dumps(found), hex(found) if isinstance(found, int) else "-"))
    for path, offset in document.keys.items():
        assert text[offset] in "\"'" or text.startswith(str(path[-1]), offset)


@given(NEAR_JSON | NEAR_JSON5 | JSON_VALUES.map(lambda value: json.dumps(value, indent=1)))
def test_what_the_strict_reader_takes_is_read_alike_with_the_same_places(text: str) -> None:
    try:
        strict = jsonc.parse(text)
    except DocumentSyntaxError:
        return
    if "\u2028" in text or "\u2029" in text:
        return  # They end a `//` comment in JSON5: see the test of the exceptions.
    lenient = parse(text)
    assert (repr(lenient.data), lenient.values, lenient.keys, lenient.repeated) == (
        repr(strict.data),
        strict.values,
        strict.keys,
        strict.repeated,
    )


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        ("[1 // a\u2028, 2\n]", [1], [1, 2]),  # U+2028 ends a comment in JSON5
        (r'["\ud83d\ude00"]', ["\U0001f600"], ["\ud83d\ude00"]),  # the library leaves a pair as two halves
    ],
)
def test_the_exceptions_that_both_read_but_differently(text: str, strict: object, lenient: object) -> None:
    assert jsonc.parse(text).data == strict
    assert library.loads(text) == lenient


@pytest.mark.parametrize("text", ["[1] // a\u2028 b", "[" * 150 + "]" * 150])
def test_the_exceptions_that_the_strict_reader_takes_and_json5_does_not(text: str) -> None:
    jsonc.parse(text)
    with pytest.raises((ValueError, RecursionError)):
        library.loads(text)


@given(st.text() | NEAR_JSON | NEAR_JSON5)
def test_any_text_is_parsed_or_refused_with_a_place(text: str) -> None:
    try:
        parse(text)
    except DocumentSyntaxError as error:
        offset = error.offset
    else:
        offset = 0
    assert 0 <= offset <= len(text)


def test_what_json5_adds_is_read() -> None:
    text = r"""{bare: 1, $a_1: 2, 'single': '"\'', hex: [0xFF, -0x10], dots: [.5, 5., +1], 'a\
b': "\x41\v\0\q", ünï: null, \u0061: true} // end"""
    assert parse(text).data == {
        "bare": 1,
        "$a_1": 2,
        "single": "\"'",
        "hex": [255, -16],
        "dots": [0.5, 5.0, 1],
        "ab": "A\v\0q",
        "ünï": None,
        "a": True,
    }


def test_every_key_and_value_has_its_offset() -> None:
    document = parse("// 'x': {\n{ a: ['}', {\"b\" /* : */ : 0x10}], c: 'd' }")
    assert shown(document, dict(document.values)) == {
        "": "{",
        "a": "[",
        "a[0]": "'",
        "a[1]": "{",
        "a[1].b": "0",
        "c": "'",
    }
    assert shown(document, dict(document.keys)) == {"a": "a", "a[1].b": '"', "c": "c"}


def test_a_repeated_key_is_noted_and_the_last_one_counts() -> None:
    document = parse("{a: 1, b: {c: 2, 'c': 3}, \"a\": 4}")
    assert document.data == {"a": 4, "b": {"c": 3}}
    assert document.repeated == [(("b", "c"), 17), (("a",), 26)]


def test_a_surrogate_pair_that_is_written_as_two_escapes_is_one_character() -> None:
    document = parse(r"{'\ud83d\ude00': '\ud83d\ude00'}")
    assert document.data == {"\U0001f600": "\U0001f600"}
    assert list(document.keys) == [("\U0001f600",)]


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("{a: NaN}", 4, "expected a number, found `NaN`"),
        ("{a: -Infinity}", 4, "this number is too large"),
        ("{a: 1e999}", 4, "this number is too large"),
        (f"{{a: 0x{'f' * 5000}}}", 4, "this number has too many digits"),
        (r"{a: 'b\ud800c'}", 4, "this string has half of a surrogate pair"),
        (r"{'\udc00': 1}", 1, "this string has half of a surrogate pair"),
    ],
)
def test_a_value_beyond_the_limits_is_named_at_its_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(DocumentSyntaxError) as caught:
        parse(text)
    assert (caught.value.offset, caught.value.message) == (offset, message)


@pytest.mark.parametrize(
    "text",
    [
        "{a: }",
        "{a: 1 b: 2}",
        "[01]",
        "['a\n']",
        "{} {}",
        "[1,,2]",
        f"[{'9' * 5000}]",
        "[" * 5000 + "]" * 5000,
        "{a:" * 5000,
        "// nothing",
        f"['{'x' * json5.MAX_LENGTH}']",
    ],
)
def test_what_is_not_json5_or_too_deep_or_too_long_is_refused_with_the_word_of_the_strict_reader(text: str) -> None:
    with pytest.raises(DocumentSyntaxError) as caught:
        parse(text)
    assert caught.value is REFUSED


@pytest.mark.parametrize(("fill", "item"), [("1,", 1), ("[[1]],", [[1]])])
def test_a_file_of_the_greatest_length_is_read(fill: str, item: object) -> None:
    count = (json5.MAX_LENGTH - 2) // len(fill)
    assert parse("[" + fill * count + "]").data == [item] * count


@pytest.mark.parametrize("name", ["wrangler.jsonc", "wrangler.json"])
def test_a_file_in_json5_is_used_with_one_warning_where_wrangler_would_refuse_it(name: str, tmp_path: Path) -> None:
    text = """{
  // bare keys and single quotes
  ▶name: 'demo',
  main: 'src/entry.py',
  compatibility_date: '2026-01-31',
  compatibility_flags: ['python_workers'],
  limits: {cpu_ms: 0x10},
}"""
    expected = "wrangler would refuse this file: expected a key in double quotes, or `}`, found `name`"
    config = assert_warnings(tmp_path, text, [expected], name=name)
    assert (config.name, config.cpu_ms) == ("demo", 16)
    assert str(config.warnings[0]).startswith(f"{tmp_path / name}:3:3: wrangler would refuse this file: ")


def test_problems_of_a_file_in_json5_have_their_places(tmp_path: Path) -> None:
    assert_errors(
        tmp_path,
        "{name: 'demo', main: 'src/entry.py', compatibility_date: '2026-01-31',\n limits: {cpu_ms: ▶0x0}}",
        ["limits.cpu_ms: must be a whole number from 1 to 300,000, not 0"],
    )


def test_what_json5_refuses_too_is_told_in_the_words_of_the_strict_reader(tmp_path: Path) -> None:
    hint = "{name: 'demo' main: 'src/entry.py'}\n   ^"
    expected = f"expected a key in double quotes, or `}}`, found `name`\n{hint}"
    assert_errors(tmp_path, "{▶name: 'demo' main: 'src/entry.py'}", [expected])


def test_a_limit_is_told_where_it_is_passed_and_not_where_the_file_stops_to_be_json(tmp_path: Path) -> None:
    text = "{name: 'demo',\n vars: {A: ▶NaN}}"
    assert_errors(tmp_path, text, ["expected a number, found `NaN`\n vars: {A: NaN}}\n             ^"])


@pytest.mark.parametrize(
    ("text", "is_loaded"),
    [(wrap('/* a */ "vars": {"A": [1,],}, // b'), False), (wrap('"vars": {A: 1}'), True)],
)
def test_the_library_is_imported_for_a_file_that_needs_it_only(text: str, is_loaded: bool, tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "emulator", "check", "-c", str(write(tmp_path, text))]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ("wrangler would refuse this file" in run.stdout + run.stderr) == is_loaded
    assert ("json5.lib" in run.stderr) == is_loaded
