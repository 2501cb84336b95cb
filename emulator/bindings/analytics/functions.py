"""The functions of Analytics Engine's SQL that SQLite lacks, or has otherwise. A date and time is text."""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
_STEPS: Final[Mapping[str, int]] = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400, "WEEK": 604_800}
_MONTHS: Final[Mapping[str, int]] = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)


def date_text(seconds: float) -> str:
    """A time in seconds since the epoch as text, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime(_FORMAT)


def _date(value: Any) -> datetime:
    """The time that a text or a number of seconds says."""
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    text = str(value).strip()
    if text.isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _to_date_time(value: Any, zone: str = "UTC") -> str:
    given = _date(value)
    if not isinstance(value, (int, float)) and zone != "UTC":
        given = given.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return given.strftime(_FORMAT)


def _shift(value: Any, number: int, unit: str) -> str:
    given = _date(value)
    if unit in _STEPS:
        return (given + timedelta(seconds=number * _STEPS[unit])).strftime(_FORMAT)
    months = given.year * 12 + given.month - 1 + number * _MONTHS[unit]
    year, month = divmod(months, 12)
    day = min(given.day, monthrange(year, month + 1)[1])
    return given.replace(year=year, month=month + 1, day=day).strftime(_FORMAT)


def _start(value: Any, number: int, unit: str, _zone: str = "UTC") -> str:
    given = _date(value)
    if unit in _MONTHS:
        span = number * _MONTHS[unit]
        year, month = divmod((given.year * 12 + given.month - 1) // span * span, 12)
        return datetime(year, month + 1, 1, tzinfo=UTC).strftime(_FORMAT)
    begin = _MONDAY if unit == "WEEK" else datetime.fromtimestamp(0, UTC)
    step = number * _STEPS[unit]
    return (begin + timedelta(seconds=(given - begin).total_seconds() // step * step)).strftime(_FORMAT)


def _format_date(value: Any, form: str, zone: str = "UTC") -> str:
    return _date(value).astimezone(ZoneInfo(zone)).strftime(form.replace("%i", "%M"))


def _extract(unit: str, value: Any) -> int:
    return int(getattr(_date(value), unit.lower()))


def _seconds(value: Any) -> float:
    """A number, or the number that a text or a date says."""
    if value is None or isinstance(value, (int, float)):
        return value or 0
    try:
        return float(value)
    except ValueError:
        return _date(value).timestamp()


def _whole(value: Any) -> int:
    return int(_seconds(value))


def _rounded(how: Callable[[float], float]) -> Callable[..., float]:
    def rounded(value: float, places: int = 0) -> float:
        scale = 10**places
        return how(value * scale) / scale if places else how(value)

    return rounded


def _written(form: str, *values: Any) -> str:
    return form.format(*values)


def _starts(unit: str, number: int = 1) -> tuple[Callable[..., Any], int]:
    return (lambda value: _start(value, number, unit)), 1


def _part(name: str) -> tuple[Callable[..., Any], int]:
    return (lambda value: getattr(_date(value), name)), 1


SCALARS: Final[Mapping[str, tuple[Callable[..., Any], int]]] = {
    "dateShift": (_shift, 3),
    "toDateTime": (_to_date_time, -1),
    "formatDateTime": (_format_date, -1),
    "toUnixTimestamp": (lambda value: int(_date(value).timestamp()), 1),
    "toStartOfInterval": (_start, -1),
    "toStartOfYear": _starts("YEAR"),
    "toStartOfMonth": _starts("MONTH"),
    "toStartOfWeek": _starts("WEEK"),
    "toStartOfDay": _starts("DAY"),
    "toStartOfHour": _starts("HOUR"),
    "toStartOfFifteenMinutes": _starts("MINUTE", 15),
    "toStartOfTenMinutes": _starts("MINUTE", 10),
    "toStartOfFiveMinutes": _starts("MINUTE", 5),
    "toStartOfMinute": _starts("MINUTE"),
    "toYear": _part("year"),
    "toMonth": _part("month"),
    "toDayOfMonth": _part("day"),
    "toDayOfWeek": (lambda value: _date(value).isoweekday(), 1),
    "toHour": _part("hour"),
    "toMinute": _part("minute"),
    "toSecond": _part("second"),
    "toYYYYMM": (lambda value: _date(value).year * 100 + _date(value).month, 1),
    "extract": (_extract, 2),
    **{f"to{kind}{bits}": (_whole, 1) for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)},
    "toFloat32": (lambda value: float(_seconds(value)), 1),
    "toFloat64": (lambda value: float(_seconds(value)), 1),
    "toString": (str, 1),
    "intDiv": (lambda one, other: math.floor(one / other), 2),
    "log": (math.log, 1),
    "ln": (math.log, 1),
    "pow": (math.pow, 2),
    "floor": (_rounded(math.floor), -1),
    "ceil": (_rounded(math.ceil), -1),
    "bitAnd": (lambda one, other: one & other, 2),
    "bitOr": (lambda one, other: one | other, 2),
    "bitXor": (lambda one, other: one ^ other, 2),
    "bitNot": (lambda value: ~value, 1),
    "bitShiftLeft": (lambda value, by: value << by, 2),
    "bitShiftRight": (lambda value, by: value >> by, 2),
    "empty": (lambda text: int(text == ""), 1),
    "lowerUTF8": (lambda text: str(text).lower(), 1),
    "upperUTF8": (lambda text: str(text).upper(), 1),
    "toLower": (lambda text: str(text).lower(), 1),
    "toUpper": (lambda text: str(text).upper(), 1),
    "startsWith": (lambda text, other: int(str(text).startswith(other)), 2),
    "endsWith": (lambda text, other: int(str(text).endswith(other)), 2),
    "position": (lambda needle, text: str(text).find(needle) + 1, 2),
    "format": (_written, -1),
}
"""Each function with the number of its arguments, -1 where that varies."""


class _Best:
    """The first argument at the largest, or smallest, second one."""

    sign = 1

    def __init__(self) -> None:
        self.best: tuple[Any, Any] | None = None

    def step(self, argument: Any, value: Any) -> None:
        if self.best is None or (value > self.best[1] if self.sign > 0 else value < self.best[1]):
            self.best = argument, value

    def final(self) -> Any:
        return None if self.best is None else self.best[0]


class _Least(_Best):
    sign = -1


class _Quantile:
    """The value below which a part of the rows are, each as often as its weight says."""

    def __init__(self) -> None:
        self.level = 0.5
        self.values: list[tuple[float, float]] = []

    def step(self, level: float, value: float, weight: float) -> None:
        self.level = level
        self.values.append((value, weight))

    def final(self) -> float | None:
        wanted = self.level * sum(weight for _, weight in self.values)
        passed = 0.0
        for value, weight in sorted(self.values):
            passed += weight
            if passed >= wanted:
                return value
        return None


AGGREGATES: Final[Mapping[str, tuple[type[Any], int]]] = {
    "argMax": (_Best, 2),
    "argMin": (_Least, 2),
    "quantileExactWeighted": (_Quantile, 3),
    "quantileWeighted": (_Quantile, 3),
}
