"""`TextEncoder` and `TextDecoder`."""

from __future__ import annotations

import codecs
from typing import Any, Final, Self

from emulator_runtime.buffers import bytes_of
from emulator_runtime.js.buffers import ArrayBuffer, Uint8Array
from emulator_runtime.js.errors import RangeError
from emulator_runtime.js.errors import TypeError as JsTypeError
from emulator_runtime.js.strings import js_string
from emulator_runtime.values import AttributeDict

_WINDOWS_1252: Final = frozenset({"ascii", "iso8859-1", "cp1252", "latin-1"})
_NAMES: Final = {"cp1252": "windows-1252", "utf-16": "utf-16le", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be"}


class TextEncoder:
    """Text as UTF-8."""

    encoding = "utf-8"

    @classmethod
    def new(cls) -> Self:
        return cls()

    def encode(self, text: Any = "") -> Uint8Array:
        content = "" if text is None else js_string(text)
        return Uint8Array(ArrayBuffer.holding(content.encode()))

    def encodeInto(self, text: Any, target: Uint8Array) -> AttributeDict:
        """Write as many whole characters as fit into `target`. Returns `read`, in units of UTF-16, and `written`."""
        read = written = 0
        for character in js_string(text):
            content = character.encode()
            if written + len(content) > target.length:
                break
            target.set(content, written)
            written += len(content)
            read += 2 if character > "\uffff" else 1
        return AttributeDict(read=read, written=written)


class TextDecoder:
    """Bytes as text. Call `TextDecoder.new("utf-8", {"fatal": True, "ignoreBOM": True})`. Raises `RangeError` for an
    encoding that is not known."""

    def __init__(self, label: Any = "utf-8", options: dict[str, Any] | None = None, **keywords: Any) -> None:
        given = {**(options or {}), **keywords}
        self.fatal = bool(given.get("fatal"))
        self.ignoreBOM = bool(given.get("ignoreBOM"))
        name = "utf-8" if label is None else js_string(label).strip().lower()
        try:
            known = codecs.lookup("utf-8" if name == "unicode-1-1-utf-8" else name)
            if not known._is_text_encoding:  # noqa: SLF001 - there is no public way to know
                raise LookupError
        except LookupError:
            raise RangeError(f'"{name}" is not a valid encoding.') from None
        codec = "cp1252" if known.name in _WINDOWS_1252 else "utf-16-le" if known.name == "utf-16" else known.name
        self.encoding = _NAMES.get(codec, codec)
        self._codec = codec
        self._begin()

    @classmethod
    def new(cls, label: Any = "utf-8", options: dict[str, Any] | None = None, **keywords: Any) -> Self:
        return cls(label, options, **keywords)

    def _begin(self) -> None:
        self._decoder = codecs.getincrementaldecoder(self._codec)("strict" if self.fatal else "replace")
        self._is_at_start = True

    def decode(self, content: Any = b"", options: dict[str, Any] | None = None, **keywords: Any) -> str:
        """The text of a buffer. With `stream=True`, a character that is cut off waits for the next call. Raises
        `TypeError` for invalid bytes if `fatal` was given."""
        given = {**(options or {}), **keywords}
        data = b"" if content is None else bytes_of(content)
        if data is None:
            raise JsTypeError(
                "Failed to execute 'decode' on 'TextDecoder': parameter 1 is not of type 'ArrayBuffer or "
                "ArrayBufferView'."
            )
        is_final = not given.get("stream")
        try:
            text = self._decoder.decode(data, is_final)
        except UnicodeDecodeError:
            self._begin()
            raise JsTypeError("Failed to decode input.") from None
        if text and self._is_at_start:
            self._is_at_start = False
            if not self.ignoreBOM:
                text = text.removeprefix("\ufeff")
        if is_final:
            self._begin()
        return text
