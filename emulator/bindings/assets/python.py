"""Assets as worker code asks for them, and as they answer before it."""

from __future__ import annotations

from typing import Any

from emulator.bindings.assets.site import AssetAnswer, Site, asked_of
from emulator_runtime.hosting import Request, Response


class AssetsBinding:
    """`env.ASSETS` of a Python worker."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def fetch(self, request: Any, /, **options: Any) -> Response:
        """The asset at a URL, or that a request is for; 404 or what `not_found_handling` says where there is none. Only
        the path of a URL matters: its host may be any."""
        asked = request if isinstance(request, Request) and not options else Request(request, **options)
        answered = self._site.answer(asked_of(asked.method, asked.url, asked.headers.get))
        return _response(answered, asked.method)

    def __repr__(self) -> str:
        return "<Fetcher ASSETS>"


def front(site: Site, request: Request) -> Response | None:
    """The answer to a request for the worker; None if its code is to answer."""
    answered = site.before_code(asked_of(request.method, request.url, request.headers.get))
    return None if answered is None else _response(answered, "GET")  # the server leaves the body of a HEAD away


def _response(answered: AssetAnswer, method: str) -> Response:
    has_body = method != "HEAD" and answered.status not in {304, 307}
    return Response(answered.body if has_body else None, status=answered.status, headers=list(answered.headers))
