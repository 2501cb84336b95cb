"""Source maps: where a place in bundled code comes from. Read when an error happens, and not before."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

_DIGITS: Final = {
    character: value
    for value, character in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}


class SourceMap:
    """A source map of version 3, as JSON. `base` is the directory that its sources are relative to.

    Raises ValueError when it is none.
    """

    def __init__(self, content: bytes, base: Path) -> None:
        described: Any = json.loads(content)
        if not isinstance(described, dict) or described.get("version") != 3:
            raise ValueError("it is no source map of version 3")
        root = str(described.get("sourceRoot") or "")
        self._sources = [(base / root / str(source)).resolve() for source in described["sources"]]
        self._lines = [list(line) for line in _decode(described["mappings"])]

    def locate(self, line: int, column: int) -> tuple[Path, int, int] | None:
        """The file, line and column that a line and a column of the bundle come from, all counted from 1; None where
        nobody knows."""
        if not 0 < line <= len(self._lines):
            return None
        segments = self._lines[line - 1]
        index = bisect_right(segments, column - 1, key=_generated_column) - 1
        if index < 0 or len(segments[index]) < 4:
            return None
        _, source, source_line, source_column = segments[index][:4]
        return self._sources[source], source_line + 1, source_column + 1


def _generated_column(segment: Sequence[int]) -> int:
    return segment[0]


def _decode(mappings: str) -> Iterator[Iterator[tuple[int, ...]]]:
    """The segments of each line of the bundle: its column and, where it has a source, that one's number, line and
    column; all counted from 0."""
    state = [0, 0, 0, 0]
    for line in mappings.split(";"):
        state[0] = 0
        yield iter([_segment(state, text) for text in line.split(",") if text])


def _segment(state: list[int], text: str) -> tuple[int, ...]:
    """Each number of a segment is the difference to the last one of its kind."""
    count = 0
    for count, difference in enumerate(_numbers(text), 1):
        if count <= 4:
            state[count - 1] += difference
    return tuple(state) if count >= 4 else (state[0],)


def _numbers(text: str) -> Iterator[int]:
    """Base 64, five bits a character, the lowest first; the sixth says that more follow, the first bit is the sign."""
    value = shift = 0
    for character in text:
        digit = _DIGITS[character]
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            yield -(value >> 1) if value & 1 else value >> 1
            value = shift = 0
