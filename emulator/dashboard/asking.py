"""Requests as they can be asked again: what is shown of them, commands for curl, and what a replay sends."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, urlsplit

from emulator.dashboard.story import RequestStory
from emulator.server.asked import KeptRequest

DOTS: Final = "••••••"
"""What is shown in place of a secret."""

_SECRET: Final = re.compile(r"auth|cookie|token|secret|passw|signature|credential|session|api-?key|(^|-)key$", re.ASCII)
_OWN: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "accept-encoding", "traceparent"}
)
"""Headers that whoever sends a request makes anew."""


def told_asked(asked: KeptRequest | None) -> dict[str, Any]:
    """What a story tells of a request, by the names of its fields."""
    if asked is None:
        return {}
    headers = [(name, DOTS if _SECRET.search(name.lower()) else value) for name, value in asked.pairs()]
    body, note = _body(asked)
    return {"headers": headers, "body": body, "body_note": note}


def repeated(asked: KeptRequest | None) -> list[tuple[str, str]]:
    """The headers to send again, as they were."""
    pairs = [] if asked is None else asked.pairs()
    return [(name, value) for name, value in pairs if name.lower() not in _OWN]


def as_curl(story: RequestStory, url: str) -> str:
    """The command that asks for the same. What must not be seen is a variable of the shell: `$AUTHORIZATION`."""
    if story.kind != "request":
        return ""
    method = "" if story.method == "GET" else f"-X {shlex.quote(story.method)} "
    words = [f"curl {method}{shlex.quote(url + quote(story.path, safe='/?&=%:@!$()*+,;~'))}", *_options(story, url)]
    return " \\\n  ".join(words)


def _options(story: RequestStory, url: str) -> Iterator[str]:
    for name, value in story.headers:
        lower = name.lower()
        if value == DOTS:
            variable = re.sub(r"[^A-Z0-9]", "_", name.upper())
            yield f'-H "{re.sub(r"[^A-Za-z0-9-]", "", name)}: ${variable}"'
        elif lower not in _OWN or (lower == "host" and value != urlsplit(url).netloc):
            yield f"-H {_quoted(f'{name}: {value}')}"
    if story.body and not story.body_note:
        yield f"--data-raw {_quoted(story.body)}"
    elif story.body_note:
        yield "--data-binary @body"


def _quoted(text: str) -> str:
    """A text for a shell. Characters that steer a terminal, or turn the direction of text, are written as escapes,
    as bash, zsh and ksh read them."""
    if all(char.isprintable() or char in "\n\t" for char in text):
        return shlex.quote(text)
    return "$'" + "".join(map(_escaped, text)) + "'"


def _escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    return char if char.isprintable() or char in "\n\t" else "".join(f"\\x{byte:02x}" for byte in char.encode())


def _body(asked: KeptRequest) -> tuple[str | None, str]:
    """The body as text, and what is to be said of it."""
    try:
        text = asked.body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return asked.body[:4_096].hex(" ", 1), f"{len(asked.body):,} bytes that are no text, in hexadecimal"
    if not asked.is_whole and not text:
        return None, "the worker did not read the body"
    if not asked.is_whole:
        return text, f"the first {len(asked.body):,} bytes; the rest was not read, or is too much to keep"
    return text, ""
