"""`Blob` and `File`: bytes in memory with a content type, and for a file, a name."""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Self

from emulator_runtime.buffers import JsBuffer, bytes_of
from emulator_runtime.streams import BodyBuffer, ReadableStream
from emulator_runtime.text import to_utf8


class BlobEnding(StrEnum):
    """What happens to line breaks in text parts: they are kept, or converted to the platform's (a newline)."""

    TRANSPARENT = "transparent"
    NATIVE = "native"


class Blob:
    """Immutable bytes. `blob_parts` is one part or several; a part is str (encoded as UTF-8), bytes, or another
    Blob."""

    __slots__ = ("_content_type", "content")

    content: bytes

    def __init__(
        self, blob_parts: Any, content_type: str | None = None, endings: BlobEnding | str | None = None
    ) -> None:
        if not content_type and isinstance(blob_parts, Blob):
            content_type = blob_parts.content_type
        self.content = _join(blob_parts, endings)
        self._content_type = (content_type or "").lower()

    @classmethod
    def new(cls, blob_parts: Any = (), options: dict[str, Any] | None = None, **keywords: Any) -> Self:
        """Call `Blob.new(["text"], {"type": "text/plain"})`."""
        given = {**(options or {}), **keywords}
        return cls(blob_parts, given.get("type"), given.get("endings"))

    @property
    def size(self) -> int:
        """The length in bytes."""
        return len(self.content)

    @property
    def content_type(self) -> str:
        """The content type in lower case, or an empty string."""
        return self._content_type

    type = content_type

    @property
    def js_object(self) -> JsBlob:
        """The same blob with JavaScript's interface, which a `Response` needs."""
        return JsBlob(self)

    async def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    async def bytes(self) -> bytes:
        return self.content

    async def arrayBuffer(self) -> BodyBuffer:
        return BodyBuffer(self.content)

    def stream(self) -> ReadableStream:
        return ReadableStream(self.content)

    def slice(self, start: int | None = None, end: int | None = None, content_type: str | None = None) -> Blob:
        """The bytes from `start` to `end`; a negative index counts from the end."""
        return Blob(self.content[start:end], content_type)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.size} bytes, {self._content_type or 'no content type'}>"


class File(Blob):
    """A blob with a name. `last_modified` is in milliseconds since the epoch; the default is now."""

    __slots__ = ("last_modified", "name")

    last_modified: int
    name: str

    def __init__(
        self,
        blob_parts: Any,
        filename: str,
        content_type: str | None = None,
        endings: BlobEnding | str | None = None,
        last_modified: int | None = None,
    ) -> None:
        super().__init__(blob_parts, content_type, endings)
        if not last_modified and isinstance(blob_parts, File):
            last_modified = blob_parts.last_modified
        self.name = filename
        self.last_modified = int(time.time() * 1000) if last_modified is None else last_modified

    @property
    def js_object(self) -> JsFile:  # type: ignore[override]
        return JsFile(self, self.name)

    @classmethod
    def new(  # type: ignore[override]
        cls, blob_parts: Any = (), filename: str = "", options: dict[str, Any] | None = None, **keywords: Any
    ) -> Self:
        """Call `File.new(["text"], "a.txt", {"type": "text/plain"})`."""
        given = {**(options or {}), **keywords}
        return cls(blob_parts, filename, given.get("type"), given.get("endings"), given.get("lastModified"))


class JsBlob(Blob):
    """`js.Blob`."""

    __slots__ = ()

    @property
    def js_object(self) -> Self:
        return self


class JsFile(File):
    """`js.File`."""

    __slots__ = ()

    @property
    def js_object(self) -> Self:  # type: ignore[override]
        return self


def _join(parts: Any, endings: BlobEnding | str | None) -> bytes:
    if isinstance(parts, (str, bytes, bytearray, memoryview, Blob, JsBuffer)) or not isinstance(parts, Iterable):
        parts = [parts]
    return b"".join([_part(part, endings) for part in parts])


def _part(part: Any, endings: BlobEnding | str | None) -> bytes:
    if isinstance(part, str):
        text: str = part
        if endings == BlobEnding.NATIVE:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return to_utf8(text)
    if isinstance(part, Blob):
        return part.content
    if (content := bytes_of(part)) is not None:
        return content
    raise TypeError(f"Don't know how to handle {type(part)} for Blob()")
