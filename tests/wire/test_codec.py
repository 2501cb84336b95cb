"""Bodies as bytes, by content type."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict, namedtuple
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from emulator.wire.codec import CONTENT_TYPES, decode, encode
from emulator_runtime import js
from emulator_runtime.values import AttributeDict

QUICK = settings(max_examples=150, derandomize=True, database=None)

JSON_LEAVES = (
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
JSON_VALUES = st.recursive(
    JSON_LEAVES | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)
OFFSETS = st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-3))])
KEYS = st.text(max_size=5) | st.integers() | st.booleans() | st.dates() | st.tuples(st.integers(), st.text(max_size=3))
CLONE_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=OFFSETS)
    | st.dates()
    | st.times()
)
CLONE_VALUES = st.recursive(
    CLONE_LEAVES | st.sets(KEYS, max_size=4) | st.frozensets(KEYS, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4) | st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=15,
)


def _kind(value: object) -> str:
    """An id that is the same in every process; a `repr` may hold an address."""
    return type(value).__name__


class Size(enum.IntEnum):
    SMALL = 1


class Colour(str, enum.Enum):  # noqa: UP042 - what many a code base still has
    RED = "red"


class Plain(enum.Enum):
    ONE = 1


Point = namedtuple("Point", "x y")


def test_the_content_types_are_those_of_the_service() -> None:
    assert set(CONTENT_TYPES) == {"json", "text", "bytes", "v8"}


@given(JSON_VALUES)
@QUICK
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert decode(encode(value, "json"), "json") == value


@given(JSON_VALUES)
@QUICK
def test_json_is_what_any_json_parser_reads(value: Any) -> None:
    assert json.loads(encode(value, "json")) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, True, None, "x"]}, b'{"a":[1,true,null,"x"]}'),
        ("", b'""'),
        (None, b"null"),
        ("gr\u00fc\u00df dich \U0001f600", '"gr\u00fc\u00df dich \U0001f600"'.encode()),
        ('\x00\n"\\', b'"\\u0000\\n\\"\\\\"'),
        ({"a": float("nan"), "b": float("inf"), "c": -float("inf")}, b'{"a":null,"b":null,"c":null}'),
        ([1.0, -0.0, 2.5, 1e16, {"a": [3.0]}], b'[1,0,2.5,10000000000000000,{"a":[3]}]'),
        ({"version": "1.0", "size": 5}, b'{"version":"1.0","size":5}'),
        ([{1, 2}, frozenset("a"), set()], b"[{},{},{}]"),
        ([b"\x00a", bytearray(b"b"), b""], b'[{"0":0,"1":97},{"0":98},{}]'),
        (b"a", b'{"0":97}'),
        ({1: "a", 2.5: "b", None: "d"}, b'{"1":"a","2.5":"b","null":"d"}'),
        ({False: 1, None: 2}, b'{"false":1,"null":2}'),
        (datetime(2026, 1, 2, 3, 4, 5, 678_999, UTC), b'"2026-01-02T03:04:05.678Z"'),
        (datetime(2026, 1, 2, 3, 0, tzinfo=timezone(timedelta(hours=2))), b'"2026-01-02T01:00:00.000Z"'),
        (datetime(33, 1, 2, tzinfo=UTC), b'"0033-01-02T00:00:00.000Z"'),
        (
            {"at": datetime(2026, 1, 2, tzinfo=UTC), "nan": float("nan")},
            b'{"at":"2026-01-02T00:00:00.000Z","nan":null}',
        ),
        ([2**53 - 1, 1 - 2**53], b"[9007199254740991,-9007199254740991]"),
        (datetime(2026, 1, 2, 3, 4), b'"2026-01-02T03:04:00.000Z"'),
        (AttributeDict(a=AttributeDict(b=1)), b'{"a":{"b":1}}'),
        (OrderedDict(b=1, a=2), b'{"b":1,"a":2}'),
        ([Size.SMALL, Colour.RED], b'[1,"red"]'),
        ({Colour.RED: 1}, b'{"red":1}'),
    ],
    ids=repr,
)
def test_json_is_written_as_json_stringify_writes_it(value: object, expected: bytes) -> None:
    assert encode(value, "json") == expected


def test_a_lone_surrogate_is_escaped_and_comes_back() -> None:
    assert encode("\ud800", "json") == b'"\\ud800"'
    assert decode(encode({"\udfff": "a\ud800b"}, "json"), "json") == {"\udfff": "a\ud800b"}


@pytest.mark.parametrize("value", [2**53, -(2**53), 2**64, -(2**63) - 1, 10**30])
def test_an_integer_that_javascript_cannot_hold_is_a_type_error(value: int) -> None:
    for body in (value, {"a": [value]}, [1.0, value]):
        with pytest.raises(TypeError, match="Do not know how to serialize a BigInt"):
            encode(body, "json")


@pytest.mark.parametrize("value", [(), (1, 2), Point(1, 2)], ids=repr)
def test_a_tuple_is_a_type_error(value: object) -> None:
    for body in (value, {"a": {"b": [value]}}, [1.0, value]):
        with pytest.raises(TypeError, match=r"is of type (tuple|Point), which JSON cannot represent; make it a list"):
            encode(body, "json")


@pytest.mark.parametrize(
    "value",
    [
        date(2026, 1, 1),
        time(1, 2),
        timedelta(1),
        Decimal(1),
        1j,
        object(),
        len,
        range(3),
        PurePosixPath("/"),
    ],
    ids=_kind,
)
@pytest.mark.parametrize("around", [lambda value: value, lambda value: {"list": [value]}], ids=["alone", "inside"])
def test_what_json_cannot_say_is_a_type_error(value: object, around: Any) -> None:
    with pytest.raises(TypeError, match='contentType="v8"'):
        encode(around(value), "json")


@pytest.mark.parametrize("value", [UUID(int=1), Plain.ONE], ids=repr)
def test_what_json_can_say_alone_it_can_say_beside_a_date(value: object) -> None:
    def says(body: object) -> bool:
        with suppress(TypeError):
            encode(body, "json")
            return True
        return False

    assert says([value]) == says([value, datetime(2026, 1, 2, tzinfo=UTC)])


def test_a_type_error_tells_where_the_value_is() -> None:
    with pytest.raises(TypeError, match=r"body\.users\[1\]\.day is of type date"):
        encode({"users": [{}, {"day": date(2026, 1, 2)}]}, "json")


def test_a_key_that_json_cannot_say_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"body\.a has a key of type tuple"):
        encode({"a": {(1, 2): 3}}, "json")


@given(st.text(st.characters()))
@QUICK
def test_text_comes_back_as_it_was(value: str) -> None:
    assert decode(encode(value, "text"), "text") == value


def test_text_is_utf_8() -> None:
    assert encode("gr\u00fc\u00df", "text") == "gr\u00fc\u00df".encode()
    assert encode("", "text") == b""


@pytest.mark.parametrize("value", [b"x", 1, None, {"a": 1}, ["x"]], ids=repr)
def test_text_of_another_type_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match='"text" requires a value of type string, but received: '):
        encode(value, "text")


@pytest.mark.parametrize("value", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")], ids=_kind)
def test_bytes_travel_as_they_are(value: Any) -> None:
    assert encode(value, "bytes") == b"\x00\xff"
    assert decode(b"\x00\xff", "bytes") == b"\x00\xff"


@pytest.mark.parametrize("value", ["x", 3, None, [1], {"a": 1}], ids=repr)
def test_bytes_of_another_type_are_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match='"bytes" requires a value of type bytes, but received: '):
        encode(value, "bytes")


def same(left: object, right: object) -> bool:
    """Equal, and of the same types all the way down; a dict may have become an AttributeDict."""
    if isinstance(left, dict) and isinstance(right, dict):
        if left != right:
            return False
        return all(same(item, right[key]) for key, item in left.items())
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@given(CLONE_VALUES)
@QUICK
def test_a_clone_is_the_same_value_of_the_same_types(value: Any) -> None:
    assert same(value, decode(encode(value, "v8"), "v8"))


def test_a_clone_keeps_what_json_loses() -> None:
    value = {
        "at": datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC),
        "day": date(2026, 1, 2),
        "tags": {"a", "b"},
        "pair": (1, [2.0, (3,)]),
        "raw": b"\xff",
        "big": -(10**40),
        5: {True: float("inf")},
    }
    assert same(value, decode(encode(value, "v8"), "v8"))


def test_a_clone_of_not_a_number_is_not_a_number() -> None:
    value = decode(encode(float("nan"), "v8"), "v8")
    assert value != value  # noqa: PLR0124


@pytest.mark.parametrize(
    ("value", "clone"),
    [
        (AttributeDict(a=AttributeDict(b=1)), {"a": {"b": 1}}),
        (OrderedDict(a=1), {"a": 1}),
        (Point(1, 2), [1, 2]),
        (Size.SMALL, 1),
        (Colour.RED, "red"),
        ({Colour.RED: Colour.RED}, {"red": "red"}),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
    ],
    ids=_kind,
)
def test_a_subclass_is_cloned_as_what_it_is_made_of(value: object, clone: object) -> None:
    decoded = decode(encode(value, "v8"), "v8")
    assert decoded == clone
    assert type(decoded) in (AttributeDict, list, int, str, bytes)


def test_a_clone_keeps_a_lone_surrogate() -> None:
    assert decode(encode("\ud800", "v8"), "v8") == "\ud800"


@pytest.mark.parametrize(
    "value", [object(), len, timedelta(1), Decimal(1), 1j, range(3), UUID(int=1), Plain.ONE], ids=_kind
)
def test_what_cannot_be_cloned_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be cloned"):
        encode({"a": [value]}, "v8")


def nested(depth: int, kind: type) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": value} if kind is dict else kind([value])
    return value


NESTS = [("json", list), ("json", dict), ("v8", list), ("v8", dict), ("v8", tuple)]


@pytest.mark.parametrize(("content_type", "kind"), NESTS)
def test_deep_nesting_within_reason_is_fine(content_type: Any, kind: type) -> None:
    assert decode(encode(nested(150, kind), content_type), content_type) == nested(150, kind)


@pytest.mark.parametrize("content_type", ["json", "v8"])
@pytest.mark.parametrize("kind", [list, dict, tuple], ids=lambda kind: kind.__name__)
def test_endless_nesting_is_a_type_error(content_type: Any, kind: type) -> None:
    with pytest.raises(TypeError):
        encode(nested(1_200, kind), content_type)


@pytest.mark.parametrize(("content_type", "kind"), NESTS)
@pytest.mark.parametrize("depth", [30, 60, 150, 199, 201, 253, 254, 255, 400, 511, 512])
def test_what_is_accepted_can_be_read(content_type: Any, kind: type, depth: int) -> None:
    value = nested(depth, kind)
    try:
        body = encode(value, content_type)
    except TypeError:
        assert depth > 199
        return
    assert decode(body, content_type)


@pytest.mark.parametrize("content_type", ["json", "v8"])
def test_a_value_that_refers_to_itself_is_a_type_error(content_type: Any) -> None:
    in_list: list[Any] = []
    in_list.append(in_list)
    in_dict: dict[str, Any] = {}
    in_dict["self"] = [in_dict]
    in_tuple: list[Any] = []
    in_tuple.append((in_tuple,))
    for value in (in_list, in_dict, in_tuple):
        with pytest.raises(TypeError):
            encode(value, content_type)


@pytest.mark.parametrize("content_type", ["json", "v8"])
def test_the_keys_of_a_decoded_dict_are_attributes(content_type: Any) -> None:
    body = decode(encode({"user": {"name": "Ada"}, "list": [{"id": 7}]}, content_type), content_type)
    assert (body.user.name, body["user"]["name"], body.list[0].id) == ("Ada", "Ada", 7)
    assert body == {"user": {"name": "Ada"}, "list": [{"id": 7}]}


def test_the_keys_of_a_dict_in_a_tuple_are_attributes() -> None:
    assert decode(encode(({"id": 7},), "v8"), "v8")[0].id == 7


@pytest.mark.parametrize("content_type", ["json", "v8"])
def test_the_receiver_has_a_value_of_its_own(content_type: Any) -> None:
    sent = {"tags": ["a"]}
    body = encode(sent, content_type)
    sent["tags"].append("b")
    first, second = decode(body, content_type), decode(body, content_type)
    first["tags"].append("c")
    assert second == {"tags": ["a"]}


def test_changed_bytes_do_not_change_a_message() -> None:
    sent = bytearray(b"abc")
    body = encode(sent, "bytes")
    sent[0] = 0
    assert body == b"abc"


def test_values_of_the_module_js_travel_as_what_they_hold() -> None:
    moment, letters = js.Date.new(1000), js.Uint8Array.new([65, 66])
    assert encode(letters, "bytes") == encode(js.DataView.new(letters.buffer), "bytes") == b"AB"
    assert decode(encode({"at": moment, "to": js.URL.new("https://a/b")}, "json"), "json") == {
        "at": "1970-01-01T00:00:01.000Z",
        "to": "https://a/b",
    }
    sent = {"at": moment, "of": js.Set.new([1]), "by": js.Map.new([["a", letters]]), "raw": letters.buffer}
    assert decode(encode(sent, "v8"), "v8") == {
        "at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "of": {1},
        "by": {"a": b"AB"},
        "raw": b"AB",
    }
    with pytest.raises(TypeError, match="cannot be cloned"):
        encode(js.RegExp.new("a"), "v8")
    with pytest.raises(TypeError, match="body is of type Uint8Array, which JSON cannot represent"):
        encode(letters, "json")


@given(st.binary(max_size=40))
@settings(QUICK, max_examples=600)
def test_damaged_bytes_are_a_value_error(body: bytes) -> None:
    for content_type in CONTENT_TYPES:
        with suppress(ValueError):
            decode(body, content_type)


@pytest.mark.parametrize(
    "body", [b"\x81\x90\x01", b"\xc7\x01\x04\x05", b"\xc7\x00\x63", b"\xc7\x03\x04\x91\x91\x01", b"\x92\x01", b"\xc1"]
)
def test_damaged_clones_are_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever msgpack and the decoders say
        decode(body, "v8")
