"""`structuredClone`: copies of values, of the types that can be sent to other workers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from emulator_runtime.js.buffers import ArrayBuffer, DataView, TypedArray
from emulator_runtime.js.collections import Map, Set
from emulator_runtime.js.date import Date
from emulator_runtime.js.errors import DOMException, Error
from emulator_runtime.js.regexp import RegExp
from emulator_runtime.workers.blob import Blob


def structuredClone(value: Any, _options: Any = None, **_keywords: Any) -> Any:
    """A copy of `value`, at all depths; what is in it twice, or contains itself, is so in the copy too. Raises
    `DOMException` named `DataCloneError` for what cannot be cloned, such as a function."""
    return _clone(value, {})


def _clone(value: Any, done: dict[int, Any]) -> Any:
    if value is None or isinstance(value, (str, int, float, bytes, datetime, Date, Blob)):
        return value  # none of them can be changed
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, Map):
        return _filled(value, Map(), done)
    if isinstance(value, dict):
        return _filled(value, type(value)(), done)
    if isinstance(value, (list, tuple)):
        items: list[Any] = []
        done[id(value)] = items
        items.extend(_clone(item, done) for item in value)
        return items
    done[id(value)] = copy = _clone_of(value, done)
    return copy


def _filled(value: dict[Any, Any], copy: dict[Any, Any], done: dict[int, Any]) -> dict[Any, Any]:
    done[id(value)] = copy
    for key, item in value.items():
        copy[_clone(key, done)] = _clone(item, done)
    return copy


def _clone_of(value: Any, done: dict[int, Any]) -> Any:
    if isinstance(value, Set):
        return Set([_clone(item, done) for item in value])
    if isinstance(value, (set, frozenset)):
        return {_clone(item, done) for item in value}
    if isinstance(value, (bytearray, memoryview)):
        return bytearray(value)
    if isinstance(value, ArrayBuffer):
        return ArrayBuffer.holding(value.content)
    if isinstance(value, TypedArray):
        return type(value)(_clone(value.buffer, done), value.byteOffset, value.length)
    if isinstance(value, DataView):
        return DataView(_clone(value.buffer, done), value.byteOffset, value.byteLength)
    if isinstance(value, RegExp):
        return RegExp(value)
    if isinstance(value, DOMException):
        return DOMException(value.message, value.name)
    if isinstance(value, Error):
        copy = type(value)(message=value.message)
        copy.cause = _clone(value.cause, done)
        return copy
    raise DOMException(f"{value!r} could not be cloned.", "DataCloneError")
