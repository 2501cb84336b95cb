"""The language by which messages, requests and events are chosen: the same in pages, commands, addresses and tests.

    state:dead attempts>2 body.type=welcome-email error~Connection older>1h -queue:audit "out of stock"

Terms are separated by spaces, and all of them must hold. A term is a field, a comparison and a value, or a text that
must occur anywhere. A `-` before a term turns it round. Quotes keep spaces together. `:` and `=` compare texts without
regard to capitals, and numbers as numbers; `~` is "contains"; `!=` is "is not"; `<`, `>`, `<=` and `>=` compare
numbers, times such as `90s`, `5min`, `1h` or `2d`, and sizes such as `10kB`. A field that something does not have has
no value, and no comparison but `!=` holds for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

Facts = Mapping[str, Any]
"""What is compared, by the names of its fields. A value that is a mapping or a list is looked into by dots:
`body.user.name`, `body.items.0`. `text` is what a text without a field must occur in."""

COMPARISONS: Final = ("!=", "<=", ">=", ":", "=", "~", "<", ">")
"""In the order in which they are looked for."""

_TERM: Final = re.compile(r"""\s*(-?)(?:([A-Za-z_][\w.\-]*?)(!=|<=|>=|[:=~<>]))?("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)""")
_QUANTITY: Final = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_UNITS: Final[Mapping[str, float]] = {
    "": 1, "ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400,
    "b": 1, "kb": 1_000, "mb": 1_000_000,
}  # fmt: skip


class FilterError(ValueError):
    """A filter that cannot be read; its text says where."""


class Term(NamedTuple):
    """`field` is empty for a text that must occur anywhere."""

    field: str
    comparison: str
    value: str
    is_negated: bool = False

    def holds(self, facts: Facts) -> bool:
        """Whether it is true of these facts."""
        return self._compares(facts) is not self.is_negated

    def _compares(self, facts: Facts) -> bool:
        if not self.field:
            return self.value.casefold() in str(facts.get("text", "")).casefold()
        found = look_up(facts, self.field)
        if self.comparison == "!=":
            return found is None or not _equals(found, self.value)
        if found is None:
            return False
        if self.comparison in (":", "="):
            return _equals(found, self.value)
        if self.comparison == "~":
            return self.value.casefold() in str(found).casefold()
        return _is_ordered(found, self.comparison, self.value)


class Filter(NamedTuple):
    """All of its terms must hold; without any, everything does."""

    terms: Sequence[Term] = ()

    def matches(self, facts: Facts) -> bool:
        """Whether these are facts of something that is meant."""
        return all(term.holds(facts) for term in self.terms)

    def only(self, field: str) -> str | None:
        """The value that a field must have, if the filter says it outright."""
        said = (term for term in self.terms if term.field == field and term.comparison in ":=" and not term.is_negated)
        return next((term.value for term in said), None)


def parse(text: str) -> Filter:
    """The filter that `text` is. Raises FilterError."""
    terms, place, end = [], 0, len(text.rstrip())
    while place < end:
        match = _TERM.match(text, place)
        if match is None or match.end() == place:
            raise FilterError(f"the filter cannot be read from {text[place:].strip()[:40]!r} on: is a quote missing?")
        sign, field, comparison, value = match.groups(default="")
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        if comparison in ("<", ">", "<=", ">=") and quantity(value) is None:
            raise FilterError(
                f"{field}{comparison}{value}: what stands behind {comparison} must be a number, such as 3, 90s or 1h"
            )
        if field or value:
            terms.append(Term(field, comparison, value, bool(sign)))
        place = match.end()
    return Filter(tuple(terms))


def look_up(facts: Facts, field: str) -> Any:
    """The value of a field; None if there is none. A name with dots in it is looked into."""
    if field in facts:
        return facts[field]
    found: Any = facts
    for name in field.split("."):
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, (list, tuple)) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def quantity(text: str) -> float | None:
    """`90s`, `1.5h`, `10kB` or `3` as a number, of seconds or bytes where there is a unit; None if it is none."""
    match = _QUANTITY.fullmatch(text)
    unit = _UNITS.get(match[2].lower()) if match else None
    return None if match is None or unit is None else float(match[1]) * unit


def _equals(found: Any, value: str) -> bool:
    if isinstance(found, bool) or found is None:
        return str(found).casefold() == value.casefold()
    if isinstance(found, (int, float)):
        return quantity(value) == found
    if isinstance(found, (list, tuple)):
        return any(_equals(each, value) for each in found)
    return str(found).casefold() == value.casefold()


def _is_ordered(found: Any, comparison: str, value: str) -> bool:
    wanted = quantity(value)
    number = found if isinstance(found, (int, float)) else quantity(str(found))
    if wanted is None or number is None:
        return False
    if comparison.endswith("=") and number == wanted:
        return True
    return number < wanted if comparison.startswith("<") else number > wanted
