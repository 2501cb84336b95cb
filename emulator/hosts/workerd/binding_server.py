"""Answers the bindings of JavaScript workers: one server for each session, on a Unix socket.

Each request has a header with the worker, kind and name of its binding. The server works on bare connections, without
an HTTP framework, because a worker that sends to a queue waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Final

from emulator.base.acts import acting
from emulator.bindings.wiring import Answer, Answered, WireRequest, WireResponse, Wiring
from emulator.hosts.workerd.incoming_connection import BACKLOG, BodyStream, Headers, IncomingConnection
from emulator.hosts.workerd.lanes import LANE_HEADER, Lanes, act_of_request, only_act_of
from emulator_runtime.hosting import close_source

BINDING_HEADER: Final = "x-emulator-binding"
"""The header that identifies the binding of a request."""

_HEADER: Final = BINDING_HEADER.encode()
_LANE: Final = LANE_HEADER.encode()


def binding_id(worker: str, kind: str, wiring: Wiring, service: str) -> str:
    """The value of the header for one service of a wiring."""
    return f"{worker}/{kind}/{wiring.name}" + (f"/{service}" if service else "")


class BindingServer:
    """Answers the bindings of a session's JavaScript workers, while at least one of them is connected."""

    def __init__(self) -> None:
        self.lanes: dict[str, Lanes] = {}
        """The lanes of processes, which tell in what act a request was made."""
        self._answers: dict[bytes, Answer] = {}
        self._streamed: set[bytes] = set()
        self._of_worker: dict[str, list[bytes]] = {}
        self._listening: asyncio.Future[asyncio.Server] | None = None
        self._connections: set[IncomingConnection] = set()
        self._answering: set[asyncio.Task[None]] = set()

    async def connect(self, worker: str, wirings: Sequence[tuple[str, Wiring]], path: Path) -> None:
        """Answer requests of these `wirings` of a worker, and no longer those of earlier ones. Listens on the Unix
        socket `path`."""
        if self._listening is None:
            loop = asyncio.get_running_loop()
            listen = loop.create_unix_server(
                lambda: IncomingConnection(self._requested, self._connections, self._takes_stream),
                str(path),
                backlog=BACKLOG,
            )
            self._listening = asyncio.ensure_future(listen)
        self._forget(worker)
        answered = {
            binding_id(worker, kind, wiring, name).encode("latin-1"): service
            for kind, wiring in wirings
            for name, service in wiring.services.items()
            if isinstance(service, Answered)
        }
        self._answers |= {key: service.answer for key, service in answered.items()}
        self._streamed |= {key for key, service in answered.items() if service.takes_streams}
        self._of_worker[worker] = list(answered)
        await self._listening

    def disconnect(self, worker: str) -> None:
        """Stop answering a worker. After the last one the server stops, and closes all connections."""
        self._forget(worker)
        self._of_worker.pop(worker, None)
        listening = self._listening
        if self._of_worker or listening is None:
            return
        self._listening = None
        if not listening.cancel() and not listening.cancelled() and listening.exception() is None:
            listening.result().close()
        for task in self._answering:
            task.cancel()
        for connection in list(self._connections):
            connection.close()

    def _forget(self, worker: str) -> None:
        for key in self._of_worker.get(worker, ()):
            del self._answers[key]
            self._streamed.discard(key)

    def _takes_stream(self, headers: Headers) -> bool:
        return bool(self._streamed) and any(
            value in self._streamed for name, value in headers if name.lower() == _HEADER
        )

    def _requested(self, connection: IncomingConnection, url: str, headers: Headers, body: bytes | BodyStream) -> None:
        by_name = {name.lower(): value for name, value in headers}
        if not self.lanes:
            self._answer(connection, url, by_name, body)
            return
        lane = by_name.pop(_LANE, None)
        worker = by_name.get(_HEADER, b"").decode("latin-1").partition("/")[0]
        token = acting.set(only_act_of(self.lanes, worker) if lane is None else act_of_request(self.lanes, lane))
        try:
            self._answer(connection, url, by_name, body)
        finally:
            acting.reset(token)

    def _answer(
        self, connection: IncomingConnection, url: str, by_name: Mapping[bytes, bytes], body: bytes | BodyStream
    ) -> None:
        key = by_name.get(_HEADER, b"")
        answer = self._answers.get(key)
        if answer is None:
            connection.transport.write(_encoded(_gone(key)))
            return
        stream = None if isinstance(body, bytes) else body
        whole = body if isinstance(body, bytes) else b""
        try:
            response = answer(WireRequest(connection.parser.get_method(), url, by_name, whole, stream))
        except Exception as error:
            response = _failed(key, error)
        if isinstance(response, WireResponse) and response.pieces is None:
            connection.transport.write(_encoded(response))
            if stream is not None:
                stream.discard()
            return
        task = asyncio.ensure_future(self._finish(connection, key, response, stream))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _finish(
        self,
        connection: IncomingConnection,
        key: bytes,
        response: WireResponse | Awaitable[WireResponse],
        stream: BodyStream | None,
    ) -> None:
        try:
            answered = response if isinstance(response, WireResponse) else await response
        except Exception as error:
            if isinstance(error, ConnectionError) and connection.transport.is_closing():
                return  # the request broke off
            answered = _failed(key, error)
        finally:
            if stream is not None:
                stream.discard()
        if answered.pieces is None:
            connection.transport.write(_encoded(answered))
        else:
            await _send(connection, key, answered, answered.pieces)


def _encoded(response: WireResponse) -> bytes:
    return b"%bContent-Length: %d\r\n\r\n%b" % (_head(response), len(response.body), response.body)


def _head(response: WireResponse) -> bytes:
    headers = b"".join([b"%b: %b\r\n" % header for header in response.headers])
    return b"HTTP/1.1 %d %b\r\n%b" % (response.status, response.reason, headers)


async def _send(
    connection: IncomingConnection, key: bytes, response: WireResponse, pieces: AsyncIterator[bytes]
) -> None:
    """Send an answer with a body that comes in pieces, no faster than it is received. Without the last piece the client
    must not believe that it has all of it, so the connection is dropped if there is an error."""
    transport = connection.transport
    is_chunked = not any(name.lower() == b"content-length" for name, _ in response.headers)
    task = asyncio.current_task()
    assert task is not None
    connection.on_lost = task.cancel
    try:
        if transport.is_closing():
            return
        transport.write(_head(response) + (b"Transfer-Encoding: chunked\r\n\r\n" if is_chunked else b"\r\n"))
        async for piece in pieces:
            if piece:
                transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
                await connection.drain()
        if is_chunked:
            transport.write(b"0\r\n\r\n")
    except Exception as error:
        connection.close()
        _report(key, error)
    finally:
        connection.on_lost = None
        await close_source(pieces)


def _gone(key: bytes) -> WireResponse:
    """The answer to code that still runs although a reload has removed its binding. workerd shows the reason. A binding
    might take a 404 to mean that what it asks for does not exist."""
    name = key.split(b"/")[2:3]
    what = b"the binding env.%b is gone: the configuration does not declare it any more" % (name[0] if name else b"?")
    return WireResponse(status=503, reason=what)


def _failed(key: bytes, error: Exception) -> WireResponse:
    """The answer after a bug in the emulator, which is reported like other exceptions in asyncio."""
    text = _report(key, error)
    reason = " ".join(f"{text}: {type(error).__name__}: {error}".split()).encode("ascii", "replace")
    return WireResponse(status=500, reason=reason)


def _report(key: bytes, error: Exception) -> str:
    text = f"the emulator failed to answer {key.decode('latin-1')}, which is a bug"
    asyncio.get_running_loop().call_exception_handler({"message": text, "exception": error})
    return text
