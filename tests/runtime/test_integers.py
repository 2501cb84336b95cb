"""Numbers as a JavaScript runtime converts them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from emulator_runtime.integers import to_int32


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (-1, -1),
        (True, 1),
        (1.7, 1),
        (-1.7, -1),
        (-0.5, 0),
        (float("nan"), 0),
        (float("inf"), 0),
        (float("-inf"), 0),
        (2**31 - 1, 2**31 - 1),
        (-(2**31), -(2**31)),
        ("5", 5),
        ("", 0),
        (" \n\u00a012\ufeff ", 12),
        ("1.7", 1),
        ("1e2", 100),
        (".5", 0),
        ("5.", 5),
        ("+5", 5),
        ("-5", -5),
        ("0x10", 16),
        ("0B11", 3),
        ("0o17", 15),
        ("-0x10", 0),
        ("010", 10),
        ("1_000", 0),
        ("\u0665", 0),
        ("Infinity", 0),
        ("inf", 0),
        ("nan", 0),
        ("soon", 0),
        ([5], 0),
        ({}, 0),
        (Decimal("7.5"), 7),
    ],
    ids=repr,
)
def test_a_value_is_converted_as_javascript_does(value: object, expected: int) -> None:
    converted = to_int32(value)
    assert (converted, type(converted)) == (expected, int)


@pytest.mark.parametrize(
    "value", [2**31, -(2**31) - 1, 1e300, "1e300", 2147483647.5, 10**400], ids=lambda each: str(each)[:12]
)
def test_what_is_beyond_32_bits_is_a_type_error(value: object) -> None:
    with pytest.raises(
        TypeError, match=r"^Value out of range. Must be between -2147483648 and 2147483647 \(inclusive\).$"
    ):
        to_int32(value)
