"""Takes the data points of JavaScript workers.

workerd has a binding for them, too, but sends points when it likes, and does not tell when it has: a test could not
wait for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from emulator.bindings.wiring import WireRequest, WireResponse, Wiring, extension

if TYPE_CHECKING:
    from emulator.bindings.analytics.kind import DatasetWriter

_SOURCE: Final = Path(__file__).parent / "dataset.js"


class _Bytes(msgspec.Struct):
    bytes: list[int]


class _Point(msgspec.Struct):
    indexes: Sequence[str | _Bytes]
    blobs: Sequence[str | _Bytes]
    doubles: Sequence[str]


_read: Final = msgspec.json.Decoder(_Point).decode


def wire(writers: Mapping[str, DatasetWriter]) -> Iterator[Wiring]:
    """The bindings of a worker by name."""
    for name, writer in writers.items():
        yield extension(name, "emulator:analytics", _SOURCE, partial(answer, writer))


def answer(writer: DatasetWriter, request: WireRequest) -> WireResponse:
    """Record a point."""
    point = _read(request.body)
    doubles = [float(each) for each in point.doubles]
    writer.write([_content(each) for each in point.indexes], [_content(each) for each in point.blobs], doubles)
    return WireResponse()


def _content(value: str | _Bytes) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else bytes(value.bytes)
