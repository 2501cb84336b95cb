"""What answers a request for an asset: redirects, pages, files, and the headers of `_headers`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import msgspec

from emulator.bindings.assets.config import Assets
from emulator.bindings.assets.files import HEADERS_FILE, REDIRECTS_FILE, AssetDirectory
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

CACHE_CONTROL: Final = "public, max-age=0, must-revalidate"
NAVIGATION_DATE: Final = "2025-04-01"
"""From this date on, a browser that goes to a page that does not exist gets what `not_found_handling` says, and the
worker's code is not asked."""

_SLASHES: Final = re.compile("/+")
_SAFE: Final = "/!$&'()*+,;=:@-._~"


class Asked(msgspec.Struct, frozen=True):
    """A request: `path` is as it was sent. The headers are those that matter, empty where there is none."""

    method: str
    host: str
    path: str
    query: str = ""
    if_none_match: str = ""
    is_navigation: bool = False
    is_private: bool = False
    """Whether it has an `Authorization` or a `Range`, so that its answer is not to be kept."""


class AssetAnswer(msgspec.Struct, frozen=True):
    """An answer; names of headers are lowercase."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes = b""


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
        self._redirects: tuple[object, list[Redirect]] = (None, [])
        self._headers: tuple[object, list[HeaderRule]] = (None, [])

    def before_code(self, asked: Asked) -> AssetAnswer | None:
        """The answer to a request that came to the worker; None if its code is to answer."""
        first = self.settings.run_worker_first
        who = answers_first(first, _decoded(asked.path))
        if who == "assets alone" or not self.has_code:
            return self.answer(asked)
        if who == "code":
            return None
        goes_on = isinstance(first, bool) and not (self._prefers_navigation and asked.is_navigation)
        return self._answer(asked, misses_go_on=goes_on)

    def answer(self, asked: Asked) -> AssetAnswer:
        """The answer to a request that is for the assets alone."""
        return self._answer(asked, misses_go_on=False) or AssetAnswer(404, self._dressed(asked, []))

    def _answer(self, asked: Asked, *, misses_go_on: bool) -> AssetAnswer | None:
        path = asked.path
        redirect = find_redirect(self._redirect_rules(), asked.host, path)
        if redirect is not None and redirect[1] != 200:
            return AssetAnswer(redirect[1], self._dressed(asked, [("location", _with_query(*redirect, asked.query))]))
        if redirect is not None:
            path = redirect[0]
        decoded = _decoded(path)
        handling = "none" if misses_go_on else self.settings.not_found_handling
        found = route(decoded, self.settings.html_handling, handling, self.files.has)
        if found is None:
            return None if redirect is None else AssetAnswer(404, self._dressed(asked, []))
        if asked.method not in {"GET", "HEAD"}:
            return AssetAnswer(405, self._dressed(asked, []))
        destination = quote(decoded if found.redirect is None else found.redirect, safe=_SAFE)
        if found.redirect is not None or destination != path:
            location = destination + (f"?{asked.query}" if asked.query else "")
            return AssetAnswer(307, self._dressed(asked, [("location", location)]))
        return self._file(asked, found)

    def _file(self, asked: Asked, found: Found) -> AssetAnswer | None:
        asset = self.files.read(found.file)
        if asset is None:  # it has just gone
            return None
        headers = [("etag", f'"{asset.etag}"')]
        if asset.content_type:
            headers.append(("content-type", asset.content_type))
        if not asked.is_private:
            headers.append(("cache-control", CACHE_CONTROL))
        headers = self._dressed(asked, headers)
        if asked.if_none_match in {f'"{asset.etag}"', f'W/"{asset.etag}"'}:
            return AssetAnswer(304, headers)
        return AssetAnswer(found.status, headers, asset.content)

    def _dressed(self, asked: Asked, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        version, text = self.files.text(HEADERS_FILE)
        if version != self._headers[0]:
            rules, problems = read_headers(text)
            self._headers = version, rules
            self._tell(HEADERS_FILE, problems)
        if self._headers[1]:
            add_headers(self._headers[1], asked.host, asked.path, headers)
        return headers

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


def asked_of(method: str, url: str, header: Callable[[str], str | None]) -> Asked:
    """A request with this URL, whose headers `header` finds."""
    parts = urlsplit(url)
    return Asked(
        method,
        parts.hostname or "",
        _without_dots(parts.path or "/"),
        parts.query,
        header("if-none-match") or "",
        header("sec-fetch-mode") == "navigate",
        header("authorization") is not None or header("range") is not None,
    )


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
