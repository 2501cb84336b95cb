"""`RegExp` of JavaScript, on Python's `re`."""

from __future__ import annotations

import re
from typing import Any, Final, Self

from emulator_runtime.errors import NotEmulatedError
from emulator_runtime.js.errors import SyntaxError as JsSyntaxError
from emulator_runtime.js.strings import js_string
from emulator_runtime.values import AttributeDict

_SPACE: Final = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_LINE_ENDS: Final = r"\n\r\u2028\u2029"
_WORD: Final = "A-Za-z0-9_"
_AFTER_WORD, _BEFORE_WORD = f"(?<=[{_WORD}])", f"(?=[{_WORD}])"
_NOT_AFTER_WORD, _NOT_BEFORE_WORD = f"(?<![{_WORD}])", f"(?![{_WORD}])"
_OUTSIDE: Final = {
    "d": "[0-9]",
    "D": "[^0-9]",
    "w": f"[{_WORD}]",
    "W": f"[^{_WORD}]",
    "s": f"[{_SPACE}]",
    "S": f"[^{_SPACE}]",
    "b": f"(?:{_NOT_AFTER_WORD}{_BEFORE_WORD}|{_AFTER_WORD}{_NOT_BEFORE_WORD})",
    "B": f"(?:{_AFTER_WORD}{_BEFORE_WORD}|{_NOT_AFTER_WORD}{_NOT_BEFORE_WORD})",
}
_INSIDE: Final = {"d": "0-9", "w": _WORD, "s": _SPACE, "D": r"\D", "W": r"\W", "S": r"\S", "b": r"\x08"}
_ANYWHERE: Final = {"t": r"\t", "n": r"\n", "v": r"\v", "f": r"\f", "r": r"\r", "0": r"\x00"}
_HEX: Final = re.compile(r"u\{([0-9a-fA-F]+)\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})")
_REFERENCE: Final = re.compile(r"k<(\w+)>|([1-9][0-9]*)")
_NAMED_GROUP: Final = re.compile(r"\(\?<(\w+)>")
_FLAGS: Final = "dgimsuvy"


class RegExp:
    """Call `RegExp.new("a+", "g").exec("caat")`. The flags are `d`, `g`, `i`, `m`, `s`, `u` and `y`.

    Lookbehind of variable length, `\\p{...}` and the sets of the flag `v` raise `NotEmulatedError`.
    """

    source: str
    flags: str

    def __init__(self, pattern: Any = "(?:)", flags: str | None = None) -> None:
        if isinstance(pattern, RegExp):
            pattern, flags = pattern.source, pattern.flags if flags is None else flags
        self.source = js_string(pattern) or "(?:)"
        self.flags = "".join(sorted(flags or ""))
        self.lastIndex = 0
        if len(set(self.flags)) != len(self.flags) or not set(self.flags) <= set(_FLAGS):
            raise JsSyntaxError(f"Invalid flags supplied to RegExp constructor '{flags}'")
        if "v" in self.flags:
            raise NotEmulatedError.of("the flag v of RegExp")
        options = (re.IGNORECASE if "i" in self.flags else 0) | (re.DOTALL if "s" in self.flags else 0)
        try:
            translated = _translated(self.source, is_multiline="m" in self.flags, is_dotall="s" in self.flags)
            self._compiled = re.compile(translated, options)
        except re.error as error:
            if "look-behind" in str(error):
                raise NotEmulatedError.of("lookbehind of variable length in RegExp") from None
            raise JsSyntaxError(f"Invalid regular expression: /{self.source}/{self.flags}: {error}") from None

    @classmethod
    def new(cls, pattern: Any = "(?:)", flags: str | None = None) -> Self:
        return cls(pattern, flags)

    @property
    def isglobal(self) -> bool:
        """`global`, which is a keyword of Python; `getattr(pattern, "global")` works too."""
        return "g" in self.flags

    @property
    def ignoreCase(self) -> bool:
        return "i" in self.flags

    @property
    def multiline(self) -> bool:
        return "m" in self.flags

    @property
    def dotAll(self) -> bool:
        return "s" in self.flags

    @property
    def sticky(self) -> bool:
        return "y" in self.flags

    @property
    def unicode(self) -> bool:
        return "u" in self.flags

    def test(self, text: Any) -> bool:
        """Whether there is a match."""
        return self.exec(text) is not None

    def exec(self, text: Any) -> Match | None:
        """The next match, or None. With the flags `g` and `y` the search begins at `lastIndex`, which moves on."""
        searched = js_string(text)
        moves = "g" in self.flags or "y" in self.flags
        start = self.lastIndex if moves else 0
        search = self._compiled.match if "y" in self.flags else self._compiled.search
        found = search(searched, start) if start <= len(searched) else None
        if moves:
            self.lastIndex = 0 if found is None else found.end()
        return None if found is None else Match(found)

    def toString(self) -> str:
        return f"/{self.source}/{self.flags}"

    __str__ = toString

    def __repr__(self) -> str:
        return self.toString()


setattr(RegExp, "global", RegExp.isglobal)


class Match(list[Any]):
    """The match and its groups. `index` is where it begins, in characters; `groups` has the named ones."""

    def __init__(self, found: re.Match[str]) -> None:
        super().__init__([found.group(), *found.groups()])
        self.index: int = found.start()  # type: ignore[assignment]
        self.input = found.string
        self.groups = AttributeDict(found.groupdict()) if found.re.groupindex else None


def _translated(source: str, *, is_multiline: bool, is_dotall: bool) -> str:
    """A pattern of JavaScript as `re` reads it."""
    parts: list[str] = []
    at = 0
    in_set = False
    while at < len(source):
        character = source[at]
        if character == "\\":
            part, at = _escape(source, at + 1, in_set=in_set)
            parts.append(part)
            continue
        at += 1
        if in_set:
            in_set = character != "]"
            parts.append("\\" + character if character in "[&~|" else character)
        elif character == "[":
            if source.startswith(("]", "^]"), at):
                parts.append(r"[^\s\S]" if source[at] == "]" else r"[\s\S]")
                at += 1 if source[at] == "]" else 2
            else:
                in_set = True
                parts.append(character)
        elif character == ".":
            parts.append("." if is_dotall else f"[^{_LINE_ENDS}]")
        elif character == "^":
            parts.append(f"(?:\\A|(?<=[{_LINE_ENDS}]))" if is_multiline else r"\A")
        elif character == "$":
            parts.append(f"(?=[{_LINE_ENDS}]|\\Z)" if is_multiline else r"\Z")
        elif (named := _NAMED_GROUP.match(source, at - 1)) is not None:
            parts.append(f"(?P<{named[1]}>")
            at = named.end()
        else:
            parts.append(character)
    return "".join(parts)


def _escape(source: str, at: int, *, in_set: bool) -> tuple[str, int]:
    """What an escape means, and where the pattern goes on."""
    if at == len(source):
        raise re.error("\\ at end of pattern")
    character = source[at]
    if (hexadecimal := _HEX.match(source, at)) is not None:
        code = int(next(digits for digits in hexadecimal.groups() if digits is not None), 16)
        return re.escape(chr(code)), hexadecimal.end()
    if character in "pP":
        raise NotEmulatedError.of(f"\\{character}{{...}} in RegExp")
    if character == "c" and source[at + 1 : at + 2].isalpha():
        return re.escape(chr(ord(source[at + 1]) % 32)), at + 2
    if not in_set and (reference := _REFERENCE.match(source, at)) is not None:
        name, number = reference.groups()
        return f"(?P={name})" if name else f"(?:\\{number})", reference.end()
    known = _INSIDE if in_set else _OUTSIDE
    return known.get(character) or _ANYWHERE.get(character) or re.escape(character), at + 1
