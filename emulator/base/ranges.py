"""Ranges of whole numbers, as limits are given."""

from __future__ import annotations

from typing import NamedTuple


class Range(NamedTuple):
    """The whole numbers from `low` to `high`, both included."""

    low: int
    high: int

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:,} to {self.high:,}"
