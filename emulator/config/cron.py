"""Cron expressions, in the dialect of production: which are allowed, and when they are due, in UTC.

Five fields: minute, hour, day of the month, month and day of the week, where 1 is Sunday. A field is a list of numbers,
names, ranges (which may wrap around, as in `FRI-MON`) and steps; the two fields for days also know `L`, `W` and `#`. If
both are restricted, a day that either of them allows is enough. `parse` is for expressions without a `cron_problem`.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple

from emulator.config.checks import found

FURTHEST_YEARS: Final = 8
"""How far to look for the next time. A leap year comes again after eight years at most."""


class _CronField(NamedTuple):
    """One of the five fields: its name, the lowest and highest number, the names that may replace these numbers,
    starting with `low`, and a pattern of other values that are allowed."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    special: re.Pattern[str] | None = None

    def number(self, text: str) -> int | None:
        """The number that `text` means, or None."""
        if text.upper() in self.names:
            return self.low + self.names.index(text.upper())
        if not (text.isascii() and text.isdecimal() and len(text) <= 2):
            return None
        return int(text) if self.low <= int(text) <= self.high else None

    def accepts(self, text: str) -> bool:
        return all(self._accepts_part(part) for part in text.split(","))

    def _accepts_part(self, part: str) -> bool:
        if self._numbers(part) is not None:
            return True
        return self.special is not None and self.special.fullmatch(part.upper()) is not None

    def _numbers(self, part: str) -> list[int] | None:
        """The numbers that a part of a list means; None if it is not one of numbers, or not allowed."""
        span, slash, step = part.partition("/")
        if slash and not (step.isascii() and step.isdecimal() and len(step) <= 2 and int(step) > 0):
            return None
        if span == "*":
            first, last = self.low, self.high
        else:
            start, dash, end = span.partition("-")
            low, high = self.number(start), self.number(end) if dash else None
            if low is None or (dash and high is None):
                return None
            first, last = low, high if high is not None else self.high if slash else low
        every = (
            [*range(first, last + 1)] if first <= last else [*range(first, self.high + 1), *range(self.low, last + 1)]
        )
        return every[:: int(step) if slash else 1]

    def read(self, text: str) -> tuple[frozenset[int], tuple[str, ...]]:
        """The numbers that an accepted field allows, and its special values in upper case."""
        numbers: set[int] = set()
        special: list[str] = []
        for part in text.split(","):
            meant = self._numbers(part)
            if meant is None:
                special.append(part.upper())
            else:
                numbers.update(meant)
        return frozenset(numbers), tuple(special)

    def __str__(self) -> str:
        names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.name} {self.low} to {self.high}{names}"


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_CRON_FIELDS: Final = (
    _CronField("minute", 0, 59),
    _CronField("hour", 0, 23),
    _CronField(
        "day of the month", 1, 31, special=re.compile(r"LW?|L-(?:[1-9]|[12][0-9]|30)W?|(?:[1-9]|[12][0-9]|3[01])W")
    ),
    _CronField("month", 1, 12, _MONTHS),
    _CronField("day of the week", 1, 7, _WEEKDAYS, re.compile(rf"L|(?:[1-7]|{'|'.join(_WEEKDAYS)})(?:L|#[1-5])")),
)


def cron_problem(expression: str) -> str:
    """What is wrong with a cron expression, or an empty string."""
    parts = expression.split()
    if len(parts) != len(_CRON_FIELDS):
        return f"must have 5 fields (minute, hour, day of the month, month, day of the week), not {len(parts)}"
    for part, allowed in zip(parts, _CRON_FIELDS, strict=True):
        if not allowed.accepts(part):
            sunday = ", where 1 is Sunday" if allowed.high == len(_WEEKDAYS) else ""
            return f"{found(part)} is not allowed here: {allowed}{sunday}"
    return ""


class Cron(NamedTuple):
    """An expression that was read: the numbers that its fields allow, and the special values of the two for days, which
    are None where the field is `*`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: tuple[frozenset[int], tuple[str, ...]] | None
    months: frozenset[int]
    weekdays: tuple[frozenset[int], tuple[str, ...]] | None

    def next_after(self, when: float) -> float | None:
        """The first time after `when` at which it is due, both in seconds since the epoch; None if it is never, as on
        the 30th of February."""
        start = datetime.fromtimestamp(when, UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        hours, minutes = sorted(self.hours), sorted(self.minutes)
        for day in self._days_from(start.date()):
            earliest = (start.hour, start.minute) if day == start.date() else (0, 0)
            for hour in hours:
                for minute in minutes:
                    if (hour, minute) >= earliest:
                        return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC).timestamp()
        return None

    def _days_from(self, first: date) -> Iterator[date]:
        """The days on which it is due, from `first` on."""
        for month in range(first.year * 12 + first.month - 1, (first.year + FURTHEST_YEARS) * 12 + first.month):
            year, month_number = month // 12, month % 12 + 1
            if month_number in self.months:
                for number in range(1, monthrange(year, month_number)[1] + 1):
                    day = date(year, month_number, number)
                    if day >= first and self._is_due_on(day):
                        yield day

    def _is_due_on(self, day: date) -> bool:
        if self.days is None:
            return self.weekdays is None or _is_weekday(day, *self.weekdays)
        return _is_day(day, *self.days) or (self.weekdays is not None and _is_weekday(day, *self.weekdays))


@cache
def parse(expression: str) -> Cron:
    """Read an expression that has no `cron_problem`."""
    parts = expression.split()
    (minutes, _), (hours, _), days, (months, _), weekdays = (
        field.read(part) for part, field in zip(parts, _CRON_FIELDS, strict=True)
    )
    return Cron(minutes, hours, None if parts[2] == "*" else days, months, None if parts[4] == "*" else weekdays)


def _is_day(day: date, numbers: frozenset[int], special: tuple[str, ...]) -> bool:
    """Whether a field for days of the month allows `day`."""
    if day.day in numbers:
        return True
    last = monthrange(day.year, day.month)[1]
    for value in special:
        number = value.removesuffix("W")
        wanted = last - int(number[2:] or 0) if number.startswith("L") else int(number)
        if 1 <= wanted <= last and day.day == (_closest_weekday(day, wanted, last) if value.endswith("W") else wanted):
            return True
    return False


def _closest_weekday(day: date, number: int, last: int) -> int:
    """The day from Monday to Friday that is closest to day `number` of the month of `day`, and in it."""
    weekday = day.replace(day=number).isoweekday()
    if weekday == 6:
        return number - 1 if number > 1 else number + 2
    if weekday == 7:
        return number + 1 if number < last else number - 2
    return number


def _is_weekday(day: date, numbers: frozenset[int], special: tuple[str, ...]) -> bool:
    """Whether a field for days of the week allows `day`. A bare `L` is Saturday."""
    weekday = day.isoweekday() % 7 + 1
    if weekday in numbers:
        return True
    for value in special:
        name, _, which = value.partition("#")
        if value == "L":
            if weekday == 7:
                return True
        elif weekday == _CRON_FIELDS[4].number(name.removesuffix("L")) and (
            (day.day - 1) // 7 + 1 == int(which) if which else day.day + 7 > monthrange(day.year, day.month)[1]
        ):
            return True
    return False
