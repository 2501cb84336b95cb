"""Counts what happens to keys, in fixed windows that begin at whole multiples of their length."""

from __future__ import annotations

from typing import Any, Final

from emulator.base.clock import Clock

MAX_DELTA: Final = 4_294_967_295
OPTIONS: Final = ("key", "limit", "period", "delta")
PERIODS: Final = (10, 60)


class Limiter:
    """The counters of a namespace, on a clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[int, tuple[int, dict[str, int]]] = {}
        """For each period, the number of the present window and what was counted in it."""

    def limit(self, key: str, limit: int, period: int, delta: int) -> bool:
        """Count `delta` for a key, unless `limit` is reached in this window of `period` seconds. Returns whether it was
        counted."""
        window = int(self._clock.now() // period)
        if period not in self._counts or self._counts[period][0] != window:
            self._counts[period] = window, {}
        counts = self._counts[period][1]
        if counts.get(key, 0) >= limit:
            return False
        counts[key] = counts.get(key, 0) + delta
        return True


def read_options(options: Any, limit: int, period: int) -> tuple[str, int, int, int]:
    """The key, limit, period and delta of a call. Raises ValueError with the words of the service."""
    if not isinstance(options, dict):
        raise ValueError("invalid rate limit options")
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise ValueError(f"bad rate limit options: [{','.join(unknown)}]")
    key = options.get("key", "")
    limit, period = options.get("limit", limit), options.get("period", period)
    if not isinstance(key, str):
        raise ValueError(f"invalid key: {key}")
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise ValueError(f"limit must be a number: {limit}")
    if period not in PERIODS:
        raise ValueError(f"unsupported period: {period}")
    return key, int(limit), int(period), _delta(options.get("delta", 1))


def _delta(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int | float) or given != given:  # noqa: PLR0124 - not a number
        raise ValueError("The value cannot be converted because it is not an integer.")
    if given < 0:
        words = "it is negative and this API expects a positive number."
        raise ValueError(f"The value cannot be converted because {words}")
    if given > MAX_DELTA:
        raise ValueError(f"Value out of range. Must be less than or equal to {MAX_DELTA}.")
    if int(given) == 0:
        raise ValueError("delta must be non-zero")
    return int(given)
