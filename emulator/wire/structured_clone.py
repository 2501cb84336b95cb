"""Values in the format of V8's `structuredClone`, which JavaScript workers send as content type `v8`.

Only the format is V8's; a Python worker gets Python values. `undefined` and holes in arrays become None, a Date a
datetime in UTC, a BigInt an int, a Map a dict, a Set a set (a list if it has items that cannot be hashed), bytes of any
kind bytes, and arrays of other numbers lists. In the other direction, types that JavaScript does not distinguish (a
tuple and a list, a date and a datetime) become the nearest type.

A value is a tag followed by its content. Counts are varints, integers are zigzag varints, doubles are little-endian.
Objects are numbered in the order in which they begin, and later values may refer to them by number.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from emulator_runtime.hosting import AttributeDict

MAX_DEPTH: Final = 200
_MAX_VARINT_BITS: Final = 64

_VERSION_TAG: Final = 0xFF
_WRITTEN_VERSION: Final = 15
_KNOWN_VERSIONS: Final = range(13, 16)
_HEADER: Final = bytes((_VERSION_TAG, _WRITTEN_VERSION))
_SAFE_INTEGER: Final = 2**53 - 1
_INT32: Final = range(-(2**31), 2**31)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DOUBLE: Final = struct.Struct("<d")
_VIEWS: Final = {  # the struct format of a typed array's items; None: its bytes
    "B": None,
    "C": None,
    "?": None,
    "b": "b",
    "w": "h",
    "W": "H",
    "d": "i",
    "D": "I",
    "h": "e",
    "f": "f",
    "F": "d",
    "q": "q",
    "Q": "Q",
}
_UNSUPPORTED: Final = {"\\": "an object of the runtime", "r": "an Error", "u": "shared memory", "t": "an ArrayBuffer"}


def is_serialized(body: bytes) -> bool:
    """Whether a body of content type `v8` came from JavaScript: it then begins with V8's mark and a version."""
    return len(body) > 2 and body[0] == _VERSION_TAG and body[1] in _KNOWN_VERSIONS


def serialize(value: object) -> bytes:
    """`value` in V8's format. Raises TypeError for a value that JavaScript does not have."""
    out = bytearray(_HEADER)
    _write(out, value, 0)
    return bytes(out)


def _write(out: bytearray, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TypeError(f"the body is nested more than {MAX_DEPTH} levels deep")
    if value is None:
        out += b"0"
    elif value is True:
        out += b"T"
    elif value is False:
        out += b"F"
    elif isinstance(value, int):
        _write_int(out, value)
    elif isinstance(value, float):
        out += b"N" + _DOUBLE.pack(value)
    elif isinstance(value, str):
        _write_text(out, value)
    elif isinstance(value, (bytes, bytearray)):
        _write_bytes(out, value)
    elif isinstance(value, (datetime, date, time)):
        _write_moment(out, value)
    else:
        _write_collection(out, value, depth + 1)


def _write_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _write_int(out: bytearray, value: int) -> None:
    if value in _INT32:
        out += b"I"
        _write_varint(out, value << 1 if value >= 0 else (-value << 1) - 1)
    elif -_SAFE_INTEGER <= value <= _SAFE_INTEGER:
        out += b"N" + _DOUBLE.pack(value)
    else:
        digits = abs(value).to_bytes((abs(value).bit_length() + 63) // 64 * 8, "little")
        out += b"Z"
        _write_varint(out, len(digits) << 1 | (value < 0))
        out += digits


def _write_text(out: bytearray, value: str) -> None:
    try:
        encoded, tag = value.encode("latin-1"), b'"'
    except UnicodeEncodeError:
        encoded, tag = value.encode("utf-16-le", "surrogatepass"), b"c"
        size = bytearray()
        _write_varint(size, len(encoded))
        if (len(out) + 1 + len(size)) % 2:  # V8 reads two-byte characters where they are aligned
            out.append(0)
    out += tag
    _write_varint(out, len(encoded))
    out += encoded


def _write_bytes(out: bytearray, value: bytes | bytearray) -> None:
    out += b"B"
    _write_varint(out, len(value))
    out += value
    out += b"VB\x00"
    _write_varint(out, len(value))
    out.append(0)


def _write_moment(out: bytearray, value: datetime | date | time) -> None:
    if isinstance(value, time):
        _write_text(out, value.isoformat())
        return
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    milliseconds = (value.astimezone(UTC) - _EPOCH) / timedelta(milliseconds=1)
    out += b"D" + _DOUBLE.pack(float(int(milliseconds)))


def _write_collection(out: bytearray, value: Any, depth: int) -> None:
    if isinstance(value, dict):
        is_object = all(isinstance(key, str) for key in value)
        out += b"o" if is_object else b";"
        for key, item in value.items():
            _write(out, key, depth)
            _write(out, item, depth)
        out += b"{" if is_object else b":"
        _write_varint(out, len(value) if is_object else len(value) * 2)
    elif isinstance(value, (list, tuple)):
        out += b"A"
        _write_varint(out, len(value))
        for item in value:
            _write(out, item, depth)
        out += b"$\x00"
        _write_varint(out, len(value))
    elif isinstance(value, (set, frozenset)):
        out += b"'"
        for item in value:
            _write(out, item, depth)
        out += b","
        _write_varint(out, len(value))
    else:
        raise TypeError(f"a value of type {type(value).__name__} cannot be sent to JavaScript")


def deserialize(body: bytes) -> Any:
    """The value of a body for which `is_serialized` is true. Raises ValueError if it is damaged, or contains a value
    that only JavaScript has."""
    if not is_serialized(body):
        raise ValueError("the body is in an unknown version of V8's format")
    reader = _Reader(body)
    try:
        return reader.read(0)
    except (IndexError, struct.error, UnicodeDecodeError, TypeError, OverflowError) as error:
        raise ValueError(f"the body is damaged: {error}") from None
    except RecursionError:
        raise ValueError("the body is nested too deep to be read") from None


class _Reader:
    """Reads one serialized value from front to back. Memory is limited to a fixed multiple of the size of `data`, and
    depth is limited too, because a body may come from anywhere."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._missing_items = len(data)
        """How many more array items without data are allowed."""
        self._at = 2
        self._objects: list[Any] = []

    def read(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"the body is nested more than {MAX_DEPTH} levels deep")
        tag = self._tag()
        plain = _PLAIN.get(tag)
        if plain is not None:
            return plain(self)
        collection = _COLLECTIONS.get(tag)
        if collection is not None:
            return collection(self, depth + 1)
        what = _UNSUPPORTED.get(tag, f"a value with the tag {tag!r}")
        raise ValueError(f"the body contains {what}, which only JavaScript can read")

    def _tag(self) -> str:
        while self._data[self._at] == 0:  # padding
            self._at += 1
        self._at += 1
        return chr(self._data[self._at - 1])

    def _peek(self) -> str:
        at = self._at
        tag = self._tag()
        self._at = at
        return tag

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > _MAX_VARINT_BITS:
                raise IndexError("a number in it has no end")

    def _bytes(self, count: int) -> bytes:
        self._at += count
        if self._at > len(self._data):
            raise IndexError("it ends too early")
        return self._data[self._at - count : self._at]

    def _new(self, value: Any) -> Any:
        self._objects.append(value)
        return value

    def int32(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def double(self) -> float:
        value: float = _DOUBLE.unpack(self._bytes(8))[0]
        return value

    def number(self) -> int | float:
        """A double as a Python number: an int if it is whole, because JavaScript has one type of number."""
        value = self.double()
        return int(value) if value.is_integer() and abs(value) <= _SAFE_INTEGER else value

    def bigint(self) -> int:
        bits = self._varint()
        value = int.from_bytes(self._bytes(bits >> 1), "little")
        return -value if bits & 1 else value

    def latin1(self) -> str:
        return self._bytes(self._varint()).decode("latin-1")

    def utf16(self) -> str:
        return self._bytes(self._varint()).decode("utf-16-le", "surrogatepass")

    def utf8(self) -> str:
        return self._bytes(self._varint()).decode()

    def date(self) -> Any:
        moment = self.double()
        return self._new(None if moment != moment else _EPOCH + timedelta(milliseconds=moment))  # noqa: PLR0124 - NaN

    def regexp(self) -> str:
        pattern = self._text()
        flags = self._varint()
        letters = "".join(letter for bit, letter in enumerate("gimyusdv") if flags >> bit & 1)
        return str(self._new(f"/{pattern}/{letters}"))

    def boxed_text(self) -> str:
        return str(self._new(self._text()))

    def _text(self) -> str:
        """Read a string; nothing else is allowed here."""
        read = _TEXTS.get(self._tag())
        if read is None:
            raise IndexError("a string is missing")
        return read(self)

    def boxed(self, value: Any) -> Any:
        return self._new(value)

    def reference(self) -> Any:
        return self._objects[self._varint()]

    def buffer(self) -> Any:
        content = self._bytes(self._varint())
        return self._viewed(content)

    def resizable_buffer(self) -> Any:
        size = self._varint()
        self._varint()
        return self._viewed(self._bytes(size))

    def _viewed(self, content: bytes) -> Any:
        """The buffer, or the view of it if one follows."""
        index = len(self._objects)
        self._new(content)
        if self._at >= len(self._data) or self._peek() != "V":
            return content
        self._tag()
        kind = self._tag()
        start, size, _flags = self._varint(), self._varint(), self._varint()
        item = _VIEWS.get(kind)
        viewed: Any = content[start : start + size]
        if item is not None:
            viewed = list(struct.unpack(f"<{size // struct.calcsize(item)}{item}", viewed))
        elif kind not in _VIEWS:
            raise ValueError(f"the body contains a view of the unknown kind {kind!r}")
        self._objects[index:] = [content, viewed]
        return viewed

    def object(self, depth: int) -> Any:
        value: AttributeDict = self._new(AttributeDict())
        while self._peek() != "{":
            key = self.read(depth)
            if not isinstance(key, (str, int, float)):
                raise IndexError("a key is neither a string nor a number")
            value[str(key)] = self.read(depth)
        self._tag()
        self._varint()
        return value

    def dense_array(self, depth: int) -> Any:
        value: list[Any] = self._new([])
        for _ in range(self._varint()):
            if self._peek() == "-":  # a hole
                self._tag()
                value.append(None)
            else:
                value.append(self.read(depth))
        while self._peek() != "$":  # properties besides the items, which a list cannot have
            self.read(depth)
            self.read(depth)
        self._tag()
        self._varint()
        self._varint()
        return value

    def sparse_array(self, depth: int) -> Any:
        size = self._varint()
        self._missing_items -= size
        if self._missing_items < 0:
            raise ValueError(f"the body contains an array of {size:,} items, most of which are missing")
        value: list[Any] = self._new([None] * size)
        while self._peek() != "@":
            key, item = self.read(depth), self.read(depth)
            if isinstance(key, int) and key < size:
                value[key] = item
        self._tag()
        self._varint()
        self._varint()
        return value

    def map(self, depth: int) -> Any:
        value: dict[Any, Any] = self._new({})
        while self._peek() != ":":
            key = self.read(depth)
            value[key] = self.read(depth)
        self._tag()
        self._varint()
        return value

    def set(self, depth: int) -> Any:
        index = len(self._objects)
        self._new(None)
        items = []
        while self._peek() != ",":
            items.append(self.read(depth))
        self._tag()
        self._varint()
        try:
            value: Any = set(items)
        except TypeError:
            value = items
        self._objects[index] = value
        return value


_PLAIN: Final[dict[str, Callable[[_Reader], Any]]] = {
    "_": lambda _reader: None,
    "0": lambda _reader: None,
    "T": lambda _reader: True,
    "F": lambda _reader: False,
    "I": _Reader.int32,
    "U": _Reader._varint,  # noqa: SLF001
    "N": _Reader.number,
    "Z": _Reader.bigint,
    '"': _Reader.latin1,
    "c": _Reader.utf16,
    "S": _Reader.utf8,
    "D": _Reader.date,
    "R": _Reader.regexp,
    "^": _Reader.reference,
    "B": _Reader.buffer,
    "~": _Reader.resizable_buffer,
    "y": lambda reader: reader.boxed(True),
    "x": lambda reader: reader.boxed(False),
    "n": lambda reader: reader.boxed(reader.number()),
    "z": lambda reader: reader.boxed(reader.bigint()),
    "s": _Reader.boxed_text,
}
_TEXTS: Final[dict[str, Callable[[_Reader], str]]] = {'"': _Reader.latin1, "c": _Reader.utf16, "S": _Reader.utf8}
_COLLECTIONS: Final[dict[str, Callable[[_Reader, int], Any]]] = {
    "o": _Reader.object,
    "A": _Reader.dense_array,
    "a": _Reader.sparse_array,
    ";": _Reader.map,
    "'": _Reader.set,
}
