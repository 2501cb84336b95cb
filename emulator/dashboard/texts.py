"""How values read on a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final, NamedTuple

from markupsafe import Markup, escape

from emulator.base.words import age, clean_lines, cut, duration
from emulator.queues.message import QueueMessage
from emulator.wire.codec import decode

_MAX_PREVIEW: Final = 160
_MAX_BODY: Final = 128_000
_MAX_PRETTY_BYTES: Final = 64_000
_MAX_UNFOLDED: Final = 1_500
_FOLDED_LINES: Final = 8


class ShownBody(NamedTuple):
    """The body of a message for a person. `text` can be sent again as it is if `is_editable`."""

    text: str
    is_editable: bool


def visible(value: object) -> object:
    """What a template writes for a value: of a text, characters that change how others look are made visible."""
    return clean_lines(value) if type(value) is str else value


def exact(text: str) -> Markup:
    """A text as it is, in a field that is sent back."""
    return escape(text)


def body_of(message: QueueMessage) -> ShownBody:
    """JSON with indentation, text as it is, bytes in hexadecimal, and a structured clone as Python writes it."""
    kind, content = message.content_type, message.body
    try:
        if kind == "json":
            text = content.decode()
            return ShownBody(
                json.dumps(json.loads(text), indent=2, ensure_ascii=False) if len(text) <= _MAX_PRETTY_BYTES else text,
                True,
            )
        if kind == "text":
            return ShownBody(content.decode(), True)
        if kind == "bytes":
            return ShownBody(content[:4_096].hex(" ", 1), False)
        return ShownBody(repr(decode(content, kind))[:_MAX_BODY], False)
    except (ValueError, RecursionError):
        return ShownBody(f"damaged: {content[:4_096]!r}", False)


def coded(text: str) -> Markup:
    """A sentence in which what stands between backticks is code."""
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(clean_lines(text).split("`"))
    )


def sentence(text: str) -> str:
    """A text that begins with a capital."""
    return f"{text[:1].upper()}{text[1:]}"


def short(number: int) -> str:
    """A number in at most four characters: `950`, `1.2k`, `12k`, `3.4M`."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if number >= unit:
            return f"{number / unit:.1f}{name}" if number < 9.95 * unit else f"{number / unit:.0f}{name}"
    return str(number)


def took(seconds: float) -> str:
    """How long something took: `0.16 ms`, `12 ms`, `12.3 s`."""
    return f"{seconds * 1000:.2f} ms" if seconds < 0.01 else duration(seconds)


def pretty(value: object, text: str) -> str:
    """A body as a program has it: a mapping or a list with indentation, else its text."""
    return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, (dict, list)) else text


def preview(message: QueueMessage) -> str:
    """The body in one short line."""
    if message.content_type in {"json", "text"}:
        text = message.body[: 4 * _MAX_PREVIEW].decode("utf-8", "replace")
        return cut(" ".join(text.split()), _MAX_PREVIEW)
    return cut(body_of(message).text, _MAX_PREVIEW)


def folded(text: str) -> tuple[str, str]:
    """A text in two parts: what is shown of it at first, and the rest, which is empty unless it is long."""
    if len(text) <= _MAX_UNFOLDED and text.count("\n") < 2 * _FOLDED_LINES:
        return text, ""
    head = "\n".join(text[:_MAX_UNFOLDED].split("\n", _FOLDED_LINES)[:_FOLDED_LINES])
    return head, text[len(head) :].removeprefix("\n")


def moment(seconds: float, now: float) -> Markup:
    """A time, as how long ago it was, or how long from `now` it will be."""
    at = datetime.fromtimestamp(seconds, UTC)
    text = f"in {age(seconds - now)}" if seconds > now else f"{age(now - seconds)} ago"
    iso = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, iso, text)
