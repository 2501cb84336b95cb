"""Takes the data points of JavaScript workers, as workerd's own binding sends them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.bindings.wiring import Answered, Reference, WireRequest, WireResponse, Wiring

if TYPE_CHECKING:
    from emulator.bindings.analytics.kind import DatasetWriter

_FIELDS: Final = range(1, 21)


def wire(writers: Mapping[str, DatasetWriter]) -> Iterator[Wiring]:
    """The bindings of a worker by name."""
    for name, writer in writers.items():
        yield Wiring(name, {"analyticsEngine": Reference()}, {"": Answered(partial(answer, writer))})


def answer(writer: DatasetWriter, request: WireRequest) -> WireResponse:
    """Record a point. workerd has checked it, and waits for nothing."""
    given: dict[str, Any] = msgspec.json.decode(request.body)
    index = bytes(given.get("index1", ()))
    blobs = [bytes(given.get(f"blob{number}", ())) for number in _FIELDS]
    doubles = [float(given.get(f"double{number}", 0)) for number in _FIELDS]
    while blobs and not blobs[-1]:
        blobs.pop()
    while doubles and doubles[-1] == 0:
        doubles.pop()
    writer.write([index] if index else [], blobs, doubles)
    return WireResponse()
