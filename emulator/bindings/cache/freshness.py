"""Which responses the cache keeps, and for how long: what `Cache-Control` and the headers around it say to a cache that
is shared, as the service reads them. Names of headers are in lower case."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

Headers = Sequence[tuple[bytes, bytes]]

DEFAULT_SECONDS: Final[Mapping[int, int]] = {
    **dict.fromkeys((200, 301), 120 * 60),
    **dict.fromkeys((302, 303), 20 * 60),
    **dict.fromkeys((404, 410), 3 * 60),
}
"""How long a response stays that does not say so itself, by its status. Others are not kept."""

_OF_CONNECTION: Final = frozenset(
    {b"connection", b"content-length", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_OF_CACHES: Final = frozenset({b"age", b"cf-cache-status"})
"""Headers that a cache sets itself."""

_SHARED_FOR_AUTHORIZED: Final = frozenset({"must-revalidate", "public", "s-maxage"})
_DIRECTIVE: Final = re.compile(r'([^\s,="]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]*)))?')


class Keeping(NamedTuple):
    """How a response is kept: with which headers, and for how many seconds from now. With 0 it is not found again, but
    replaces what is there. `age` is how many seconds old it is already."""

    headers: Headers
    seconds: float
    age: int


def keeping(status: int, headers: Headers, asked: Headers, now: float) -> Keeping | None:
    """How to keep a response to a request with the headers `asked`; None if it must not be. `now` is in seconds since
    the epoch."""
    control = _directives(_joined(headers, b"cache-control"))
    if "no-store" in control or ("private" in control and not control["private"]):
        return None
    unwanted = _names(control.get("private", ""))
    kept = [header for header in headers if header[0] not in unwanted | _OF_CONNECTION | _OF_CACHES]
    if find(kept, b"set-cookie") is not None:
        return None
    if find(asked, b"authorization") is not None and not _SHARED_FOR_AUTHORIZED & control.keys():
        return None
    seconds = _lifetime(status, control, kept, now)
    if seconds is None:
        return None
    age = _number((find(headers, b"age") or b"").decode("latin-1"))
    return Keeping(kept, max(seconds - age, 0), age)


def find(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header; None if there is none."""
    return next((value for each, value in headers if each == name), None)


def seconds_of(date: bytes | None) -> float | None:
    """A date of HTTP in seconds since the epoch; None if it is not one."""
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date.decode("latin-1")).timestamp()
    except (ValueError, OverflowError):
        return None


def _lifetime(status: int, control: Mapping[str, str], headers: Headers, now: float) -> float | None:
    """How long a response is fresh from when it was made; None if it must not be kept."""
    if "no-cache" in control:
        named = _names(control["no-cache"])
        if not named or any(name in named for name, _ in headers):
            return 0
    for directive in ("s-maxage", "max-age"):
        if directive in control:
            return _number(control[directive])
    expires = find(headers, b"expires")
    if expires is not None:
        made = seconds_of(find(headers, b"date"))
        return (seconds_of(expires) or 0) - (now if made is None else made)
    return DEFAULT_SECONDS.get(status)


def _directives(control: str) -> dict[str, str]:
    """The directives by name, with what they are set to, which may be empty. The last of several counts."""
    return {name.lower(): quoted or plain for name, quoted, plain in _DIRECTIVE.findall(control)}


def _joined(headers: Headers, name: bytes) -> str:
    return ",".join([value.decode("latin-1") for each, value in headers if each == name])


def _names(listed: str) -> set[bytes]:
    return {name.strip().lower().encode("latin-1") for name in listed.split(",") if name.strip()}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
