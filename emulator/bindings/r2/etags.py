"""Reads the etags of the headers `If-Match` and `If-None-Match`."""

from __future__ import annotations

import re
from typing import Final

from emulator.bindings.r2.objects import Etag

_ETAG: Final = re.compile(r'\s*(?:(\*)|(W/)?"([^"]*)")\s*(?:,|$)')


def read_etags(header: str) -> list[Etag]:
    """The etags in a list of them; a wildcard stands for all. Raises ValueError."""
    found: list[Etag] = []
    position = 0
    text = header.strip().strip(",")
    while position < len(text):
        match = _ETAG.match(text, position)
        if match is None:
            raise ValueError(f"Invalid conditional header: {header}")
        wildcard, weak, value = match.groups()
        if wildcard:
            return [Etag("wildcard")]
        found.append(Etag("weak" if weak else "strong", value))
        position = match.end()
    return found


def etag_of(text: str) -> Etag:
    """The etag of an option: a strong one, or `*`."""
    return Etag("wildcard") if text == "*" else Etag("strong", text)
