"""The secrets of a session, and how texts are shown without them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_SHORT: Final = 4
"""Shorter secrets are only hidden where they stand alone: `1` is a part of nearly every text."""


class Secrets:
    """The secrets that workers have been given so far. They are never forgotten, because older versions of a worker's
    code may still have them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._shown: dict[str, str] = {}
        self._longest = 0

    @property
    def longest(self) -> int:
        """How many characters the longest secret has; 0 if there is none."""
        if self._names and self._pattern is None:
            self._compile()
        return self._longest

    def add(self, name: str, value: str) -> None:
        """A worker is given the secret `value` as `name`."""
        if value and value not in self._names:
            self._names[value] = name
            self._pattern = None

    def hide(self, text: str, most: int | None = None) -> str:
        """`text` with `(secret NAME)` in place of each secret, also as it is written in Python, JSON and URLs. With
        `most`, only so many characters of it: a secret that ends behind them is hidden, too."""
        if not self._names:
            return text if most is None else text[:most]
        pattern = self._pattern or self._compile()
        end = len(text) if most is None else most
        parts, place = [], 0
        for match in pattern.finditer(text, 0, end + self._longest + 1):
            if match.start() >= end:
                break
            parts += [text[place : match.start()], self._shown[match[0]]]
            place = match.end()
        return "".join([*parts, text[place:end]])

    def _compile(self) -> re.Pattern[str]:
        self._shown = {way: f"(secret {name})" for value, name in self._names.items() for way in _ways(value)}
        longest_first = sorted(self._shown, key=len, reverse=True)
        self._longest = len(longest_first[0])
        self._pattern = re.compile(
            "|".join(
                rf"(?<!\w){re.escape(way)}(?!\w)" if len(way) < _SHORT else re.escape(way) for way in longest_first
            )
        )
        return self._pattern


def _ways(value: str) -> Iterator[str]:
    """How a value may be written: as it is, as bytes in UTF-8, in Python, in JSON and in URLs."""
    import json  # start-up does not need them
    from urllib.parse import quote, quote_plus

    encoded = value.encode(errors="surrogatepass")
    yield value
    yield encoded.decode("latin-1")
    yield repr(value)[1:-1]
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(encoded, safe="")
    yield quote(encoded)
    yield quote_plus(encoded)
