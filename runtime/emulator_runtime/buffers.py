"""What counts as bytes: Python's own, and the buffers of the module `js`."""

from __future__ import annotations


class JsBuffer:
    """The base of `ArrayBuffer`, of the typed arrays and of `DataView`."""

    __slots__ = ()

    def to_memoryview(self) -> memoryview:
        """The content itself, in the format of its items: changes are seen on both sides."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """A copy of the content."""
        return self.to_memoryview().tobytes()


def bytes_of(value: object) -> bytes | None:
    """The content of bytes of any kind; None for anything else."""
    if isinstance(value, JsBuffer):
        return value.to_bytes()
    return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else None
