"""Checks of single values in a configuration. Each check describes what it allows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from typing import Final, NamedTuple

from emulator.base.ranges import Range

CPU_MS: Final = Range(1, 300_000)
PORT: Final = Range(0, 65_535)

_WORKER_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}")
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FOUND_WIDTH = 60


class Check(NamedTuple):
    """`allowed` completes the sentence "must be ..."; `accepts` returns whether a value is allowed."""

    allowed: str
    accepts: Callable[[object], bool]


def found(value: object) -> str:
    """A value as an error message shows it."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if value is None or isinstance(value, str | int | float):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= _FOUND_WIDTH else f"{text[:_FOUND_WIDTH]}..."
    return f"the date {value}" if isinstance(value, date) else f"the time {value}"


def whole(allowed: Range) -> Check:
    """A whole number in a range."""
    return Check(f"a whole number from {allowed}", lambda value: value in allowed)


def one_of(*choices: str) -> Check:
    """One of a few strings."""
    return Check(" or ".join(f'"{choice}"' for choice in choices), lambda value: value in choices)


def matching(allowed: str, pattern: re.Pattern[str]) -> Check:
    """A string that matches all of `pattern`, which `allowed` describes in words."""
    return Check(allowed, lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None)


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_identifier(name: str) -> bool:
    """Whether `name` can follow `env.` in JavaScript, and therefore, unless it contains `$`, in Python."""
    return _IDENTIFIER.fullmatch(name) is not None


ANYTHING: Final = Check("anything", lambda _value: True)
OBJECT: Final = Check("an object", lambda value: isinstance(value, dict))
ARRAY: Final = Check("an array", lambda value: isinstance(value, list))
BOOLEAN: Final = Check("true or false", lambda value: isinstance(value, bool))
STRING: Final = Check("a string", lambda value: isinstance(value, str))
TEXT: Final = Check("a non-empty string", lambda value: isinstance(value, str) and value != "")
TEXT_OR_TEXTS: Final = Check(
    "a non-empty string, or an array of them",
    lambda value: TEXT.accepts(value) or (isinstance(value, list) and all(map(TEXT.accepts, value))),
)
WORKER_NAME: Final = matching(
    "a name of 1 to 63 lowercase letters, digits, hyphens and underscores that does not begin with a hyphen",
    _WORKER_NAME,
)
BINDING: Final = matching("a JavaScript identifier, such as MY_QUEUE", _IDENTIFIER)
DATE: Final = Check('a date in quotes, such as "2026-01-31"', _is_date)
MODULE_KIND: Final = one_of("ESModule", "CommonJS", "CompiledWasm", "Text", "Data", "PythonModule", "PythonRequirement")
CPU_TIME: Final = whole(CPU_MS)
PORT_NUMBER: Final = whole(PORT)
