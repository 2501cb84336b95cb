"""How paths, reasons, numbers and times are written for people.

Every room uses these functions, so that the same thing looks the same in the log, in errors and in reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_UNITS: Final = ((86_400, "day", "d"), (3_600, "hour", "h"), (60, "minute", "min"))
"""Seconds in a unit, and its name in full and in short."""


def shown_path(path: Path | str, base: Path | None = None) -> str:
    """`path` relative to `base` (default: the working directory) if it is below it, `.` for `base` itself, and
    otherwise unchanged."""
    text, start = str(path), str(base or Path.cwd()).rstrip("/")
    return "." if text == start else text.removeprefix(f"{start}/")


def reason(error: OSError) -> str:
    """Why the operating system refused something, to be put after a colon: `permission denied`."""
    text = error.strerror or str(error)
    if not text:
        return type(error).__name__
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def count(number: int, one: str, many: str = "") -> str:
    """`1 message`, `2,000 messages`. `many` is the plural if it is not `one` with an s: `1 message was`, `2 messages
    were`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(items: Iterable[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def duration(seconds: float) -> str:
    """How long something took: `3 ms`, and `12.3 s` from ten seconds on."""
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def period(seconds: float) -> str:
    """A setting, exactly, in the largest unit that divides it: `5 s`, `2 minutes`, `90 s`, `4 days`."""
    for size, name, _ in _UNITS:
        if seconds >= size and seconds % size == 0:
            return count(int(seconds // size), name)
    return f"{seconds} s"


def age(seconds: float) -> str:
    """Roughly how long ago something was, in the largest unit that fits: `5 s`, `2 min`, `4 d`. Never less than `0
    s`."""
    for size, _, short in _UNITS:
        if seconds >= size:
            return f"{seconds // size:.0f} {short}"
    return f"{max(0.0, seconds):.0f} s"


def without_credentials(url: str) -> str:
    """A URL without the user and the password that it may have."""
    return re.sub(r"^([A-Za-z][\w+.-]*://)[^/?#]*@", r"\1", url)


def clean(text: str) -> str:
    """`text` with every character that a terminal would obey, or cannot show, as an escape such as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def clean_lines(text: str) -> str:
    """`text` with each of its lines `clean`, and spaces in place of tabs."""
    return "\n".join([clean(line) for line in text.expandtabs(4).split("\n")])


def cut(text: str, width: int) -> str:
    """`text` in at most `width` characters; a longer one is its beginning and an ellipsis."""
    return text if len(text) <= width else f"{text[: width - 3]}..."


def cut_middle(text: str, width: int) -> str:
    """`text` in at most `width` characters; a longer one is its beginning, an ellipsis and its end."""
    if len(text) <= width:
        return text
    tail = width // 4
    return f"{text[: width - tail - 3]}...{text[-tail:]}"
