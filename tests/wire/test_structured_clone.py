"""V8's format for structured clones: what Python writes, what JavaScript wrote, and what is damaged."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.wire.codec import decode, encode
from emulator.wire.structured_clone import deserialize, is_serialized, serialize

moments = st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2500, 1, 1)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
)
numbers = st.integers() | st.floats(allow_nan=False).filter(lambda value: not value.is_integer())
scalars = st.none() | st.booleans() | numbers | st.text() | st.binary() | moments
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(st.integers(), inner, min_size=1)
        | st.sets(numbers | st.text())
    ),
    max_leaves=30,
)


@given(values)
def test_what_python_writes_python_reads(value: Any) -> None:
    body = serialize(value)
    assert is_serialized(body)
    assert deserialize(body) == value
    assert decode(body, "v8") == value


@given(values)
def test_what_python_workers_send_is_never_taken_for_javascripts(value: Any) -> None:
    assert not is_serialized(encode(value, "v8"))


@given(st.binary(max_size=60))
def test_damaged_bytes_are_a_value_error_and_nothing_else(damaged: bytes) -> None:
    with suppress(ValueError):
        deserialize(b"\xff\x0f" + damaged)


# As V8 (version 15 of the format) writes them; with the JavaScript that they came from.
WRITTEN: dict[str, tuple[bytes | str, Any]] = {
    "undefined": ("_", None),
    "null": ("0", None),
    "-1.5": (b"N\x00\x00\x00\x00\x00\x00\xf8\xbf", -1.5),
    "2 ** 40": (b"N\x00\x00\x00\x00\x00\x00pB", 2**40),
    "300": (b"I\xd8\x04", 300),
    "-10n": (b"Z\x11\x0a\x00\x00\x00\x00\x00\x00\x00", -10),
    '"é"': (b'"\x01\xe9', "é"),
    '"日"': (b"c\x02\xe5\x65", "日"),
    "new Date(86400000)": (b"D\x00\x00\x00\x00p\x99\x94A", datetime(1970, 1, 2, tzinfo=UTC)),
    "new Date(NaN)": (b"D\x00\x00\x00\x00\x00\x00\xf8\x7f", None),
    "/a+/gi": (b'R"\x02a+\x03', "/a+/gi"),
    "{a: 1, 2: [3]}": (b'o"\x01aI\x02I\x04A\x01I\x06$\x00\x01{\x02', {"a": 1, "2": [3]}),
    "[1, , undefined]": (b"A\x03I\x02-_$\x00\x03", [1, None, None]),
    "sparse": (b"a\x03I\x04I\x02@\x01\x03", [None, None, 1]),
    "new Map([[1, {}]])": (b";I\x02o{\x00:\x02", {1: {}}),
    'new Set(["a"])': (b"'\"\x01a,\x01", {"a"}),
    "new Set([{}])": (b"'o{\x00,\x01", [{}]),
    "new ArrayBuffer(2)": (b"B\x02\x01\x02", b"\x01\x02"),
    "new Uint8Array([2])": (b"B\x03\x01\x02\x03VB\x01\x01\x00", b"\x02"),
    "new Int16Array([-1, 2])": (b"B\x04\xff\xff\x02\x00Vw\x00\x04\x00", [-1, 2]),
    "Object(true)": ("y", True),
    'Object("s")': (b's"\x01s', "s"),
}


@pytest.mark.parametrize(("body", "value"), WRITTEN.values(), ids=WRITTEN.keys())
def test_what_javascript_wrote_is_read(body: bytes | str, value: Any) -> None:
    read = deserialize(b"\xff\x0f" + (body.encode() if isinstance(body, str) else body))
    assert read == value
    assert type(read) is type(value) or isinstance(read, dict)


def test_objects_that_are_in_it_twice_are_the_same() -> None:
    # const a = new Uint8Array([7]); [a, a, {}] and then the second one of them again
    body = b"\xff\x0fA\x03B\x01\x07VB\x00\x01\x00^\x02o{\x00$\x00\x03"
    assert deserialize(body) == [b"\x07", b"\x07", {}]


def test_an_object_that_contains_itself_does() -> None:
    read = deserialize(b'\xff\x0fo"\x02me^\x00{\x01')
    assert read["me"] is read


def test_what_only_javascript_can_hold_is_said() -> None:
    with pytest.raises(ValueError, match="an object of the runtime"):
        deserialize(b"\xff\x0fA\x01\\\x01")
    with pytest.raises(ValueError, match="version"):
        decode(b"\xff\x63xyz", "v8")


def test_moments_and_tuples_become_what_comes_closest() -> None:
    value = (date(2026, 1, 2), time(3, 4), datetime(2026, 1, 2, tzinfo=UTC) + timedelta(microseconds=1), (1,))
    day = datetime(2026, 1, 2, tzinfo=UTC)
    assert deserialize(serialize(value)) == [day, "03:04:00", day, [1]]


@pytest.mark.parametrize("value", [object(), [object()], {"a": 1j}])
def test_what_javascript_has_no_word_for_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be sent to JavaScript"):
        serialize(value)


NESTED_BOXES = b"s" * 100_000 + b'"\x01a'
NESTED_PATTERNS = b"R" * 100_000 + b'"\x01a'
ENDLESS_NUMBER = b"I" + b"\xff" * 120_000 + b"\x01"
MANY_EMPTY_ARRAYS = b"A\xff\x7f" + b"a\x80\x80\x02@\x00\x80\x80\x02" * 12_000 + b"$\x00\xff\x7f"
"""Thousands of arrays of 32,768 items each, all of them missing."""
KEYS_THAT_DOUBLE = b"o" + b'o"\x01a' * 60 + b'"\x01b' + b'"\x01c^\x3c{\x02' * 60 + b"0{\x01"
"""An object as the key of an object: as text, each level holds the one below twice."""


@pytest.mark.parametrize(
    "damaged",
    [NESTED_BOXES, NESTED_PATTERNS, ENDLESS_NUMBER, MANY_EMPTY_ARRAYS, KEYS_THAT_DOUBLE],
    ids=["boxes", "patterns", "number", "arrays", "keys"],
)
def test_a_small_body_cannot_take_much_memory_time_or_depth(damaged: bytes) -> None:
    import tracemalloc

    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="body"):
            deserialize(b"\xff\x0f" + damaged)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 50 * len(damaged) + 1_000_000


def test_a_body_that_is_read_deep_in_a_stack_is_a_value_error() -> None:
    def deep(levels: int) -> Any:
        return deep(levels - 1) if levels else deserialize(b"\xff\x0f" + b"A\x01" * 190 + b"0" + b"$\x00\x01" * 190)

    import sys

    levels = sys.getrecursionlimit() - 120
    with pytest.raises(ValueError, match="nested"):
        deep(levels)
