"""`ArrayBuffer`, the typed arrays and `DataView`: numbers in memory that several views can share."""

from __future__ import annotations

import struct
import sys
from abc import ABCMeta
from collections.abc import Callable, Iterable, Iterator
from math import isfinite, isnan
from typing import Any, ClassVar, Final, Self

from emulator_runtime import streams
from emulator_runtime.buffers import JsBuffer
from emulator_runtime.integers import to_number
from emulator_runtime.js.errors import RangeError
from emulator_runtime.js.errors import TypeError as JsTypeError


class _Buffer(JsBuffer, metaclass=ABCMeta):
    """What Pyodide adds to all of them."""

    __slots__ = ()

    def __bytes__(self) -> bytes:
        return self.to_bytes()

    def to_py(self, **_options: Any) -> memoryview:
        return self.to_memoryview()

    def to_string(self, encoding: str = "utf-8") -> str:
        return self.to_bytes().decode(encoding)

    def assign(self, source: Any) -> None:
        """Overwrite the content with that of `source`, a buffer of the same size in bytes."""
        _raw(self)[:] = _raw(source)

    def assign_to(self, target: Any) -> None:
        """Write the content into `target`, a buffer of the same size in bytes that can be changed."""
        _raw(target)[:] = _raw(self)

    def to_file(self, file: Any) -> None:
        file.write(self.to_bytes())

    def from_file(self, file: Any) -> None:
        file.readinto(_raw(self))


class ArrayBuffer(_Buffer):
    """Memory of a fixed size in bytes. Call `ArrayBuffer.new(16)`."""

    __slots__ = ("content",)

    def __init__(self, size: Any = 0) -> None:
        self.content = bytearray(_index(size))

    @classmethod
    def new(cls, size: Any = 0) -> Self:
        return cls(size)

    @classmethod
    def holding(cls, content: bytes | bytearray | memoryview) -> Self:
        """One with a copy of `content`. Not part of production's interface."""
        buffer = cls()
        buffer.content = bytearray(content)
        return buffer

    @staticmethod
    def isView(value: object) -> bool:
        return isinstance(value, (TypedArray, DataView))

    @property
    def byteLength(self) -> int:
        return len(self.content)

    def slice(self, start: Any = 0, end: Any = None) -> ArrayBuffer:
        """A copy of a part; negative indexes count from the end."""
        return ArrayBuffer.holding(self.content[slice(*_range(start, end, len(self.content)))])

    def to_memoryview(self) -> memoryview:
        return memoryview(self.content)

    def __len__(self) -> int:
        return len(self.content)

    def __repr__(self) -> str:
        return f"<ArrayBuffer of {len(self)} bytes>"


ArrayBuffer.register(streams.BodyBuffer)


class TypedArray(_Buffer):
    """The base of the typed arrays, which says what they do.

    `new(length)`, `new(numbers)`, `new(array)` make memory of their own; `new(buffer, byte_offset, length)` shares that
    of `buffer`. Numbers are converted as JavaScript does, without errors: 256 in a `Uint8Array` is 0.
    """

    __slots__ = ("buffer", "byteOffset", "length")

    BYTES_PER_ELEMENT: ClassVar[int]
    _format: ClassVar[str]

    buffer: ArrayBuffer
    byteOffset: int
    length: int

    def __init__(self, source: Any = 0, byte_offset: Any = 0, length: Any = None) -> None:
        size = self.BYTES_PER_ELEMENT
        self.byteOffset = 0
        if isinstance(source, streams.BodyBuffer):
            source = ArrayBuffer.holding(source)
        if isinstance(source, ArrayBuffer):
            self.buffer = source
            self.byteOffset, self.length = _window(source, _index(byte_offset), length, size, type(self).__name__)
        elif source is None or isinstance(source, (int, float, str)):
            self.length = _index(source)
            self.buffer = ArrayBuffer(self.length * size)
        else:
            items = list(source)
            self.length = len(items)
            self.buffer = ArrayBuffer(self.length * size)
            self._write(0, items)

    @classmethod
    def new(cls, *arguments: Any) -> Self:
        return cls(*arguments)

    @classmethod
    def from_(cls, items: Iterable[Any], convert: Callable[..., Any] | None = None) -> Self:
        """An array of `items`, or of what `convert(item, index)` makes of them."""
        return cls(list(items) if convert is None else [convert(item, place) for place, item in enumerate(items)])

    @classmethod
    def of(cls, *items: Any) -> Self:
        return cls(items)

    @property
    def byteLength(self) -> int:
        return self.length * self.BYTES_PER_ELEMENT

    @classmethod
    def _convert(cls, value: Any) -> Any:
        """`value` as this array holds it."""
        return _wrapped(value, cls.BYTES_PER_ELEMENT * 8, is_signed=cls._format.islower())

    def _write(self, start: int, items: Iterable[Any]) -> None:
        converted = [self._convert(item) for item in items]
        if start < 0 or start + len(converted) > self.length:
            raise RangeError("offset is out of bounds")
        place = self.byteOffset + start * self.BYTES_PER_ELEMENT
        struct.pack_into(f"={len(converted)}{self._format}", self.buffer.content, place, *converted)

    def _read(self) -> tuple[Any, ...]:
        return struct.unpack_from(f"={self.length}{self._format}", self.buffer.content, self.byteOffset)

    def to_memoryview(self) -> memoryview:
        view = memoryview(self.buffer.content)[self.byteOffset : self.byteOffset + self.byteLength]
        letter: Any = self._format
        return view if letter == "e" else view.cast(letter)  # a memoryview cannot read half floats

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        return iter(self._read())

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            start, end, step = place.indices(self.length)
            return self.subarray(start, max(start, end)) if step == 1 else list(self._read()[place])
        position = self.byteOffset + self._place(place) * self.BYTES_PER_ELEMENT
        return struct.unpack_from(f"={self._format}", self.buffer.content, position)[0]

    def __setitem__(self, place: Any, value: Any) -> None:
        if isinstance(place, slice):
            start, end, step = place.indices(self.length)
            items = list(value)
            if step != 1 or len(items) != max(0, end - start):
                raise ValueError("a slice of a typed array takes as many numbers as it has")
            self._write(start, items)
        else:
            self._write(self._place(place), [value])

    def _place(self, place: int) -> int:
        at = place + self.length if place < 0 else place
        if not 0 <= at < self.length:
            raise IndexError(place)
        return at

    def at(self, index: int = 0) -> Any:
        """The number at `index`, which counts from the end if it is negative; None where there is none."""
        return self[index] if -self.length <= index < self.length else None

    def set(self, source: Iterable[Any], offset: int = 0) -> None:
        """Write the numbers of `source`, beginning at `offset`."""
        self._write(offset, list(source))

    def subarray(self, start: Any = 0, end: Any = None) -> Self:
        """A part, which shares memory with this."""
        first, last = _range(start, end, self.length)
        return type(self)(self.buffer, self.byteOffset + first * self.BYTES_PER_ELEMENT, last - first)

    def slice(self, start: Any = 0, end: Any = None) -> Self:
        """A copy of a part."""
        return type(self)(self.subarray(start, end))

    def fill(self, value: Any, start: Any = 0, end: Any = None) -> Self:
        first, last = _range(start, end, self.length)
        self._write(first, [value] * (last - first))
        return self

    def copyWithin(self, target: int, start: Any = 0, end: Any = None) -> Self:
        first, last = _range(start, end, self.length)
        place, _ = _range(target, None, self.length)
        self._write(place, self._read()[first : min(last, first + self.length - place)])
        return self

    def indexOf(self, value: Any, start: int = 0) -> int:
        items = self._read()
        return items.index(value, start) if value in items[start:] else -1

    def includes(self, value: Any) -> bool:
        return value in self._read()

    def join(self, separator: str = ",") -> str:
        return separator.join([_shown(item) for item in self])

    toString = join

    def reverse(self) -> Self:
        self._write(0, self._read()[::-1])
        return self

    def sort(self, compare: Callable[[Any, Any], Any] | None = None) -> Self:
        from functools import cmp_to_key

        self._write(0, sorted(self._read(), key=None if compare is None else cmp_to_key(compare)))
        return self

    def map(self, convert: Callable[..., Any]) -> Self:
        """An array of what `convert(number)` returns."""
        return type(self)([convert(item) for item in self])

    def filter(self, keep: Callable[..., Any]) -> Self:
        return type(self)([item for item in self if keep(item)])

    def forEach(self, callback: Callable[..., Any]) -> None:
        for item in self:
            callback(item)

    def keys(self) -> Iterator[int]:
        return iter(range(self.length))

    def values(self) -> Iterator[Any]:
        return iter(self)

    def entries(self) -> Iterator[list[Any]]:
        return ([place, item] for place, item in enumerate(self))

    def __repr__(self) -> str:
        shown = ", ".join([_shown(item) for item in self._read()[:20]])
        return f"{type(self).__name__}([{shown}{', ...' if self.length > 20 else ''}])"


# `from` is a Python keyword, so code for production also uses getattr to get it.
setattr(TypedArray, "from", vars(TypedArray)["from_"])


class Int8Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 1
    _format = "b"


class Uint8Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 1
    _format = "B"


Uint8Array.register(streams.Chunk)


class Uint8ClampedArray(TypedArray):
    """Bytes; what is below 0 becomes 0, what is above 255 becomes 255."""

    __slots__ = ()
    BYTES_PER_ELEMENT = 1
    _format = "B"

    @classmethod
    def _convert(cls, value: Any) -> int:
        number = to_number(value)
        return 0 if isnan(number) else round(min(max(number, 0), 255))


class Int16Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 2
    _format = "h"


class Uint16Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 2
    _format = "H"


class Int32Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 4
    _format = "i"


class Uint32Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 4
    _format = "I"


class BigInt64Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 8
    _format = "q"


class BigUint64Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 8
    _format = "Q"


class Float16Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 2
    _format = "e"

    @classmethod
    def _convert(cls, value: Any) -> float:
        return _float(value, cls._format)


class Float32Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 4
    _format = "f"

    @classmethod
    def _convert(cls, value: Any) -> float:
        return _float(value, cls._format)


class Float64Array(TypedArray):
    __slots__ = ()
    BYTES_PER_ELEMENT = 8
    _format = "d"

    @classmethod
    def _convert(cls, value: Any) -> float:
        return float(to_number(value))


class DataView(_Buffer):
    """Reads and writes numbers of any type at any place of a buffer. Call `DataView.new(buffer, offset, length)`.

    As on the web, `getUint16(offset)` is big-endian, `getUint16(offset, True)` little-endian.
    """

    __slots__ = ("buffer", "byteLength", "byteOffset")

    def __init__(self, buffer: Any, byte_offset: Any = 0, byte_length: Any = None) -> None:
        if isinstance(buffer, streams.BodyBuffer):
            buffer = ArrayBuffer.holding(buffer)
        if not isinstance(buffer, ArrayBuffer):
            raise JsTypeError("First argument to DataView constructor must be an ArrayBuffer")
        self.buffer = buffer
        self.byteOffset, self.byteLength = _window(buffer, _index(byte_offset), byte_length, 1, "DataView")

    @classmethod
    def new(cls, buffer: Any, byte_offset: Any = 0, byte_length: Any = None) -> Self:
        return cls(buffer, byte_offset, byte_length)

    def to_memoryview(self) -> memoryview:
        return memoryview(self.buffer.content)[self.byteOffset : self.byteOffset + self.byteLength]

    def _at(self, offset: Any, size: int) -> int:
        place = _index(offset)
        if place + size > self.byteLength:
            raise RangeError("Offset is outside the bounds of the DataView")
        return self.byteOffset + place

    def __getattr__(self, name: str) -> Callable[..., Any]:
        array = _ARRAYS_BY_TYPE.get(name[3:])
        if array is None or name[:3] not in ("get", "set"):
            raise AttributeError(f"'DataView' object has no attribute {name!r}")
        size, letter = array.BYTES_PER_ELEMENT, array._format  # noqa: SLF001

        def get(offset: Any, is_little_endian: Any = False) -> Any:
            order = "<" if is_little_endian else ">"
            return struct.unpack_from(order + letter, self.buffer.content, self._at(offset, size))[0]

        def put(offset: Any, value: Any, is_little_endian: Any = False) -> None:
            converted = array._convert(value)  # noqa: SLF001
            order = "<" if is_little_endian else ">"
            struct.pack_into(order + letter, self.buffer.content, self._at(offset, size), converted)

        return get if name[:3] == "get" else put

    def __repr__(self) -> str:
        return f"<DataView of {self.byteLength} bytes>"


_ARRAYS: Final[tuple[type[TypedArray], ...]] = (
    Uint8Array,
    Int8Array,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    BigInt64Array,
    BigUint64Array,
    Float16Array,
    Float32Array,
    Float64Array,
)
_ARRAYS_BY_TYPE: Final = {array.__name__.removesuffix("Array"): array for array in _ARRAYS}


def array_of(source: Any) -> TypedArray:
    """A typed array with a copy of a Python buffer, such as bytes or `array.array`. Raises `TypeError` for a format
    that no typed array has."""
    view = memoryview(source)
    kind = view.format.lstrip("@=<" if sys.byteorder == "little" else "@=>")
    kind = {"c": "B", "?": "B"}.get(kind, kind)
    if kind in ("l", "L"):
        kind = {4: "i", 8: "q"}[view.itemsize] if kind == "l" else {4: "I", 8: "Q"}[view.itemsize]
    for array in _ARRAYS:
        if array._format == kind:  # noqa: SLF001
            return array(ArrayBuffer.holding(view.tobytes()))
    raise TypeError(f"a buffer of the format {view.format!r} has no typed array")


def _raw(buffer: Any) -> memoryview:
    view = buffer.to_memoryview() if isinstance(buffer, JsBuffer) else memoryview(buffer)
    return view.cast("B")


def _index(value: Any) -> int:
    number = 0 if value is None else to_number(value)
    index = int(number) if isfinite(number) else 0
    if index < 0 or number in (float("inf"), float("-inf")):
        raise RangeError(f"Invalid typed array length: {value}")
    return index


def _window(buffer: ArrayBuffer, offset: int, length: Any, size: int, name: str) -> tuple[int, int]:
    """The offset in bytes and the length in items of a view."""
    if offset % size:
        raise RangeError(f"start offset of {name} should be a multiple of {size}")
    available = buffer.byteLength - offset
    if available < 0:
        raise RangeError(f"Start offset {offset} is outside the bounds of the buffer")
    if length is None:
        if available % size:
            raise RangeError(f"byte length of {name} should be a multiple of {size}")
        return offset, available // size
    items = _index(length)
    if items * size > available:
        raise RangeError(f"Invalid typed array length: {items}")
    return offset, items


def _range(start: Any, end: Any, length: int) -> tuple[int, int]:
    first, last, _ = slice(int(start or 0), None if end is None else int(end)).indices(length)
    return first, max(first, last)


def _wrapped(value: Any, bits: int, *, is_signed: bool) -> int:
    """`value` as an integer of some bits, which wraps around."""
    number = value if isinstance(value, int) else to_number(value)
    whole = int(number) & ((1 << bits) - 1) if isinstance(number, int) or isfinite(number) else 0
    return whole - (1 << bits) if is_signed and whole >> (bits - 1) else whole


def _float(value: Any, letter: str) -> float:
    number = float(to_number(value))
    try:
        struct.pack(f"={letter}", number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
    return number


def _shown(item: Any) -> str:
    return str(int(item)) if isinstance(item, float) and item.is_integer() else str(item)
