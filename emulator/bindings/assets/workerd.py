"""Answers the assets bindings of JavaScript workers."""

from __future__ import annotations

from http import HTTPStatus

from emulator.bindings.assets.site import Site, asked_of
from emulator.bindings.wiring import WireRequest, WireResponse


def answer(site: Site, request: WireRequest) -> WireResponse:
    """The answer to `env.ASSETS.fetch(...)`."""

    def header(name: str) -> str | None:
        value = request.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    url = f"http://{header('host') or 'localhost'}{request.target}"
    method = request.method.decode("ascii")
    answered = site.answer(asked_of(method, url, header))
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in answered.headers]
    body = answered.body if method != "HEAD" else b""
    return WireResponse(body, answered.status, HTTPStatus(answered.status).phrase.encode(), headers)
