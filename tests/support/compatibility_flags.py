"""Reads the compatibility flags out of a workerd, and writes them to the emulator's list:
`python -m tests.support.compatibility_flags`.

A workerd carries the Cap'n Proto schema of its flags, because it looks them up there itself. This reads that schema:
as much of the encoding as it needs, which is structs, lists of structs and text, in one segment.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from emulator.config.compatibility import ALWAYS, FLAGS_FILE, Flag
from tests.support.node_tools import WORKERD, tool

_FLAGS: Final = 0x8F8C1B68151B6CEF
_ENABLE: Final = 0xB6DABBC87CD1B03E
_DISABLE: Final = 0xD145CF1ADC42577C
_DATE: Final = 0x91A5D5D7244CF6D0
_ALL_DATES: Final = 0x9A1D37C8030D9418
_EXPERIMENTAL: Final = 0xE3E5A63E76284D88
"""The ids of the struct of flags, and of what its fields are annotated with."""

_NODE: Final = struct.pack("<QHH", 0, 6, 6)[4:]
"""How the pointer to a schema's root ends: six words of data, six pointers."""


class _Struct(NamedTuple):
    """A struct in a message: where its data begins, and its pointers, in bytes."""

    message: bytes
    data: int
    pointers: int
    pointer_count: int

    def word(self, index: int) -> int:
        return int(struct.unpack_from("<Q", self.message, self.data + 8 * index)[0])

    def _pointer(self, index: int) -> tuple[int, int] | None:
        """Where a pointer leads, and the upper half of it. None for a null pointer."""
        at = self.pointers + 8 * index
        if index >= self.pointer_count:
            return None
        low, high = struct.unpack_from("<iI", self.message, at)
        return (at + 8 + 8 * (low >> 2), high) if low or high else None

    def child(self, index: int) -> _Struct:
        found = self._pointer(index)
        assert found is not None
        at, sizes = found
        return _Struct(self.message, at, at + 8 * (sizes & 0xFFFF), sizes >> 16)

    def children(self, index: int) -> Iterator[_Struct]:
        found = self._pointer(index)
        if found is None:
            return
        at, _ = found
        tag, words, pointers = struct.unpack_from("<IHH", self.message, at)
        for number in range(tag >> 2):
            start = at + 8 + 8 * number * (words + pointers)
            yield _Struct(self.message, start, start + 8 * words, pointers)

    def text(self, index: int) -> str:
        found = self._pointer(index)
        assert found is not None
        at, size = found
        return self.message[at : at + (size >> 3) - 1].decode()


def read_flags(workerd: Path) -> list[Flag]:
    """The flags of a workerd, in the order of its schema."""
    content = workerd.read_bytes()
    at = content.find(_NODE + struct.pack("<Q", _FLAGS))
    assert at >= 0, f"{workerd} has no schema of its flags"
    start = at + len(_NODE)
    node = _Struct(content, start, start + 8 * 6, 6)
    return [flag for field in node.children(3) if (flag := _flag(field)) is not None]


def _flag(field: _Struct) -> Flag | None:
    given = {each.word(0): each.child(0) for each in field.children(1)}
    if _ENABLE not in given:
        return None
    texts = {annotation: given[annotation].text(0) for annotation in (_ENABLE, _DISABLE, _DATE) if annotation in given}
    since = ALWAYS if _ALL_DATES in given else texts.get(_DATE, "")
    return Flag(texts[_ENABLE], texts.get(_DISABLE, ""), since, _EXPERIMENTAL in given)


def version_of(workerd: Path) -> str:
    """The version that a workerd says it is."""
    said = subprocess.run([workerd, "--version"], capture_output=True, text=True, check=True).stdout
    return said.removeprefix("workerd").strip()


def main() -> None:
    workerd = tool(WORKERD)
    rows = ",\n".join(f"    {msgspec.json.encode(flag).decode()}" for flag in read_flags(workerd))
    text = f'{{\n  "workerd": "{version_of(workerd)}",\n  "flags": [\n{rows}\n  ]\n}}\n'
    FLAGS_FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
