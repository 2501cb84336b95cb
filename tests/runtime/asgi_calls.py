"""An ASGI server that is a few lines long: scopes, a `receive` that plays messages, and a `send` that collects them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from emulator_runtime.http import request_from_scope
from emulator_runtime.incoming import IncomingRequest

Message = MutableMapping[str, Any]


def http_scope(
    method: str = "GET", path: str = "/", query: bytes = b"", headers: list[tuple[bytes, bytes]] | None = None
) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(b"host", b"localhost:8787"), *(headers or [])],
        "server": ("127.0.0.1", 8787),
        "client": ("127.0.0.1", 50_000),
    }


def playing(*messages: Message) -> Callable[[], Awaitable[Message]]:
    """A `receive` that gives these messages, then the news that the client has gone."""
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    return receive


def incoming(
    *chunks: bytes,
    method: str = "POST",
    path: str = "/",
    query: bytes = b"",
    headers: list[tuple[bytes, bytes]] | None = None,
) -> IncomingRequest:
    """A request as the server makes it, with a chunked body."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    all_headers = [*(headers or [])]
    if chunks:
        all_headers.append((b"transfer-encoding", b"chunked"))
    return request_from_scope(http_scope(method, path, query, all_headers), playing(*messages))


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    """A body that comes in these chunks."""
    for chunk in chunks:
        yield chunk


class Sent:
    """What a response sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)
        await asyncio.sleep(0)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = self.messages[0]["headers"]
        return headers

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)

    @property
    def chunks(self) -> list[bytes]:
        return [message["body"] for message in self.messages[1:]]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def is_complete(self) -> bool:
        return not self.messages[-1].get("more_body", False)
