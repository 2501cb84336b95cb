"""Makes strings well-formed Unicode, as the web platform requires."""

from __future__ import annotations

import math
from typing import Any


def well_formed(text: str) -> str:
    """`text` with each lone surrogate replaced with U+FFFD, like `toWellFormed()` in JavaScript."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def to_utf8(text: str) -> bytes:
    """`text` as UTF-8, made well-formed if necessary."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return well_formed(text).encode()


def to_js_string(value: Any) -> str:
    """What JavaScript makes of a Python value that it needs as a string: `True` is `true`, None is `undefined`, 1.0 is
    `1`. Objects are what `str()` says."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    """A number as JavaScript writes it: with digits from 1e-6 to 1e21, and else with an exponent."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        from decimal import Decimal

        digits = format(Decimal(repr(value)), "f")
        return digits.removesuffix(".0").replace("-0", "0") if value == 0 else digits.removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent):+}"
