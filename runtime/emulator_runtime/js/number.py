"""`Number` of JavaScript. A number is an int or a float of Python, so this converts and checks."""

from __future__ import annotations

import re
import sys
from math import inf, isfinite, isnan, nan
from typing import Any, Final

from emulator_runtime.integers import to_number

_INTEGER: Final = re.compile(r"\s*([+-]?)(0[xX])?([0-9a-zA-Z]+)")
_FLOAT: Final = re.compile(r"\s*([+-]?(?:Infinity|[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?))")
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class Number:
    """`Number("1.5")` is 1.5, `Number("x")` is NaN."""

    MAX_SAFE_INTEGER: Final = 2**53 - 1
    MIN_SAFE_INTEGER: Final = -(2**53) + 1
    MAX_VALUE: Final = sys.float_info.max
    MIN_VALUE: Final = 5e-324
    EPSILON: Final = sys.float_info.epsilon
    POSITIVE_INFINITY: Final = inf
    NEGATIVE_INFINITY: Final = -inf
    NaN: Final = nan

    def __new__(cls, value: Any = 0) -> Any:
        return cls.new(value)

    @staticmethod
    def new(value: Any = 0) -> int | float:
        number = to_number(value)
        if isinstance(number, bool):
            return int(number)
        return int(number) if isinstance(number, float) and Number.isSafeInteger(number) else number

    @staticmethod
    def isFinite(value: Any) -> bool:
        return _is_number(value) and isfinite(value)

    @staticmethod
    def isInteger(value: Any) -> bool:
        return Number.isFinite(value) and value == int(value)

    @staticmethod
    def isSafeInteger(value: Any) -> bool:
        return Number.isInteger(value) and abs(value) < 2**53

    @staticmethod
    def isNaN(value: Any) -> bool:
        return _is_number(value) and isnan(value)

    @staticmethod
    def parseInt(text: Any, radix: int = 0) -> int | float:
        """The integer that `text` begins with, NaN if there is none."""
        found = _INTEGER.match(str(text))
        if found is None:
            return nan
        sign, prefix, digits = found.groups()
        base = radix or (16 if prefix else 10)
        if prefix and base != 16:
            return 0
        known = _DIGITS[:base]
        length = next((place for place, digit in enumerate(digits.lower()) if digit not in known), len(digits))
        return int(sign + digits[:length], base) if length else nan

    @staticmethod
    def parseFloat(text: Any) -> int | float:
        """The number that `text` begins with, NaN if there is none."""
        found = _FLOAT.match(str(text))
        return nan if found is None else Number.new(float(found[1]))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
