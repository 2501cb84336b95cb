"""TOML with the position of every key and value.

`tomllib` decides what is valid, and returns the values. The scanner here only finds their positions, in text that is
known to be valid, so it can be small.
"""

from __future__ import annotations

import re
import tomllib

from emulator.config.document import Document, DocumentSyntaxError, KeyPath

_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_ASSIGNMENT = re.compile(r"[ \t]*=[ \t]*")
_STRING = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'''',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]+")
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def parse(text: str, file: str = "") -> Document:
    """Parse `text`. Raises `DocumentSyntaxError` at the place that `tomllib` names."""
    source = text.removeprefix("\ufeff")
    try:
        data = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(text, str(error)) from None
    except RecursionError:
        raise DocumentSyntaxError("nested too deep", 0) from None
    except ValueError as error:  # A number with more digits than Python converts.
        raise DocumentSyntaxError(str(error), 0) from None
    scanner = _Scanner(text, len(text) - len(source))
    scanner.document()
    return Document(file, text, data, scanner.values, scanner.keys)


def _syntax_error(text: str, message: str) -> DocumentSyntaxError:
    match = _POSITION.search(message)
    if match is None:
        return DocumentSyntaxError(message, 0)
    message = message[: match.start()]
    message = message[0].lower() + message[1:]
    if match.group(1) is None:
        return DocumentSyntaxError(f"{message}, at the end of the file", len(text))
    start = 0
    for _ in range(int(match.group(1)) - 1):
        start = text.index("\n", start) + 1
    return DocumentSyntaxError(message, min(start + int(match.group(2)) - 1, len(text)))


class _Scanner:
    """Walks through valid TOML and records offsets. `at` is the offset of the next character to read."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.values: dict[KeyPath, int] = {(): at}
        self.keys: dict[KeyPath, int] = {}
        self.lengths: dict[KeyPath, int] = {}

    def skip(self, pattern: re.Pattern[str] = _SPACE) -> bool:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return match is not None

    def document(self) -> None:
        table: KeyPath = ()
        self.skip()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip()

    def header(self) -> KeyPath:
        """Read `[table]` or `[[array of tables]]`. In a path, an array of tables means its last element."""
        start = self.at
        is_array = self.text.startswith("[[", start)
        self.at += 2 if is_array else 1
        self.skip()
        path: KeyPath = ()
        for key, key_at in self.dotted_key():
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
            path = (*path, key)
            self.keys.setdefault(path, key_at)
            self.values.setdefault(path, start)
        self.skip()
        self.at += 2 if is_array else 1
        if is_array:
            index = self.lengths.get(path, 0)
            self.lengths[path] = index + 1
            path = (*path, index)
        self.keys[path] = self.values[path] = start
        return path

    def dotted_key(self) -> list[tuple[str, int]]:
        steps = []
        while match := _KEY.match(self.text, self.at):
            steps.append((_plain_key(match.group()), self.at))
            self.at = match.end()
            if not self.skip(_DOT):
                break
        return steps

    def pair(self, path: KeyPath) -> None:
        for key, key_at in self.dotted_key():
            path = (*path, key)
            self.keys.setdefault(path, key_at)
            self.values.setdefault(path, key_at)
        self.skip(_ASSIGNMENT)
        self.value(path)

    def value(self, path: KeyPath) -> None:
        self.values[path] = self.at
        opening = self.text[self.at]
        if opening in "[{":
            self.at += 1
            self.skip()
            index = 0
            while self.text[self.at] not in "]}":
                if opening == "{":
                    self.pair(path)
                else:
                    self.value((*path, index))
                index += 1
                self.skip()
                if self.text[self.at] == ",":
                    self.at += 1
                    self.skip()
            self.at += 1
        elif not self.skip(_STRING):
            self.skip(_SCALAR)


def _plain_key(token: str) -> str:
    if token[0] not in "\"'":
        return token
    (key,) = tomllib.loads(f"{token} = 0")
    return key
