"""The CSS selectors that `HTMLRewriter` supports: what can be decided when an element's start tag arrives.

    E  *  .class  #id  [attribute]  [attribute="value" i]  with =, ~=, ^=, $=, *= and |=
    :nth-child(2n + 1)  :first-child  :nth-of-type(2)  :first-of-type  :not(...)
    E F  E > F  E, F

As in production, `:not(a.b)` matches what is neither an `a` nor of the class `b`: each part of it has to fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from emulator_runtime.js.html.tokenizer import ascii_lower

_ESCAPE: Final = r"\\(?:[0-9a-fA-F]{1,6}(?:\r\n|[ \t\r\n\f])?|[^\r\n\f0-9a-fA-F])"
_NAME: Final = rf"(?:[-_a-zA-Z0-9\u0080-\U0010ffff]|{_ESCAPE})"
_IDENTIFIER: Final = rf"(?:--|-?(?:[_a-zA-Z\u0080-\U0010ffff]|{_ESCAPE})){_NAME}*"
_WHITESPACE: Final = r"[ \t\r\n\f]*"
_TOKENS: Final = {
    "type": re.compile(rf"(?:\*?\|)?(\*|{_IDENTIFIER})"),
    "explicit_namespace": re.compile(rf"{_IDENTIFIER}\|(?!=)"),
    "class": re.compile(rf"\.({_IDENTIFIER})"),
    "id": re.compile(rf"#({_IDENTIFIER})"),
    "function": re.compile(rf":({_IDENTIFIER})\("),
    "pseudo": re.compile(rf"::?({_IDENTIFIER})"),
    "combinator": re.compile(rf"{_WHITESPACE}([>+~]){_WHITESPACE}|[ \t\r\n\f]+"),
    "comma": re.compile(rf"{_WHITESPACE},{_WHITESPACE}"),
    "end": re.compile(rf"{_WHITESPACE}(?:(?=\))|\Z)"),
    "attribute": re.compile(
        rf"\[{_WHITESPACE}({_IDENTIFIER}){_WHITESPACE}"
        rf"""(?:([~^$*|]?=){_WHITESPACE}(?:({_IDENTIFIER})|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)')"""
        rf"{_WHITESPACE}([iIsS])?{_WHITESPACE})?\]",
        re.DOTALL,
    ),
    "nth": re.compile(
        rf"{_WHITESPACE}(?:(even)|(odd)|([+-]?[0-9]*)n{_WHITESPACE}(?:([+-]){_WHITESPACE}([0-9]+))?|([+-]?[0-9]+))"
        rf"{_WHITESPACE}\)",
        re.IGNORECASE,
    ),
}
_ATTRIBUTE_NAMESPACE: Final = re.compile(rf"\[{_WHITESPACE}(?:\*|{_IDENTIFIER})?\|(?!=)")
_ESCAPED: Final = re.compile(rf"{_ESCAPE}|\\\r?\n", re.DOTALL)
_CASELESS: Final = frozenset(
    "accept accept-charset align alink axis bgcolor charset checked clear codetype color compact "  # noqa: SIM905
    "declare defer dir direction disabled enctype face frame hreflang http-equiv lang language link media method "
    "multiple nohref noresize noshade nowrap readonly rel rev rules scope scrolling selected shape target text type "
    "valign valuetype vlink".split()
)
"""The attributes whose values HTML compares without regard to case."""


_UNSUPPORTED: Final = "Unsupported pseudo-class or pseudo-element in selector."


class SelectorError(ValueError):
    """A selector is wrong, or not one of those that can be matched while the document streams."""


@dataclass(slots=True)
class OpenElement:
    """An element that selectors are matched against. `index` and `type_index` are its places among its parent's
    children, and among those of its name, from 1."""

    name: str
    attributes: Mapping[str, str]
    index: int
    type_index: int
    children: int = 0
    children_of_name: dict[str, int] = field(default_factory=dict)


_Test = Callable[[OpenElement, Sequence[OpenElement]], bool]


class Selector:
    """A parsed selector. Raises `SelectorError`."""

    __slots__ = ("_matches",)

    def __init__(self, text: str) -> None:
        parser = _Parser(text)
        self._matches, _ = parser.alternatives()
        if not parser.at_end:
            raise SelectorError("Unexpected token in selector.")

    def matches(self, element: OpenElement, ancestors: Sequence[OpenElement]) -> bool:
        """Whether `element` matches; `ancestors` are the open elements around it, the outermost first."""
        return self._matches(element, ancestors)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text.strip(" \t\r\n\f")
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._text)

    def _take(self, token: str) -> re.Match[str] | None:
        found = _TOKENS[token].match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def alternatives(self, *, is_negated: bool = False) -> tuple[_Test, list[_Condition]]:
        """The test for one of several selectors; and of those in a `:not()`, all conditions."""
        test, conditions = self._complex(is_negated=is_negated)
        while self._take("comma"):
            other, others = self._complex(is_negated=is_negated)
            test, conditions = _either(test, other), conditions + others
        self._take("end")
        return test, conditions

    def _complex(self, *, is_negated: bool) -> tuple[_Test, list[_Condition]]:
        compound = self._compound()
        if compound is None:
            raise SelectorError("The selector is empty.")
        test = _all(compound)
        while not (_TOKENS["comma"].match(self._text, self._at) or _TOKENS["end"].match(self._text, self._at)):
            combinator = self._take("combinator")
            if combinator is None:
                raise SelectorError("Unexpected token in selector.")
            kind = combinator[1] or " "
            right = self._compound()
            if right is None:
                raise SelectorError("Dangling combinator in selector.")
            if is_negated:
                raise SelectorError(_UNSUPPORTED)
            if kind in "+~":
                raise SelectorError(f"Unsupported combinator `{kind}` in selector.")
            test = _inside(test, _all(right)) if kind == " " else _child_of(test, _all(right))
        return test, [condition for each in compound for condition in _conditions(each)]

    def _compound(self) -> list[_Test] | None:
        tests: list[_Test] = []
        if self._take("explicit_namespace"):
            raise SelectorError("Selectors with explicit namespaces are not supported.")
        named = self._take("type")
        if named is not None:
            tests.append(_always if named[1] == "*" else _has_name(ascii_lower(_unescaped(named[1]))))
        while (test := self._simple()) is not None:
            tests.append(test)
        return tests or None

    def _simple(self) -> _Test | None:
        if found := self._take("class"):
            return _has_class(_unescaped(found[1]))
        if found := self._take("id"):
            return _has_id(_unescaped(found[1]))
        if found := self._take("attribute"):
            return _attribute(found)
        if found := self._take("function"):
            return self._function(_unescaped(found[1]).lower())
        if found := self._take("pseudo"):
            name = found[0].lower()
            if name == ":first-child":
                return lambda element, _: element.index == 1
            if name == ":first-of-type":
                return lambda element, _: element.type_index == 1
            raise SelectorError(_UNSUPPORTED)
        if self._text.startswith("[", self._at):
            if _ATTRIBUTE_NAMESPACE.match(self._text, self._at):
                raise SelectorError("Selectors with explicit namespaces are not supported.")
            raise SelectorError("Unexpected token in selector.")
        return None

    def _function(self, name: str) -> _Test:
        if name == "not":
            while self._text.startswith((" ", "\t", "\r", "\n", "\f"), self._at):
                self._at += 1
            _, conditions = self.alternatives(is_negated=True)
            if self._text.startswith(")", self._at):
                self._at += 1
            elif not self.at_end:
                raise SelectorError("Unexpected token in selector.")
            return _Not(conditions)
        if name not in ("nth-child", "nth-of-type"):
            raise SelectorError(_UNSUPPORTED)
        found = self._take("nth")
        if found is None:
            raise SelectorError("Unexpected token in selector.")
        step, offset = _nth(found)
        if name == "nth-child":
            return lambda element, _: _is_nth(element.index, step, offset)
        return lambda element, _: _is_nth(element.type_index, step, offset)


_Condition = tuple[_Test, bool]
"""A test, and what it has to give."""


class _Not:
    """Holds where each of some conditions does not."""

    def __init__(self, negated: list[_Condition]) -> None:
        self.conditions = [(test, not wanted) for test, wanted in negated]

    def __call__(self, element: OpenElement, ancestors: Sequence[OpenElement]) -> bool:
        return all(test(element, ancestors) == wanted for test, wanted in self.conditions)


def _conditions(test: _Test) -> list[_Condition]:
    return test.conditions if isinstance(test, _Not) else [(test, True)]


def _either(first: _Test, second: _Test) -> _Test:
    return lambda element, ancestors: first(element, ancestors) or second(element, ancestors)


def _all(tests: list[_Test]) -> _Test:
    return tests[0] if len(tests) == 1 else lambda element, ancestors: all(test(element, ancestors) for test in tests)


def _always(_element: OpenElement, _ancestors: Sequence[OpenElement]) -> bool:
    return True


def _inside(outer: _Test, inner: _Test) -> _Test:
    return lambda element, ancestors: (
        inner(element, ancestors)
        and any(outer(ancestors[depth], ancestors[:depth]) for depth in range(len(ancestors) - 1, -1, -1))
    )


def _child_of(outer: _Test, inner: _Test) -> _Test:
    return lambda element, ancestors: (
        bool(ancestors) and inner(element, ancestors) and outer(ancestors[-1], ancestors[:-1])
    )


def _has_name(name: str) -> _Test:
    return lambda element, _: element.name == name


def _has_class(name: str) -> _Test:
    return lambda element, _: name in element.attributes.get("class", "").split()


def _has_id(name: str) -> _Test:
    return lambda element, _: element.attributes.get("id") == name


def _attribute(found: re.Match[str]) -> _Test:
    name, operator, identifier, double_quoted, single_quoted, flag = found.groups()
    key = ascii_lower(_unescaped(name))
    if operator is None:
        return lambda element, _: key in element.attributes
    wanted = _unescaped(identifier or double_quoted or single_quoted or "")
    caseless = flag in ("i", "I") or (flag is None and key in _CASELESS)
    compare = _OPERATORS[operator]
    if caseless:
        wanted = ascii_lower(wanted)

    def test(element: OpenElement, _ancestors: Sequence[OpenElement]) -> bool:
        value = element.attributes.get(key)
        return value is not None and compare(ascii_lower(value) if caseless else value, wanted)

    return test


_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "=": lambda value, wanted: value == wanted,
    "~=": lambda value, wanted: wanted in value.split(),
    "^=": lambda value, wanted: wanted != "" and value.startswith(wanted),
    "$=": lambda value, wanted: wanted != "" and value.endswith(wanted),
    "*=": lambda value, wanted: wanted != "" and wanted in value,
    "|=": lambda value, wanted: value == wanted or value.startswith(wanted + "-"),
}


def _nth(found: re.Match[str]) -> tuple[int, int]:
    """The A and B of An+B."""
    even, odd, step, sign, offset, plain = found.groups()
    if even or odd:
        return 2, 1 if odd else 0
    if plain is not None:
        return 0, int(plain)
    return int(step + "1" if step in ("", "+", "-") else step), int((sign or "") + (offset or "0"))


def _is_nth(index: int, step: int, offset: int) -> bool:
    if step == 0:
        return index == offset
    return (index - offset) % step == 0 and (index - offset) // step >= 0


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(_character, text) if "\\" in text else text


def _character(found: re.Match[str]) -> str:
    escape = found.group()[1:]
    if escape in ("\n", "\r\n"):
        return ""
    if re.match("[0-9a-fA-F]", escape) is None:
        return escape
    code = int(escape.strip(), 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
