"""The built-in objects of JavaScript that Python workers import: `Object`, `JSON`, `Array`, `console`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from emulator_runtime.js.date import Date
from emulator_runtime.url import URL, URLSearchParams
from emulator_runtime.values import AttributeDict, to_attribute_dict


class Object:
    """`Object.fromEntries(pairs)` and similar functions, for dicts."""

    @staticmethod
    def new() -> AttributeDict:
        return AttributeDict()

    @staticmethod
    def fromEntries(entries: Iterable[Any]) -> AttributeDict:
        """An object, which is a dict with attributes, from pairs or a dict."""
        pairs = entries.items() if isinstance(entries, Mapping) else entries
        return AttributeDict({str(key): to_attribute_dict(value) for key, value in pairs})

    @staticmethod
    def keys(target: Mapping[str, Any]) -> list[str]:
        return list(target)

    @staticmethod
    def values(target: Mapping[str, Any]) -> list[Any]:
        return list(target.values())

    @staticmethod
    def entries(target: Mapping[str, Any]) -> list[list[Any]]:
        return [[key, value] for key, value in target.items()]

    @staticmethod
    def assign(target: dict[str, Any], *sources: Mapping[str, Any]) -> dict[str, Any]:
        for source in sources:
            target.update(source)
        return target


class JSON:
    """`JSON.parse(text)` and `JSON.stringify(value)`."""

    @staticmethod
    def parse(text: str) -> Any:
        return to_attribute_dict(json.loads(text))

    @staticmethod
    def stringify(value: Any, _replacer: None = None, space: int | str | None = None) -> str:
        """Without spaces, as JavaScript writes it, unless `space` is given."""
        separators = (",", ":") if space is None else (",", ": ")
        return json.dumps(value, ensure_ascii=False, separators=separators, indent=space, default=_to_json)


def _to_json(value: Any) -> Any:
    if isinstance(value, (Date, URL)):
        return value.toJSON()
    if isinstance(value, datetime):
        return Date(value).toISOString()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


class Array:
    """`Array.new()` and `Array.from_(...)`, which are lists."""

    @staticmethod
    def new(*items: Any) -> list[Any]:
        return list(items)

    of = new

    @staticmethod
    def from_(items: Iterable[Any]) -> list[Any]:
        return list(items)

    @staticmethod
    def isArray(value: object) -> bool:
        return isinstance(value, list)


# `from` is a Python keyword, so code for production also uses getattr to get it.
setattr(Array, "from", staticmethod(Array.from_))


class console:  # noqa: N801 - JavaScript's name
    """`console.log` and similar functions write to standard output; warnings and errors go to standard error. A host
    knows an error by the function that prints it."""

    @staticmethod
    def log(*values: Any) -> None:
        print(*map(_shown, values), file=sys.stdout)

    info = debug = log

    @staticmethod
    def warn(*values: Any) -> None:
        print(*map(_shown, values), file=sys.stderr)

    @staticmethod
    def error(*values: Any) -> None:
        print(*map(_shown, values), file=sys.stderr)


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        try:
            return JSON.stringify(value)
        except TypeError:
            return str(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


__all__ = ["JSON", "URL", "Array", "Object", "URLSearchParams", "console"]
