"""Makes strings well-formed Unicode, as the web platform requires."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """`text` with each lone surrogate replaced with U+FFFD, like `toWellFormed()` in JavaScript."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def to_utf8(text: str) -> bytes:
    """`text` as UTF-8, made well-formed if necessary."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return well_formed(text).encode()
