"""Headers in ASGI's format: encoding, decoding and combining."""

from __future__ import annotations

from typing import Any

import pytest

from emulator_runtime.js import Headers
from emulator_runtime.raw_headers import (
    combined,
    decode_value,
    encode_name,
    encode_pairs,
    encode_value,
    find_header,
    to_message,
)
from emulator_runtime.workers.headers import encode_headers


def test_a_name_is_lower_case() -> None:
    assert encode_name("Content-Type") == encode_name("Content-Type") == b"content-type"


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\n", (1,)])
def test_what_is_not_an_http_token_is_not_a_name(name: Any) -> None:
    with pytest.raises(TypeError, match="Invalid header name"):
        encode_name(name)


@pytest.mark.parametrize(
    ("value", "expected"), [(" a \t", b"a"), ("é", b"\xe9"), ("€", b"\xe2\x82\xac"), (5, b"5"), (0.5, b"0.5")]
)
def test_a_value_is_latin1_or_utf8_without_white_space_around_it(value: Any, expected: bytes) -> None:
    assert encode_value("x", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, b"true"),
        (False, b"false"),
        (None, b"undefined"),
        (0, b"0"),
        (10**20, b"1" + b"0" * 20),
        (1.0, b"1"),
        (-0.0, b"0"),
        (1.5, b"1.5"),
        (100.0, b"100"),
        (1e16, b"1" + b"0" * 16),
        (1e21, b"1e+21"),
        (1.5e300, b"1.5e+300"),
        (0.000001, b"0.000001"),
        (1e-7, b"1e-7"),
        (float("nan"), b"NaN"),
        (float("-inf"), b"-Infinity"),
        (b"a", b"b'a'"),
        (["a", 1], b"['a', 1]"),
        (("a", 1), b"('a', 1)"),
        ({"a": True}, b"{'a': True}"),
    ],
)
def test_a_value_of_another_type_becomes_a_string_as_in_javascript(value: Any, expected: bytes) -> None:
    assert encode_value("x", value) == expected
    assert encode_headers({"x": value}) == encode_headers([("x", value)]) == [(b"x", expected)]
    assert Headers({"x": value}).get("x") == expected.decode()


def test_a_name_of_another_type_becomes_a_string_too() -> None:
    assert encode_headers({1: "a", None: "b"}) == [(b"1", b"a"), (b"undefined", b"b")]


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\n", "a\0"])
def test_a_value_cannot_begin_another_line(value: str) -> None:
    with pytest.raises(TypeError, match="contains a line break or a NUL"):
        encode_value("x", value)


@pytest.mark.parametrize("text", ["a", "€", "é"])
def test_a_value_is_decoded_to_what_was_encoded(text: str) -> None:
    assert decode_value(encode_value("x", text)) == text


def test_pairs_keep_their_order_and_duplicates() -> None:
    raw = encode_pairs([("B", "1"), ["a", "2"], ("b", "3")])
    assert raw == [(b"b", b"1"), (b"a", b"2"), (b"b", b"3")]
    assert find_header(raw, b"b") == b"1"
    assert find_header(raw, b"c") is None


@pytest.mark.parametrize("pair", ["ab", ("a",), ("a", "b", "c")])
def test_what_is_not_a_pair_is_refused(pair: Any) -> None:
    with pytest.raises(TypeError, match="headers must be pairs"):
        encode_pairs([pair])


def test_values_are_combined_by_name_but_cookies_are_not() -> None:
    raw = encode_pairs([("x-b", "1"), ("set-cookie", "a=1"), ("x-b", "2"), ("set-cookie", "b=2"), ("accept", "c")])
    assert combined(raw) == [("accept", "c"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-b", "1, 2")]


def test_a_message_is_a_copy() -> None:
    raw = encode_pairs([("x-a", "1"), ("X-A", "2")])
    message = to_message(raw)
    assert message["X-a"] == "1, 2"
    message["x-b"] = "3"
    assert len(raw) == 2
