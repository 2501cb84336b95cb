"""The format of `.dev.vars` and `.env` files, as the dotenv library reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ENTRY = re.compile(
    r"""
    [ \t]*(?:export[ \t]+)?(?P<key>[A-Za-z0-9_.-]+)(?:[ \t]*=[ \t]*|:[ \t]+)
    (?P<value>'(?:\\'|[^'])*' | "(?:\\"|[^"])*" | `(?:\\`|[^`])*` | [^\#\r\n]*)
    [ \t]*(?:\#[^\n]*)?\r?(?:\n|\Z)
    """,
    re.VERBOSE,
)
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)")
_LINE = re.compile(r"[^\n]*(?:\n|\Z)")
_REFERENCE = re.compile(
    r"(\\?)\$(?:\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?::?-(?P<default>[^}]*))?\}|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))"
)


def parse_env(text: str) -> tuple[dict[str, str], list[int]]:
    """The values of a file in dotenv format, and the numbers of the lines that are not in that format."""
    values: dict[str, str] = {}
    bad_lines: list[int] = []
    at = 0
    while at < len(text):
        if match := _BLANK.match(text, at):
            at = match.end()
        elif match := _ENTRY.match(text, at):
            values[match["key"]] = _unquote(match["value"].strip())
            at = match.end()
        else:
            bad_lines.append(text.count("\n", 0, at) + 1)
            line = _LINE.match(text, at)
            at = line.end() if line else len(text)
    return values, bad_lines


def _unquote(value: str) -> str:
    quote = value[:1]
    if len(value) < 2 or quote not in "'\"`" or value[-1] != quote:
        return value
    inner = value[1:-1]
    return inner.replace("\\n", "\n").replace("\\r", "\r") if quote == '"' else inner


def expand(values: Mapping[str, str]) -> dict[str, str]:
    """Replace `$NAME`, `${NAME}` and `${NAME:-default}` with other values of the files; `\\$` becomes a dollar sign."""
    expanded = dict(values)

    def replacement(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        return expanded.get(match["braced"] or match["bare"]) or match["default"] or ""

    for key, value in values.items():
        if "$" in value:
            expanded[key] = ""  # A reference of a value to itself is empty.
            expanded[key] = _REFERENCE.sub(replacement, value)
    return expanded
