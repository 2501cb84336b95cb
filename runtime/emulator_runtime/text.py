"""Strings as the web platform takes them: well-formed Unicode."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """`text` with U+FFFD in place of each half of a surrogate pair that stands alone, as `toWellFormed()` of JavaScript
    gives it."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def to_utf8(text: str) -> bytes:
    """`text` in UTF-8, made well-formed where it is not."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return well_formed(text).encode()
