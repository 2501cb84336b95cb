"""The HTTP server: uvicorn on sockets that are opened here, without its signal handling and logging."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from emulator.base.errors import ServerError
from emulator.server.app import App
from emulator.server.gateway import AnswerBrokenError
from emulator.server.protocol import HttpProtocol
from emulator.server.websocket import WebSocketTunnel

if TYPE_CHECKING:
    from ssl import SSLContext


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

    def __init__(self, app: App, sockets: list[socket.socket], context: SSLContext | None = None) -> None:
        """With a `context`, clients speak TLS."""
        self._sockets = sockets
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=HttpProtocol,
            ws=WebSocketTunnel,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=65,
            timeout_graceful_shutdown=None,
        )
        config.load()
        config.ssl = context
        self._server = _Uvicorn(config)
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
