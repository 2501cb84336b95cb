"""What of a response in the cache answers a request: all of it, a range, or only that it has not changed."""

from __future__ import annotations

from typing import Final, NamedTuple

from emulator.bindings.cache.freshness import Headers, find, seconds_of
from emulator.wire.byte_range import byte_range

_WEAK: Final = b"W/"


class Selected(NamedTuple):
    """What is answered: a status with its reason, headers, and which bytes of the body."""

    status: int
    reason: str
    headers: Headers
    part: range


def select(status: int, reason: str, headers: Headers, size: int, asked: Headers) -> Selected:
    """The answer to a request with the headers `asked`. There are ranges of responses with the status 200 and with a
    Content-Length only."""
    if 200 <= status < 300 and _is_unchanged(headers, asked):
        return Selected(304, "Not Modified", headers, range(0))
    wanted = find(asked, b"range")
    if wanted is None or status != 200 or find(headers, b"content-length") is None or not _is_same(headers, asked):
        return Selected(status, reason, headers, range(size))
    part = byte_range(wanted.decode("latin-1"), size)
    if part is None:
        return Selected(status, reason, headers, range(size))
    if not part:
        described = [(b"content-range", b"bytes */%d" % size), (b"content-length", b"0")]
        return Selected(416, "Range Not Satisfiable", described, part)
    described = [header for header in headers if header[0] != b"content-length"]
    described.append((b"content-range", b"bytes %d-%d/%d" % (part.start, part.stop - 1, size)))
    described.append((b"content-length", b"%d" % len(part)))
    return Selected(206, "Partial Content", described, part)


def _is_unchanged(headers: Headers, asked: Headers) -> bool:
    """Whether who asks has the response already."""
    tags = find(asked, b"if-none-match")
    if tags is not None:
        tag = find(headers, b"etag")
        return tag is not None and (tags.strip() == b"*" or _strong(tag) in map(_strong, tags.split(b",")))
    return _not_modified_since(headers, find(asked, b"if-modified-since"))


def _is_same(headers: Headers, asked: Headers) -> bool:
    """Whether a range is to be of this response, if who asks has a part of one already."""
    held = find(asked, b"if-range")
    if held is None or held == find(headers, b"etag"):
        return True
    return not held.endswith(b'"') and held == find(headers, b"last-modified")


def _not_modified_since(headers: Headers, date: bytes | None) -> bool:
    since, modified = seconds_of(date), seconds_of(find(headers, b"last-modified"))
    return since is not None and modified is not None and modified <= since


def _strong(tag: bytes) -> bytes:
    return tag.strip().removeprefix(_WEAK)
