"""What the handlers of `HTMLRewriter` are given: elements, comments, text and so on, which they read and change."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from emulator_runtime.errors import NotEmulatedError
from emulator_runtime.js.errors import TypeError as JsTypeError
from emulator_runtime.js.html import tokenizer
from emulator_runtime.js.strings import js_string

_NAMESPACES: Final = {
    "html": "http://www.w3.org/1999/xhtml",
    "svg": "http://www.w3.org/2000/svg",
    "math": "http://www.w3.org/1998/Math/MathML",
}
_FORBIDDEN_IN_ATTRIBUTES: Final = re.compile(r"[ \n\r\t\f/>=]")
_ENDS_COMMENT: Final = re.compile(r"\A-?>|--!?>")
_FORBIDDEN_IN_TAGS: Final = re.compile(r"[ \n\r\t\f/>]")


@dataclass(slots=True)
class Mutations:
    """What surrounds a token in the output, and what stands in its place."""

    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    replacement: str = ""
    removed: bool = False

    def render(self, token: str) -> str:
        return "".join([*self.before, self.replacement if self.removed else token, *self.after])


class Content:
    """The base of all: valid until the handlers have returned."""

    __slots__ = ("_is_valid", "_mutations")

    def __init__(self, *, is_hidden: bool) -> None:
        self._is_valid = True
        self._mutations = Mutations(removed=is_hidden)

    def invalidate(self) -> None:
        """Let every later use raise `TypeError`; for the rewriter."""
        self._is_valid = False

    def _check(self) -> Mutations:
        if not self._is_valid:
            raise JsTypeError(
                "This content token is no longer valid. Content tokens are only valid during the execution of the "
                "relevant content handler."
            )
        return self._mutations


class _Removable(Content):
    __slots__ = ()

    @property
    def removed(self) -> bool:
        """Whether this, or an element around it, was removed or replaced."""
        return self._check().removed

    def before(self, content: Any, options: Any = None, **keywords: Any) -> Any:
        """Insert `content` before this: text, or with `html=True` markup. Returns this."""
        self._check().before.append(markup(content, options, keywords))
        return self

    def after(self, content: Any, options: Any = None, **keywords: Any) -> Any:
        """Insert `content` after this. Returns this."""
        self._check().after.insert(0, markup(content, options, keywords))
        return self

    def replace(self, content: Any, options: Any = None, **keywords: Any) -> Any:
        """Put `content` in the place of this. Returns this."""
        mutations = self._check()
        mutations.replacement = markup(content, options, keywords)
        mutations.removed = True
        return self

    def remove(self) -> Any:
        """Leave this out; what replaced it stays. Returns this."""
        self._check().removed = True
        return self


class Comment(_Removable):
    """A comment. `text` is what is between `<!--` and `-->`, and can be set."""

    __slots__ = ("_changed", "_token")

    def __init__(self, token: tokenizer.CommentToken, *, is_hidden: bool) -> None:
        super().__init__(is_hidden=is_hidden)
        self._token = token
        self._changed: str | None = None

    @property
    def text(self) -> str:
        self._check()
        return self._token.text if self._changed is None else self._changed

    @text.setter
    def text(self, text: Any) -> None:
        self._check()
        text = js_string(text)
        if _ENDS_COMMENT.search(text):
            raise JsTypeError("Parser error: Comment text shouldn't contain a comment-closing sequence.")
        self._changed = text

    def render(self) -> str:
        """This as it goes into the output; for the rewriter."""
        return self._mutations.render(self._token.source if self._changed is None else f"<!--{self._changed}-->")


class Text(_Removable):
    """A piece of text. The text between two tags may come in several pieces; the last one is empty."""

    __slots__ = ("_last", "_text")

    def __init__(self, text: str, *, is_last: bool, is_hidden: bool) -> None:
        super().__init__(is_hidden=is_hidden)
        self._text = text
        self._last = is_last

    @property
    def text(self) -> str:
        """The text as it is written: `&amp;` is not decoded."""
        self._check()
        return self._text

    @property
    def lastInTextNode(self) -> bool:
        self._check()
        return self._last

    def render(self) -> str:
        """This as it goes into the output; for the rewriter."""
        return self._mutations.render(self._text)


class Doctype(Content):
    """The document type declaration."""

    __slots__ = ("_token",)

    def __init__(self, token: tokenizer.DoctypeToken) -> None:
        super().__init__(is_hidden=False)
        self._token = token

    @property
    def name(self) -> str | None:
        self._check()
        return self._token.name

    @property
    def publicId(self) -> str | None:
        self._check()
        return self._token.public_id

    @property
    def systemId(self) -> str | None:
        self._check()
        return self._token.system_id


class DocumentEnd(Content):
    """The end of the document."""

    __slots__ = ()

    def append(self, content: Any, options: Any = None, **keywords: Any) -> DocumentEnd:
        """Add `content` at the end of the document."""
        self._check().before.append(markup(content, options, keywords))
        return self

    def render(self) -> str:
        """What was added; for the rewriter."""
        return self._mutations.render("")


class EndTag(Content):
    """The end tag that closes an element. `name` can be set."""

    __slots__ = ("_changed", "_token")

    def __init__(self, token: tokenizer.EndTagToken, *, is_hidden: bool) -> None:
        super().__init__(is_hidden=is_hidden)
        self._token = token
        self._changed: str | None = None

    @property
    def name(self) -> str:
        self._check()
        return self._token.name if self._changed is None else tokenizer.ascii_lower(self._changed)

    @name.setter
    def name(self, name: Any) -> None:
        self._check()
        self._changed = js_string(name)

    def before(self, content: Any, options: Any = None, **keywords: Any) -> EndTag:
        """Insert `content` before this."""
        self._check().before.append(markup(content, options, keywords))
        return self

    def after(self, content: Any, options: Any = None, **keywords: Any) -> EndTag:
        """Insert `content` after this."""
        self._check().after.insert(0, markup(content, options, keywords))
        return self

    def remove(self) -> EndTag:
        """Leave this out."""
        self._check().removed = True
        return self

    def take_over(self, name: str | None, mutations: Mutations | None) -> None:
        """Apply what the handlers of an element decided about its end; for the rewriter."""
        if name is not None:
            self._changed = name
        if mutations is not None:
            self._mutations = mutations

    def render(self) -> str:
        """This as it goes into the output; for the rewriter."""
        return self._mutations.render(self._token.source if self._changed is None else f"</{self._changed}>")


class Element(_Removable):
    """An element, at its start tag. Attribute values are as they are written: `&amp;` is not decoded."""

    __slots__ = (
        "_attributes",
        "_is_changed",
        "_is_self_closing",
        "_name",
        "_token",
        "end",
        "end_name",
        "hides_content",
        "on_end",
    )

    def __init__(self, token: tokenizer.StartTagToken, *, is_hidden: bool) -> None:
        super().__init__(is_hidden=is_hidden)
        self._token = token
        self._attributes = token.attributes
        self._name = token.raw_name
        self._is_changed = False
        self._is_self_closing = token.self_closing
        self.end: Mutations | None = None
        """What happens to the end tag; for the rewriter, like the next three."""
        self.end_name: str | None = None
        self.hides_content = False
        self.on_end: Callable[[EndTag], Any] | None = None

    @property
    def tagName(self) -> str:
        """The name in lower case. It can be set, which changes both tags."""
        self._check()
        return tokenizer.ascii_lower(self._name)

    @tagName.setter
    def tagName(self, name: Any) -> None:
        self._check()
        name = js_string(name)
        if not name:
            raise JsTypeError("Parser error: Tag name can't be empty.")
        if not (name[0].isascii() and name[0].isalpha()):
            raise JsTypeError(
                "Parser error: The first character of the tag name should be an ASCII alphabetical character."
            )
        _refuse(_FORBIDDEN_IN_TAGS, name, "tag name")
        self._name = name
        self._is_changed = True
        if self._token.can_have_content:
            self.end_name = name

    @property
    def namespaceURI(self) -> str:
        self._check()
        return _NAMESPACES[self._token.namespace]

    @property
    def attributes(self) -> list[list[str]]:
        """Name and value of each attribute, in their order."""
        self._check()
        return [[each.name, each.value] for each in self._attributes]

    def getAttribute(self, name: str) -> str | None:
        """The value of an attribute; None if there is none."""
        found = self._find(name)
        return None if found is None else found.value

    def hasAttribute(self, name: str) -> bool:
        return self._find(name) is not None

    def setAttribute(self, name: Any, value: Any) -> Element:
        self._check()
        name, value = tokenizer.ascii_lower(js_string(name)), js_string(value)
        if not name:
            raise JsTypeError("Parser error: Attribute name can't be empty.")
        _refuse(_FORBIDDEN_IN_ATTRIBUTES, name, "attribute name")
        attribute = tokenizer.Attribute(name, value, f'{name}="{value.replace(chr(34), "&quot;")}"')
        attributes = list(self._attributes)
        for place, each in enumerate(attributes):
            if each.name == name:
                attributes[place] = attribute
                break
        else:
            attributes.append(attribute)
        self._change(attributes)
        return self

    def removeAttribute(self, name: str) -> Element:
        if (found := self._find(name)) is not None:
            self._change([each for each in self._attributes if each is not found])
        return self

    def after(self, content: Any, options: Any = None, **keywords: Any) -> Element:
        """Insert `content` after the element. Returns this."""
        mutations = self._at_end() if self._token.can_have_content else self._check()
        mutations.after.insert(0, markup(content, options, keywords))
        return self

    def prepend(self, content: Any, options: Any = None, **keywords: Any) -> Element:
        """Insert `content` at the beginning of the element. Returns this."""
        if self._takes_content():
            self._mutations.after.insert(0, markup(content, options, keywords))
        return self

    def append(self, content: Any, options: Any = None, **keywords: Any) -> Element:
        """Insert `content` at the end of the element. Returns this."""
        if self._takes_content():
            self._at_end().before.append(markup(content, options, keywords))
        return self

    def setInnerContent(self, content: Any, options: Any = None, **keywords: Any) -> Element:
        """Put `content` in the place of all that is in the element. Returns this."""
        if self._takes_content():
            self._hide_content()
            self._mutations.after.insert(0, markup(content, options, keywords))
        return self

    def replace(self, content: Any, options: Any = None, **keywords: Any) -> Element:
        """Put `content` in the place of the element. Returns this."""
        super().replace(content, options, **keywords)
        self._remove_end(and_content=True)
        return self

    def remove(self) -> Element:
        """Leave the element out, with all that is in it. Returns this."""
        super().remove()
        self._remove_end(and_content=True)
        return self

    def removeAndKeepContent(self) -> Element:
        """Leave out the tags of the element. Returns this."""
        super().remove()
        self._remove_end(and_content=False)
        return self

    def onEndTag(self, handler: Callable[[EndTag], Any]) -> None:
        """Call `handler`, which may be a coroutine function, at the end tag. Another call replaces it."""
        self._check()
        if not self._token.can_have_content:
            raise JsTypeError("Parser error: No end tag.")
        self.on_end = handler

    def render(self) -> str:
        """The start tag as it goes into the output; for the rewriter."""
        return self._mutations.render(self._tag() if self._is_changed else self._token.source)

    def _tag(self) -> str:
        parts = [self._name, *(each.source for each in self._attributes)]
        slash = ("" if len(parts) == 1 else " ") + "/" if self._is_self_closing else ""
        return f"<{' '.join(parts)}{slash}>"

    def _takes_content(self) -> bool:
        self._check()
        if self._token.can_have_content:
            self._is_self_closing = False
        return self._token.can_have_content

    def _find(self, name: Any) -> tokenizer.Attribute | None:
        self._check()
        wanted = tokenizer.ascii_lower(js_string(name))
        return next((each for each in self._attributes if each.name == wanted), None)

    def _change(self, attributes: list[tokenizer.Attribute]) -> None:
        self._attributes = attributes
        self._is_changed = True

    def _at_end(self) -> Mutations:
        self._check()
        if self.end is None:
            self.end = Mutations()
        return self.end

    def _remove_end(self, *, and_content: bool) -> None:
        if self._token.can_have_content:
            if and_content:
                self._hide_content()
            self._at_end().removed = True

    def _hide_content(self) -> None:
        self.hides_content = True
        self._mutations.after.clear()
        if self.end is not None:
            self.end.before.clear()


def markup(content: Any, options: Any, keywords: dict[str, Any]) -> str:
    """What a handler inserts, as markup."""
    if hasattr(content, "getReader") or hasattr(content, "js_object"):
        raise NotEmulatedError.of("a stream as the content that HTMLRewriter inserts", "pass a str")
    text = js_string(content)
    if {**(options or {}), **keywords}.get("html"):
        return text
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _refuse(forbidden: re.Pattern[str], name: str, where: str) -> None:
    found = forbidden.search(name)
    if found is not None:
        raise JsTypeError(f"Parser error: `{found.group()}` character is forbidden in the {where}")
