"""Pages that reload themselves: tells them when a worker's code was loaded again or its assets have changed, and with
`--live-reload` puts the script that listens into the worker's own pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, MutableMapping
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from emulator.server.addresses import LIVE_ADDRESS, LIVE_SCRIPT_ADDRESS
from emulator.server.asgi import ANSWER
from emulator.server.gateway import Gateway
from emulator.session.events import AssetsChanged, WorkerReloaded

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from emulator.base.bus import Bus
    from emulator.server.asgi import Receive, Scope, Send

SCRIPT_TAG: Final = f'<script src="{LIVE_SCRIPT_ADDRESS}" type="module"></script>'.encode()
"""At the end of a page, behind everything else: parsers of HTML allow that, wherever the page ends."""

_NO_STORE: Final = {"cache-control": "no-store"}


class LiveReload:
    """The pages that listen, from now until `close`."""

    def __init__(self, bus: Bus) -> None:
        self._session = token_hex(8)
        self._pages: set[asyncio.Queue[str | None]] = set()
        bus.subscribe(WorkerReloaded, lambda _event: self._tell("reload"))
        bus.subscribe(AssetsChanged, lambda _event: self._tell("reload"))

    def close(self) -> None:
        """End all answers to pages, which otherwise never end."""
        self._tell(None)

    def routes(self) -> list[Route]:
        """The addresses of the script and of the events that it listens to."""
        from starlette.responses import FileResponse, StreamingResponse
        from starlette.routing import Route

        async def listen(_request: Request) -> Response:
            return StreamingResponse(self._events(), media_type="text/event-stream", headers=_NO_STORE)

        async def script(_request: Request) -> Response:
            return FileResponse(Path(__file__).parent / "live.js", media_type="text/javascript", headers=_NO_STORE)

        return [Route(LIVE_ADDRESS, listen), Route(LIVE_SCRIPT_ADDRESS, script)]

    def _tell(self, event: str | None) -> None:
        for page in self._pages:
            page.put_nowait(event)

    async def _events(self) -> AsyncIterator[str]:
        page: asyncio.Queue[str | None] = asyncio.Queue()
        self._pages.add(page)
        try:
            yield f"retry: 500\nevent: session\ndata: {self._session}\n\n"
            while (event := await page.get()) is not None:
                yield f"event: {event}\ndata:\n\n"
        finally:
            self._pages.discard(page)


class LiveGateway(Gateway):
    """A gateway whose worker's pages reload themselves."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        scope.pop(ANSWER, None)  # the short way, for complete answers
        if (b"sec-fetch-dest", b"document") in scope["headers"]:
            # What the browser has of a page may be from a time without the script.
            scope["headers"] = [header for header in scope["headers"] if header[0] != b"if-none-match"]
        return super().__call__(scope, receive, send if scope["method"] == "HEAD" else _Extended(send))


class _Extended:
    """Sends an answer on, with the script at the end if it is a page."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_page = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            self._is_page = (
                headers.get(b"content-type", b"").lower().startswith(b"text/html")
                and b"content-encoding" not in headers
                and message["status"] not in {204, 205, 304}
            )
            if self._is_page:
                kept = [header for header in message["headers"] if header[0] != b"content-length"]
                message = {**message, "headers": kept}
        elif self._is_page and message["type"] == "http.response.body" and not message.get("more_body", False):
            message = {**message, "body": message.get("body", b"") + SCRIPT_TAG}
        await self._send(message)
