"""`Date` of JavaScript, in UTC: the part that Python workers use."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Self


class Date:
    """A point in time, in whole milliseconds since the epoch.

    `Date.new()` is now. Other forms are `Date.new(ms)`, `Date.new("2026-01-31")` and `Date.new(year, month_from_0, day,
    hour, minute, second, ms)`.
    """

    __slots__ = ("_ms",)

    def __init__(self, *arguments: Any) -> None:
        self._ms = _milliseconds(arguments)

    @classmethod
    def new(cls, *arguments: Any) -> Self:
        return cls(*arguments)

    @staticmethod
    def now() -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    @staticmethod
    def parse(text: str) -> int:
        return _parse(text)

    def getTime(self) -> int:
        return self._ms

    valueOf = getTime

    def to_py(self) -> datetime:
        return datetime.fromtimestamp(self._ms / 1000, UTC)

    def toISOString(self) -> str:
        moment = self.to_py()
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self._ms % 1000:03d}Z"

    toJSON = toISOString

    def toUTCString(self) -> str:
        moment = self.to_py()
        # Not strftime: the names must be English whatever the locale.
        date = f"{_DAYS[moment.weekday()]}, {moment.day:02d} {_MONTHS[moment.month - 1]} {moment.year}"
        return f"{date} {moment:%H:%M:%S} GMT"

    def getUTCFullYear(self) -> int:
        return self.to_py().year

    def getUTCMonth(self) -> int:
        """0 to 11."""
        return self.to_py().month - 1

    def getUTCDate(self) -> int:
        return self.to_py().day

    def getUTCDay(self) -> int:
        """0 (Sunday) to 6."""
        return self.to_py().isoweekday() % 7

    def getUTCHours(self) -> int:
        return self.to_py().hour

    def getUTCMinutes(self) -> int:
        return self.to_py().minute

    def getUTCSeconds(self) -> int:
        return self.to_py().second

    def getUTCMilliseconds(self) -> int:
        return self._ms % 1000

    # A worker in production runs in UTC.
    getFullYear = getUTCFullYear
    getMonth = getUTCMonth
    getDate = getUTCDate
    getDay = getUTCDay
    getHours = getUTCHours
    getMinutes = getUTCMinutes
    getSeconds = getUTCSeconds
    getMilliseconds = getUTCMilliseconds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Date) and other._ms == self._ms

    def __hash__(self) -> int:
        return hash(self._ms)

    def __str__(self) -> str:
        return self.toUTCString()

    def __repr__(self) -> str:
        return f"Date({self.toISOString()!r})"


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _milliseconds(arguments: tuple[Any, ...]) -> int:
    if not arguments:
        return Date.now()
    first = arguments[0]
    if len(arguments) > 1:
        year, month, day, *clock = (*arguments, 1) if len(arguments) == 2 else arguments
        hour, minute, second, ms = (*clock, 0, 0, 0, 0)[:4]
        moment = datetime(year, month + 1, day, hour, minute, second, tzinfo=UTC)
        return round(moment.timestamp() * 1000) + int(ms)
    if isinstance(first, Date):
        return first.getTime()
    if isinstance(first, datetime):
        return round(first.timestamp() * 1000)
    return _parse(first) if isinstance(first, str) else int(first)


def _parse(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"Invalid Date: {text!r} (only ISO 8601 is understood)") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
