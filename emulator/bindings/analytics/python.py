"""A dataset of Analytics Engine of a Python worker: `env.EVENTS`."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING, Any

from emulator_runtime.hosting import JsException, bytes_of

if TYPE_CHECKING:
    from emulator.bindings.analytics.kind import DatasetWriter


class AnalyticsBinding:
    """Records data points."""

    def __init__(self, writer: DatasetWriter) -> None:
        self._writer = writer

    def writeDataPoint(self, event: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:  # noqa: N802
        """Record a point: a dict, or keywords. `indexes` has one text at most, `blobs` up to 20 texts or bytes,
        `doubles` up to 20 numbers. A point that has more is not recorded, and a warning says so."""
        if event is not None and not isinstance(event, Mapping):
            text = "parameter 1 is not of type 'AnalyticsEngineEvent'."
            raise JsException(f"Failed to execute 'writeDataPoint' on 'AnalyticsEngine': {text}", "TypeError")
        given = {**(event or {}), **keywords}
        indexes, blobs = ([_content(each) for each in _list(given, name)] for name in ("indexes", "blobs"))
        self._writer.write(indexes, blobs, [_number(each) for each in _list(given, "doubles")])

    def __repr__(self) -> str:
        return "<AnalyticsEngineDataset>"


def _list(given: Mapping[str, Any], name: str) -> list[Any] | tuple[Any, ...]:
    values = given.get(name, ())
    if not isinstance(values, (list, tuple)):
        where = f"Incorrect type for the '{name}' field on 'AnalyticsEngineEvent'"
        raise JsException(f"{where}: the provided value is not of type 'Array'.", "TypeError")
    return values


def _content(value: Any) -> bytes:
    if value is None:
        return b""
    content = bytes_of(value)
    return content if content is not None else str(value).encode("utf-8", "replace")


def _number(value: Any) -> float:
    try:
        return 0.0 if value is None else float(value)
    except (TypeError, ValueError):
        return nan
