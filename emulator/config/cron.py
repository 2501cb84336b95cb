"""Checks cron expressions as production does. It does not compute when a cron is due."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from emulator.config.checks import found


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
        span, slash, step = part.partition("/")
        if slash and not (step.isascii() and step.isdecimal() and len(step) <= 2 and int(step) > 0):
            return False
        if span == "*":
            return True
        first, dash, last = span.partition("-")
        low, high = self.number(first), self.number(last) if dash else None
        if low is not None and (high is not None if dash else True):
            return True
        return not slash and self.special is not None and self.special.fullmatch(part.upper()) is not None

    def __str__(self) -> str:
        names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.name} {self.low} to {self.high}{names}"


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_CRON_FIELDS: Final = (
    _CronField("minute", 0, 59),
    _CronField("hour", 0, 23),
    _CronField(
        "day of the month", 1, 31, special=re.compile(r"L|LW|L-(?:[1-9]|[12][0-9]|30)|(?:[1-9]|[12][0-9]|3[01])W")
    ),
    _CronField("month", 1, 12, _MONTHS),
    _CronField("day of the week", 1, 7, _WEEKDAYS, re.compile(rf"L|(?:[1-7]|{'|'.join(_WEEKDAYS)})(?:L|#[1-5])")),
)


def cron_problem(expression: str) -> str:
    """What is wrong with a cron expression, or an empty string. Production allows five fields, names of months and
    weekdays, `*` `,` `-` `/`, and `L`, `W` and `#` in the two fields for days. Sunday is 1."""
    parts = expression.split()
    if len(parts) != len(_CRON_FIELDS):
        return f"must have 5 fields (minute, hour, day of the month, month, day of the week), not {len(parts)}"
    for part, allowed in zip(parts, _CRON_FIELDS, strict=True):
        if not allowed.accepts(part):
            sunday = ", where 1 is Sunday" if allowed.high == len(_WEEKDAYS) else ""
            return f"{found(part)} is not allowed here: {allowed}{sunday}"
    return ""
