"""Texts that worker code made, in JSON and MessagePack: they may hold half of a surrogate pair, which UTF-8 cannot
carry and msgspec refuses. JSON keeps it as an escape; MessagePack has no such thing, and gets U+FFFD in its place.

Whatever has no such text, which is nearly everything, is read and written by msgspec as it is.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from emulator_runtime.hosting import well_formed

_read: Final = msgspec.json.Decoder().decode
_write: Final = msgspec.json.Encoder().encode
_pack: Final = msgspec.msgpack.Encoder().encode


def read_json(content: bytes | str) -> Any:
    """The value of JSON. Raises ValueError when it is not JSON."""
    try:
        return _read(content)
    except msgspec.DecodeError:
        import json  # knows half of a surrogate pair

        return json.loads(content)


def write_json(value: object) -> bytes:
    """`value`, which may hold structs and datetimes, as JSON."""
    try:
        return _write(value)
    except UnicodeEncodeError:
        import json

        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode()


def pack(value: object) -> bytes:
    """`value`, which may hold structs, as MessagePack."""
    try:
        return _pack(value)
    except UnicodeEncodeError:
        return _pack(_mended(msgspec.to_builtins(value, builtin_types=(bytes,))))


def _mended(value: Any) -> Any:
    """Plain `value` with every text well-formed."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, (list, tuple)):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(each) for key, each in value.items()}
    return value
