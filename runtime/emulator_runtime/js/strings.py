"""Converts values to strings as JavaScript does where it expects one."""

from __future__ import annotations

from emulator_runtime.text import well_formed


def js_string(value: object) -> str:
    """`value` as a string: None becomes `undefined`, True `true`, 1.0 `1`; anything else its `str()`."""
    if isinstance(value, str):
        return well_formed(value)
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)
