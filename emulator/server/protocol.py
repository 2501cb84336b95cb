"""HTTP/1.1 on one connection: uvicorn's protocol, with a short way for what nearly every request is: a head without a
body, and an answer that is complete.

Everything else, pipelining, bodies that are streamed and WebSockets, is uvicorn's own code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from emulator.server.app import App
from emulator.server.asgi import ANSWER

MAX_HEAD_BYTES: Final = 65_536
"""How long the line of a request and its headers may be together; more is answered with 431. Production allows 128 KB
in all, and 16 KB for the URL."""

LINGER_SECONDS: Final = 1.0
"""How long a client whose request was refused may go on sending before the connection is dropped."""

SMALL_BYTES: Final = 16_384
"""Up to this size it is cheaper to copy a body behind its head than to send two pieces."""

_MAX_METHOD_BYTES: Final = 20
_MOST_LINES: Final = 1024
_LONGEST_LINE: Final = 256
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_HEAD_TOO_LONG: Final = f"The head of the request is over the limit of {MAX_HEAD_BYTES:,} bytes.\n".encode()
_OWN_WAY: Final = frozenset({b"connection", b"transfer-encoding"})
"""Headers of answers that say something about the connection."""

_lines: Final[dict[tuple[bytes, bytes], bytes]] = {}
"""The lines of headers that were sent and are not long, as the same ones are sent again and again."""


class HttpProtocol(HttpToolsProtocol):
    """A connection of a client. The methods without a docstring are called by asyncio, httptools and uvicorn."""

    cycle: Exchange | None  # type: ignore[assignment]
    _room = MAX_HEAD_BYTES
    """How many bytes may still come of the head that is not complete; 0 once one was refused."""
    _in_head = False
    _idle_since: float | None = None

    def data_received(self, data: bytes) -> None:
        self._idle_since = None
        if len(data) > self._room:
            self._receive_in_pieces(data)
            return
        before: Any = self.headers
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
        if self._in_head:
            self._count_head(data, is_same=self.headers is before)
        else:
            self._room = MAX_HEAD_BYTES

    def _count_head(self, data: bytes, *, is_same: bool) -> None:
        """Refuse a head of which `data` is a part, and not the last one, if it is too long."""
        if is_same:
            self._room -= len(data)
        elif b"\r\n\r\n" not in data and data.find(self.url, 0, len(self.url) + _MAX_METHOD_BYTES) > 0:
            self._room = MAX_HEAD_BYTES - len(data)
        else:  # another request ends in `data`, perhaps with a body: what is parsed counts
            parsed = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            self._room = MAX_HEAD_BYTES - parsed
        if self._room <= 0:
            self._refuse_head()

    def _receive_in_pieces(self, data: bytes) -> None:
        """Take no more at a time than may belong to a head, so that none that is too long is ever complete."""
        while data and self._room and not self.transport.is_closing():
            piece, data = data[: self._room], data[self._room :]
            self.data_received(piece)

    def _refuse_head(self) -> None:
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain;charset=UTF-8\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(_HEAD_TOO_LONG), _HEAD_TOO_LONG)
        )
        self._room = 0
        # Closed with bytes unread, the connection would be reset and the answer lost on its way.
        if self.transport.can_write_eof():  # not over TLS, where the end is of the whole connection
            self.transport.write_eof()
        if self.cycle is not None:  # an answer to an earlier request is dropped
            self.cycle.disconnected = True
            self.cycle.tell()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        self._in_head = True
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        self._in_head = False
        parser = self.parser
        http_version = parser.get_http_version()
        url = self.url
        if url[:1] == b"/" and b"#" not in url:
            raw_path, _, query = url.partition(b"?")
        else:
            parsed = httptools.parse_url(url)
            raw_path, query = parsed.path or b"/", parsed.query or b""
        path = raw_path.decode("ascii")
        scope: Any = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": http_version,
            "method": parser.get_method().decode("ascii"),
            "scheme": self.scheme,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self.headers,
            "client": self.client,
            "server": self.server,
        }
        self.scope = scope
        if parser.should_upgrade() and self._should_upgrade():
            return
        before = self.cycle
        exchange = self.cycle = Exchange(scope, self, keep_alive=http_version != "1.0" and parser.should_keep_alive())
        if before is None or before.response_complete:
            self._start_asgi_task(exchange, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        exchange = cast("Exchange", cycle)
        task = exchange.task = self.loop.create_task(exchange.run_asgi(app))
        self.tasks.add(task)

    def on_body(self, body: bytes) -> None:
        exchange = self.cycle
        if exchange is None or exchange.response_complete or self.parser.should_upgrade():
            super().on_body(body)
            return
        exchange.body += body
        if len(exchange.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        exchange.tell()

    def on_message_complete(self) -> None:
        exchange = self.cycle
        if exchange is None or exchange.response_complete or self.parser.should_upgrade():
            super().on_message_complete()
            return
        exchange.more_body = False
        exchange.tell()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_again(self.timeout_keep_alive)

    def _look_again(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for long enough. One timer serves many requests."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:  # the end of the request that is being answered sets the next timer
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_again(left)
        elif not self.transport.is_closing():
            self.transport.close()

    def shutdown(self) -> None:
        """Close the connection once its request, if there is one, is answered. Over TLS a client may take long to
        answer the goodbye, which nobody waits for."""
        super().shutdown()
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.connections.discard(self)

    def _should_upgrade_to_ws(self) -> bool:
        app = cast("App", self.config.app)
        if app.tunnels_websocket(cast("dict[str, Any]", self.scope), self.url):
            return True
        from emulator.server.upgrade import make_upgradable

        make_upgradable(self)
        return False


class Exchange(RequestResponseCycle):
    """A request and its answer: ASGI's `receive` and `send`, and `answer`, which the scope has as ANSWER."""

    task: asyncio.Task[None]
    access_log = False
    default_headers: list[tuple[bytes, bytes]] = []  # noqa: RUF012 - uvicorn adds it to the headers
    disconnected = False
    response_started = False
    response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0
    more_body = True
    _event: asyncio.Event | None = None

    def __init__(self, scope: Any, protocol: HttpProtocol, *, keep_alive: bool) -> None:  # without uvicorn's
        self.scope = scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = protocol.logger
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.body = bytearray()
        self._protocol = protocol
        self._answers: dict[str, Any] = scope
        scope[ANSWER] = self.answer

    @property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]
        """What `receive` waits for. It is made when somebody does, which few do."""
        if self._event is None:
            self._event = asyncio.Event()
            if self.body or not self.more_body or self.disconnected or self.response_complete:
                self._event.set()
        return self._event

    def tell(self) -> None:
        """There is news for whoever waits in `receive`."""
        if self._event is not None:
            self._event.set()

    def on_response(self) -> None:
        self._protocol.on_response_complete()

    async def run_asgi(self, app: Any) -> None:
        try:
            await app(self.scope, self.receive, self.send)
            if not (self.response_complete or self.disconnected or self.transport.is_closing()):
                raise RuntimeError("the application has returned without a complete answer")
        except BaseException as error:
            self.logger.error("Exception in ASGI application", exc_info=error)
            if self.response_started:
                self.transport.close()
            else:
                await self.send_500_response()
        finally:
            self._protocol.tasks.discard(self.task)
            del self._answers[ANSWER]  # which leads back here

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send a complete answer at once; its headers say how long it is. False, and nothing is sent, where it has to
        be sent as usual: it says something about the connection, or the client reads too slowly."""
        if self.disconnected:
            return True
        if self.flow.write_paused or not self.keep_alive or self.response_started:
            return False
        pieces = [STATUS_LINE[status]]
        for header in headers:
            line = _lines.get(header)
            if line is None:
                line = _new_line(header)
                if line is None:
                    return False
            pieces.append(line)
        pieces.append(b"\r\n")
        if len(body) < SMALL_BYTES:
            pieces.append(body)
            self.transport.write(b"".join(pieces))
        else:
            self.transport.writelines((b"".join(pieces), body))
        self.response_started = self.response_complete = True
        self.tell()
        self._protocol.on_response_complete()
        return True


def _new_line(header: tuple[bytes, bytes]) -> bytes | None:
    """The line of a header that is not kept; None if it is not an ordinary one, or is none at all."""
    name, value = header
    if name in _OWN_WAY or HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        return None
    line = b"%b: %b\r\n" % header
    if len(line) <= _LONGEST_LINE:
        if len(_lines) >= _MOST_LINES:
            _lines.clear()
        _lines[header] = line
    return line
