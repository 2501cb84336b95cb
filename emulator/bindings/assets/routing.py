"""Which file answers a path: pure, and as Cloudflare's asset worker decides it.

A page has one address, which `html_handling` chooses. Other addresses that mean the same page lead there, unless
another file would answer at that address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from emulator.bindings.assets.config import HtmlHandling, NotFoundHandling

Exists = Callable[[str], bool]
"""Whether there is a file at a path such as `/about.html`."""


class Found(NamedTuple):
    """The `file` that answers with a status, or the path to which the client is sent."""

    file: str = ""
    status: int = 200
    redirect: str | None = None


def route(path: str, html: HtmlHandling, not_found: NotFoundHandling, exists: Exists) -> Found | None:
    """What answers at a decoded path; None if nothing does."""
    found = _resolve(path, html, exists)
    return _not_found(path, not_found, exists) if found is None else found


def _resolve(path: str, html: HtmlHandling, exists: Exists, *, may_redirect: bool = True) -> Found | None:
    if html == "none" or (path.endswith("/index") and exists(path)):
        return Found(path) if exists(path) else None
    for file, address in _candidates(path, html):
        if not exists(file):
            continue
        if address == path:
            return Found(file)
        if may_redirect and _resolve(address, html, exists, may_redirect=False) == Found(file):
            return Found(redirect=address)
    return None


def _candidates(path: str, html: HtmlHandling) -> Iterator[tuple[str, str]]:
    """The files that a path may mean, the likeliest first, each with the address at which it is to be asked for. What
    is asked for by its own name has that address."""

    def page(name: str) -> tuple[str, str]:
        return f"{name}.html", f"{name}/" if html == "force-trailing-slash" else name

    def index(directory: str) -> tuple[str, str]:
        return f"{directory}/index.html", directory if html == "drop-trailing-slash" and directory else f"{directory}/"

    drops = html == "drop-trailing-slash"
    if path.endswith("/index"):
        both = [index(path[:-6]), page(path[:-6])]
        yield from reversed(both) if drops else both
    elif path.endswith("/index.html"):
        yield index(path[:-11])
        if drops:
            yield path, path
        yield page(path[:-11])
    elif path.endswith("/"):
        both = [index(path[:-1]), page(path[:-1])]
        yield from reversed(both) if drops else both
    elif path.endswith(".html"):
        yield page(path[:-5])
        if html == "force-trailing-slash":
            yield path, path
        yield index(path[:-5])
    yield path, path
    yield page(path)
    yield index(path)


def _not_found(path: str, handling: NotFoundHandling, exists: Exists) -> Found | None:
    if handling == "single-page-application":
        return Found("/index.html") if exists("/index.html") else None
    if handling == "404-page":
        directory = path
        while directory:
            directory = directory[: directory.rindex("/")]
            if exists(f"{directory}/404.html"):
                return Found(f"{directory}/404.html", 404)
    return None
