"""A request that arrived over HTTP. It keeps its ASGI scope, and creates the URL, headers and body when they are
used."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from emulator_runtime.invocation import current
from emulator_runtime.raw_headers import RawHeaders, find_header
from emulator_runtime.streams import ReadableStream
from emulator_runtime.values import AttributeDict
from emulator_runtime.workers.request import Request

if TYPE_CHECKING:
    from emulator_runtime.js.abort import AbortSignal

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_UNREAD: Any = object()
_READ_AHEAD = 65_536

# The fields that `wrangler dev` and production set, with values that nobody can mistake for a visitor's.
_CF: dict[str, Any] = {
    "asOrganization": "",
    "asn": 395747,
    "city": "Austin",
    "colo": "DFW",
    "continent": "NA",
    "country": "US",
    "edgeRequestKeepAliveStatus": 1,
    "httpProtocol": "HTTP/1.1",
    "latitude": "30.27130",
    "longitude": "-97.74260",
    "metroCode": "635",
    "postalCode": "78701",
    "region": "Texas",
    "regionCode": "TX",
    "requestPriority": "",
    "timezone": "America/Chicago",
    "tlsCipher": "AEAD-AES128-GCM-SHA256",
    "tlsVersion": "TLSv1.3",
}


class IncomingRequest(Request):
    """The request of an ASGI connection of type `http`. Everything is read and parsed when it is used; the body is
    received chunk by chunk while it is read."""

    __slots__ = ("_leaving", "_receive", "_scope", "_signal", "_upload")

    _leaving: asyncio.Task[None] | None
    _signal: AbortSignal | None
    _upload: _Upload | None

    def __init__(self, scope: AsgiScope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._raw = scope["headers"]
        self._body = self._cf = _UNREAD
        self._url = ""
        self._message = self._upload = self._leaving = self._signal = None
        self._redirect = "manual"
        self._immutable = True
        self._used = False

    @property
    def url(self) -> str:
        """The absolute URL."""
        if not self._url:
            self._url = _url_of(self._scope, self._raw)
        return self._url

    @property
    def raw_method(self) -> str:
        """The method as text; for hosts and servers. Not part of production's interface."""
        method: str = self._scope["method"]
        return method

    @property
    def http_version(self) -> str:
        """The HTTP version, such as `1.1`; for hosts. Not part of production's interface."""
        return str(self._scope.get("http_version", "1.1"))

    @property
    def raw_headers(self) -> RawHeaders:
        """The headers as ASGI has them, with the client's address in `cf-connecting-ip` unless the client has sent one,
        which is for tests; for hosts and servers. Not part of production's interface."""
        if self._raw is self._scope["headers"]:
            address = self.client_address
            if address and find_header(self._raw, b"cf-connecting-ip") is None:
                self._raw = [*self._raw, (b"cf-connecting-ip", address.encode("latin-1"))]
        return self._raw

    @property
    def client_address(self) -> str:
        """The IP address of the client; empty if the server does not know it. For hosts; not part of production's
        interface."""
        client = self._scope.get("client")
        return client[0] if client else ""

    @property
    def can_upgrade(self) -> bool:
        """Whether the server can make a WebSocket of the connection; for hosts. Not part of production's interface."""
        return "emulator.websocket" in self._scope.get("extensions", ())

    @property
    def cf(self) -> AttributeDict | None:
        """What Cloudflare knows about the request, with the fields as attributes. In the emulator they are plausible
        constants."""
        if self._cf is _UNREAD:
            self._cf = AttributeDict(_CF)
            self._cf["httpProtocol"] = f"HTTP/{self.http_version}"
            accepted = find_header(self._raw, b"accept-encoding") or b""
            self._cf["clientAcceptEncoding"] = accepted.decode("latin-1")
        return self._cf  # type: ignore[no-any-return]

    @property
    def raw_body(self) -> bytes | ReadableStream | None:
        """The body as it is stored; for hosts and servers. Not part of production's interface."""
        if self._body is _UNREAD:
            if self._has_upload():
                length = find_header(self._raw, b"content-length") or b""
                self._upload = _Upload(self._receive, int(length) if length.isdigit() else None)
                self._body = ReadableStream(self._upload)
            else:
                self._body = None
        return self._body  # type: ignore[no-any-return]

    async def client_gone(self) -> None:
        """Return once the client has gone away, leaving the body to its reader; for servers. Not part of production's
        interface."""
        _ = self.raw_body
        if self._upload is not None:
            await self._upload.client_gone()
        else:
            await until_disconnect(self._receive)

    @property
    def abort_signal(self) -> AbortSignal:
        """Aborted when the client goes away before it has the whole answer, where the worker asks for that with the
        compatibility flag `enable_request_signal`; never aborted without. What `request.js_object.signal` is."""
        if self._signal is None:
            from emulator_runtime.js.abort import AbortSignal  # few workers ask

            invocation = current.get(None)
            if invocation is None or not invocation.scope.has_request_signal:
                self._signal = AbortSignal()
            else:
                warn = invocation.scope.on_warning
                self._signal = AbortSignal(
                    lambda error: warn(f"a listener of request.signal raised {type(error).__name__}: {error}")
                )
                self._leaving = asyncio.ensure_future(self._abort_when_client_gone())
        return self._signal

    @property
    def has_signal(self) -> bool:
        """Whether somebody waits for the news that the client has gone; for servers, which then call `ended`."""
        return self._leaving is not None

    def ended(self, *, client_has_gone: bool) -> None:
        """The exchange is over: the answer has been sent, or its client has gone away; for servers. Not part of
        production's interface."""
        leaving, self._leaving = self._leaving, None
        if leaving is not None:
            leaving.cancel()
            if client_has_gone:
                self._abort()

    async def _abort_when_client_gone(self) -> None:
        await self.client_gone()
        self._abort()

    def _abort(self) -> None:
        from emulator_runtime.js.abort import client_gone

        assert self._signal is not None
        self._signal.abort(client_gone())

    def _has_upload(self) -> bool:
        length = find_header(self._raw, b"content-length")
        if length is not None:
            return length != b"0"
        return find_header(self._raw, b"transfer-encoding") is not None


def _url_of(scope: AsgiScope, raw: RawHeaders) -> str:
    host = find_header(raw, b"host")
    if host is not None:
        authority = host.decode("latin-1")
    else:
        name, port = scope.get("server") or ("localhost", None)
        authority = name if port in (None, 80) else f"{name}:{port}"
    raw_path = scope.get("raw_path")
    if raw_path is not None:
        path = raw_path.partition(b"?")[0].decode("latin-1")
    else:
        from urllib.parse import quote

        path = quote(scope["path"], safe="/%:@!$&'()*+,;=~")
    query = scope["query_string"]
    url = f"{scope.get('scheme', 'http')}://{authority}{path}"
    return f"{url}?{query.decode('latin-1')}" if query else url


class _Upload:
    """The body of an incoming request, read from the server one chunk at a time, as needed.

    The server has one `receive` for the body and for the message that the client has gone away. So waiting for that
    message reads ahead a little, and what it reads is kept for the reader of the body.
    """

    __slots__ = ("_ahead", "_done", "_gone", "_lock", "_receive", "_taken", "length")

    def __init__(self, receive: Receive, length: int | None) -> None:
        self.length = length
        self._receive = receive
        self._ahead: deque[bytes] = deque()
        self._lock = asyncio.Lock()
        self._taken = asyncio.Event()
        self._done = False
        self._gone = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._ahead:
                self._taken.set()
                return self._ahead.popleft()
            if self._gone:
                raise OSError("the client went away before it sent the whole request body")
            if self._done:
                raise StopAsyncIteration
            async with self._lock:
                if not self._ahead and not self._done:
                    await self._advance()

    async def _advance(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._done = self._gone = True
            return
        self._done = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        if chunk:
            self._ahead.append(chunk)

    async def client_gone(self) -> None:
        """Return once the client has gone away."""
        while not self._done:
            if sum(map(len, self._ahead)) >= _READ_AHEAD:
                self._taken.clear()
                await self._taken.wait()
                continue
            async with self._lock:
                if not self._done:
                    await self._advance()
        if not self._gone:
            await until_disconnect(self._receive)


async def until_disconnect(receive: Receive) -> None:
    """Return once the client of an ASGI connection has gone away. Discards what it still sends."""
    while (await receive())["type"] != "http.disconnect":
        pass
