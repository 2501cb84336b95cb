"""Source code as HTML with the parts of speech of its language marked, for pages that show it."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

MOST_LINES = 20_000
"""Longer files are shown as they are: it would take too long to read them."""


def highlighted(lines: Sequence[str], file: str) -> list[Markup]:
    """The lines of a file, escaped, with a `span` of a class for each token: `k` and what begins so is a keyword, `s` a
    string, `c` a comment, `m` a number."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_for_filename
    from pygments.util import ClassNotFound

    bare = [line.rstrip("\r\n") for line in lines]
    plain = [escape(line) for line in bare]
    if len(bare) > MOST_LINES:
        return plain
    try:
        lexer = get_lexer_for_filename(file, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return plain
    marked = highlight("\n".join(bare), lexer, HtmlFormatter(nowrap=True)).removesuffix("\n").split("\n")
    # A line that the lexer takes for two, as at a form feed, would shift those behind it.
    return [Markup(line) for line in marked] if len(marked) == len(bare) else plain
