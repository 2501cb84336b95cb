"""Rewrites a query from the SQL of Analytics Engine, which is ClickHouse's, into that of SQLite.

A date and time is text, `2026-11-27 12:00:00`, which compares as it should. What is written otherwise than in SQLite is
rewritten token by token; functions that SQLite lacks are in `functions`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

FORMATS: Final = {"json": "JSON", "jsoneachrow": "JSONEachRow", "tabseparated": "TabSeparated"}
_UNITS: Final = frozenset({"SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})
_TWICE_CALLED: Final = frozenset({"quantileexactweighted"})
"""Functions with parameters before their arguments: `f(0.5)(a, b)`."""

_TOKEN: Final = re.compile(
    r"""\s+|--[^\n]*|/\*.*?\*/|(?P<text>'(?:[^'\\]|''|\\.)*')|(?P<name>"(?:[^"]|"")*"|`[^`]*`|[A-Za-z_]\w*)"""
    r"""|(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<sign><=|>=|<>|!=|==|\|\||::|[-+*/%(),.<>=;])""",
    re.DOTALL,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}


class Rewritten(NamedTuple):
    """A query for SQLite, and how its answer is to be written. `shows` is `tables` or `timezone` where the query asks
    for these, and then there is no SQL."""

    sql: str
    format: str = "JSON"
    shows: str | None = None


def rewrite(sql: str) -> Rewritten:
    """The same query for SQLite. Raises ValueError if its words cannot be told apart."""
    tokens = _tokens(sql)
    while tokens and tokens[-1] == ";":
        tokens.pop()
    chosen = "JSON"
    if len(tokens) > 1 and tokens[-2].upper() == "FORMAT":
        if tokens[-1].lower() not in FORMATS:
            raise ValueError(f"unknown format {tokens[-1]}; there are {', '.join(FORMATS.values())}")
        chosen = FORMATS[tokens[-1].lower()]
        del tokens[-2:]
    words = [token.upper() for token in tokens]
    if words[:1] == ["SHOW"]:
        if words[1:] not in (["TABLES"], ["TIMEZONE"], ["TIMEZONES"]):
            raise ValueError("SHOW knows TABLES, TIMEZONE and TIMEZONES")
        return Rewritten("", chosen, "tables" if words[1] == "TABLES" else "timezone")
    if words[:1] != ["SELECT"]:
        raise ValueError("a query is SELECT ... or SHOW ...")
    for step in (_limits, _double_calls, _special_calls, _intervals, _divisions):
        tokens = step(tokens)
    return Rewritten(" ".join(tokens), chosen)


def quoted_name(name: str) -> str:
    """A name as SQLite takes it, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def _tokens(sql: str) -> list[str]:
    """The words and signs of a query; texts and names as SQLite writes them."""
    found: list[str] = []
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise ValueError(f"unexpected character {sql[position]!r} at {position + 1}")
        position = match.end()
        if match["text"] is not None:
            found.append(_text(match["text"][1:-1]))
        elif match["name"] is not None:
            name = match["name"]
            found.append(quoted_name(name[1:-1]) if name[0] == "`" else name)
        elif match.lastgroup is not None:
            found.append(match[0])
    return found


def _text(inside: str) -> str:
    plain = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), inside, flags=re.DOTALL)
    return "'" + plain.replace("''", "'").replace("'", "''") + "'"


def _limits(tokens: list[str]) -> list[str]:
    """Without LIMIT ALL."""
    out: list[str] = []
    for token in tokens:
        if token.upper() == "ALL" and out and out[-1].upper() == "LIMIT":
            out.pop()
        else:
            out.append(token)
    return out


def _double_calls(tokens: list[str]) -> list[str]:
    """`f(0.5)(a, b)` as `f(0.5, a, b)`."""
    out = list(tokens)
    index = 0
    while index < len(out) - 1:
        if out[index].lower() in _TWICE_CALLED and out[index + 1] == "(":
            end = _closing(out, index + 1)
            if out[end + 1 : end + 2] == ["("]:
                out[end : end + 2] = [","]
        index += 1
    return out


def _special_calls(tokens: list[str]) -> list[str]:
    """`position(a IN b)` and `extract(HOUR FROM b)` with commas, and `if` as SQLite's `iif`."""
    out = list(tokens)
    for index in range(len(out) - 1):
        name = out[index].lower()
        if out[index + 1] != "(":
            continue
        if name == "if":
            out[index] = "iif"
        elif name in {"position", "extract"}:
            end = _closing(out, index + 1)
            word = "IN" if name == "position" else "FROM"
            at = next((i for i in range(index + 2, end) if out[i].upper() == word), None)
            if at is not None:
                out[at] = ","
                if name == "extract":
                    out[index + 2] = f"'{out[index + 2].upper()}'"
    return out


def _intervals(tokens: list[str]) -> list[str]:
    """`a - INTERVAL '1' DAY` as `dateShift(a, -1, 'DAY')`, and an interval that is an argument as two of them."""
    out: list[str] = []
    index = 0
    while index < len(tokens):
        if tokens[index].upper() != "INTERVAL" or index + 2 >= len(tokens):
            out.append(tokens[index])
            index += 1
            continue
        number, unit = tokens[index + 1].strip("'"), tokens[index + 2].upper()
        if not number.isdigit() or unit.removesuffix("S") not in _UNITS:
            raise ValueError(f"an interval is written INTERVAL '1' DAY, not INTERVAL {tokens[index + 1]} {unit}")
        unit = unit.removesuffix("S")
        index += 3
        if out and out[-1] in {"+", "-"}:
            sign = out.pop()
            start = _operand(out)
            out[start:] = ["dateShift", "(", *out[start:], ",", f"{sign}{number}", ",", f"'{unit}'", ")"]
        else:
            out += [number, ",", f"'{unit}'"]
    return out


def _divisions(tokens: list[str]) -> list[str]:
    """`a / b` as `a * 1.0 / b`: a quotient of whole numbers is none."""
    return [each for token in tokens for each in (("*", "1.0", "/") if token == "/" else (token,))]


def _closing(tokens: list[str], opening: int) -> int:
    """Where the parenthesis at `opening` ends."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += (tokens[index] == "(") - (tokens[index] == ")")
        if depth == 0:
            return index
    raise ValueError("a parenthesis is not closed")


def _operand(tokens: list[str]) -> int:
    """Where the operand begins that ends with the last token: a name, a value, a call, or something in parentheses."""
    start = len(tokens) - 1
    if start >= 0 and tokens[start] == ")":
        depth = 0
        while start >= 0:
            depth += (tokens[start] == ")") - (tokens[start] == "(")
            if depth == 0:
                break
            start -= 1
        if start > 0 and re.fullmatch(r"[A-Za-z_]\w*", tokens[start - 1]):
            start -= 1
    if start < 0:
        raise ValueError("there is nothing before an interval")
    return start
