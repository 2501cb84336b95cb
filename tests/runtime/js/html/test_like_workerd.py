"""`HTMLRewriter` does what the real one does: the same documents, selectors and changes, in workerd and here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from emulator.hosts.workerd.host import WorkerdHost
from emulator_runtime import js
from emulator_runtime.streams import ReadableStream
from emulator_runtime.workers.request import Request
from tests.hosts.support import fetch
from tests.hosts.workerd.fixtures import workerd, workers  # noqa: F401 - fixtures
from tests.hosts.workerd.support import Workers
from tests.support.node_tools import javascript, needs_node  # noqa: F401 - a fixture

pytestmark = needs_node

Case = dict[str, Any]
"""`html`, or `chunks` of it; `selectors`; and what is done to all that is found: `element`, `comments`, `text`,
`end_tag` and `end` are lists of a method and its arguments, or of a property with `=` and its value."""

WORKER = """
const apply = (target, changes) => {
  for (const [name, ...given] of changes ?? []) {
    if (name.endsWith("=")) target[name.slice(0, -1)] = given[0]; else target[name](...given);
  }
};
export default {
  async fetch(request) {
    const results = [];
    for (const {html, chunks, selectors, ...changes} of await request.json()) {
      const log = [];
      try {
        const rewriter = new HTMLRewriter();
        for (const selector of selectors) rewriter.on(selector, {
          element(element) {
            log.push([selector, element.tagName, [...element.attributes], element.namespaceURI, element.removed]);
            apply(element, changes.element);
            if (changes.end_tag) element.onEndTag(tag => {
              log.push([selector, "end", tag.name]);
              apply(tag, changes.end_tag);
            });
          },
          comments(comment) { log.push([selector, "comment", comment.text]); apply(comment, changes.comments); },
          text(text) {
            log.push([selector, "text", text.text, text.lastInTextNode]);
            if (text.lastInTextNode) apply(text, changes.text);
          },
        });
        rewriter.onDocument({
          doctype(doctype) { log.push(["doctype", doctype.name, doctype.publicId, doctype.systemId]); },
          comments(comment) { log.push(["comment", comment.text]); },
          text(text) { log.push(["text", text.text, text.lastInTextNode]); },
          end(end) { log.push(["end"]); apply(end, changes.end); },
        });
        const {readable, writable} = new TransformStream();
        const write = async writer => {
          for (const chunk of chunks ?? [html]) await writer.write(new TextEncoder().encode(chunk));
          await writer.close();
        };
        const written = write(writable.getWriter()).catch(() => null);
        const response = rewriter.transform(new Response(readable));
        results.push([await response.text(), log]);
      } catch (error) {
        results.push([`${error.name}: ${error.message}`, log]);
      }
    }
    return Response.json(results);
  },
};
"""


def apply(target: Any, changes: list[Any] | None) -> None:
    for name, *given in changes or ():
        if name.endswith("="):
            setattr(target, name[:-1], given[0])
        else:
            getattr(target, name)(*given)


class Found:
    """The handlers of one selector."""

    def __init__(self, selector: str, changes: Case, log: list[Any]) -> None:
        self.selector = selector
        self.changes = changes
        self.log = log

    def element(self, element: Any) -> None:
        self.log.append([self.selector, element.tagName, element.attributes, element.namespaceURI, element.removed])
        apply(element, self.changes.get("element"))
        if "end_tag" in self.changes:
            element.onEndTag(self.end_tag)

    async def end_tag(self, tag: Any) -> None:
        self.log.append([self.selector, "end", tag.name])
        apply(tag, self.changes["end_tag"])

    def comments(self, comment: Any) -> None:
        self.log.append([self.selector, "comment", comment.text])
        apply(comment, self.changes.get("comments"))

    def text(self, text: Any) -> None:
        self.log.append([self.selector, "text", text.text, text.lastInTextNode])
        if text.lastInTextNode:
            apply(text, self.changes.get("text"))


class Document:
    """The handlers of the document."""

    def __init__(self, changes: Case, log: list[Any]) -> None:
        self.changes = changes
        self.log = log

    def doctype(self, doctype: Any) -> None:
        self.log.append(["doctype", doctype.name, doctype.publicId, doctype.systemId])

    def comments(self, comment: Any) -> None:
        self.log.append(["comment", comment.text])

    def text(self, text: Any) -> None:
        self.log.append(["text", text.text, text.lastInTextNode])

    def end(self, end: Any) -> None:
        self.log.append(["end"])
        apply(end, self.changes.get("end"))


async def rewritten(case: Case) -> list[Any]:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in case.get("chunks", [case.get("html")]):
            yield chunk.encode()

    log: list[Any] = []
    try:
        rewriter = js.HTMLRewriter.new()
        for selector in case["selectors"]:
            rewriter.on(selector, Found(selector, case, log))
        rewriter.onDocument(Document(case, log))
        response = rewriter.transform(js.Response.new(ReadableStream(chunks())))
        return [await response.text(), log]
    except js.TypeError as error:
        return [f"TypeError: {error.message}", log]


def joined(log: list[Any]) -> list[Any]:
    """A log with the pieces of each text put together, for it does not matter where they are cut."""
    made: list[Any] = []
    open_texts: dict[str, list[Any]] = {}
    for entry in log:
        if entry[-3:-2] == ["text"] or (entry[0] == "text" and len(entry) == 3):
            name = entry[0]
            if name in open_texts:
                open_texts[name][-2:] = [open_texts[name][-2] + entry[-2], entry[-1]]
            else:
                open_texts[name] = list(entry)
                made.append(open_texts[name])
            if entry[-1]:
                del open_texts[name]
        else:
            made.append(entry)
    return made


DOCUMENTS = [
    "<!DOCTYPE html>\r\n<P Class='a&amp;b' x y=1 x=2>Hello &amp; <b>w</b><br/>\r\n</P >",
    "<script>a<b></script>x<title>a<b></title><textarea>\n<c></textarea><style><d></style>t",
    "<!--a--><!-->x<!foo><?bar?></3><a href='u",
    "<plaintext><b>x",
    "<noscript><b></noscript><iframe><b></iframe><xmp><b></xmp><noembed><b></noembed><noframes><b></noframes>",
    '<p attr="x\r\ny">a\r\nb',
    "<a<b>x</a<b>",
    "x<",
    "x</",
    "<a/b/c>",
    "<script><!--<script></script>--></script>z",
    "<script><!--></script>z<script><!-- <script> --> </script>y",
    "<TITLE>x</tiTLE><math><a>a</a></math><select><option>",
    "<svg><![CDATA[a<b>]]><a></svg><![CDATA[x]]>",
    "<p>a<p>b</p>c",
    "<div><span></div>x</span>y",
    "<svg><a/><p>x",
    "</p>x</>y",
    "<br></br>",
    "<select><script>x<b></script><textarea><b></textarea></select>",
    "<svg><font color=red><b>x<svg><font>y",
    "<math></p><title><b></title>",
    '<!doctype HTML public "a" \'b\'><!doctype x system "y"><!doctype>',
    "<a x= y><a =x><a x='1'y=2/><a ''=x \"b\"><a x=>",
    "<!----><!---><!--a--!>b<!--a--->c<!--a",
    "<!doctype",
    "<?",
    "<!",
    "</ a>b",
    "<x-é y>z<É>",
    "<select><xmp><a></select>",
    "<select><template><title>",
    "<frameset><title><b></title></frameset>",
]
SELECTORS = [
    "div", "*", "a[href='x' i]", "a[href=x s]", "a[href|='x']", "p:nth-child(2n+1)", "p:first-child",
    "p:nth-of-type(2)", "p:first-of-type", "p:not(.x, #b)", "p:not(.x.y)", "div > p b", "a ~ b",
    "a + b", "x|y", "*|p", "div, #d", ":is(a,b)", "a::before", "a:hover", "[class]", "[class~=\"y\"]", "[id^='a']",
    "a:nth-child(even of b)", "a:last-child", "", " ", "a b,", "a:has(b)", "a:nth-child(foo)", "P.x#a", "\\70",
    ".é", "a:not()", "[*|foo]", "[ns|foo]", "p:nth-child( 3 )", "p:nth-child(-n+3)", "#1a", "div>p", "> a", "a >",
    "p:not(*)", "[foo=bar baz]", "P:NTH-CHILD(ODD)", "a/**/b", "&", "[ class = 'x y' ]", "p:nth-of-type(n + 2)",
    "-", "p\\:b", "[x='a\\'b']", "[type=TEXT]", "[title=A]", "[title=a i]", "[id$=a]", "[class*='x y']",
    "div p:not(.x)",
]  # fmt: skip
MATCHED = (
    "<div><p id=a class='x y' title=a type=text>1<p id=b>2</p></p><br><p id=c><b>3</b></div><p id=d><p id=e>"
    '<a href=X x="a\'b"></a><a href=x-y></a><p:b></p:b><a class=é>'
)
CHANGED = "<div  a=1 b='x\"y'\tC>in<i>n</i><!--c--></div >tail<p/>x</p><br/><img src=a/><p>y<p>z"
CHANGES: list[list[list[Any]]] = [
    [["before", "1"], ["before", "2"], ["after", "3"], ["after", "4"]],
    [["prepend", "5"], ["prepend", "6"], ["append", "7"], ["append", "8"]],
    [["setAttribute", "a", "q\"<&'"], ["setAttribute", "New", 5]],
    [["removeAttribute", "A"]],
    [["removeAttribute", "zz"]],
    [["setInnerContent", "<b>"]],
    [["setInnerContent", "<b>", {"html": True}], ["setAttribute", "a", "1"]],
    [["remove"]],
    [["before", "1"], ["after", "2"], ["append", "3"], ["remove"]],
    [["replace", "<r>"], ["before", "1"], ["after", "2"], ["setInnerContent", "x"]],
    [["replace", "r"], ["remove"]],
    [["removeAndKeepContent"], ["append", "x"], ["prepend", "y"]],
    [["append", "b"], ["prepend", "c"], ["setInnerContent", "a"], ["append", "d"]],
    [["append", "b"], ["setAttribute", "b", ""]],
    [["setAttribute", "b c", "x"]],
    [["setAttribute", "", "x"]],
    [["tagName=", "Section"]],
    [["tagName=", "1"]],
    [["tagName=", "a b"]],
    [["tagName=", ""]],
]
CASES: list[Case] = [
    *[{"html": html, "selectors": ["*"]} for html in DOCUMENTS],
    *[
        {"chunks": [html[at : at + size] for at in range(0, len(html), size)], "selectors": ["*"]}
        for html in DOCUMENTS
        for size in (1, 4)
        if html.isascii()
    ],
    *[{"html": MATCHED, "selectors": [selector]} for selector in SELECTORS],
    *[
        {"html": CHANGED, "selectors": [selector], "element": changes}
        for changes in CHANGES
        for selector in ("div", "p", "*")
    ],
    *[
        {"html": CHANGED, "selectors": ["div", "p", "i"], "end_tag": changes, "element": before}
        for changes in (
            [["before", "B"], ["before", "C"], ["after", "A"], ["after", "D"]],
            [["name=", "q"]],
            [["remove"]],
        )
        for before in ([], [["append", "x"]], [["remove"]], [["tagName=", "s"]])
    ],
    {"html": "<br>", "selectors": ["br"], "end_tag": []},
    *[
        {"html": CHANGED, "selectors": ["div"], kind: changes}
        for kind in ("comments", "text")
        for changes in (
            [["before", "<"], ["before", "2"], ["after", "3"], ["after", "4"]],
            [["replace", "<i>"], ["before", "1"], ["after", "2"]],
            [["replace", "<i>", {"html": True}]],
            [["remove"]],
        )
    ],
    {"html": CHANGED, "selectors": ["div"], "comments": [["text=", "n<"], ["after", "x"]]},
    {"html": "a", "selectors": [], "end": [["append", "<z>"], ["append", "<y>", {"html": True}]]},
    {"html": "", "selectors": ["*"], "end": [["append", "x"]]},
]


def test_documents_are_rewritten_as_in_workerd(workers: Workers) -> None:  # noqa: F811 - the fixture
    workers.add(WORKER)

    async def compare(host: WorkerdHost) -> None:
        request = Request("http://localhost/", method="POST", body=json.dumps(CASES))
        real = json.loads(await (await fetch(host, request)).text())
        differences = []
        for case, (output, log) in zip(CASES, real, strict=True):
            here = await rewritten(case)
            shown, expected = (text.partition(" ambiguous")[0] for text in (here[0], output))  # the rest was reworded
            if [shown, joined(here[1])] != [expected, joined(log)]:
                differences.append((case, here, [output, log]))
        assert differences == []

    workers.run(compare)
