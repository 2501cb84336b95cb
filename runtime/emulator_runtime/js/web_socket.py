"""`WebSocket` and `WebSocketPair`: the objects that worker code sees, on top of the ends of a pipe.

A WebSocket that a worker has accepted belongs to the invocation that accepted it: its listeners run as part of that,
and the scope of the worker knows it while it is open. An end that is returned in a response is handed over to the
server instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextvars import Context, copy_context
from typing import Any, Final, Self

from emulator_runtime.buffers import JsBuffer
from emulator_runtime.invocation import Invocation, require_current
from emulator_runtime.js.event_target import CloseEvent, ErrorEvent, Event, EventTarget, MessageEvent
from emulator_runtime.pyodide.ffi import JsException
from emulator_runtime.streams import BodyBuffer
from emulator_runtime.text import well_formed
from emulator_runtime.web_socket_pipe import Closing, End, Item, Lost
from emulator_runtime.workers.blob import Blob, JsBlob

MAX_REASON_BYTES: Final = 123

_FORBIDDEN_CODES: Final = frozenset({1004, 1005, 1006, 1015})
_SEPARATORS: Final = frozenset('()<>@,;:\\"/[]?={} \t')

_NOT_ACCEPTED: Final = (
    "You must call one of accept() or state.acceptWebSocket() on this WebSocket before sending messages."
)
_LOST: Final = "WebSocket disconnected without sending Close frame."


class WebSocket(EventTarget):
    """A WebSocket: one of a pair, the answer to a `fetch()`, or made by `WebSocket.new(url)`.

    It has the events `open`, `message`, `close` and `error`. Messages that arrive before `accept()` wait for it; a
    message that finds no listener is gone. Nothing is sent after `close()`, and receiving goes on until the other side
    has closed as well.
    """

    CONNECTING = READY_STATE_CONNECTING = 0
    OPEN = READY_STATE_OPEN = 1
    CLOSING = READY_STATE_CLOSING = 2
    CLOSED = READY_STATE_CLOSED = 3

    onopen: Any = None
    onmessage: Any = None
    onclose: Any = None
    onerror: Any = None

    def __init__(self, end: End | None) -> None:
        if not (end is None or isinstance(end, End)):
            raise TypeError("Class constructor WebSocket cannot be invoked without 'new': call WebSocket.new(url)")
        super().__init__()
        self.url: str | None = None
        """The address that `WebSocket.new` was called with."""
        self.protocol: str | None = ""
        """The protocol that the other side has chosen from those that `WebSocket.new` was called with."""
        self.extensions: str | None = ""
        self._end = end
        self._invocation: Invocation | None = None
        self._context: Context
        self._connecting: asyncio.Task[None] | None = None
        self._arrived: deque[Item] = deque()
        self._binary_type = ""
        self._half_open = False
        self._released = False
        """Whether something else has taken the end of the pipe."""
        self._closed_in = self._closed_out = False
        self._aborted = False
        """Whether nothing that is sent arrives any more."""
        self._failed = False

    @classmethod
    def new(cls, url: Any, protocols: Any = None) -> Self:
        """Connect to a `ws:` or `wss:` address; the event `open` says that it has succeeded, `error` and `close` that
        it has not. `protocols` is one name or several, of which the other side chooses one. Raises `JsException` for an
        invalid address or name."""
        socket = cls(None)
        socket.begin(str(url), protocols)
        return socket

    def begin(self, url: str, protocols: Any) -> None:
        """Begin to connect; for the runtime. Not part of production's interface."""
        invocation = require_current("WebSocket.new()")
        address = _http_address(url)
        names = None if protocols is None else _protocol_names(protocols)
        self.url = url
        self._belong_to(invocation)
        self._connecting = asyncio.ensure_future(self._connect(invocation, address, names))

    @property
    def readyState(self) -> int:
        """`CONNECTING`, `OPEN`, `CLOSING` once one side has closed, `CLOSED` once both have, or after an error."""
        if self._failed or (self._closed_in and self._closed_out):
            return self.CLOSED
        if self._closed_in or self._closed_out:
            return self.CLOSING
        return self.CONNECTING if self._is_connecting else self.OPEN

    @property
    def _is_connecting(self) -> bool:
        return self._end is None and not self._released

    @property
    def binaryType(self) -> str:
        """As what a binary message arrives: `blob`, or `arraybuffer`, which is the default before 2026-03-17."""
        if not self._binary_type:
            standard = ("websocket_standard_binary_type", "no_websocket_standard_binary_type", "2026-03-17")
            self._binary_type = "blob" if require_current("binaryType").scope.has_flag(*standard) else "arraybuffer"
        return self._binary_type

    @binaryType.setter
    def binaryType(self, value: str) -> None:
        if value in ("blob", "arraybuffer"):
            self._binary_type = value

    @property
    def bufferedAmount(self) -> int:
        """Always 0: what is sent is passed on at once."""
        return 0

    def accept(self, options: Any = None, **keywords: Any) -> None:
        """Receive messages in this worker. With `allowHalfOpen`, and before the compatibility date 2026-04-07, the
        worker itself has to answer a close with `close()`."""
        if self._is_connecting:
            raise _type_error("Websockets obtained from the 'new WebSocket()' constructor cannot call accept")
        if self._released:
            raise _type_error("Can't accept() WebSocket that was already used in a response.")
        if self._invocation is not None:
            return
        given = {**(options if isinstance(options, dict) else {}), **keywords}
        self._half_open = bool(given.get("allowHalfOpen"))
        self._belong_to(require_current("accept()"))
        self._start()

    def send(self, message: Any) -> None:
        """Send a str as a text, and a buffer or typed array as a binary message. Anything else is sent as text, as
        JavaScript converts it. Does nothing after the connection was lost. Raises `JsException` after `close()`."""
        if self._closed_out:
            raise _type_error("Can't call WebSocket send() after close().")
        if self._released or self._aborted:
            return
        end = self._accepted()
        if isinstance(message, str):
            end.send(well_formed(message))
        elif isinstance(message, JsBuffer):
            end.send(message.to_bytes())
        elif isinstance(message, (bytes, bytearray, memoryview)):
            self._warn_of_bytes(message)
            end.send(bytes(message))
        else:
            end.send(_as_text(message))

    def close(self, code: Any = None, reason: Any = None) -> None:
        """Send nothing more. `code` is 1000 to 4999, except for those that have a meaning of their own; `reason` is at
        most 123 bytes and needs a code. Does nothing the second time. Raises `JsException` otherwise."""
        text = None if reason is None else str(reason)
        number = None if code is None else _as_code(code)
        self._check_close(number, text)
        if self._connecting is not None and self._is_connecting:
            self._connecting.cancel()
            self._released = True
            asyncio.get_running_loop().call_soon(self._not_connected, _network_error(), context=self._context)
            return
        if self._closed_out or self._released or self._aborted:
            return
        end = self._accepted()
        self._closed_out = True
        end.send(Closing(1005 if number is None else number, text or ""))
        self._forget_if_closed()

    def couple(self) -> End:
        """The end of the pipe, for whoever takes this WebSocket over; for the runtime. Raises `JsException` if it was
        accepted or taken over before. Not part of production's interface."""
        if self._connecting is not None:
            raise _type_error("Can't return WebSocket in a Response if it was created with `new WebSocket()`")
        if self._released:
            raise _type_error("Can't return WebSocket that was already used in a response.")
        if self._invocation is not None or self._end is None:
            raise _type_error("Can't return WebSocket in a Response after calling accept().")
        self._released = True
        return self._end

    def lose(self) -> None:
        """Break the connection off without a Close frame; for hosts. Not part of production's interface."""
        if self._connecting is not None and self._is_connecting:
            self._connecting.cancel()
            self._forget()
        elif self._end is not None and not self._aborted:
            self._end.send(Lost())
            self._take(Lost())

    def _belong_to(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._context = copy_context()
        invocation.scope.sockets.add(self)

    def _start(self) -> None:
        assert self._end is not None
        self._end.receive(self._take)

    def _accepted(self) -> End:
        if self._invocation is None or self._end is None:
            raise _type_error(_NOT_ACCEPTED)
        return self._end

    def _check_close(self, code: int | None, reason: str | None) -> None:
        if reason is not None and len(well_formed(reason).encode()) > MAX_REASON_BYTES:
            limited = ("websocket_close_reason_byte_limit", "no_websocket_close_reason_byte_limit", "2026-03-03")
            if require_current("close()").scope.has_flag(*limited):
                raise JsException(
                    f"WebSocket close reason must not be longer than {MAX_REASON_BYTES} bytes when UTF-8 encoded.",
                    "SyntaxError",
                )
        if code is not None and (not 1000 <= code < 5000 or code in _FORBIDDEN_CODES):
            raise JsException(f"Invalid WebSocket close code: {code}.", "InvalidAccessError")
        if reason and code is None:
            raise JsException(
                "If you specify a WebSocket close reason, you must also specify a code.", "InvalidAccessError"
            )

    def _take(self, item: Item) -> None:
        """Let the listeners hear of `item` in a turn of their own."""
        self._arrived.append(item)
        if len(self._arrived) == 1:
            asyncio.get_running_loop().call_soon(self._deliver, context=self._context)

    def _deliver(self) -> None:
        item = self._arrived[0]
        try:
            if not self._closed_in:
                self._hear(item)
            elif isinstance(item, Lost):
                self._failed = self._aborted = True
                self._forget()
        finally:
            self._arrived.popleft()
            if self._arrived:
                asyncio.get_running_loop().call_soon(self._deliver, context=self._context)

    def _hear(self, item: Item) -> None:
        if isinstance(item, str):
            self.dispatchEvent(MessageEvent(item))
        elif isinstance(item, bytes):
            self.dispatchEvent(MessageEvent(JsBlob(item) if self.binaryType == "blob" else BodyBuffer(item)))
        elif isinstance(item, Closing):
            self._closed_in = True
            if not self._closed_out and self._end is not None and self._replies_to_close():
                self._closed_out = True
                self._end.send(item)
            self.dispatchEvent(CloseEvent(item.code, item.reason, True))
            self._forget_if_closed()
        elif item.error:
            self._closed_in = True
            self._fail(JsException(item.error))
        else:
            self._aborted = True
            self.dispatchEvent(CloseEvent(1006, _LOST, False))
            self._closed_in = self._failed = True
            self._forget()

    def _replies_to_close(self) -> bool:
        if self._half_open or self._invocation is None:
            return False
        flag = ("web_socket_auto_reply_to_close", "web_socket_manual_reply_to_close", "2026-04-07")
        return self._invocation.scope.has_flag(*flag)

    def _fail(self, error: JsException) -> None:
        self._failed = self._aborted = True
        self.dispatchEvent(ErrorEvent(error))
        self._forget()

    def _forget_if_closed(self) -> None:
        if self.readyState == self.CLOSED:
            self._forget()

    def _forget(self) -> None:
        """Nothing will happen to this WebSocket any more."""
        invocation = self._invocation
        if invocation is not None and self in invocation.scope.sockets:
            invocation.scope.sockets.discard(self)
            invocation.scope.on_socket_closed(invocation)

    async def _connect(self, invocation: Invocation, address: str, protocols: str | None) -> None:
        from emulator_runtime.workers.request import Request

        headers = {"upgrade": "websocket"}
        if protocols is not None:
            headers["sec-websocket-protocol"] = protocols
        try:
            response = await invocation.scope.outbound(Request(address, headers=headers))
        except Exception:
            self._not_connected(_network_error())
            return
        socket: WebSocket | None = response.raw_web_socket
        if socket is None:
            await response.discard_body()
            text = (
                "Failed to establish the WebSocket connection: expected server to reply with HTTP status code 101 "
                f"(switching protocols), but received {response.status} instead."
            )
            self._not_connected(_type_error(text))
            return
        self.protocol = response.headers.get("sec-websocket-protocol")
        self.extensions = response.headers.get("sec-websocket-extensions")
        self._end = socket.couple()
        self.dispatchEvent(Event("open"))
        self._start()

    def _not_connected(self, error: JsException) -> None:
        self._fail(error)
        self.dispatchEvent(CloseEvent(1006, "Failed to establish websocket connection", False))

    def _report(self, error: BaseException) -> None:
        assert self._invocation is not None
        self._invocation.scope.on_error(error, self._invocation)

    def _warn_of_bytes(self, message: Any) -> None:
        assert self._invocation is not None
        kind = type(message).__name__
        self._invocation.scope.on_warning(
            f"WebSocket.send({kind}) is a binary message only in the emulator: production sends the text that str() "
            "makes of it; send to_js(...) of it (pyodide.ffi)"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {('connecting', 'open', 'closing', 'closed')[self.readyState]}>"


class WebSocketPair:
    """Two WebSockets: what is sent into one comes out of the other. `client, server = WebSocketPair.new()`, or its
    `object_values()`."""

    def __init__(self, *_arguments: Any) -> None:
        raise TypeError("Class constructor WebSocketPair cannot be invoked without 'new': call WebSocketPair.new()")

    @classmethod
    def new(cls) -> Self:
        pair: Self = cls.__new__(cls)
        one, other = End.pair()
        pair._sockets = (WebSocket(one), WebSocket(other))
        return pair

    _sockets: tuple[WebSocket, WebSocket]

    def object_keys(self) -> list[str]:
        return ["0", "1"]

    def object_values(self) -> list[WebSocket]:
        return list(self._sockets)

    def object_entries(self) -> list[list[Any]]:
        return [["0", self._sockets[0]], ["1", self._sockets[1]]]

    values = object_values
    """What `Object.values(pair)` is."""

    def __iter__(self) -> Iterator[WebSocket]:
        return iter(self._sockets)

    def __getattr__(self, name: str) -> WebSocket:
        if name in ("0", "1"):
            return self._sockets[int(name)]
        raise AttributeError(name)


def _type_error(text: str) -> JsException:
    return JsException(text, "TypeError")


def _network_error() -> JsException:
    return JsException("Network connection lost.")


def _syntax_error(text: str) -> JsException:
    return JsException(f"WebSocket Constructor: {text}", "SyntaxError")


def _http_address(url: str) -> str:
    from emulator_runtime.url import URL

    try:
        parsed = URL(url)
    except (TypeError, ValueError):
        raise _syntax_error("The url is invalid.") from None
    scheme, _, rest = parsed.href.partition(":")
    if scheme not in ("ws", "wss"):
        raise _syntax_error("The url scheme must be ws or wss.")
    if parsed.hash or parsed.href.endswith("#"):
        raise _syntax_error("The url fragment must be empty.")
    return f"{'http' if scheme == 'ws' else 'https'}:{rest}"


def _protocol_names(protocols: Any) -> str | None:
    """The value of the header, if there is one."""
    if isinstance(protocols, str):
        if not _is_token(protocols):
            raise _syntax_error("The protocol header token is invalid.")
        return protocols
    names = [str(name) for name in protocols]
    if not all(map(_is_token, names)):
        raise _syntax_error("One of the protocol header tokens is invalid.")
    if len(set(names)) < len(names):
        raise _syntax_error("The protocols header cannot have repeating values.")
    return ", ".join(names) or None


def _is_token(name: str) -> bool:
    return bool(name) and all("!" <= letter <= "~" and letter not in _SEPARATORS for letter in name)


def _as_code(code: Any) -> int:
    try:
        return int(code)
    except (TypeError, ValueError, OverflowError):
        return 0


def _as_text(value: Any) -> str:
    """A value as JavaScript converts it to a string in production."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Blob):
        return "[object Blob]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
