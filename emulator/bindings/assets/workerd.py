"""Answers the assets bindings of JavaScript workers."""

from __future__ import annotations

from http import HTTPStatus

from emulator.bindings.assets.site import Site, asked_of
from emulator.bindings.wiring import WireRequest, WireResponse


def answer(site: Site, request: WireRequest) -> WireResponse:
    """The answer to `env.ASSETS.fetch(...)`."""
    host = request.headers.get(b"host", b"localhost").decode("latin-1")
    method = request.method.decode("ascii")
    answered = site.answer(asked_of(method, f"http://{host}{request.target}", request.headers.items()))
    body = answered.body if method != "HEAD" else b""
    return WireResponse(body, answered.status, HTTPStatus(answered.status).phrase.encode(), answered.headers)
