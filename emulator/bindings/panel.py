"""What the dashboard shows of what a kind keeps. A kind says what is in its stores, as sheets of text; the dashboard
draws them all alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from emulator.base.words import count

MAX_SHOWN_BYTES: Final = 65_536
"""How much of a value is shown."""

PAGE_ROWS: Final = 100

MAX_RESULT_ROWS: Final = 1_000
"""How many rows of the result of a query are shown."""


class Cell(NamedTuple):
    """A text in a sheet. `query` leads from it to another sheet of the same store: `{"key": "a"}`."""

    text: str
    query: Mapping[str, str] = {}


class Excerpt(NamedTuple):
    """A value that is shown as a whole: its `name`, and as much of its `text` as is shown. `size` is in bytes."""

    name: str
    text: str
    size: int


class Sheet(msgspec.Struct, frozen=True):
    """A table of a store. `more` is the query of its next page; empty on the last one. `content` is the value that was
    asked for, and `text` completes what there is to say."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    more: Mapping[str, str] = {}
    content: Excerpt | None = None
    text: str = ""


class Panel(msgspec.Struct, frozen=True):
    """How a kind's stores are shown. The open kind is the first argument of each function.

    `stores` are the names of the stores, each with a title. `look` makes the sheet that a query asks for. `store_of`
    is the name of the store that a binding with these settings leads to. `run` executes what a person has written in
    the language `console`, if the kind has one; it raises whatever explains why it cannot.
    """

    title: str
    noun: str
    stores: Callable[[Any], Sequence[tuple[str, str]]]
    look: Callable[[Any, str, Mapping[str, str]], Awaitable[Sheet]]
    store_of: Callable[[Any], str] | None = None
    console: str = ""
    run: Callable[[Any, str, str], Awaitable[Sequence[Sheet]]] | None = None


def content(name: str, value: bytes, size: int | None = None) -> Excerpt:
    """`value`, or its beginning if the whole of it has `size` bytes, as text: UTF-8 as it is, other bytes in
    hexadecimal."""
    shown = value[:MAX_SHOWN_BYTES]
    try:
        text = shown.decode()
    except UnicodeDecodeError as error:
        cut = len(value) > len(shown) and error.start > len(shown) - 4
        text = shown[: error.start].decode() if cut else shown[:4_096].hex(" ", 1)
    return Excerpt(name, text, len(value) if size is None else size)


def cells(*texts: object) -> list[Cell]:
    """A row without links."""
    return [Cell(str(text)) for text in texts]


def moment(at: float) -> str:
    """A time in seconds since the epoch, to the second, in UTC: `2026-11-01 08:00:00 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def result_sheet(
    columns: Sequence[str], rows: Sequence[Sequence[object]], more: Mapping[str, str] | None = None, said: str = ""
) -> Sheet:
    """What a query has found: at most MAX_RESULT_ROWS of its `rows`, and `said` about them, or how many there are."""
    shown = [[Cell("NULL" if value is None else str(value)) for value in row] for row in rows[:MAX_RESULT_ROWS]]
    text = said or count(len(rows), "row")
    if len(rows) > len(shown):
        text += f"; the first {len(shown):,} are shown"
    return Sheet(columns, shown, more or {}, text=text)


def skipped(query: Mapping[str, str]) -> int:
    """How many rows come before the page that a query asks for, from its `skip`; 0 if that is not a number."""
    text = query.get("skip", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
