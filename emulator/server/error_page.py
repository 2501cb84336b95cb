"""The page that a browser gets when worker code fails: the message, and the user's frames with their source lines."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from emulator.base.words import count

if TYPE_CHECKING:
    from emulator.base.failure import Failure


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("error_page.html")


def render_error_page(failure: Failure, heading: str, request: str) -> str:
    """HTML for `failure`. `heading` says in general what happened, `request` is `GET http://...`."""
    frames = list(reversed(failure.frames))
    return _template().render(
        count=count,
        failure=failure,
        heading=heading,
        request=request,
        user_frames=[frame for frame in frames if frame.is_user],
        other_frames=[frame for frame in frames if not frame.is_user],
    )
