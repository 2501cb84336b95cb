"""What a request asked for: its headers, and its body as far as it was read, kept so that it can be asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator_runtime.hosting import find_header

if TYPE_CHECKING:
    from emulator.server.asgi import Receive, Scope

MAX_BODY_BYTES: Final = 64_000
"""The most that is kept of a body."""

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})


class KeptRequest(msgspec.Struct, frozen=True, gc=False):
    """`headers` are lines such as `accept: */*`. `body` is what was read of the body, at most MAX_BODY_BYTES, and
    `is_whole` says whether that is all of it."""

    headers: bytes
    body: bytes = b""
    is_whole: bool = True

    def pairs(self) -> list[tuple[str, str]]:
        """The headers, each with its value, in their order."""
        lines = (line.partition(b": ") for line in self.headers.split(b"\n") if line)
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, _, value in lines]


class Overheard:
    """Keeps what is received of the body of a request."""

    __slots__ = ("_body", "_is_cut", "_is_over", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._body = bytearray()
        self._is_cut = self._is_over = False

    async def receive(self) -> Any:
        """ASGI's `receive`."""
        message = await self._receive()
        if message["type"] == "http.request":
            body = message.get("body", b"")
            room = MAX_BODY_BYTES - len(self._body)
            self._body += body[:room]
            self._is_cut = self._is_cut or len(body) > room
            self._is_over = not message.get("more_body", False)
        return message

    def asked(self, scope: Scope) -> KeptRequest:
        """What is known of the request now."""
        return KeptRequest(_lines(scope), bytes(self._body), self._is_over and not self._is_cut)


def overheard(scope: Scope, receive: Receive) -> Overheard | None:
    """What keeps the body of a request; None if it has none."""
    if scope["method"] in _WITHOUT_BODY:
        return None
    headers = scope["headers"]
    length = find_header(headers, b"content-length")
    has_body = find_header(headers, b"transfer-encoding") is not None if length is None else length != b"0"
    return Overheard(receive) if has_body else None


def asked(scope: Scope) -> KeptRequest:
    """What is known of a request without a body."""
    return KeptRequest(_lines(scope))


def _lines(scope: Scope) -> bytes:
    return b"\n".join([b"%b: %b" % pair for pair in scope["headers"]])
