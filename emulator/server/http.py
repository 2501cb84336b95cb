"""The HTTP server: uvicorn on sockets of ours, without its own signal handling and logging."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emulator.base.errors import ServerError
from emulator.server.app import App
from emulator.server.gateway import AnswerBrokenError
from emulator.server.websocket import WebSocketTunnel

SMALL_BYTES: Final = 16_384
"""Below this, two pieces are cheaper to copy together than to send apart."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on `host` and `port`; port 0 takes a free one, the same for every address of the host.

    Raises ServerError when the port is in use (and names one that is free), may not be used, or `host` is not an
    address of this machine.
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
                # A name such as localhost may have an IPv6 address on a machine that has IPv6 switched off.
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
        return ServerError(
            f"Port {port} is in use on {host}; port {_free_port(host, port)} is free: use -p, or -p 0 for any"
        )
    if error.errno == errno.EACCES:
        return ServerError(f"Port {port} needs root privileges; use -p with a port above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return ServerError(f"{host!r} is not an address of this machine")
    return ServerError(f"Cannot listen on {host}:{port}: {error.strerror or error}")


def _free_port(host: str, port: int) -> int:
    """The next port above `port` that is free, else any."""
    for candidate in [*range(port + 1, min(port + 50, 65_536)), 0]:
        with suppress(OSError):
            family, kind, protocol, _, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            with _bind(family, kind, protocol, address) as listener:
                return int(listener.getsockname()[1])
    return 0


class _JoinedWrites:
    """A connection's transport that sends what is written in one turn of the loop together.

    uvicorn writes the head and the body of an answer apart, and each write is a system call: a third of what a small
    answer costs.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self._held = b""
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        held = self._held
        if held:
            self._held = b""
            self._transport.write(held + data)
        elif len(data) < SMALL_BYTES:
            self._held = data
            self._call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held = self._held
        if held:
            self._held = b""
            if not self.is_closing():
                self._transport.write(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", _JoinedWrites(transport, self.loop)))

    def _should_upgrade_to_ws(self) -> bool:
        app = cast("App", self.config.app)
        return app.takes_websocket(cast("dict[str, Any]", self.scope), self.url)

    def _unsupported_upgrade_warning(self) -> None:
        """Such a request is answered as any other, and the log has it."""


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log record of uvicorn tells something that has not been told."""
    return record.exc_info is None or record.exc_info[0] is not AnswerBrokenError


class _Uvicorn(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the session."""
        yield


class HttpServer:
    """Serves an application on sockets until it is stopped. The sockets are for their opener to close."""

    def __init__(self, app: App, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                http=_Protocol,
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
        """Accept connections from here on."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(self._sockets))
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise ServerError("The HTTP server did not start")
            await asyncio.sleep(0)

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more, let the requests under way end for at most `grace_seconds`, then drop them."""
        if self._task is None:
            return
        self._server.should_exit = True
        _, pending = await asyncio.wait((self._task,), timeout=grace_seconds)
        if pending:
            self._server.force_exit = True
            await asyncio.wait((self._task,), timeout=1.0)
