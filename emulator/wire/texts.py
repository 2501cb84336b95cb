"""Reads and writes texts from worker code in JSON and MessagePack. They may contain lone surrogates, which UTF-8 cannot
represent and msgspec refuses. JSON keeps them as escapes; in MessagePack, which has no escapes, they become U+FFFD.

Values without such texts, which are nearly all, are read and written by msgspec directly.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from emulator_runtime.hosting import well_formed

_read: Final = msgspec.json.Decoder().decode
_write: Final = msgspec.json.Encoder().encode
_pack: Final = msgspec.msgpack.Encoder().encode


def read_json(content: bytes | str) -> Any:
    """The value of `content`. Raises ValueError if it is not JSON."""
    try:
        return _read(content)
    except msgspec.DecodeError:
        import json  # knows half of a surrogate pair

        return json.loads(content)


def write_json(value: object) -> bytes:
    """`value`, which may contain structs and datetimes, as JSON."""
    try:
        return _write(value)
    except UnicodeEncodeError:
        import json

        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode()


def pack(value: object) -> bytes:
    """`value`, which may contain structs, as MessagePack."""
    try:
        return _pack(value)
    except UnicodeEncodeError:
        return _pack(_mended(msgspec.to_builtins(value, builtin_types=(bytes,))))


def _mended(value: Any) -> Any:
    """`value`, made of built-in types, with every text well-formed."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, (list, tuple)):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(each) for key, each in value.items()}
    return value
