"""The `Range` header of HTTP."""

from __future__ import annotations

import re
from typing import Final

_ONE_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(?:(\d+)\s*-\s*(\d*)|-\s*(\d+))\s*", re.IGNORECASE)


def byte_range(header: str, size: int) -> range | None:
    """The bytes that the header asks for of `size` bytes: an empty range if they are not there; None, which is all of
    them, if it does not ask for one range of bytes."""
    found = _ONE_RANGE.fullmatch(header)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return range(max(size - int(suffix), 0), size)
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    return range(start, max(start, end))
