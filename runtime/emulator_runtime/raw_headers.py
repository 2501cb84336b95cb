"""Header lists as ASGI has them, `[(b"name", b"value"), ...]` with names in lower case: the form in which requests and
responses keep their headers, and the ways into and out of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from http.client import HTTPMessage

RawHeaders = list[tuple[bytes, bytes]]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_FORBIDDEN = re.compile("[\r\n\0]")
_NAMES: dict[str, bytes] = {}
_NAMES_KEPT = 512


def encode_name(name: Any) -> bytes:
    """A header name in lower case; `TypeError` when it is not a token of HTTP."""
    known = _NAMES.get(name)
    if known is not None:
        return known
    if not isinstance(name, str) or not _TOKEN.match(name):
        raise TypeError(f"Invalid header name: {name!r}")
    encoded = name.lower().encode("ascii")
    if len(_NAMES) < _NAMES_KEPT:
        _NAMES[name] = encoded
    return encoded


def encode_value(name: str, value: Any) -> bytes:
    """A header value as Latin-1, as UTF-8 where that cannot say it; `TypeError` when it would break out of its line."""
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"the value of header {name!r} must be a string, not {type(value).__name__}")
        value = str(value)
    if _FORBIDDEN.search(value):
        raise TypeError(f"Invalid header value of {name!r}: it has a line break or a NUL in it")
    text: str = value.strip(" \t")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def decode_value(value: bytes) -> str:
    """A header value as text: UTF-8, or Latin-1 where it is not that."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def encode_pairs(pairs: Iterable[Any]) -> RawHeaders:
    """Pairs of names and values, duplicates kept."""
    raw: RawHeaders = []
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise TypeError(f"headers must be pairs of a name and a value, not {pair!r}")
        name, value = pair
        raw.append((encode_name(name), encode_value(name, value)))
    return raw


def find_header(raw: RawHeaders, name: bytes) -> bytes | None:
    """The first value of a header, `name` in lower case."""
    for each, value in raw:
        if each == name:
            return value
    return None


def combined(raw: RawHeaders) -> list[tuple[str, str]]:
    """Names and values in the order that `Headers` of the web platform has: sorted by name, what occurs more than once
    joined with a comma, and each `set-cookie` on its own."""
    joined: dict[str, str] = {}
    cookies: list[tuple[str, str]] = []
    for name_bytes, value_bytes in raw:
        name = name_bytes.decode("latin-1")
        value = decode_value(value_bytes)
        if name == "set-cookie":
            cookies.append((name, value))
        elif name in joined:
            joined[name] = f"{joined[name]}, {value}"
        else:
            joined[name] = value
    pairs = list(joined.items())
    pairs += cookies
    pairs.sort(key=_by_name)
    return pairs


def _by_name(pair: tuple[str, str]) -> str:
    return pair[0]


def to_message(raw: RawHeaders) -> HTTPMessage:
    """The headers as `http.client.HTTPMessage`, a copy: changing it changes neither the request nor the response."""
    # http.client takes some 20 ms to import, and many workers never read a header.
    from emulator_runtime.header_message import HeaderMessage

    message = HeaderMessage()
    for name, value in combined(raw):
        message.set_raw(name, value)
    return message
