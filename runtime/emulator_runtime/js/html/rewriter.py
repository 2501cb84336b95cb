"""`HTMLRewriter`: runs the handlers of a worker over the body of a response while it streams."""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final, Self

from emulator_runtime.js.errors import TypeError as JsTypeError
from emulator_runtime.js.html import content, tokenizer
from emulator_runtime.js.html.selectors import OpenElement, Selector, SelectorError
from emulator_runtime.raw_headers import decode_value, find_header
from emulator_runtime.streams import ReadableStream, as_bytes, close_source
from emulator_runtime.workers.response import FetchResponse, JsResponse

_ELEMENT_HANDLERS: Final = ("element", "comments", "text")
_DOCUMENT_HANDLERS: Final = ("doctype", "comments", "text", "end")
_PIECE_BYTES: Final = 65_536
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)

_Handlers = Mapping[str, Callable[[Any], Any]]


class HTMLRewriter:
    """Call `HTMLRewriter.new().on("a[href]", handlers).transform(response)`.

    `handlers` is an object with methods `element`, `comments` and `text`, each of which may be a coroutine function, or
    a dict of functions. They are called while the body is read. One rewriter can transform several responses.
    """

    def __init__(self) -> None:
        self._on: list[tuple[Selector, _Handlers]] = []
        self._on_document: list[_Handlers] = []

    @classmethod
    def new(cls) -> Self:
        return cls()

    def on(self, selector: str, handlers: Any) -> Self:
        """Call `handlers` for what matches the selector. Raises `TypeError` for a selector that cannot be used."""
        try:
            parsed = Selector(selector)
        except SelectorError as error:
            raise JsTypeError(f"Parser error: {error}") from None
        self._on.append((parsed, _taken(handlers, _ELEMENT_HANDLERS, "ElementContentHandlers")))
        return self

    def onDocument(self, handlers: Any) -> Self:
        """Call `handlers`, an object with methods `doctype`, `comments`, `text` and `end`, for the whole document."""
        self._on_document.append(_taken(handlers, _DOCUMENT_HANDLERS, "DocumentContentHandlers"))
        return self

    def transform(self, response: JsResponse) -> JsResponse:
        """A response with the rewritten body, and the status and headers of `response`, whose body is used up. What a
        handler raises is raised where the body is read."""
        if not isinstance(response, JsResponse):
            message = "Failed to execute 'transform' on 'HTMLRewriter': parameter 1 is not of type 'Response'."
            hint = "; pass its js_object" if isinstance(response, FetchResponse) else ""
            raise JsTypeError(message.removesuffix(".") + hint + ".")
        body: ReadableStream | None = None
        if response.raw_body is not None:
            encoding = _encoding(response)
            body = ReadableStream(_Run(self._on, self._on_document, encoding).over(response.take_body()))
        raw = [pair for pair in response.raw_headers if pair[0] != b"content-length"]
        options = response.as_options()
        return JsResponse.of_parts(body, raw, response.status, options["statusText"], response.url, response.redirected)


def _taken(handlers: Any, names: tuple[str, ...], kind: str) -> _Handlers:
    if handlers is None or isinstance(handlers, (str, int, float)):
        method = "on" if names is _ELEMENT_HANDLERS else "onDocument"
        place = 2 if names is _ELEMENT_HANDLERS else 1
        raise JsTypeError(f"Failed to execute '{method}' on 'HTMLRewriter': parameter {place} is not of type '{kind}'.")
    taken = {}
    for name in names:
        handler = handlers.get(name) if isinstance(handlers, Mapping) else getattr(handlers, name, None)
        if handler is None:
            continue
        if not callable(handler):
            raise JsTypeError(
                f"Incorrect type for the '{name}' field on '{kind}': the provided value is not of type 'function'."
            )
        taken[name] = handler
    return taken


def _encoding(response: JsResponse) -> str:
    content_type = find_header(response.raw_headers, b"content-type")
    named = None if content_type is None else _CHARSET.search(decode_value(content_type))
    if named is None:
        return "utf-8"
    try:
        encoding = codecs.lookup(named[1]).name
    except LookupError:
        raise JsTypeError("Parser error: Unknown character encoding has been provided.") from None
    if encoding.startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        raise JsTypeError("Parser error: Expected ASCII-compatible encoding.")
    return {"ascii": "cp1252", "iso8859-1": "cp1252"}.get(encoding, encoding)  # as the web platform reads these names


@dataclass(slots=True)
class _Open:
    """An element that has been opened and not closed, with what its handlers decided about its content and end."""

    element: OpenElement
    matched: list[int]
    decided: content.Element | None


class _Run:
    """One document that is being rewritten."""

    def __init__(self, on: list[tuple[Selector, _Handlers]], on_document: list[_Handlers], encoding: str) -> None:
        self._on = list(on)
        self._on_document = list(on_document)
        self._encoding = encoding
        self._tokenizer = tokenizer.Tokenizer()
        self._root = OpenElement("", {}, 1, 1)
        self._open: list[_Open] = []
        self._active = [0] * len(self._on)
        """For each of `on`, how many open elements match."""
        self._hidden = 0
        """How many open elements have had their content removed."""
        self._is_in_text = False
        self._output: list[str] = []

    async def over(self, body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The rewritten chunks of `body`."""
        # Bytes that are no text stay what they are: they become surrogates, and bytes again.
        decode = codecs.getincrementaldecoder(self._encoding)("surrogateescape").decode
        try:
            async for chunk in _chunks(body):
                if output := await self._rewritten(self._tokenizer.feed(decode(as_bytes(chunk)))):
                    yield output
            if output := await self._rewritten(self._tokenizer.feed(decode(b"", True))):
                yield output
            if output := await self._rewritten(self._tokenizer.close()):
                yield output
            await self._end_text()
            end = content.DocumentEnd(is_hidden=False)
            await self._call([handlers["end"] for handlers in self._on_document if "end" in handlers], end)
            self._hidden = 0
            self._write(end.render())
            if output := self._taken_output():
                yield output
        finally:
            await close_source(body)

    async def _rewritten(self, tokens: Iterable[tokenizer.Token]) -> bytes:
        """What the handlers make of some tokens."""
        try:
            for token in tokens:
                await self._token(token)
        except tokenizer.AmbiguousTagError as error:
            raise JsTypeError(f"Parser error: {error}") from None
        return self._taken_output()

    def _taken_output(self) -> bytes:
        text, self._output = "".join(self._output), []
        try:
            return text.encode(self._encoding, "surrogateescape")
        except UnicodeEncodeError:
            return b"".join([_encoded(character, self._encoding) for character in text])

    def _write(self, text: str) -> None:
        if not self._hidden:
            self._output.append(text)

    async def _token(self, token: tokenizer.Token) -> None:
        if isinstance(token, tokenizer.TextToken):
            self._is_in_text = True
            await self._text(token.source, is_last=False)
            return
        await self._end_text()
        if isinstance(token, tokenizer.StartTagToken):
            await self._start_tag(token)
        elif isinstance(token, tokenizer.EndTagToken):
            await self._end_tag(token)
        elif isinstance(token, tokenizer.CommentToken):
            handlers = self._handlers("comments")
            if handlers:
                comment = content.Comment(token, is_hidden=self._hidden > 0)
                await self._call(handlers, comment)
                self._write(comment.render())
            else:
                self._write(token.source)
        else:
            if isinstance(token, tokenizer.DoctypeToken):
                doctype = content.Doctype(token)
                await self._call([each["doctype"] for each in self._on_document if "doctype" in each], doctype)
            self._write(token.source)

    async def _end_text(self) -> None:
        if self._is_in_text:
            self._is_in_text = False
            await self._text("", is_last=True)

    async def _text(self, source: str, *, is_last: bool) -> None:
        handlers = self._handlers("text")
        if not handlers:
            self._write(source)
            return
        text = content.Text(source, is_last=is_last, is_hidden=self._hidden > 0)
        await self._call(handlers, text)
        self._write(text.render())

    async def _start_tag(self, token: tokenizer.StartTagToken) -> None:
        parent = self._open[-1].element if self._open else self._root
        parent.children += 1
        of_name = parent.children_of_name.get(token.name, 0) + 1
        parent.children_of_name[token.name] = of_name
        attributes = {each.name: each.value for each in reversed(token.attributes)}
        element = OpenElement(token.name, attributes, parent.children, of_name)
        ancestors = [each.element for each in self._open]
        matched = [place for place, (selector, _) in enumerate(self._on) if selector.matches(element, ancestors)]
        handlers = [self._on[place][1]["element"] for place in matched if "element" in self._on[place][1]]
        decided: content.Element | None = None
        if handlers:
            decided = content.Element(token, is_hidden=self._hidden > 0)
            await self._call(handlers, decided)
            self._write(decided.render())
        else:
            self._write(token.source)
        if token.can_have_content:
            self._open.append(_Open(element, matched, decided))
            for place in matched:
                self._active[place] += 1
            self._hidden += decided is not None and decided.hides_content

    async def _end_tag(self, token: tokenizer.EndTagToken) -> None:
        depth = next((at for at in range(len(self._open), 0, -1) if self._open[at - 1].element.name == token.name), 0)
        if not depth:
            self._write(token.source)
            return
        end_tag = content.EndTag(token, is_hidden=False)
        # A tag also closes the elements within that were left open, and what was decided about their ends is done here.
        while len(self._open) >= depth:
            closed = self._open.pop()
            for place in closed.matched:
                self._active[place] -= 1
            if (decided := closed.decided) is not None:
                self._hidden -= decided.hides_content
                end_tag.take_over(decided.end_name, decided.end)
                if decided.on_end is not None:
                    await _awaited(decided.on_end(end_tag))
        end_tag.invalidate()
        self._write(end_tag.render())

    def _handlers(self, name: str) -> list[Callable[[Any], Any]]:
        """The handlers for comments or text where the document is now: of elements first, then of the document."""
        of_elements = [on[1] for on, active in zip(self._on, self._active, strict=True) if active]
        return [handlers[name] for handlers in (*of_elements, *self._on_document) if name in handlers]

    @staticmethod
    async def _call(handlers: list[Callable[[Any], Any]], given: content.Content) -> None:
        for handler in handlers:
            await _awaited(handler(given))
        given.invalidate()


async def _awaited(result: Any) -> None:
    if isawaitable(result):
        await result


async def _chunks(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        for at in range(0, len(body), _PIECE_BYTES):
            yield body[at : at + _PIECE_BYTES]
            await asyncio.sleep(0)  # so that a long document does not stop everything else
        return
    async for chunk in body:
        yield chunk


def _encoded(character: str, encoding: str) -> bytes:
    if "\udc80" <= character <= "\udcff":
        return character.encode("ascii", "surrogateescape")
    return character.encode(encoding, "xmlcharrefreplace")
