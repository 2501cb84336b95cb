"""JSON with comments and trailing commas, parsed with the position of every key and value.

This is the format that wrangler reads. Apart from comments and trailing commas it is strict JSON: no single quotes,
bare keys or hexadecimal numbers. The standard library's parser gives no positions, and JSON5 allows more than wrangler
does. A file that is refused here but is valid JSON5 is read by `json5`, with a warning.
"""

from __future__ import annotations

import json
import re
from typing import Final

from emulator.config.document import Document, DocumentSyntaxError, KeyPath

MAX_DEPTH: Final = 200

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*[\s\S]*?\*/)*")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LITERALS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}


def parse(text: str, file: str = "") -> Document:
    """Parse `text`. Raises `DocumentSyntaxError` at the first character that is not allowed."""
    parser = _Parser(text)
    data = parser.parse_value((), parser.skip(1 if text.startswith("\ufeff") else 0))
    if parser.at < len(text):
        raise parser.unexpected("the end of the file")
    return Document(file, text, data, parser.values, parser.keys, parser.repeated)


class _Parser:
    """A recursive descent parser. `at` is the offset of the next character outside white space and comments."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.values: dict[KeyPath, int] = {}
        self.keys: dict[KeyPath, int] = {}
        self.repeated: list[tuple[KeyPath, int]] = []

    def skip(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        self.at = match.end() if match else at
        if self.text.startswith("/*", self.at):
            raise DocumentSyntaxError("this comment is never closed", self.at)
        return self.at

    def unexpected(self, wanted: str) -> DocumentSyntaxError:
        if self.at >= len(self.text):
            return DocumentSyntaxError(f"expected {wanted}, found the end of the file", len(self.text))
        word = _WORD.match(self.text, self.at)
        found = word.group() if word else self.text[self.at]
        shown = f"`{found}`" if found.isprintable() else f"the character U+{ord(found):04X}"
        return DocumentSyntaxError(f"expected {wanted}, found {shown}", self.at)

    def parse_value(self, path: KeyPath, at: int) -> object:
        self.values[path] = at
        character = self.text[at : at + 1]
        if character == '"':
            return self.parse_string("a value")
        if character in ("{", "["):
            if len(path) >= MAX_DEPTH:
                raise DocumentSyntaxError(f"nested deeper than {MAX_DEPTH} levels", at)
            return self.parse_object(path) if character == "{" else self.parse_array(path)
        if match := _NUMBER.match(self.text, at):
            self.skip(match.end())
            return _number(match, at)
        if (match := _WORD.match(self.text, at)) and match.group() in _LITERALS:
            self.skip(match.end())
            return _LITERALS[match.group()]
        raise self.unexpected("a value")

    def parse_string(self, wanted: str) -> str:
        at = self.at
        match = _STRING.match(self.text, at)
        if match is None:
            if self.text[at : at + 1] != '"':
                raise self.unexpected(wanted)
            raise DocumentSyntaxError("this string is not closed on its line", at)
        self.skip(match.end())
        token = match.group()
        if "\\" not in token:
            return token[1:-1]
        try:
            value: str = json.loads(token)
        except json.JSONDecodeError as error:
            raise DocumentSyntaxError(f"bad escape in a string: {error.msg}", at + error.pos) from None
        if _SURROGATE.search(value):
            raise DocumentSyntaxError("this string has half of a surrogate pair", at)
        return value

    def parse_object(self, path: KeyPath) -> dict[str, object]:
        result: dict[str, object] = {}
        self.skip(self.at + 1)
        while not self.text.startswith("}", self.at):
            key_at = self.at
            key = self.parse_string("a key in double quotes, or `}`")
            inner = (*path, key)
            if key in result:
                self.repeated.append((inner, key_at))
            self.keys[inner] = key_at
            if not self.text.startswith(":", self.at):
                raise self.unexpected("`:`")
            result[key] = self.parse_value(inner, self.skip(self.at + 1))
            self.comma("}")
        self.skip(self.at + 1)
        return result

    def parse_array(self, path: KeyPath) -> list[object]:
        result: list[object] = []
        self.skip(self.at + 1)
        while not self.text.startswith("]", self.at):
            result.append(self.parse_value((*path, len(result)), self.at))
            self.comma("]")
        self.skip(self.at + 1)
        return result

    def comma(self, closing: str) -> None:
        if self.text.startswith(",", self.at):
            self.skip(self.at + 1)
        elif not self.text.startswith(closing, self.at):
            raise self.unexpected(f"`,` or `{closing}`")


def _number(match: re.Match[str], at: int) -> int | float:
    if match.group(1) is None and match.group(2) is None:
        try:
            return int(match.group())
        except ValueError:  # Python refuses to convert more digits than sys.get_int_max_str_digits().
            raise DocumentSyntaxError("this number has too many digits", at) from None
    value = float(match.group())
    if value in (float("inf"), float("-inf")):
        raise DocumentSyntaxError("this number is too large", at)
    return value
