"""What a test puts in place of bindings of a JavaScript worker: values, and objects of Python that it calls."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import partial, reduce
from inspect import isawaitable
from pathlib import Path
from typing import Any, Final

from emulator.bindings.wiring import WireRequest, WireResponse, Wiring, extension, json_answer

KIND: Final = "double"
_BYTES: Final = "$emulator.bytes"
_VALUES: Final = (str, int, float, bool, list, dict, type(None))


def wire(name: str, double: object) -> Wiring:
    """The binding that a double becomes: a value as it is, or what calls the methods of an object."""
    if isinstance(double, _VALUES):
        return Wiring(name, {"json": json.dumps(double)})
    return extension(name, "emulator:double", Path(__file__).parent / "double.js", partial(_answer, double))


async def _answer(double: object, request: WireRequest) -> WireResponse:
    """Call what a worker calls. What that raises, the worker gets as an error."""
    asked = json.loads(request.body, object_hook=_read)
    try:
        result = reduce(getattr, asked["path"], double)(*asked["values"])  # type: ignore[operator]
        return json_answer({"value": _written(await result if isawaitable(result) else result)})
    except Exception as error:
        return json_answer({"error": {"name": type(error).__name__, "message": str(error)}})


def _read(found: dict[str, Any]) -> Any:
    return b64decode(found[_BYTES]) if _BYTES in found else found


def _written(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {_BYTES: b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {str(key): _written(each) for key, each in value.items()}
    return [_written(each) for each in value] if isinstance(value, (list, tuple)) else value
