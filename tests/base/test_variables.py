"""Local variables are shown as short texts, and looking at them runs no code of the worker."""

from __future__ import annotations

import enum
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.base.secrets import Secrets
from emulator.base.variables import MAX_CHARACTERS, MAX_VARIABLES, Variables
from emulator.bindings.env import Env
from emulator_runtime.hosting import Headers, Request, Response, ScheduledController

KEY = "sk-live-12345"


@pytest.fixture
def variables() -> Variables:
    secrets = Secrets()
    secrets.add("API_KEY", KEY)
    return Variables(secrets)


def never(*_arguments: Any, **_keywords: Any) -> NoReturn:
    raise AssertionError("code of the worker ran")


class Meta(type):
    __getattribute__ = __eq__ = never
    __hash__ = never
    __instancecheck__ = __subclasscheck__ = never


class Hostile(metaclass=Meta):
    __class__ = property(never)
    __repr__ = __str__ = __getattribute__ = __getattr__ = __len__ = __iter__ = __eq__ = __hash__ = never
    __bool__ = __format__ = __dir__ = never


class HostileText(str):
    __slots__ = ()
    __repr__ = __str__ = __len__ = __getitem__ = __iter__ = __eq__ = __hash__ = __format__ = never


class HostileNumber(int):
    __repr__ = __str__ = bit_length = __format__ = __bool__ = never


class HostileList(list[Any]):
    __repr__ = __iter__ = __len__ = __getitem__ = __bool__ = never


class HostileDict(dict[Any, Any]):
    __repr__ = __iter__ = __len__ = __getitem__ = items = keys = __bool__ = never


class HostileError(Exception):
    __repr__ = __str__ = never
    args = property(never)


@dataclass
class Order:
    number: int
    note: str
    _cache: int = 1


@dataclass(slots=True)
class Line:
    article: str
    count: int


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


Point = namedtuple("Point", "x y")


class Empty:
    def method(self) -> None: ...


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        (-1.5, "-1.5"),
        (2j, "2j"),
        ("it's", '"it\'s"'),
        (b"a\xff", r"b'a\xff'"),
        (bytearray(b"a"), "bytearray(b'a')"),
        (memoryview(b"a"), "memoryview(b'a')"),
        ([1, "a"], "[1, 'a']"),
        ((1,), "(1,)"),
        ((), "()"),
        ({"a": {"b": [1]}}, "{'a': {'b': [1]}}"),
        ({1}, "{1}"),
        (set(), "set()"),
        (frozenset({1}), "frozenset({1})"),
        (deque([1]), "deque([1])"),
        (Counter("a"), "Counter({'a': 1})"),
        (OrderedDict(a=1), "OrderedDict({'a': 1})"),
        (defaultdict(list), "defaultdict({})"),
        (range(3), "range(0, 3)"),
        (Point(1, "b"), "Point(x=1, y='b')"),
        (Order(1, "now"), "Order(number=1, note='now')"),
        (Line("pen", 2), "Line(article='pen', count=2)"),
        (Line.__new__(Line), "<Line>"),
        (Colour.RED, "Colour.RED"),
        (Level.HIGH, "Level.HIGH"),
        (Empty(), "<Empty>"),
        (object(), "<object>"),
        (ValueError("no", 3), "ValueError('no', 3)"),
        (datetime(2026, 1, 1, tzinfo=UTC), "datetime.datetime(2026, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)"),
        (timedelta(seconds=3), "datetime.timedelta(seconds=3)"),
        (Decimal("1.20"), "Decimal('1.20')"),
        (UUID(int=7), "UUID('00000000-0000-0000-0000-000000000007')"),
        (Path("/a"), "PosixPath('/a')"),
        (10**1_000, "<int of 3,322 bits>"),
        (Request("http://shop.example/a?b"), "Request(method='GET', url='http://shop.example/a?b')"),
        (Response("no", status=404), "Response(status=404, content_type='text/plain;charset=UTF-8')"),
        (ScheduledController("* * * * *", 5), "<ScheduledController cron='* * * * *' scheduledTime=5>"),
        (Headers({"cookie": "session=1"}), "<Headers>"),
    ],
)
def test_a_value_is_shown_as_python_writes_it(variables: Variables, value: object, text: str) -> None:
    assert variables.text(value) == text


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Hostile(), "<Hostile>"),  # noqa: PLW0108 - pytest looks at the class
        (lambda: [Hostile()], "[<Hostile>]"),
        (lambda: HostileText("a"), "'a'"),
        (lambda: HostileNumber(4), "4"),
        (lambda: HostileList([1, 2]), "HostileList([1, 2])"),
        (lambda: HostileDict({"a": 1}), "HostileDict({'a': 1})"),
        (lambda: HostileError("a"), "HostileError('a')"),
    ],
)
def test_no_code_of_a_value_runs(variables: Variables, make: Callable[[], object], text: str) -> None:
    assert variables.text(make()) == text


def test_a_value_that_cannot_be_looked_at_is_named(variables: Variables) -> None:
    value = memoryview(b"a")
    value.release()
    assert variables.text(value) == "<memoryview: ValueError>"


def test_a_type_that_says_that_it_is_of_the_standard_library_is_not_believed(variables: Variables) -> None:
    liar = type("Decimal", (), {"__module__": "decimal", "__repr__": never})
    assert variables.text(liar()) == "<Decimal>"


def test_a_value_that_contains_itself_is_shown_to_a_depth(variables: Variables) -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert variables.text(loop) == "[[[[...]]]]"
    mutual: dict[str, Any] = {}
    mutual["a"] = {"b": mutual}
    assert variables.text(mutual) == "{'a': {'b': {'a': {'b': ...}}}}"


def test_what_is_left_out_of_a_long_value_is_counted(variables: Variables) -> None:
    assert variables.text("x" * 5_000) == f"'{'x' * 180}' and 4,820 more"
    assert variables.text(b"x" * 5_000) == f"b'{'x' * 90}' and 4,910 more"
    many = variables.text(list(range(10_000)))
    assert many.startswith("[0, 1, 2, 3, ")
    assert many.endswith(f" and {10_000 - many.count(',') + 1:,} more]")


def test_a_long_value_leaves_room_for_those_beside_it(variables: Variables) -> None:
    shown = variables.text({"html": "<p>" * 1_000, "to": "ada@example.com", "sizes": list(range(100))})
    assert "'to': 'ada@example.com'" in shown
    assert "'sizes': [0, 1" in shown


@pytest.mark.parametrize(
    "value",
    [
        KEY,
        f"Bearer {KEY}",
        KEY.encode(),
        bytearray(KEY.encode()),
        memoryview(KEY.encode()),
        {"headers": [("authorization", f"Bearer {KEY}")]},
        {KEY: 1},
        Order(1, KEY),
        Point(KEY, 1),
        ValueError(KEY),
        Path(f"/keys/{KEY}"),
        "x" * 175 + KEY + "y" * 100,
        b"x" * 85 + KEY.encode() + b"y" * 100,
        [["x" * 40 + KEY]],
    ],
)
def test_a_secret_is_hidden_wherever_it_occurs(variables: Variables, value: object) -> None:
    shown = variables.text(value)
    assert "secret" in shown
    for start in range(len(KEY) - 5):
        assert KEY[start : start + 6] not in shown


def test_a_long_secret_is_hidden_where_a_value_is_cut() -> None:
    secrets = Secrets()
    key = "".join(chr(97 + number % 26) for number in range(3_000))
    secrets.add("PEM", key)
    for value in ("-" * 170 + key, b"-" * 80 + key.encode(), [key, key]):
        assert "abcdef" not in Variables(secrets).text(value)


def test_a_number_that_is_a_secret_is_hidden() -> None:
    secrets = Secrets()
    secrets.add("PIN", "48151")
    assert Variables(secrets).text([48151, 48.5]) == "[(secret PIN), 48.5]"


def test_characters_that_steer_a_terminal_or_turn_text_are_escaped(variables: Variables) -> None:
    assert variables.text("\x1b[2J\u202e\ud800") == r"'\x1b[2J\u202e\ud800'"
    assert variables.text(type("\x1b[2J\u202e", (), {})()) == r"<\x1b[2J\u202e>"


TEXTS = st.text(st.characters(exclude_categories=()), max_size=300)
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=300) | st.complex_numbers()
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(TEXTS, inner) | st.builds(Point, inner, inner)
    ),
    max_leaves=40,
)


@given(VALUES)
def test_any_value_is_short_and_can_be_written_down(value: Any) -> None:
    shown = Variables(Secrets()).text(value)
    assert 0 < len(shown) <= MAX_CHARACTERS
    assert shown.isprintable()
    shown.encode()


def frame_of(function: Any, *arguments: Any) -> FrameType:
    """The innermost frame of what a function raises."""
    try:
        function(*arguments)
    except ZeroDivisionError as error:
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        assert traceback is not None
        return traceback.tb_frame
    raise AssertionError


def test_variables_come_in_the_order_of_the_code_without_noise(variables: Variables) -> None:
    def handler(self: Any, batch: Any, env: Any) -> None:
        import json

        def helper() -> None: ...

        kind, _private, method = Order, 1, self.method
        outer = [batch]
        deleted = 1
        del deleted
        1 / 0  # noqa: B018
        json, helper, kind, _private, method, outer, env  # noqa: B018

    env = Env({"API_KEY": KEY}, "wrangler.jsonc")
    assert variables.of(frame_of(handler, Empty(), 7, env)) == ({"batch": "7", "outer": "[7]"}, 0)


def test_self_is_shown_where_it_has_attributes(variables: Variables) -> None:
    def method(self: Any) -> None:
        self.count += 1 / 0

    class Counted:
        count = 0

        def __init__(self) -> None:
            self.name = "a"
            self.env = Env({"API_KEY": KEY}, "wrangler.jsonc")

    assert variables.of(frame_of(method, Counted())) == ({"self": "Counted(name='a')"}, 0)


def test_of_many_variables_the_first_ones_are_shown(variables: Variables) -> None:
    code = "def many():\n" + "".join(f"    v{number} = {number}\n" for number in range(50)) + "    1 / 0\n"
    scope: dict[str, Any] = {}
    exec(code, scope)
    shown, more = variables.of(frame_of(scope["many"]))
    assert list(shown) == [f"v{number}" for number in range(MAX_VARIABLES)]
    assert more == 30


def test_code_of_a_module_or_class_has_no_local_variables(variables: Variables) -> None:
    def run(code: str) -> None:
        exec(compile(code, "module.py", "exec"), {"given": 1})

    assert variables.of(frame_of(run, "a = 1\n1 / 0")) == ({}, 0)
    assert variables.of(frame_of(run, "class A:\n    b = 1\n    1 / 0")) == ({}, 0)
    assert variables.of(sys._getframe())[0]["variables"] == "<Variables>"
