"""A hook of MkDocs: what is linked outside of `docs` is in the checkout only, so on the site its name stands alone."""

from __future__ import annotations

import re

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")


def on_page_markdown(markdown: str, **_: object) -> str:
    """The text of a page for the site."""
    return _OUTSIDE.sub(r"\1", markdown)
