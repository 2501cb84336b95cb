"""Source maps, which say where a place in bundled code comes from. They are read only when an error happens."""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

_Segment: TypeAlias = tuple[int, ...]
"""A column of the bundle and, if it has a source, the number, line and column of that source; all count from 0."""

_DIGITS: Final = {
    character: value
    for value, character in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}


class SourceMap:
    """A source map of version 3, as JSON. `base` is the directory that its sources are relative to.

    It is decoded only as far as needed. Raises ValueError if it is not a source map.
    """

    def __init__(self, content: bytes, base: Path) -> None:
        described: Any = json.loads(content)
        if not isinstance(described, dict) or described.get("version") != 3:
            raise ValueError("it is not a version 3 source map")
        sources, mappings = described.get("sources"), described.get("mappings")
        if not isinstance(sources, list) or not isinstance(mappings, str):
            raise ValueError("it has no sources or no mappings")
        self._base = base / str(described.get("sourceRoot") or "")
        self._sources = sources
        self._lines: list[list[_Segment]] = []
        self._rest = _decode(mappings)

    def locate(self, line: int, column: int) -> tuple[Path, int, int] | None:
        """The file, line and column that a line and column of the bundle come from, all counted from 1, or None if it
        is not known. Raises ValueError if the map is damaged."""
        while len(self._lines) < line:
            following = next(self._rest, None)
            if following is None:
                return None
            self._lines.append(following)
        segments = self._lines[line - 1] if line > 0 else []
        index = bisect_right(segments, column - 1, key=_generated_column) - 1
        if index < 0 or len(segments[index]) < 4:
            return None
        _, source, source_line, source_column = segments[index]
        if not 0 <= source < len(self._sources):
            raise ValueError(f"it has no source {source}")
        return self._file(source), source_line + 1, source_column + 1

    def _file(self, source: int) -> Path:
        return Path(os.path.normpath(self._base / str(self._sources[source])))


def _generated_column(segment: _Segment) -> int:
    return segment[0]


def _decode(mappings: str) -> Iterator[list[_Segment]]:
    """The segments of each line of the bundle. Each number is the difference from the last one of its kind."""
    numbers = cache(_numbers)  # a bundle has few different ones
    source = source_line = source_column = 0
    for line in mappings.split(";"):
        column = 0
        segments: list[_Segment] = []
        for text in line.split(",") if line else ():
            differences = numbers(text)
            column += differences[0]
            if len(differences) < 4:
                segments.append((column,))
                continue
            source += differences[1]
            source_line += differences[2]
            source_column += differences[3]
            segments.append((column, source, source_line, source_column))
        yield segments


def _numbers(text: str) -> tuple[int, ...]:
    """Decode numbers in base 64: five bits per character, lowest first; the sixth bit says that more follow, and the
    first bit is the sign."""
    numbers: list[int] = []
    value = shift = 0
    for character in text:
        digit = _DIGITS.get(character)
        if digit is None:
            raise ValueError(f"it has {character!r} among its mappings")
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            numbers.append(-(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    if shift or len(numbers) not in (1, 4, 5):
        raise ValueError(f"it has the incomplete mapping {text!r}")
    return tuple(numbers)
