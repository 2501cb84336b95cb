"""Connections that worker code has opened and that have become WebSockets."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import httpcore
from websockets.utils import accept_key

from emulator.wire.websocket import Frames
from emulator_runtime.hosting import End, Lost, Response, WebSocket

if TYPE_CHECKING:
    import httpx

    from emulator_runtime.hosting import Item

_READ_BYTES: Final = 65_536
_OWN_HEADERS: Final = frozenset(
    {"upgrade", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-key", "sec-websocket-version"}
)
"""Headers that belong to one connection; worker code passes on what it was sent itself."""


def handshake_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """`headers` of a request for a WebSocket, with what its server has to be told."""
    given = [(name, value) for name, value in headers if name.lower() not in _OWN_HEADERS]
    key = base64.b64encode(os.urandom(16)).decode()
    own = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")]
    return [*given, *own, ("sec-websocket-key", key)]


class OutgoingWebSockets:
    """The connections of a session that have become WebSockets."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    async def open(self, answer: httpx.Response, headers: list[tuple[str, str]]) -> Response:
        """The response to worker code for an answer with the status 101. Raises OSError if its server has not
        understood what was asked for."""
        if answer.headers.get("sec-websocket-accept") != accept_key(answer.request.headers["sec-websocket-key"]):
            await answer.aclose()
            raise OSError(f"fetch failed: {answer.request.url}: the header Sec-WebSocket-Accept is wrong")
        near, far = End.pair()
        connection = _Connection(far, answer)
        task = asyncio.create_task(connection.run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(connection.ended)
        return Response(None, status=101, status_text=answer.reason_phrase, headers=headers, web_socket=WebSocket(near))

    async def close(self) -> None:
        """Break them off."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)


class _Connection:
    """One of them, and the end that a worker's messages come out of."""

    def __init__(self, end: End, answer: httpx.Response) -> None:
        self._end = end
        self._answer = answer
        self._stream: Any = answer.extensions["network_stream"]
        self._frames = Frames(client=True)
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def run(self) -> None:
        """Carry messages both ways until both sides have closed, or the connection is lost."""
        self._end.receive(self._say)
        reading, writing = asyncio.ensure_future(self._read()), asyncio.ensure_future(self._write())
        try:
            # Reading ends when nothing more comes, writing when nothing more may be sent.
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.wait((reading, writing))
            await self._answer.aclose()

    def ended(self, _running: asyncio.Task[None]) -> None:
        """The connection is closed, or was never used."""
        if not (self._frames.closed_in and self._frames.closed_out):
            self._end.send(Lost())

    def _say(self, item: Item) -> None:
        data = self._frames.write(item)
        if data:
            self._outgoing.put_nowait(data)
        if self._frames.closed_out:
            self._outgoing.put_nowait(None)

    async def _write(self) -> None:
        while (data := await self._outgoing.get()) is not None:
            await self._stream.write(data)

    async def _read(self) -> None:
        frames = self._frames
        while not frames.closed_in:
            data = await self._stream.read(_READ_BYTES)
            if not data:
                raise httpcore.ReadError("the other side has closed the connection")
            frames.receive(data, self._outgoing.put_nowait, self._end)
            if frames.closed_out:
                self._outgoing.put_nowait(None)
