"""Source maps: which place of the user's files a place of the bundle is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.hosts.workerd.sourcemap import SourceMap

BASE = Path("/out")
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def source_map(mappings: str, **fields: Any) -> SourceMap:
    content = {"version": 3, "sources": ["../src/a.ts", "/lib/b.ts"], "mappings": mappings, **fields}
    return SourceMap(json.dumps(content).encode(), BASE)


def encoded(number: int) -> str:
    value = -number << 1 | 1 if number < 0 else number << 1
    text = ""
    while True:
        digit, value = value & 31, value >> 5
        text += DIGITS[digit | (32 if value else 0)]
        if not value:
            return text


def mappings(lines: list[list[tuple[int, int, int, int]]]) -> str:
    """The text of segments, each a column of the bundle, a source, a line and a column, all from 0."""
    last = [0, 0, 0, 0]
    out = []
    for segments in lines:
        last[0] = 0
        texts = []
        for segment in segments:
            texts.append("".join(encoded(new - old) for new, old in zip(segment, last, strict=True)))
            last = list(segment)
        out.append(",".join(texts))
    return ";".join(out)


def test_a_place_belongs_to_the_last_mapping_before_it() -> None:
    found = source_map(mappings([[], [(4, 0, 9, 2), (8, 1, 0, 0)]]))
    assert found.locate(2, 5) == (Path("/src/a.ts"), 10, 3)
    assert found.locate(2, 8) == (Path("/src/a.ts"), 10, 3)
    assert found.locate(2, 9) == (Path("/lib/b.ts"), 1, 1)
    assert found.locate(2, 900) == (Path("/lib/b.ts"), 1, 1)


@pytest.mark.parametrize(("line", "column"), [(0, 1), (1, 1), (2, 4), (3, 1), (-1, 1)])
def test_a_place_that_nothing_is_known_of_is_none(line: int, column: int) -> None:
    assert source_map(mappings([[], [(4, 0, 9, 2)]])).locate(line, column) is None


def test_a_mapping_without_a_source_ends_the_one_before_it() -> None:
    assert source_map("AAAA,IAAA,I").locate(1, 9) is None


def test_a_name_in_a_mapping_does_no_harm() -> None:
    assert source_map("AACEA,IAAIC").locate(1, 5) == (Path("/src/a.ts"), 2, 7)


def test_sources_are_below_the_source_root() -> None:
    assert source_map("AAAA", sourceRoot="../root").locate(1, 1) == (Path("/src/a.ts"), 1, 1)


def test_later_lines_may_be_asked_for_first() -> None:
    found = source_map(mappings([[(0, 0, 0, 0)], [(0, 0, 1, 0)], [(0, 0, 2, 0)]]))
    assert [found.locate(line, 1) for line in (3, 1, 2)] == [(Path("/src/a.ts"), line, 1) for line in (3, 1, 2)]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 2}', b'{"version": 3, "sources": 1}', b"\xff"])
def test_what_is_no_source_map_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of json, too
        SourceMap(content, BASE)


@pytest.mark.parametrize("text", ["!", "g", "AAgB", "AEAA", "ADAA"])
def test_a_broken_mapping_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it has"):
        source_map(text).locate(1, 1)


places = st.tuples(st.integers(0, 99), st.integers(0, 1), st.integers(0, 10**6), st.integers(0, 10**6))


@given(st.lists(st.lists(places, max_size=5, unique_by=lambda place: place[0]), max_size=5))
def test_every_mapping_is_found_again(lines: list[list[tuple[int, int, int, int]]]) -> None:
    lines = [sorted(line) for line in lines]
    found = source_map(mappings(lines))
    sources = (Path("/src/a.ts"), Path("/lib/b.ts"))
    for number, segments in enumerate(lines, 1):
        for column, source, line, source_column in segments:
            assert found.locate(number, column + 1) == (sources[source], line + 1, source_column + 1)
