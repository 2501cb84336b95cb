"""The HTTP server: uvicorn on sockets that are opened here, without its signal handling and logging."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emulator.base.errors import ServerError
from emulator.base.words import reason
from emulator.server.app import App
from emulator.server.gateway import AnswerBrokenError
from emulator.server.websocket import WebSocketTunnel

SMALL_BYTES: Final = 16_384
"""Up to this size it is cheaper to copy two pieces together than to send them separately."""

MAX_HEAD_BYTES: Final = 65_536
"""How long the line of a request and its headers may be together; more is answered with 431. Production allows 128 KB
in all, and 16 KB for the URL."""

LINGER_SECONDS: Final = 1.0
"""How long a client whose request was refused may go on sending before the connection is dropped."""

_MAX_METHOD_BYTES: Final = 20

_HEAD_TOO_LONG: Final = f"The head of the request is over the limit of {MAX_HEAD_BYTES:,} bytes.\n".encode()


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on `host` and `port`. Port 0 picks a free one, the same for every address of the host.

    Raises ServerError if the port is in use (and names one that is free), if it needs more privileges, or if `host` is
    not an address of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ServerError(f"{host!r} is not a host name or address of this machine ({error})") from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            bound_port = sockets[0].getsockname()[1] if sockets and port == 0 else port
            try:
                sockets.append(_bind(family, kind, protocol, (address[0], bound_port, *address[2:])))
            except OSError as error:
                # A name such as localhost may have an IPv6 address on a machine where IPv6 is disabled.
                if sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    continue
                raise
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise _cannot_listen(host, port, error) from None
    return sockets


def _bind(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(2048)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> ServerError:
    if error.errno == errno.EADDRINUSE:
        free = _free_port(host, port)
        return ServerError(f"Port {port} is in use on {host}; port {free} is free: use -p {free}, or -p 0 for any")
    if error.errno == errno.EACCES:
        return ServerError(f"Port {port} needs root privileges; choose a port above 1023 with -p")
    if error.errno == errno.EADDRNOTAVAIL:
        return ServerError(f"{host!r} is not an address of this machine")
    return ServerError(f"Cannot listen on {host}:{port}: {reason(error)}")


def _free_port(host: str, port: int) -> int:
    """The next free port above `port`, or any free port."""
    for candidate in [*range(port + 1, min(port + 50, 65_536)), 0]:
        with suppress(OSError):
            family, kind, protocol, _, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            with _bind(family, kind, protocol, address) as listener:
                return int(listener.getsockname()[1])
    return 0


class _JoinedWrites:
    """A connection's transport that sends everything written in one turn of the loop together.

    uvicorn writes the head and the body of an answer separately, and each write is a system call: a third of the cost
    of a small answer. `holding` lists the connections, of all of a server, that wrote something in this turn.
    """

    def __init__(self, transport: asyncio.Transport, holding: list[_JoinedWrites]) -> None:
        self._transport = transport
        self._holding = holding
        self.held = b""
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        held = self.held
        if held:
            self.held = b""
            self._transport.write(held + data)
        elif len(data) < SMALL_BYTES:
            self.held = data
            holding = self._holding
            if not holding:
                asyncio.get_running_loop().call_soon(_flush_all, holding)
            holding.append(self)
        else:
            self._transport.write(data)

    def write_eof(self) -> None:
        """Send what was written, and end. What is written afterwards, an answer to an earlier request, is dropped."""
        self.flush()
        self._transport.write_eof()
        self.write = self._drop  # type: ignore[method-assign]

    def _drop(self, data: bytes) -> None:
        """Write nothing."""

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        held = self.held
        if held:
            self.held = b""
            if not self.is_closing():
                self._transport.write(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _flush_all(holding: list[_JoinedWrites]) -> None:
    connections = holding.copy()
    holding.clear()
    for connection in connections:
        if connection.held:
            connection.flush()


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with writes that are joined and a limit to the head of a request."""

    _room = MAX_HEAD_BYTES
    """How many bytes may still come of the head that is not complete; 0 once one was refused."""

    def __init__(self, holding: list[_JoinedWrites], **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._holding = holding

    def data_received(self, data: bytes) -> None:
        if len(data) > self._room:
            self._receive_in_pieces(data)
            return
        before: Any = self.scope
        HttpToolsProtocol.data_received(self, data)  # quicker than super()
        scope: Any = self.scope
        if scope is None or "method" in scope:  # the head is complete
            self._room = MAX_HEAD_BYTES
            return
        if scope is before:
            self._room -= len(data)
        elif b"\r\n\r\n" not in data and data.find(self.url, 0, len(self.url) + _MAX_METHOD_BYTES) > 0:
            self._room = MAX_HEAD_BYTES - len(data)
        else:  # another request ends in `data`, perhaps with a body: what is parsed counts
            self._room = MAX_HEAD_BYTES - self._parsed_head_bytes()
        if self._room <= 0:
            self._refuse_head()

    def _receive_in_pieces(self, data: bytes) -> None:
        """Take no more at a time than may belong to a head, so that none that is too long is ever complete."""
        while data and self._room and not self.transport.is_closing():
            piece, data = data[: self._room], data[self._room :]
            self.data_received(piece)

    def _parsed_head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_head(self) -> None:
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain;charset=UTF-8\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(_HEAD_TOO_LONG), _HEAD_TOO_LONG)
        )
        self._room = 0
        # Closed with bytes unread, the connection would be reset and the answer lost on its way.
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", _JoinedWrites(transport, self._holding)))

    def _should_upgrade_to_ws(self) -> bool:
        app = cast("App", self.config.app)
        if app.tunnels_websocket(cast("dict[str, Any]", self.scope), self.url):
            return True
        from emulator.server.upgrade import make_upgradable

        make_upgradable(self)
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: such a request is answered like any other, and the log has it."""


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log record of uvicorn says something that has not been said yet."""
    return record.exc_info is None or record.exc_info[0] is not AnswerBrokenError


class _Uvicorn(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the session."""
        yield


class HttpServer:
    """Serves an application on sockets until it is stopped. Whoever opened the sockets closes them."""

    def __init__(self, app: App, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                interface="asgi3",
                http=cast("type[_Protocol]", partial(_Protocol, [])),
                ws=WebSocketTunnel,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=65,
                timeout_graceful_shutdown=None,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to accept connections."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(self._sockets))
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise ServerError("The HTTP server did not start")
            await asyncio.sleep(0)

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more connections, wait at most `grace_seconds` for the running requests, then drop them."""
        if self._task is None:
            return
        self._server.should_exit = True
        _, pending = await asyncio.wait((self._task,), timeout=grace_seconds)
        if pending:
            self._server.force_exit = True
            await asyncio.wait((self._task,), timeout=1.0)
