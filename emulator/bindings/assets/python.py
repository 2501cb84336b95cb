"""Assets as worker code asks for them, and as they answer before it."""

from __future__ import annotations

from typing import Any, TypeVar

from emulator.bindings.assets.site import Asked, AssetAnswer, Site, asked_of
from emulator_runtime.hosting import FetchResponse, Request, Response

R = TypeVar("R", bound=FetchResponse)


class AssetsBinding:
    """`env.ASSETS` of a Python worker."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def fetch(self, request: Any, /, **options: Any) -> Response:
        """The asset at a URL, or that a request is for; 404 or what `not_found_handling` says where there is none. Only
        the path of a URL matters: its host may be any."""
        asked = request if isinstance(request, Request) and not options else Request(request, **options)
        answered = self._site.answer(_asked(asked))
        return _response(answered, Response, with_body=asked.method != "HEAD")

    def __repr__(self) -> str:
        return "<Fetcher ASSETS>"


def front(site: Site, request: Request) -> FetchResponse | None:
    """The answer to a request for the worker; None if its code is to answer."""
    answered = site.before_code(_asked(request))
    # The server leaves the body of a HEAD away.
    return None if answered is None else _response(answered, FetchResponse, with_body=True)


def _asked(request: Request) -> Asked:
    return asked_of(request.raw_method, request.url, request.raw_headers)


def _response(answered: AssetAnswer, kind: type[R], *, with_body: bool) -> R:
    has_body = with_body and answered.status not in {304, 307}
    return kind.of_parts(answered.body if has_body else None, list(answered.headers), answered.status)
