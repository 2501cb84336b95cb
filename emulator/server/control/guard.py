"""Protects the control plane. It runs handlers and changes state, so a web page that the user happens to visit must not
be able to use it, not even by an image or a link.

A request has to be meant for this server (its `Host`), so that a foreign name that resolves to this machine is refused.
A page of another origin gives itself away by its `Origin`, or where it has none by `Sec-Fetch-Site`, which browsers set
and pages cannot. Only links to the page of a message or a request are followed from another port of this machine, where
another session may be: these pages change nothing, and nobody can look into them. There are no CORS headers, so
browsers do not send such a page's requests if they have credentials or a JSON body. If other machines can reach the
server, a token is required: in an `Authorization` header or, for browsers, in a cookie, which they get for having
opened the dashboard with `?token=`.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from starlette.datastructures import Headers, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.bindings.rest import ApiError, ApiErrorCode
from emulator.server.addresses import API_PREFIX, DASHBOARD
from emulator.server.control.api.bodies import bearer
from emulator.server.control.api.envelope import failure
from emulator.server.hostname import may_mean, split_host

_OWN_SITES: Final = ("same-origin", "none")
"""The values of `Sec-Fetch-Site` for pages of the emulator, and for addresses that a person has typed."""

_LINKED: Final = (f"{DASHBOARD}/messages/", f"{DASHBOARD}/requests/")
_LINK: Final = {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
"""What a browser says of a link that was followed."""

COOKIE: Final = "emulator-token"
"""Where a browser has the token."""


class Guard:
    """Passes requests on to an ASGI application, or refuses them. Accepts loopback names and `bound_host`, the
    `--host`. If `token` is empty, any bearer token is accepted, and none is required."""

    def __init__(self, app: ASGIApp, token: str = "", bound_host: str = "localhost") -> None:
        self._app = app
        self._token = token
        self._bound_host = bound_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            self._check_origin(headers, scope)
            if self._token and scope["method"] == "GET" and scope["path"] == f"{DASHBOARD}/":
                given = QueryParams(scope["query_string"]).get("token", "")
                if self._is_token(given):
                    await _welcome(given, is_secure=scope["scheme"] == "https")(scope, receive, send)
                    return
            self._check_token(headers)
        except ApiError as error:
            await _refusal(scope["path"], error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_origin(self, headers: Headers, scope: Scope) -> None:
        host = headers.get("host", "")
        if not may_mean(split_host(host), self._bound_host):
            raise _forbidden(
                "/cdn-cgi/ answers only to localhost, a loopback address, or the --host that `emulator dev` was given; "
                f"this request is for {split_host(host) or 'no host at all'!r}"
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{host}".lower():
            raise _forbidden(f"requests from pages of {origin} are refused")
        if headers.get("sec-fetch-site", "none").lower() not in _OWN_SITES and not _is_link(headers, scope):
            raise _forbidden(
                "requests from pages of other sites are refused, and so are links on them: type the address yourself"
            )

    def _check_token(self, headers: Headers) -> None:
        if self._token and not self._is_token(
            bearer(headers) or cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        ):
            text = (
                "this server can be reached from other machines: send the token that `emulator dev` printed when it "
                f"was ready, as `Authorization: Bearer TOKEN`, or open {DASHBOARD}/?token=TOKEN in a browser"
            )
            raise ApiError(401, ApiErrorCode.AUTHENTICATION, text)

    def _is_token(self, given: str) -> bool:
        return compare_digest(given.encode("utf-8", "surrogateescape"), self._token.encode())


def _is_link(headers: Headers, scope: Scope) -> bool:
    """Whether a person has followed a link, from another port of this machine, to the page of a message or a
    request."""
    return (
        scope["method"] == "GET"
        and scope["path"].startswith(_LINKED)
        and all(headers.get(name, "").lower() == value for name, value in _LINK.items())
    )


def _welcome(token: str, *, is_secure: bool) -> Response:
    """Lets a browser keep the token, and leads it to the address without."""
    response = RedirectResponse(f"{DASHBOARD}/", 303, {"cache-control": "no-store", "referrer-policy": "no-referrer"})
    response.set_cookie(COOKIE, token, path="/cdn-cgi/", httponly=True, secure=is_secure, samesite="strict")
    return response


def _forbidden(text: str) -> ApiError:
    return ApiError(403, ApiErrorCode.AUTHENTICATION, text)


def _refusal(path: str, error: ApiError) -> Response:
    """The answer for a refusal: in the envelope of the REST API if the request was for it, else text."""
    if path.startswith(API_PREFIX):
        return failure(error)
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else None
    return PlainTextResponse(f"{error.status}: {error.message}\n", error.status, headers)
