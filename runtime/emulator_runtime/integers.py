"""Converts values to numbers as JavaScript does."""

from __future__ import annotations

import re
from math import isfinite, nan
from typing import Any, Final

_LOW: Final = -(2**31)
_HIGH: Final = 2**31 - 1
_SPACE: Final = " \t\n\v\f\r\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE: Final = re.compile(r"[+-]?Infinity")
_BASED: Final = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")


def to_int32(value: Any) -> int:
    """`value` as a 32-bit integer, converted as Workers runtimes do: 1.7 is 1, `"5"` is 5, and anything but a finite
    number is 0. Raises TypeError if it does not fit."""
    number = to_number(value)
    if isinstance(number, float) and not isfinite(number):
        return 0
    if not _LOW <= number <= _HIGH:
        raise TypeError(f"Value out of range. Must be between {_LOW} and {_HIGH} (inclusive).")
    return int(number)


def to_number(value: Any) -> int | float:
    """`value` as a number, converted as JavaScript does it; NaN for what is none."""
    if isinstance(value, (int, float)):
        return value
    return nan if value is None else _parse(str(value))


def _parse(text: str) -> int | float:
    """The result of `Number(text)` in JavaScript."""
    text = text.strip(_SPACE)
    if not text:
        return 0
    if _DECIMAL.fullmatch(text) or _INFINITE.fullmatch(text):
        return float(text)
    return int(text, 0) if _BASED.fullmatch(text) else nan
