"""Message bodies as bytes: encoded when they are sent, decoded when they are delivered.

| content type | values | carrier |
| --- | --- | --- |
| `json` | what JSON can represent | UTF-8 JSON, compact as `JSON.stringify` writes it, so that sizes are production's |
| `text` | str | UTF-8 |
| `bytes` | bytes, bytearray, memoryview, buffers of `js` | unchanged |
| `v8` | also dates, times, sets, tuples, bytes and large integers, also nested | MessagePack with extension types |

A `v8` body from a JavaScript worker is in V8's own format, and is kept and delivered unchanged.

A value that cannot be encoded raises TypeError in the sender. JSON follows `JSON.stringify` of what production makes of
the value in JavaScript: 1.0 is `1`, NaN `null`, a datetime its ISO string, a set `{}`, bytes `{"0":...}`; a tuple and
an integer beyond 2^53 - 1 raise.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from enum import Enum
from types import MethodType
from typing import Any, Final, Literal, get_args

import msgspec

from emulator.wire.texts import read_json
from emulator_runtime.hosting import AttributeDict, bytes_of, to_attribute_dict

ContentType = Literal["json", "text", "bytes", "v8"]

CONTENT_TYPES: Final[tuple[str, ...]] = get_args(ContentType)

_MAX_DEPTH: Final = 200
_MAX_SAFE_INTEGER: Final = 2**53 - 1
_POINT, _BRACKET = b".["
_LEAVES: Final = frozenset((str, int, float, bool, type(None)))
_EXT_DATETIME, _EXT_DATE, _EXT_TIME, _EXT_SET, _EXT_FROZENSET, _EXT_TUPLE, _EXT_INT = range(1, 8)

_COLLECTIONS: Final[dict[type, int]] = {set: _EXT_SET, frozenset: _EXT_FROZENSET, tuple: _EXT_TUPLE}
_PLAIN: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (dict, dict),
    (list, list),
    (tuple, list),
    (str, str.__str__),  # str() of an enum member is its name
    (int, int),
    (float, float),
    (bytes, bytes),
    (bytearray, bytes),
)

_orjson: Any = None
_read_json: Final = msgspec.json.Decoder().decode  # as fast as orjson's, and it keeps large integers whole


def encode(body: object, content_type: ContentType) -> bytes:
    """`body` as bytes. Raises TypeError if it is not a value of `content_type`."""
    if content_type == "json":
        return _encode_json(body)
    if content_type == "text":
        if not isinstance(body, str):
            raise TypeError(f'Content Type "text" requires a value of type string, but received: {_type_name(body)}')
        return body.encode("utf-8", "surrogatepass")
    if content_type == "bytes":
        content = bytes_of(body)
        if content is None:
            raise TypeError(f'Content Type "bytes" requires a value of type bytes, but received: {_type_name(body)}')
        return content
    return _encode_v8(body)


def decode(body: bytes, content_type: str) -> Any:
    """The value of a body. The keys of dicts are also attributes. Raises ValueError for damaged bytes."""
    if content_type == "json":
        try:
            return to_attribute_dict(_read_json(body))
        except msgspec.DecodeError:
            return to_attribute_dict(read_json(body))
    if content_type == "text":
        return body.decode("utf-8", "surrogatepass")
    if content_type == "bytes":
        return body
    if body[:1] == b"\xff" and len(body) > 1:  # of MessagePack, -1 begins so, and has no second byte
        from emulator.wire.structured_clone import deserialize

        return deserialize(body)
    return _decode_v8(body)


def _json() -> Any:
    """orjson, imported when the first message needs it, because start-up does not."""
    global _orjson  # noqa: PLW0603
    if _orjson is None:
        import orjson

        _orjson = orjson
    return _orjson


def _encode_json(body: object) -> bytes:
    orjson = _orjson or _json()
    options = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_STRICT_INTEGER
    try:
        encoded: bytes = orjson.dumps(body, None, options)
    except TypeError:
        pass
    else:
        # Only these two look different in JavaScript: 1.0, and tuples, which look like lists here. To look for a number
        # in bytes is by far the fastest.
        if _POINT not in encoded and _BRACKET not in encoded:
            return encoded
        if encoded.find(b".0") < 0 and not _has_tuple(body):
            return encoded
    # What orjson does not accept, too: keys that are not strings, dates, sets, bytes, lone surrogates.
    import json

    plain = _jsonable(body, "body", 0)
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()


def _has_tuple(value: Any) -> bool:
    """Whether there is a tuple in a value that orjson has written."""
    if not isinstance(value, (dict, list)):
        return isinstance(value, tuple)
    for child in value.values() if isinstance(value, dict) else value:  # half as long as any()
        if type(child) not in _LEAVES and _has_tuple(child):
            return True
    return False


def _jsonable(value: object, path: str, depth: int) -> object:
    """`value` as `json.dumps` accepts it. Raises TypeError with the path to a value that JSON cannot represent."""
    if depth > _MAX_DEPTH:
        raise TypeError(f"{path} is nested more than {_MAX_DEPTH} levels deep, or refers to itself")
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)):
        return _json_number(value)
    if isinstance(value, dict):
        return {_json_key(key, path): _jsonable(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, Enum):  # orjson writes its value, so it must be accepted beside a date too
        return _jsonable(value.value, path, depth + 1)
    return _json_object(value, path)


def _json_number(value: float) -> float | None:
    if isinstance(value, int):
        if abs(value) > _MAX_SAFE_INTEGER:
            raise TypeError("Do not know how to serialize a BigInt")
        return int(value)
    if value - value != 0.0:
        return None
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _json_object(value: object, path: str) -> object:
    if isinstance(value, datetime):  # without a time zone it is in UTC, which is production's
        moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, (set, frozenset)):
        return {}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {str(index): byte for index, byte in enumerate(bytes(value))}
    if type(value).__name__ == "UUID":  # orjson writes it
        return str(value)
    if isinstance(to_json := getattr(value, "toJSON", None), MethodType):  # of a js.Date and a js.URL
        return str(to_json())
    hint = "make it a list" if isinstance(value, tuple) else 'send it with contentType="v8", or convert it'
    raise TypeError(f"{path} is of type {_type_name(value)}, which JSON cannot represent; {hint}")


def _json_key(key: object, path: str) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, (int, float)):
        return str(key)
    raise TypeError(f"{path} has a key of type {_type_name(key)}; JSON keys are strings")


def _encode_v8(body: object) -> bytes:
    _check_depth(body)
    return _pack(body)


def _check_depth(body: object) -> None:
    """Raise TypeError for a value that is nested so deep that packing it would overflow the stack, or refers to
    itself."""
    remaining: list[tuple[object, int]] = [(body, 0)]
    while remaining:
        value, depth = remaining.pop()
        if depth > _MAX_DEPTH:
            raise TypeError(f"the body is nested more than {_MAX_DEPTH} levels deep, or refers to itself")
        if isinstance(value, dict):
            remaining += [(item, depth + 1) for item in value.values()]
            remaining += [(key, depth + 1) for key in value]
        elif isinstance(value, (list, tuple, set, frozenset)):
            remaining += [(item, depth + 1) for item in value]


def _pack(value: object) -> bytes:
    import msgpack

    try:
        return msgpack.packb(value, default=_to_packable, strict_types=True, unicode_errors="surrogatepass")  # type: ignore[no-any-return]
    except (ValueError, OverflowError, RecursionError) as error:
        raise TypeError(f"the body cannot be cloned: {error}") from None


def _to_packable(value: Any) -> Any:
    """Convert a value that MessagePack does not have: to an extension type, or for a collection, to a list that begins
    with one."""
    import msgpack

    kind = type(value)
    if isinstance(value, (datetime, date, time)):
        code = _EXT_DATETIME if isinstance(value, datetime) else _EXT_DATE if isinstance(value, date) else _EXT_TIME
        return msgpack.ExtType(code, value.isoformat().encode())
    if kind in _COLLECTIONS:
        return [msgpack.ExtType(_COLLECTIONS[kind], b""), *value]
    if kind is int:
        return msgpack.ExtType(_EXT_INT, str(value).encode())
    # Instances of subclasses (an enum member, an AttributeDict) are sent as instances of the base class.
    for base, plain in _PLAIN:
        if isinstance(value, base):
            return plain(value)
    if (content := bytes_of(value)) is not None:
        return content
    if isinstance(to_py := getattr(value, "to_py", None), MethodType):  # of a js.Date and a js.Set
        return _to_packable(to_py())
    raise TypeError(f"a value of type {_type_name(value)} cannot be cloned")


def _decode_v8(body: bytes) -> Any:
    import msgpack

    try:
        return _revive(
            msgpack.unpackb(
                body,
                ext_hook=_from_extension,
                object_pairs_hook=_Pairs,
                strict_map_key=False,
                unicode_errors="surrogatepass",
            )
        )
    except (TypeError, RecursionError) as error:  # a key that cannot be one; deeper than anything that was encoded
        raise ValueError(f"the body is damaged: {error}") from None


class _Pairs(list[tuple[Any, Any]]):
    """A map whose keys and values have not been converted yet."""


class _Kind:
    """The first item of a list that represents a collection of that kind."""

    def __init__(self, make: Callable[[list[Any]], Any]) -> None:
        self.make = make


def _from_extension(code: int, data: bytes) -> Any:
    if code == _EXT_DATETIME:
        return datetime.fromisoformat(data.decode())
    if code == _EXT_DATE:
        return date.fromisoformat(data.decode())
    if code == _EXT_TIME:
        return time.fromisoformat(data.decode())
    if code == _EXT_INT:
        return int(data)
    for kind, known in _COLLECTIONS.items():
        if code == known:
            return _Kind(kind)
    raise ValueError(f"unknown extension type {code}")


def _revive(value: Any) -> Any:
    if type(value) is _Pairs:
        return AttributeDict((_revive(key), _revive(item)) for key, item in value)
    if type(value) is list:
        if value and type(value[0]) is _Kind:
            return value[0].make([_revive(item) for item in value[1:]])
        return [_revive(item) for item in value]
    if type(value) is _Kind:
        raise ValueError("the body is damaged: it has the mark of a collection without the collection")
    return value


def _type_name(value: object) -> str:
    return type(value).__name__
