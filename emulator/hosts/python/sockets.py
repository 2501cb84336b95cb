"""Answers of a `fetch` handler that make a WebSocket of the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator_runtime.hosting import FetchResponse, JsException, Lost, Response, Upgrade, find_header

if TYPE_CHECKING:
    from emulator_runtime.hosting import Request, WebSocket


def upgrade(request: Request, response: FetchResponse, web_socket: WebSocket) -> FetchResponse:
    """The answer to `request` in place of `response`, which has `web_socket`: the server takes that over, unless the
    client has not said all that it must, which is answered with 400 or 426.

    Raises JsException if the client has not asked for a WebSocket, or if this one is in use already.
    """
    if (find_header(request.raw_headers, b"upgrade") or b"").lower() != b"websocket":
        raise JsException(
            "Worker tried to return a WebSocket in a response to a request which did not contain the header "
            '"Upgrade: websocket".',
            "TypeError",
        )
    end = web_socket.couple()
    refusal = _refusal(request)
    if refusal is None:
        return Upgrade.of(response, end)
    end.send(Lost())
    return refusal


def _refusal(request: Request) -> Response | None:
    """The answer to a handshake that is not complete."""
    if request.raw_method != "GET":
        return _refused(400, "WebSocket must be initiated with a GET request.")
    if find_header(request.raw_headers, b"sec-websocket-version") != b"13":
        refused = _refused(426, "The requested WebSocket version is not supported.")
        refused.raw_headers.append((b"sec-websocket-version", b"13"))
        return refused
    if find_header(request.raw_headers, b"sec-websocket-key") is None:
        return _refused(400, "Missing Sec-WebSocket-Key")
    if not getattr(request, "can_upgrade", False):
        return _refused(400, 'Missing "Connection: Upgrade"')
    return None


def _refused(status: int, text: str) -> Response:
    return Response(f"ERROR: {text}", status=status, headers={"content-type": "text/plain"})
