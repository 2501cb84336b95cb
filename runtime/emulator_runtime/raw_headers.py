"""Header lists in ASGI's format, `[(b"name", b"value"), ...]` with names in lower case, and conversions. Requests and
responses store their headers in this format."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from emulator_runtime.text import to_js_string

if TYPE_CHECKING:
    from http.client import HTTPMessage

RawHeaders = list[tuple[bytes, bytes]]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_FORBIDDEN = re.compile("[\r\n\0]")
_NAMES: dict[str, bytes] = {}
_NAMES_KEPT = 512


def encode_name(name: Any) -> bytes:
    """A header name in lower case; what is not a str becomes one as in JavaScript. Raises `TypeError` if it is not an
    HTTP token."""
    known = _NAMES.get(name)
    if known is not None:
        return known
    if not isinstance(name, str):
        return encode_name(to_js_string(name))
    if not _TOKEN.match(name):
        raise TypeError(f"Invalid header name: {name!r}")
    encoded = name.lower().encode("ascii")
    if len(_NAMES) < _NAMES_KEPT:
        _NAMES[name] = encoded
    return encoded


def encode_value(name: str, value: Any) -> bytes:
    """A header value as Latin-1, or as UTF-8 if Latin-1 cannot represent it; what is not a str becomes one as in
    JavaScript. Raises `TypeError` if it has a line break or a NUL."""
    if not isinstance(value, str):
        value = to_js_string(value)
    if _FORBIDDEN.search(value):
        raise TypeError(f"Invalid header value of {name!r}: it contains a line break or a NUL")
    text: str = value.strip(" \t")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def decode_value(value: bytes) -> str:
    """A header value as text, decoded as UTF-8, or if that fails as Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def encode_pairs(pairs: Iterable[Any]) -> RawHeaders:
    """Encode pairs of names and values. Keeps duplicates."""
    raw: RawHeaders = []
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise TypeError(f"headers must be pairs of a name and a value, not {pair!r}")
        name, value = pair
        raw.append((encode_name(name), encode_value(name, value)))
    return raw


def find_header(raw: RawHeaders, name: bytes) -> bytes | None:
    """The first value of a header, or None. `name` is in lower case."""
    for each, value in raw:
        if each == name:
            return value
    return None


def combined(raw: RawHeaders) -> list[tuple[str, str]]:
    """Names and values in the order of the web platform's `Headers`: sorted by name, with the values of one name joined
    with commas, except `set-cookie`."""
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
    """A copy of the headers as an `http.client.HTTPMessage`. Changing it does not change the request or response."""
    # http.client takes about 20 ms to import, and many workers never read a header.
    from emulator_runtime.header_message import HeaderMessage

    message = HeaderMessage()
    for name, value in combined(raw):
        message.set_raw(name, value)
    return message
