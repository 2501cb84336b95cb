"""Splits HTML into tokens, each with its source, as it arrives.

The sources of all tokens together are the input. Which tags switch the tokenizer to another kind of text (`<script>`,
`<title>`, ...) depends on where they are; this is decided by the tags alone, without a tree, as lol-html does it. Where
that is ambiguous, as for a `<title>` in a `<select>`, `AmbiguousTagError` is raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

Namespace = Literal["html", "svg", "math"]

_SPACE: Final = r"\t\n\f\r "
_ONE_ATTRIBUTE: Final = (
    rf"[^{_SPACE}/>][^{_SPACE}/>=]*+(?:[{_SPACE}]*+=[{_SPACE}]*+"
    rf"""(?:"[^"]*+"|'[^']*+'|[^{_SPACE}>"'][^{_SPACE}>]*+|(?=>))|(?![{_SPACE}]*+=))"""
)
_TAG: Final = re.compile(rf"</?([A-Za-z][^{_SPACE}/>]*+)((?:[{_SPACE}/]++|{_ONE_ATTRIBUTE})*+)>")
_ATTRIBUTE: Final = re.compile(
    rf"([^{_SPACE}/>][^{_SPACE}/>=]*+)"
    rf"""(?:[{_SPACE}]*+=[{_SPACE}]*+(?:"([^"]*+)"|'([^']*+)'|([^{_SPACE}>"'][^{_SPACE}>]*+)|$))?"""
)
_DOCTYPE: Final = re.compile(
    rf"""<!doctype[{_SPACE}]*([^{_SPACE}>]+)?[{_SPACE}]*
    (?:public[{_SPACE}]*(?:"([^">]*)"?|'([^'>]*)'?)[{_SPACE}]*(?:"([^">]*)"?|'([^'>]*)'?)?
    |system[{_SPACE}]*(?:"([^">]*)"?|'([^'>]*)'?))?""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_COMMENT_END: Final = re.compile(r"--!?>")
_UNFINISHED_COMMENT_END: Final = re.compile(r"(?:--!?|-)\Z")
_SCRIPT: Final = re.compile(rf"<!--|-->|</?script(?=[{_SPACE}/>])", re.ASCII | re.IGNORECASE)
_SCRIPT_MARKS: Final = ("<!--", "-->", "<script", "</script")
_OPENINGS: Final = ("<!--", "<!doctype", "<![cdata[")
_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

_RCDATA: Final = frozenset({"textarea", "title"})
_RAW_TEXT: Final = frozenset({"style", "iframe", "xmp", "noembed", "noframes", "noscript"})
_TEXT_TAGS: Final = _RCDATA | _RAW_TEXT | {"plaintext", "script"}
_LEAVE_FOREIGN: Final = frozenset(
    "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li "  # noqa: SIM905
    "listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var".split()
)
_SVG_INTEGRATION: Final = frozenset({"desc", "title", "foreignobject"})
_MATH_INTEGRATION: Final = frozenset({"mi", "mo", "mn", "ms", "mtext"})
_VOID: Final = frozenset(
    "area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr".split()  # noqa: SIM905
)


class AmbiguousTagError(Exception):
    """A tag may or may not begin text, which depends on what a browser would do with the tags around it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The parser has encountered a text content tag (`<{name}>`) in the context where it is ambiguous whether "
            "this tag should be ignored or not. And, thus, it is unclear whether consequent content should be parsed "
            "as raw text or HTML markup.\n\n"
            "This error occurs due to the limited capabilities of the streaming parsing. However, almost all of the "
            "cases of this error are caused by a non-conforming markup (e.g. a `<script>` element in `<select>` "
            "element)."
        )


@dataclass(slots=True)
class Attribute:
    """One attribute of a start tag. `name` is in lower case, `value` as it is written; `source` is all of it."""

    name: str
    value: str
    source: str


@dataclass(slots=True)
class StartTagToken:
    """`raw_name` is the name as it is written. `can_have_content` is false for `<br>` and `<path/>`."""

    source: str
    name: str
    raw_name: str
    attributes: list[Attribute]
    self_closing: bool
    namespace: Namespace
    can_have_content: bool


@dataclass(slots=True)
class EndTagToken:
    source: str
    name: str


@dataclass(slots=True)
class TextToken:
    """Part of the text between two other tokens."""

    source: str


@dataclass(slots=True)
class CommentToken:
    source: str
    text: str


@dataclass(slots=True)
class DoctypeToken:
    source: str
    name: str | None
    public_id: str | None
    system_id: str | None


@dataclass(slots=True)
class OtherToken:
    """Source without meaning, such as `</>` or a tag that the document ends in."""

    source: str


Token = StartTagToken | EndTagToken | TextToken | CommentToken | DoctypeToken | OtherToken


def ascii_lower(text: str) -> str:
    """`text` with A to Z in lower case, as names are compared in HTML."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


class Tokenizer:
    """Feed it text as it arrives, and close it. Tokens come out as soon as they are complete; text at once."""

    __slots__ = ("_at", "_buffer", "_context", "_mode", "_scanned", "_script_depth")

    def __init__(self) -> None:
        self._buffer = ""
        self._at = 0
        """Where in the buffer the next token begins."""
        self._context = _Context()
        self._mode = ""
        """What ends the text that is being read: `</title`, or `]]>` in a CDATA section; empty between tags."""
        self._script_depth = 0
        """In a script: 0; 1 after `<!--`; 2 after `<script` in that."""
        self._scanned = 0
        """Up to where the buffer has been searched for the end of a script."""

    def feed(self, text: str) -> Iterator[Token]:
        """The tokens that `text` completes. To be iterated to its end."""
        self._buffer = self._buffer[self._at :] + text
        self._scanned = max(0, self._scanned - self._at)
        self._at = 0
        return self._tokens(final=False)

    def close(self) -> Iterator[Token]:
        """The tokens of what is left at the end of the document."""
        return self._tokens(final=True)

    def _tokens(self, *, final: bool) -> Iterator[Token]:
        while self._at < len(self._buffer):
            end, is_end = self._end_of_text(final=final)
            if end > self._at:
                yield TextToken(self._take(end))
                continue
            token = self._markup(final=final) if is_end else None
            if token is None:
                return
            yield token

    def _take(self, end: int) -> str:
        source = self._buffer[self._at : end]
        self._at = end
        return source

    def _end_of_text(self, *, final: bool) -> tuple[int, bool]:
        """Up to where the buffer is certainly text, and whether the text ends there."""
        buffer, at, mode = self._buffer, self._at, self._mode
        if not mode or mode == "]]>":
            end = buffer.find(mode or "<", at)
        elif mode == "</script":
            end = self._end_of_script()
        elif mode == "</plaintext":
            return len(buffer), False
        else:
            found = re.compile(rf"{mode}(?=[{_SPACE}/>])", re.ASCII | re.IGNORECASE).search(buffer, at)
            end = -1 if found is None else found.start()
        if end != -1:
            return end, True
        if final or not mode:
            return len(buffer), False
        marks = _SCRIPT_MARKS if mode == "</script" else (mode,)
        for held in range(max(at, len(buffer) - len(mode)), len(buffer)):
            rest = ascii_lower(buffer[held:])
            if any(mark.startswith(rest) for mark in marks):
                return held, False
        return len(buffer), False

    def _end_of_script(self) -> int:
        self._scanned = max(self._scanned, self._at)
        while (found := _SCRIPT.search(self._buffer, self._scanned)) is not None:
            mark = found.group().lower()
            if mark == "</script" and self._script_depth < 2:
                return found.start()
            self._scanned = found.end()
            if mark == "<!--":
                if self._script_depth == 0:
                    self._script_depth = 1
                    self._scanned = found.start() + 2  # its dashes may begin `-->`
            elif mark == "-->":
                self._script_depth = 0
            elif self._script_depth:
                self._script_depth = 2 if mark == "<script" else 1
        return -1

    def _markup(self, *, final: bool) -> Token | None:
        """The token where the text ends; None where more is needed to know it."""
        buffer, at = self._buffer, self._at
        if self._mode == "]]>":
            self._mode = ""
            return OtherToken(self._take(at + 3))
        tag = _TAG.match(buffer, at)
        if tag is not None:
            return self._tag(tag)
        second, third = buffer[at + 1 : at + 2], buffer[at + 2 : at + 3]
        first_of_name = third if second == "/" else second
        if first_of_name.isascii() and first_of_name.isalpha():
            return OtherToken(self._take(len(buffer))) if final else None
        if second == "!":
            return self._declaration(final=final)
        if second == "?":
            return self._bogus_comment(1, final=final)
        if second == "/" and third:
            return OtherToken(self._take(at + 3)) if third == ">" else self._bogus_comment(2, final=final)
        if not final and (not second or second == "/"):
            return None
        return TextToken(self._take(at + (2 if second == "/" else 1)))

    def _declaration(self, *, final: bool) -> Token | None:
        buffer, at = self._buffer, self._at
        start = ascii_lower(buffer[at : at + 9])
        if start.startswith("<!--"):
            return self._comment(final=final)
        if start == "<!doctype":
            end = buffer.find(">", at)
            if end == -1:
                return DoctypeToken(self._take(len(buffer)), None, None, None) if final else None
            return _doctype(self._take(end + 1))
        if start == "<![cdata[" and self._context.namespace != "html":
            self._mode = "]]>"
            return OtherToken(self._take(at + 9))
        if not final and any(opening.startswith(start) for opening in _OPENINGS):
            return None
        return self._bogus_comment(2, final=final)

    def _comment(self, *, final: bool) -> Token | None:
        buffer, at = self._buffer, self._at
        for short in ("<!-->", "<!--->"):
            if buffer.startswith(short, at):
                return CommentToken(self._take(at + len(short)), "")
        end = _COMMENT_END.search(buffer, at + 4)
        if end is not None:
            return CommentToken(self._take(end.end()), buffer[at + 4 : end.start()])
        if not final:
            return None
        return CommentToken(self._take(len(buffer)), _UNFINISHED_COMMENT_END.sub("", buffer[at + 4 :]))

    def _bogus_comment(self, skipped: int, *, final: bool) -> Token | None:
        buffer, at = self._buffer, self._at
        end = buffer.find(">", at)
        if end != -1:
            return CommentToken(self._take(end + 1), buffer[at + skipped : end])
        return CommentToken(self._take(len(buffer)), buffer[at + skipped :]) if final else None

    def _tag(self, found: re.Match[str]) -> Token:
        raw_name, inside = found.groups()
        name = ascii_lower(raw_name)
        source = self._take(found.end())
        if source[1] == "/":
            self._mode = ""
            self._context.close(name)
            return EndTagToken(source, name)
        attributes = []
        end = 0
        for each in _ATTRIBUTE.finditer(inside):
            attribute_name, *values = each.groups()
            value = next((value for value in values if value is not None), "")
            attributes.append(Attribute(ascii_lower(attribute_name), value, each.group()))
            end = each.end()
        self_closing = inside[end:].endswith("/")
        namespace, has_text = self._context.open(name, attributes, self_closing=self_closing)
        self._mode = f"</{name}" if has_text else ""
        self._script_depth = 0
        can_have_content = name not in _VOID if namespace == "html" else not self_closing
        return StartTagToken(source, name, raw_name, attributes, self_closing, namespace, can_have_content)


@dataclass(slots=True)
class _Place:
    """A namespace that the document is in, and the element that began it. In HTML within SVG or MathML, `open` has the
    elements that have not been closed, for while there are any, the end tag of that element says nothing."""

    namespace: Namespace
    begun_by: str
    open: list[str] = field(default_factory=list)

    def enter(self, name: str) -> None:
        if self.begun_by and name not in _VOID:
            self.open.append(name)

    def leave(self, name: str) -> None:
        if name in self.open:
            while self.open.pop() != name:
                pass


class _Context:
    """What the tags so far say about the next ones: namespaces, and where text tags are ambiguous."""

    __slots__ = ("_ambiguous_in", "_inside", "_templates")

    def __init__(self) -> None:
        self._inside = [_Place("html", "")]
        self._ambiguous_in: Literal["", "select", "frameset"] = ""
        self._templates = 0
        """How many templates in a `<select>` are open."""

    @property
    def namespace(self) -> Namespace:
        return self._inside[-1].namespace

    def open(self, name: str, attributes: list[Attribute], *, self_closing: bool) -> tuple[Namespace, bool]:
        """Note a start tag. Returns the namespace of the element, and whether its content is text."""
        self._check(name)
        if name in ("svg", "math"):
            namespace: Namespace = "svg" if name == "svg" else "math"
            if not self_closing:
                self._inside.append(_Place(namespace, name))
            return namespace, False
        namespace = self.namespace
        if namespace == "html":
            self._inside[-1].enter(name)
            return namespace, name in _TEXT_TAGS
        if name in _LEAVE_FOREIGN or (name == "font" and _has_any(attributes, "color", "size", "face")):
            self._leave_foreign()
            self._inside[-1].enter(name)
            return "html", False
        if not self_closing and self._is_integration_point(name, attributes):
            self._inside.append(_Place("html", name))
        return namespace, False

    def close(self, name: str) -> None:
        """Note an end tag."""
        if self._templates:
            self._templates -= name == "template"
        elif self._ambiguous_in == "select" and name == "select":
            self._ambiguous_in = ""
        inside = self._inside[-1]
        if inside.open:
            inside.leave(name)
        elif name == inside.begun_by:
            self._inside.pop()
        elif name in ("p", "br"):
            self._leave_foreign()

    def _leave_foreign(self) -> None:
        while self.namespace != "html":
            self._inside.pop()

    def _is_integration_point(self, name: str, attributes: list[Attribute]) -> bool:
        if self.namespace == "svg":
            return name in _SVG_INTEGRATION
        if name != "annotation-xml":
            return name in _MATH_INTEGRATION
        return any(
            each.name == "encoding" and ascii_lower(each.value) in ("text/html", "application/xhtml+xml")
            for each in attributes
        )

    def _check(self, name: str) -> None:
        if self._templates:
            allowed = ""
            self._templates += name == "template"
        elif self._ambiguous_in == "select":
            allowed = "script"
            if name in ("select", "textarea", "input", "keygen"):
                self._ambiguous_in = ""
                return
            self._templates = int(name == "template")
        elif self._ambiguous_in == "frameset":
            allowed = "noframes"
        else:
            self._ambiguous_in = "select" if name == "select" else "frameset" if name == "frameset" else ""
            return
        if name in _TEXT_TAGS and name != allowed:
            raise AmbiguousTagError(name)


def _has_any(attributes: list[Attribute], *names: str) -> bool:
    return any(each.name in names for each in attributes)


def _doctype(source: str) -> DoctypeToken:
    found = _DOCTYPE.match(source)
    assert found is not None
    name, *ids = found.groups()
    public = ids[0] if ids[0] is not None else ids[1]
    system = next((each for each in ids[2:] if each is not None), None)
    return DoctypeToken(source, None if name is None else ascii_lower(name), public, system)
