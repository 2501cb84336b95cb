"""Reads files that `jsonc` refuses as JSON5: with single quotes, bare keys, hexadecimal numbers and so on.

The library json5 decides what is valid, and returns the values. The scanner here only finds their positions, in text
that is known to be valid, and enforces the limits of `jsonc`. The library takes 6 to 30 microseconds per character, and
9 ms to import; so this module is used only for short files that cannot be read otherwise.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import json5

from emulator.config.document import Document, DocumentSyntaxError, KeyPath

MAX_LENGTH: Final = 32_768
"""In characters. A longer file is not tried. A file of this length takes 0.2 s, or 1 s if it is all punctuation."""

_SPACE = re.compile(r"(?:[\s\ufeff]+|//[^\n\r\u2028\u2029]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
_WORD = re.compile(r"[^\s\ufeff,:\]}/]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def parse(text: str, file: str, refused: DocumentSyntaxError) -> Document:
    """Parse `text`, which `jsonc` has refused with the error `refused`; the document keeps that error.

    Raises `refused` if the text is not JSON5 either, is longer than `MAX_LENGTH`, or is nested deeper than the library
    can read, about 90 levels. Raises another `DocumentSyntaxError` for a value that exceeds the limits.
    """
    if len(text) > MAX_LENGTH:
        raise refused
    try:
        parsed = json5.loads(text, object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        raise refused from None
    scanner = _Scanner(text)
    data = scanner.read_value((), parsed)
    return Document(file, text, data, scanner.values, scanner.keys, scanner.repeated, refused)


class _Members(list[tuple[str, Any]]):
    """The members of an object in order, including repeated keys."""


class _Scanner:
    """Walks through valid JSON5 together with its values, and records offsets. `at` is the offset of the next token."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.values: dict[KeyPath, int] = {}
        self.keys: dict[KeyPath, int] = {}
        self.repeated: list[tuple[KeyPath, int]] = []
        self.skip(_SPACE)

    def skip(self, pattern: re.Pattern[str]) -> None:
        if match := pattern.match(self.text, self.at):
            self.at = match.end()

    def token(self) -> None:
        """Skip a string or a word, and the white space after it."""
        self.skip(_STRING if self.text[self.at] in "\"'" else _WORD)
        self.skip(_SPACE)

    def mark(self, character: str) -> None:
        """Skip a punctuation mark, if it comes next, and the white space after it."""
        if self.text.startswith(character, self.at):
            self.at += 1
            self.skip(_SPACE)

    def read_value(self, path: KeyPath, value: object) -> object:
        """The value that begins at `at`, with objects as dicts."""
        at = self.values[path] = self.at
        if isinstance(value, _Members):
            return self.read_object(path, value)
        if isinstance(value, list):
            return self.read_array(path, value)
        self.token()
        if isinstance(value, str):
            return _string(value, at)
        if isinstance(value, int | float):
            _check_number(value, at)
        return value

    def read_object(self, path: KeyPath, members: _Members) -> dict[str, object]:
        result: dict[str, object] = {}
        self.mark("{")
        for name, value in members:
            at = self.at
            key = _string(name, at)
            inner = (*path, key)
            if key in result:
                self.repeated.append((inner, at))
            self.keys[inner] = at
            self.token()
            self.mark(":")
            result[key] = self.read_value(inner, value)
            self.mark(",")
        self.mark("}")
        return result

    def read_array(self, path: KeyPath, items: list[Any]) -> list[object]:
        result: list[object] = []
        self.mark("[")
        for index, value in enumerate(items):
            result.append(self.read_value((*path, index), value))
            self.mark(",")
        self.mark("]")
        return result


def _string(value: str, at: int) -> str:
    """Join surrogates that were written as two escapes."""
    if not _SURROGATE.search(value):
        return value
    try:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise DocumentSyntaxError("this string has half of a surrogate pair", at) from None


def _check_number(value: int | float, at: int) -> None:
    if isinstance(value, float):
        if math.isnan(value):
            raise DocumentSyntaxError("expected a number, found `NaN`", at)
        if math.isinf(value):
            raise DocumentSyntaxError("this number is too large", at)
        return
    try:
        str(value)
    except ValueError:  # A hexadecimal number with more digits than Python shows in decimal.
        raise DocumentSyntaxError("this number has too many digits", at) from None
