"""The page that a browser gets when worker code fails: the message, and the user's frames with their source lines."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from emulator.base.words import count
from emulator.server.addresses import LIVE_SCRIPT_ADDRESS
from emulator.server.editors import editor_link
from emulator.server.highlight import highlighted

if TYPE_CHECKING:
    from emulator.base.failure import Failure, Frame


_SOURCE: Final = Path(__file__).parent / "error_page.html"

_SECRET: Final = frozenset(
    {"authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token", "x-csrf-token"}
)
"""Headers that may not be seen over somebody's shoulder."""


def _context(frame: Frame) -> list[tuple[int, str, Markup]]:
    """The lines around the one of a frame: their numbers, and their texts as they are and with their tokens marked."""
    marked = highlighted(frame.source, frame.file)
    return [
        (
            number,
            text,
            marked[number - 1] if len(text) == len(frame.source[number - 1].rstrip("\r\n")) else escape(text),
        )
        for number, text in frame.context()
    ]


@cache
def content_policy() -> str:
    """The Content-Security-Policy of the page: its own style and the emulator's script, and nothing else."""
    found = re.search(r"<style>(.*?)</style>", _SOURCE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    style = b64encode(sha256(found[1].encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{style}'; script-src 'self'; connect-src 'self'; base-uri 'none'"


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("error_page.html")


def render_error_page(failure: Failure, heading: str, request: str, headers: Iterable[tuple[str, str]] = ()) -> str:
    """HTML for `failure`. `heading` says in general what happened, `request` is `GET http://...`, and `headers` are
    those of the request; secret ones are shown when asked for. The page reloads itself."""
    frames = list(reversed(failure.frames))
    return _template().render(
        count=count,
        editor_link=editor_link,
        context=_context,
        headers=[(name, value, name.lower() in _SECRET) for name, value in headers],
        script=LIVE_SCRIPT_ADDRESS,
        failure=failure,
        heading=heading,
        request=request,
        user_frames=[*(frame for frame in frames if frame.is_user), *failure.behind],
        other_frames=[frame for frame in frames if not frame.is_user],
    )
