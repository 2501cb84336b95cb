"""The language by which messages, requests and events are chosen: the same in pages, commands, addresses and tests.

    state:dead attempts>2 body.type=welcome-email error~Connection older>1h -queue:audit "out of stock"

Terms are separated by spaces, and all of them must hold. A term is a field, a comparison and a value, or a text that
must occur anywhere. A `-` before a term turns it round. Quotes keep spaces together. `:` and `=` compare texts without
regard to capitals, numbers as numbers, and ids by their first digits; `~` is "contains"; `!=` is "is not"; `<`, `>`,
`<=` and `>=` compare numbers, times such as `90s`, `5min`, `1h` or `2d`, and sizes such as `10kB`. A field that
something does not have has no value, and no comparison but `!=` holds for that.

A filter is over a `Subject`, which says which fields there are: a name or a value that can never be is refused, because
a filter with a typing error in it would mean nothing, in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from emulator.base.words import listed
from emulator.wire.texts import write_json

Facts = Mapping[str, Any]
"""What is compared, by the names of its fields. A value that is a mapping or a list is looked into by dots:
`body.user.name`, `body.items.0`. `text` is what a text without a field must occur in."""

ORDERED: Final = ("<", ">", "<=", ">=")
"""The comparisons of numbers."""

_TERM: Final = re.compile(r"""\s*(-?)(?:([A-Za-z_][\w.\-]*?)(!=|<=|>=|[:=~<>]))?("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)""")
_BARE_TEXT: Final = re.compile(r"""(?!-|[A-Za-z_][\w.\-]*(?:!=|[:=~<>]))[^\s"]+""")
"""A text that needs no quotes where it stands alone."""
_BARE_VALUE: Final = re.compile(r"""[^\s"]+""")
_QUANTITY: Final = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_TIMES: Final[Mapping[str, float]] = {
    "ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400,
}  # fmt: skip
_UNITS: Final[Mapping[str, float]] = {"": 1, **_TIMES, "b": 1, "kb": 1_000, "mb": 1_000_000}
_MOST_DIGITS: Final = 9
"""Of the place of something in a list."""


class FilterError(ValueError):
    """A filter that cannot be read. `place` is where, in characters from 0 on; the text says it, too."""

    def __init__(self, place: int, what: str) -> None:
        super().__init__(f"the filter cannot be read at character {place + 1}: {what}")
        self.place = place


class Field(NamedTuple):
    """Something that a filter can ask for: its name and, in a few words, what it is. It has one of `values`, if there
    are any. `examples` are what it may be compared with, where any number would do. If it `is_open`, names below it
    count, whatever they are: `body.user.name`. `comparison` is the one that is most useful for it."""

    name: str
    about: str
    values: Sequence[str] = ()
    examples: Sequence[str] = ()
    is_number: bool = False
    is_open: bool = False
    comparison: str = ":"


class Subject(NamedTuple):
    """What a filter is over: what that is called, its fields, and a filter for example."""

    name: str
    fields: Sequence[Field]
    example: str

    def field(self, name: str) -> Field | None:
        """The field that `name` means; None if there is none."""
        found = next((each for each in self.fields if each.name == name), None)
        if found is None and "." in name:
            above = next((each for each in self.fields if name.startswith(f"{each.name}.")), None)
            return None if above is None or not above.is_open else Field(name, above.about)
        return found


class Term(NamedTuple):
    """`field` is empty for a text that must occur anywhere."""

    field: str
    comparison: str
    value: str
    is_negated: bool = False

    def __str__(self) -> str:
        sign = "-" if self.is_negated else ""
        bare = _BARE_VALUE if self.field else _BARE_TEXT
        return f"{sign}{self.field}{self.comparison}{self.value if bare.fullmatch(self.value) else quoted(self.value)}"

    def holds(self, facts: Facts) -> bool:
        """Whether it is true of these facts."""
        return self._compares(facts) is not self.is_negated

    def _compares(self, facts: Facts) -> bool:
        if not self.field:
            return self.value.casefold() in str(facts.get("text", "")).casefold()
        found = look_up(facts, self.field)
        if self.comparison == "!=":
            return found is None or not self._equals(found)
        if found is None:
            return False
        if self.comparison in (":", "="):
            return self._equals(found)
        if self.comparison == "~":
            return self.value.casefold() in _text(found).casefold()
        return self._is_ordered(found)

    def _equals(self, found: Any) -> bool:
        if isinstance(found, bool) or found is None:
            return str(found).casefold() == self.value.casefold()
        if isinstance(found, (int, float)):
            return self._number() == found
        if isinstance(found, (list, tuple)):
            return any(self._equals(each) for each in found if not isinstance(each, (list, tuple)))
        if self.field == "id" and self.value:
            return str(found).startswith(self.value.casefold())
        return str(found).casefold() == self.value.casefold()

    def _is_ordered(self, found: Any) -> bool:
        wanted = self._number()
        number = found if isinstance(found, (int, float)) else quantity(str(found))
        if wanted is None or number is None:
            return False
        if self.comparison.endswith("=") and number == wanted:
            return True
        return bool(number < wanted if self.comparison.startswith("<") else number > wanted)

    def _number(self) -> float | None:
        """The value as a number; of milliseconds for a field of these."""
        number = quantity(self.value)
        has_time = self.value.lstrip("-.0123456789 ").lower() in _TIMES
        return number * 1_000 if number is not None and has_time and self.field.endswith("_ms") else number


class Filter(NamedTuple):
    """All of its terms must hold; without any, everything does. `str` writes it so that `parse` reads the same."""

    terms: Sequence[Term] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))

    def matches(self, facts: Facts) -> bool:
        """Whether these are facts of something that is meant."""
        return all(term.holds(facts) for term in self.terms)

    def only(self, field: str) -> str | None:
        """The value that a field must have, without capitals, if the filter says it outright."""
        said = (term for term in self.terms if term.field == field and term.comparison in ":=" and not term.is_negated)
        return next((term.value.casefold() for term in said), None)


def parse(text: str, over: Subject) -> Filter:
    """The filter over messages, requests or events that `text` is. Raises FilterError."""
    terms, place, end = [], 0, len(text.rstrip())
    while place < end:
        match = _TERM.match(text, place)
        if match is None or match.end() == place:
            place += len(text[place:]) - len(text[place:].lstrip())
            raise FilterError(place, f"a quote is missing, or one too many, in {text[place:].strip()[:40]!r}")
        sign, field, comparison, written = match.groups(default="")
        value = re.sub(r"\\(.)", r"\1", written[1:-1]) if written.startswith('"') else written
        term = Term(field, comparison, value, bool(sign))
        wrong = _wrong(term, over) if written and (field or value) else _missing(term, written)
        if wrong:
            raise FilterError(match.start(1), wrong)
        if field or value:
            terms.append(term)
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
        elif isinstance(found, (list, tuple)) and name.isascii() and name.isdigit() and len(name) <= _MOST_DIGITS:
            found = found[int(name)] if int(name) < len(found) else None
        else:
            return None
    return found


def quantity(text: str) -> float | None:
    """`90s`, `1.5h`, `10kB` or `3` as a number, of seconds or bytes where there is a unit; None if it is none."""
    match = _QUANTITY.fullmatch(text)
    unit = _UNITS.get(match[2].lower()) if match else None
    return None if match is None or unit is None else float(match[1]) * unit


def quoted(text: str) -> str:
    """A value in quotes, which may contain anything."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _missing(term: Term, written: str) -> str:
    """What is wrong with a term without a value; `""` is one, and alone it occurs anywhere."""
    if term.field and not written:
        return f'a value is missing behind {term.field}{term.comparison} ("" is the empty one)'
    return "a term is missing behind -" if term.is_negated else ""


def _wrong(term: Term, over: Subject) -> str:
    """Why a term can never hold, or always does; empty if that is not so."""
    if not term.field:
        return ""
    name, comparison, value = term.field, term.comparison, term.value
    field = over.field(name)
    if field is None:
        nearest = _nearest(name, [each.name for each in over.fields])
        return f"{over.name} have no field {name}; {nearest or f'a text with {comparison} in it needs quotes'}"
    if (comparison in ORDERED or (field.is_number and comparison != "~")) and quantity(value) is None:
        return f"{name}{comparison}{value}: what stands behind {comparison} must be a number, such as 3, 90s or 1h"
    if field.values and comparison in ORDERED:
        return f"{name} is not a number; there are {listed(field.values)}"
    if field.values and comparison != "~" and value.casefold() not in field.values:
        nearest = _nearest(value.casefold(), field.values)
        return f"there is no {name} {value}; {nearest or f'there are {listed(field.values)}'}"
    return ""


def _nearest(word: str, words: Sequence[str]) -> str:
    """What may have been meant: the word that is most like it; empty if none is."""
    close = get_close_matches(word, words, n=1)
    return f"the nearest is {close[0]}" if close else ""


def _text(found: Any) -> str:
    if isinstance(found, (Mapping, list, tuple)):
        try:
            return write_json(found).decode()
        except (TypeError, ValueError, RecursionError):
            return ""  # a body of bytes, cycles or a thousand levels
    return str(found)
