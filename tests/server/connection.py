"""A connection to a server on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from emulator.server.app import App
from emulator.server.asgi import ASGIApp
from emulator.server.http import HttpServer
from emulator.server.listen import listen


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server of `app`."""
    sockets = listen("127.0.0.1", 0)
    server = HttpServer(cast("App", app), sockets)
    await server.start()
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.stop(0.0)
        for each in sockets:
            each.close()
