"""Which clients get compressed answers. workerd compresses an answer whose `content-encoding` says so, and production
undoes that for a client that has not asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from emulator_runtime.hosting import RawHeaders, find_header

_CODINGS: Final = frozenset({"gzip", "br"})


def unwanted_coding(request: RawHeaders, answer: RawHeaders) -> str:
    """The coding of an answer that the client has not asked for and that can be undone; empty if there is none."""
    coding = (find_header(answer, b"content-encoding") or b"").decode("latin-1").strip().lower()
    if coding not in _CODINGS:
        return ""
    accepted = dict(_accepted((find_header(request, b"accept-encoding") or b"").decode("latin-1")))
    return "" if accepted.get(coding, accepted.get("*", False)) else coding


def plain_headers(answer: RawHeaders) -> RawHeaders:
    """The headers of an answer whose coding has been undone."""
    return [header for header in answer if header[0] not in (b"content-encoding", b"content-length")]


def _accepted(header: str) -> Iterator[tuple[str, bool]]:
    """The codings in an `accept-encoding` header, and whether each one may be used."""
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        number = weight.strip().removeprefix("q=")
        yield coding.strip(), number.strip("0.") != "" or not weight
