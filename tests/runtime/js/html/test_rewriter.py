"""`HTMLRewriter` on responses: streaming, handlers of all kinds, encodings, and what is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator_runtime import js, workers
from emulator_runtime.errors import BodyUsedError, NotEmulatedError
from emulator_runtime.pyodide.ffi import JsException, create_proxy, to_js
from emulator_runtime.streams import ReadableStream

MARKUP = st.lists(
    st.sampled_from(
        [
            "<",
            ">",
            "</",
            "<p a='",
            "'>",
            "<script>",
            "</script>",
            "<!--",
            "-->",
            "<svg>",
            "<title/>",
            "<br>",
            "&amp;",
            "\r",
        ]
    )
    | st.text(max_size=4),
    max_size=20,
).map("".join)


class Linker:
    """Handlers as an object with methods."""

    def element(self, element: Any) -> None:
        element.setAttribute("href", "/there")


async def rewrite(html: str, selector: str, handlers: Any) -> str:
    return str(await js.HTMLRewriter.new().on(selector, handlers).transform(js.Response.new(html)).text())


async def test_a_response_keeps_its_status_and_headers() -> None:
    response = js.Response.new(
        "<a>x</a>", {"status": 201, "headers": {"content-type": "text/html", "content-length": "8", "x-a": "1"}}
    )
    rewritten = js.HTMLRewriter.new().on("a", Linker()).transform(response)
    assert isinstance(rewritten, js.Response)
    assert (rewritten.status, rewritten.headers.get("x-a")) == (201, "1")
    assert not rewritten.headers.has("content-length")
    assert await rewritten.text() == '<a href="/there">x</a>'
    assert response.bodyUsed
    with pytest.raises(BodyUsedError):
        js.HTMLRewriter.new().transform(response)


async def test_handlers_are_objects_dicts_and_proxies_with_functions_and_coroutine_functions() -> None:
    async def slowly(element: Any) -> None:
        await asyncio.sleep(0)
        element.append("!")

    assert await rewrite("<b>x</b>", "b", {"element": slowly}) == "<b>x!</b>"
    assert await rewrite("<b>x</b>", "b", to_js({"element": create_proxy(slowly)})) == "<b>x!</b>"
    assert await rewrite("<b>x</b>", "b", create_proxy(Linker())) == '<b href="/there">x</b>'


async def test_a_rewriter_is_used_again() -> None:
    rewriter = js.HTMLRewriter.new().on("b", {"text": lambda text: text.replace("-")})
    for _ in range(2):
        assert await rewriter.transform(js.Response.new("<b></b>")).text() == "<b></b>"
        assert await rewriter.transform(workers.Response("<b>a</b>b").js_object).text() == "<b>--</b>b"
    with pytest.raises(TypeError, match="parameter 1 is not of type 'Response'; pass its js_object"):
        rewriter.transform(workers.Response("<b>"))


async def test_a_response_streams_through() -> None:
    seen: list[str] = []
    closed = False

    async def source() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            for part in ("<p>one</p><p", ">two</p>", "<p>three"):
                seen.append(f"in {part}")
                yield part.encode()
        finally:
            closed = True

    handlers = {"element": lambda element: element.before("|")}
    response = js.HTMLRewriter.new().on("p", handlers).transform(js.Response.new(ReadableStream(source())))
    async for chunk in response.body:
        seen.append(chunk.decode())  # noqa: PERF401 - what is read is to be seen between what goes in
    assert seen == ["in <p>one</p><p", "|<p>one</p>", "in >two</p>", "|<p>two</p>", "in <p>three", "|<p>three"]
    assert closed


async def test_the_source_is_closed_when_nobody_reads_on() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"<p>"
        finally:
            closed.set()

    body = js.HTMLRewriter.new().on("p", {}).transform(js.Response.new(ReadableStream(source()))).body
    reader = body.getReader()
    assert (await reader.read()).value == b"<p>"
    await reader.cancel()
    assert closed.is_set()
    assert (await reader.read()).done


async def test_what_a_handler_raises_is_raised_where_the_body_is_read() -> None:
    def fail(_element: Any) -> None:
        raise LookupError("boo")

    response = js.HTMLRewriter.new().on("p", {"element": fail}).transform(js.Response.new("<p>"))
    with pytest.raises(LookupError, match="boo"):
        await response.text()


async def test_a_response_without_a_body_stays_without() -> None:
    response = js.HTMLRewriter.new().on("p", Linker()).transform(js.Response.new(None, {"status": 204}))
    assert (response.status, response.body) == (204, None)


async def test_content_is_valid_while_its_handlers_run() -> None:
    kept: list[Any] = []
    await rewrite("<p>a<!--b--></p>", "p", {"element": kept.append, "text": kept.append, "comments": kept.append})
    for content in kept:
        with pytest.raises(TypeError, match="no longer valid"):
            content.before("x")
    with pytest.raises(TypeError, match="no longer valid"):
        kept[0].getAttribute("a")


@pytest.mark.parametrize("wrong", [None, "text", 5])
def test_what_are_no_handlers_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="'on' on 'HTMLRewriter': parameter 2 is not of type"):
        js.HTMLRewriter.new().on("p", wrong)
    with pytest.raises(JsException, match="'onDocument' on 'HTMLRewriter': parameter 1 is not of type"):
        js.HTMLRewriter.new().onDocument(wrong)
    with pytest.raises(TypeError, match="'element' field"):
        js.HTMLRewriter.new().on("p", {"element": 5})
    with pytest.raises(TypeError, match="not of type 'Response'"):
        js.HTMLRewriter.new().transform("<p>")


def test_a_selector_that_cannot_be_used_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"Parser error: Unsupported combinator `\+` in selector\."):
        js.HTMLRewriter.new().on("a + b", {})


@pytest.mark.parametrize(
    ("selector", "matched"),
    [
        ("p:not(:not(p))", "ab"),
        ("p:not(:not(.x))", "a"),
        ("p:not(:not(p, .x))", "a"),
        ("p:not(:not(:not(.x)))", "b"),
        ("p:not(.x.y)", "b"),
        ("p:not(#b", "a"),
    ],
)
async def test_every_part_of_a_negated_selector_has_to_fail(selector: str, matched: str) -> None:
    """As in workerd of 2026-11."""
    found: list[str] = []
    handlers = {"element": lambda element: found.append(element.getAttribute("id"))}
    await rewrite("<p id=a class=x><p id=b>", selector, handlers)
    assert "".join(found) == matched


def test_a_negated_selector_has_no_combinators() -> None:
    with pytest.raises(TypeError, match="Unsupported pseudo-class or pseudo-element in selector"):
        js.HTMLRewriter.new().on("p:not(div p)", {})


@pytest.mark.parametrize("operator", ["^=", "$=", "*=", "~="])
async def test_an_empty_value_is_part_of_none(operator: str) -> None:
    found: list[Any] = []
    await rewrite("<p id=''><p id=a>", f"[id{operator}'']", {"element": found.append})
    assert found == []


@pytest.mark.parametrize("text", ["a-->b", "a--!>b", ">a", "->a"])
async def test_the_text_of_a_comment_cannot_end_it(text: str) -> None:
    with pytest.raises(TypeError, match="shouldn't contain a comment-closing sequence"):
        await rewrite("<p><!--a-->", "p", {"comments": lambda comment: setattr(comment, "text", text)})
    assert await rewrite("<p><!--a-->", "p", {"comments": lambda it: setattr(it, "text", "b--")}) == "<p><!--b---->"


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ("<svg><title><b></b></title><a>", "svg:svg title:svg b:html a:svg"),
        ("<svg><title><b></title><a>", "svg:svg title:svg b:html a:html"),
        ("<math><mtext><b><title><i>", "math:math mtext:math b:html title:html"),
        ("<svg><desc><title><b></title></desc><script><b>", "svg:svg desc:svg title:html script:svg b:html"),
        ("<svg/><a>", "svg:svg a:html"),
        ("<svg><svg><p><a>", "svg:svg svg:svg p:html a:html"),
        ("<svg><a/><font><font size=1>", "svg:svg a:svg font:svg font:html"),
        (
            "<math><annotation-xml encoding='text/html'><title><b></title></annotation-xml><a>",
            "math:math annotation-xml:math title:html a:math",
        ),
        ("<svg><foreignObject><![CDATA[<a>]]><b></foreignObject><![CDATA[<i>]]>", "svg:svg foreignobject:svg b:html"),
    ],
)
async def test_elements_have_the_namespaces_that_their_tags_say(html: str, seen: str) -> None:
    """As in workerd of 2026-11."""
    names = {"http://www.w3.org/1999/xhtml": "html", "http://www.w3.org/2000/svg": "svg"}
    found: list[str] = []

    def element(element: Any) -> None:
        found.append(f"{element.tagName}:{names.get(element.namespaceURI, 'math')}")

    assert await rewrite(html, "*", {"element": element}) == html
    assert " ".join(found) == seen


async def test_a_stream_as_content_is_not_emulated() -> None:
    stream = js.Response.new("x").body
    with pytest.raises(NotEmulatedError, match="a stream as the content that HTMLRewriter inserts is not emulated yet"):
        await rewrite("<p>", "p", {"element": lambda element: element.append(stream)})


@pytest.mark.parametrize("html", [True, {"html": True}])
async def test_the_option_html_is_a_keyword_or_in_a_dict(html: Any) -> None:
    def add(element: Any) -> None:
        _ = element.append("<i>", html) if isinstance(html, dict) else element.append("<i>", html=html)
        element.append("<i>")

    assert await rewrite("<p></p>", "p", {"element": add}) == "<p><i>&lt;i&gt;</p>"


async def test_another_encoding_is_kept() -> None:
    seen: list[str] = []

    def change(text: Any) -> None:
        seen.append(text.text)
        if text.lastInTextNode:
            text.after("ü\u2603")

    headers = {"content-type": "text/html; charset=windows-1252"}
    response = js.Response.new(b"<p>\xe9\x80</p>\x81", {"headers": headers})
    assert await js.HTMLRewriter.new().on("p", {"text": change}).transform(response).bytes() == (
        b"<p>\xe9\x80\xfc&#9731;</p>\x81"
    )
    assert seen == ["é€", ""]


@pytest.mark.parametrize(
    ("charset", "message"),
    [("nonsense", "Unknown character encoding"), ("utf-16", "Expected ASCII-compatible encoding")],
)
def test_an_encoding_that_cannot_be_rewritten_is_a_type_error(charset: str, message: str) -> None:
    response = js.Response.new("<p>", {"headers": {"content-type": f"text/html; charset={charset}"}})
    with pytest.raises(TypeError, match=message):
        js.HTMLRewriter.new().transform(response)


@given(MARKUP, st.integers(1, 7))
def test_what_is_not_touched_comes_out_as_it_came_in(html: str, size: int) -> None:
    content = html.encode("utf-8", "surrogatepass") + b"\xff\xe2\x82"

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(content), size):
            yield content[at : at + size]

    async def run() -> bytes:
        seen: list[Any] = []
        every = {"element": seen.append, "comments": seen.append, "text": seen.append}
        response = js.Response.new(ReadableStream(chunks()))
        return bytes(await js.HTMLRewriter.new().on("*", every).onDocument(every).transform(response).bytes())

    try:
        assert asyncio.run(run()) == content
    except TypeError as error:
        assert "ambiguous" in str(error)  # noqa: PT017 - the one reason to refuse a document
