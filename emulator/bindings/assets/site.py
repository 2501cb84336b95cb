"""What answers a request for an asset: redirects, pages, files, and the headers of `_headers`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import msgspec

from emulator.bindings.assets.config import Assets
from emulator.bindings.assets.files import HEADERS_FILE, REDIRECTS_FILE, AssetDirectory
from emulator.bindings.assets.recall import Recall
from emulator.bindings.assets.routing import Found, route
from emulator.bindings.assets.rules import (
    HeaderRule,
    Redirect,
    RuleProblem,
    add_headers,
    answers_first,
    find_redirect,
    read_headers,
    read_redirects,
)
from emulator_runtime.hosting import RawHeaders

CACHE_CONTROL: Final = "public, max-age=0, must-revalidate"
NAVIGATION_DATE: Final = "2025-04-01"
"""From this date on, a browser that goes to a page that does not exist gets what `not_found_handling` says, and the
worker's code is not asked."""

_RELEVANT: Final = frozenset({b"if-none-match", b"sec-fetch-mode", b"authorization", b"range"})
_SLASHES: Final = re.compile("/+")
_SAFE: Final = "/!$&'()*+,;=:@-._~"


class Asked(NamedTuple):
    """A request. Of the headers there is what matters, empty where there is none."""

    method: str
    url: str
    if_none_match: bytes = b""
    is_navigation: bool = False
    is_private: bool = False
    """Whether it has an `Authorization` or a `Range`, so that its answer is not to be kept."""


class AssetAnswer(msgspec.Struct, frozen=True):
    """An answer. The headers are as ASGI has them, and do not say how long it is."""

    status: int
    headers: RawHeaders
    body: bytes = b""


class _Place(NamedTuple):
    """What a URL leads to; the path is as it was sent, without dots."""

    host: str
    path: str
    query: str


class Site:
    """The assets of one worker. `warn` is called with a sentence about rules that have no effect, once for each version
    of their file."""

    def __init__(
        self,
        settings: Assets,
        directory: Path,
        warn: Callable[[str], None],
        *,
        prefers_navigation: bool = True,
        has_code: bool = True,
    ) -> None:
        """`prefers_navigation` says whether a browser that goes to a page gets what `not_found_handling` says. Without
        code, everybody does."""
        self.settings = settings
        self.files = AssetDirectory(directory)
        self._warn = warn
        self._prefers_navigation = prefers_navigation
        self.has_code = has_code
        self.before_code = Recall(self.files, self._before_code)
        """The answer to a request that came to the worker; None if its code is to answer."""
        self._alone = Recall(self.files, self._answer_alone)
        self._redirects: tuple[object, list[Redirect]] = (None, [])
        self._headers: tuple[object, list[HeaderRule]] = (None, [])

    def answer(self, asked: Asked) -> AssetAnswer:
        """The answer to a request that is for the assets alone."""
        answered = self._alone(asked)
        assert answered is not None
        return answered

    def _before_code(self, asked: Asked) -> AssetAnswer | None:
        first = self.settings.run_worker_first
        who = answers_first(first, _decoded(_place_of(asked.url).path))
        if who == "assets alone" or not self.has_code:
            return self._answer_alone(asked)
        if who == "code":
            return None
        goes_on = isinstance(first, bool) and not (self._prefers_navigation and asked.is_navigation)
        return self._answer(asked, _place_of(asked.url), misses_go_on=goes_on)

    def _answer_alone(self, asked: Asked) -> AssetAnswer:
        place = _place_of(asked.url)
        return self._answer(asked, place, misses_go_on=False) or AssetAnswer(404, self._dressed(place, []))

    def _answer(self, asked: Asked, place: _Place, *, misses_go_on: bool) -> AssetAnswer | None:
        path = place.path
        redirect = find_redirect(self._redirect_rules(), place.host, path)
        if redirect is not None and redirect[1] != 200:
            return AssetAnswer(redirect[1], self._dressed(place, [("location", _with_query(*redirect, place.query))]))
        if redirect is not None:
            path = redirect[0]
        decoded = _decoded(path)
        handling = "none" if misses_go_on else self.settings.not_found_handling
        found = route(decoded, self.settings.html_handling, handling, self.files.has)
        if found is None:
            return None if redirect is None else AssetAnswer(404, self._dressed(place, []))
        if asked.method not in {"GET", "HEAD"}:
            return AssetAnswer(405, self._dressed(place, []))
        destination = quote(decoded if found.redirect is None else found.redirect, safe=_SAFE)
        if found.redirect is not None or destination != path:
            location = destination + (f"?{place.query}" if place.query else "")
            return AssetAnswer(307, self._dressed(place, [("location", location)]))
        return self._file(asked, place, found)

    def _file(self, asked: Asked, place: _Place, found: Found) -> AssetAnswer | None:
        asset = self.files.read(found.file)
        if asset is None:  # it has just gone
            return None
        headers = [("etag", f'"{asset.etag}"')]
        if asset.content_type:
            headers.append(("content-type", asset.content_type))
        if not asked.is_private:
            headers.append(("cache-control", CACHE_CONTROL))
        dressed = self._dressed(place, headers)
        if asked.if_none_match.removeprefix(b"W/") == b'"%b"' % asset.etag.encode():
            return AssetAnswer(304, dressed)
        return AssetAnswer(found.status, dressed, asset.content)

    def _dressed(self, place: _Place, headers: list[tuple[str, str]]) -> RawHeaders:
        version, text = self.files.text(HEADERS_FILE)
        if version != self._headers[0]:
            rules, problems = read_headers(text)
            self._headers = version, rules
            self._tell(HEADERS_FILE, problems)
        if self._headers[1]:
            add_headers(self._headers[1], place.host, place.path, headers)
        return [(name.encode(), _encoded(value)) for name, value in headers]

    def _redirect_rules(self) -> Sequence[Redirect]:
        version, text = self.files.text(REDIRECTS_FILE)
        if version != self._redirects[0]:
            rules, problems = read_redirects(text)
            self._redirects = version, rules
            self._tell(REDIRECTS_FILE, problems)
        return self._redirects[1]

    def _tell(self, file: str, problems: Sequence[RuleProblem]) -> None:
        for problem in problems:
            self._warn(f"{file}:{problem.line} has no effect: {problem.text}")


def asked_of(method: str, url: str, headers: Iterable[tuple[bytes, bytes]]) -> Asked:
    """A request with this URL and these headers, whose names are lowercase."""
    if_none_match, is_navigation, is_private = b"", False, False
    for name, value in headers:
        if name not in _RELEVANT:
            continue
        if name == b"if-none-match":
            if_none_match = value
        elif name == b"sec-fetch-mode":
            is_navigation = value == b"navigate"
        else:
            is_private = True
    return Asked(method, url, if_none_match, is_navigation, is_private)


def _place_of(url: str) -> _Place:
    parts = urlsplit(url)
    return _Place(parts.hostname or "", _without_dots(parts.path or "/"), parts.query)


def _encoded(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def _decoded(path: str) -> str:
    """A path with what its percent signs stand for, and without empty parts."""
    return _SLASHES.sub("/", "/".join(unquote(part, errors="replace") for part in path.split("/")))


def _without_dots(path: str) -> str:
    """A path as a browser sends it: `.` and `..` are followed, however they are written."""
    if "/." not in path and "/%2" not in path:
        return path
    parts: list[str] = []
    names = [part.lower().replace("%2e", ".") for part in path.split("/")]
    for name, part in zip(names, path.split("/"), strict=True):
        if name == "..":
            parts[1:] = parts[1:-1]
        elif name != ".":
            parts.append(part)
    return "/".join([*parts, ""] if names[-1] in {".", ".."} else parts) or "/"


def _with_query(to: str, _status: int, query: str) -> str:
    """The destination of a redirect, which keeps the query unless it has one of its own."""
    if not query or "?" in to:
        return to
    before, mark, fragment = to.partition("#")
    return f"{before}?{query}{mark}{fragment}"
