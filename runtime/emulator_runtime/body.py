"""Bodies of requests and responses: the types that they may have, and the methods that read them.

A body is stored as bytes if possible, else as a `ReadableStream`; None means no body. It can be read once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from emulator_runtime.buffers import JsBuffer
from emulator_runtime.errors import BodyUsedError
from emulator_runtime.raw_headers import RawHeaders, decode_value, find_header
from emulator_runtime.streams import BodyBuffer, ReadableStream, close_source, read_all
from emulator_runtime.text import to_utf8

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from emulator_runtime.workers.blob import Blob
    from emulator_runtime.workers.formdata import FormData

TEXT_TYPE = b"text/plain;charset=UTF-8"
_FORM_TYPE = b"application/x-www-form-urlencoded;charset=UTF-8"


class Body:
    """The base of `Request` and `Response`: a body that can be read once, and headers that describe it."""

    __slots__ = ("_body", "_raw", "_used")

    _body: bytes | ReadableStream | None
    _raw: RawHeaders
    _used: bool

    @property
    def raw_body(self) -> bytes | ReadableStream | None:
        """The body as it is stored; for hosts and servers. Not part of production's interface."""
        return self._body

    @property
    def raw_headers(self) -> RawHeaders:
        """The headers as ASGI has them, not a copy; for hosts and servers. Not part of production's interface."""
        return self._raw

    @property
    def sent_headers(self) -> RawHeaders:
        """The headers as they were given, without what is added for the worker; for hosts. Not part of production's
        interface."""
        return self._raw

    @property
    def body(self) -> ReadableStream | None:
        """The body as a stream of bytes, or None. The stream and the reading methods share the content."""
        content = self.raw_body
        if isinstance(content, bytes):
            stream = ReadableStream(content)
            if self._used:
                stream.take()
            self._body = content = stream
        return content

    @property
    def body_used(self) -> bool:
        """Whether reading the body has begun."""
        content = self._body  # a stream that has not been created yet is not used
        return content.disturbed if isinstance(content, ReadableStream) else self._used

    def take_body(self) -> bytes | AsyncIterator[bytes]:
        """The body, for a consumer of all of it; from now on it counts as used. Raises `OSError` if it was used before.
        Not part of production's interface."""
        content = self.raw_body
        if content is None:
            return b""
        if self._used:
            raise BodyUsedError
        if isinstance(content, bytes):
            self._used = True
            return content
        if content.disturbed:
            raise BodyUsedError
        return content.take()

    def _tee(self) -> bytes | ReadableStream | None:
        """A second copy of the body, for `clone()`."""
        if self.body_used:
            raise BodyUsedError
        content = self.raw_body
        if isinstance(content, ReadableStream):
            self._body, content = content.tee()
        return content

    async def discard_body(self) -> None:
        """Discard a body that will not be read, and close its source; for hosts and servers. Not part of production's
        interface."""
        content = self.raw_body
        self._used = True
        if isinstance(content, ReadableStream):
            await content.discard()
        else:
            await close_source(content)

    async def bytes(self) -> bytes:
        """The whole body."""
        content = self.take_body()
        return content if isinstance(content, bytes) else await read_all(content)

    async def buffer(self) -> BodyBuffer:
        """The whole body as a buffer: bytes with `to_bytes()`."""
        return BodyBuffer(await self.bytes())

    async def text(self) -> str:
        """The whole body as text, decoded as UTF-8; invalid bytes are replaced with U+FFFD."""
        content = await self.bytes()
        return content.decode("utf-8", "replace").removeprefix("\ufeff")

    async def json(self, **options: Any) -> Any:
        """The body parsed as JSON. `options` are those of `json.loads`. Raises `JSONDecodeError`."""
        return json.loads(await self.text(), **options)

    async def form_data(self) -> FormData:
        """The entries of a form, urlencoded or multipart. Raises `TypeError` if the body is neither."""
        from emulator_runtime.workers.formdata import FormData

        content_type = find_header(self._raw, b"content-type")
        return FormData.parse(await self.bytes(), None if content_type is None else decode_value(content_type))

    async def blob(self) -> Blob:
        """The whole body as a `Blob` with the content type of the headers."""
        from emulator_runtime.workers.blob import Blob

        content_type = find_header(self._raw, b"content-type")
        return Blob(await self.bytes(), "" if content_type is None else decode_value(content_type))


def encode_body(body: Any, where: str) -> tuple[bytes | ReadableStream | None, bytes | None]:
    """A body from worker code as it is stored, and the content type that it implies. Raises `TypeError`, which names
    `where`, for a value that cannot be a body."""
    if body is None:
        return None, None
    if isinstance(body, str):
        return to_utf8(body), TEXT_TYPE
    if isinstance(body, bytes):
        return body, None
    if isinstance(body, ReadableStream):
        if body.locked or body.disturbed:
            raise TypeError(
                "This ReadableStream is disturbed (has already been read from), and cannot be used as a body."
            )
        return body, None
    return _encode_object(body, where)


def _encode_object(body: Any, where: str) -> tuple[bytes | ReadableStream, bytes | None]:
    from emulator_runtime.url import URLSearchParams
    from emulator_runtime.workers.blob import Blob, JsBlob, JsFile
    from emulator_runtime.workers.formdata import FormData

    if isinstance(body, FormData):
        content, content_type = body.encode()
        return content, content_type.encode("latin-1")
    if isinstance(body, URLSearchParams):
        return body.toString().encode(), _FORM_TYPE
    if isinstance(body, Blob) and (where != "Response" or isinstance(body, (JsBlob, JsFile))):
        return body.content, body.content_type.encode("latin-1", "replace") or None
    if isinstance(body, JsBuffer):
        return body.to_bytes(), None
    if hasattr(body, "__aiter__"):
        return ReadableStream(body), None
    hint = ""
    if where == "Response" and isinstance(body, (dict, list)):
        hint = "; use Response.json(...) for it"
    elif hasattr(body, "js_object"):
        hint = "; pass its js_object"
    raise TypeError(f"Unsupported type in {where}: {type(body).__name__}{hint}")
