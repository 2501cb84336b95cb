"""A KV binding of a Python worker: `env.SESSIONS`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from emulator.base.errors import EmulatorError
from emulator.bindings.kv.namespace import KvNamespace
from emulator.bindings.kv.store import KvEntry, KvError
from emulator_runtime.hosting import AttributeDict, JsException, ReadableStream, as_bytes, bytes_of, to_attribute_dict

_TYPES: Final = frozenset({"text", "json", "arrayBuffer", "stream"})
_NONE: Final[Mapping[str, Any]] = {}


class KvPage(AttributeDict):
    """A page of keys."""

    __slots__ = ()

    @property
    def keys(self) -> Any:  # in production it is no dict
        """The keys, and not the method of a dict."""
        return self["keys"]


class KvBinding:
    """A namespace; `env.<binding>` of one worker. What the service refuses raises JsException with its words."""

    __slots__ = ("_name", "_namespace")

    def __init__(self, name: str, namespace: KvNamespace) -> None:
        self._name = name
        self._namespace = namespace

    async def get(self, key: Any, options: Any = None, /, **keywords: Any) -> Any:
        """The value of `key`: `get(key, type="text", cacheTtl=60)`, or the type or the options as second argument.

        `type` is `text`, `json`, `arrayBuffer` (a memoryview) or `stream`. None if there is no such key. A list of
        keys, 1 to 100, gives a dict.
        """
        given = _options(options, keywords)
        if _is_list(key):
            return await self._get_many(key, given, with_metadata=False)
        entry = await self._entry(key, given)
        return None if entry is None else self._value(entry, given)

    async def getWithMetadata(self, key: Any, options: Any = None, /, **keywords: Any) -> Any:  # noqa: N802
        """`value`, `metadata` and `cacheStatus`; the options are those of `get`. A list of keys gives a dict."""
        given = _options(options, keywords)
        if _is_list(key):
            return await self._get_many(key, given, with_metadata=True)
        entry = await self._entry(key, given)
        if entry is None:
            return AttributeDict(value=None, metadata=None, cacheStatus=None)
        metadata = None if entry.metadata is None else to_attribute_dict(json.loads(entry.metadata))
        return AttributeDict(value=self._value(entry, given), metadata=metadata, cacheStatus=None)

    async def put(self, key: Any, value: Any, options: Any = None, /, **keywords: Any) -> None:
        """Keep a string, bytes or a stream: `put(key, value, expiration=, expirationTtl=, metadata=)`, or the options
        as a dict. `expiration` is in seconds since the epoch, `expirationTtl` in seconds from now, at least 60;
        `metadata` is anything that JSON can say, at most 1,024 bytes of it."""
        given = _options(options, keywords)
        name = _key(key)
        content = await _content(value)
        metadata = given.get("metadata")
        try:
            await self._namespace.put(
                name,
                content,
                expiration=given.get("expiration"),
                expiration_ttl=given.get("expirationTtl"),
                metadata=None if metadata is None else _json(metadata),
            )
        except (KvError, EmulatorError) as error:
            raise _refused("PUT", error) from None

    async def delete(self, key: Any) -> None:
        """Remove a key. One that does not exist is no error."""
        name = _key(key)
        try:
            await self._namespace.delete(name)
        except (KvError, EmulatorError) as error:
            raise _refused("DELETE", error) from None

    async def list(self, options: Any = None, /, **keywords: Any) -> AttributeDict:
        """A page of keys in order: `list(prefix=, limit=1000, cursor=)`, or the options as a dict. Returns `keys` (with
        `name` and, where there are such, `expiration` and `metadata`), `list_complete`, `cursor` and `cacheStatus`."""
        given = _options(options, keywords)
        limit = given.get("limit")
        try:
            page = await self._namespace.list(
                prefix=given.get("prefix") or "",
                limit=None if isinstance(limit, int) and limit <= 0 else limit,
                cursor=given.get("cursor") or "",
            )
        except (KvError, EmulatorError) as error:
            raise _refused("GET", error) from None
        keys = []
        for each in page.keys:
            key = AttributeDict(name=each.name)
            if each.expiration is not None:
                key["expiration"] = each.expiration
            if each.metadata is not None:
                key["metadata"] = to_attribute_dict(json.loads(each.metadata))
            keys.append(key)
        if page.cursor is None:
            return KvPage(keys=keys, list_complete=True, cacheStatus=None)
        return KvPage(keys=keys, list_complete=False, cursor=page.cursor, cacheStatus=None)

    def __repr__(self) -> str:
        return f"<KvNamespace {self._name}>"

    async def _entry(self, key: Any, given: Mapping[str, Any]) -> KvEntry | None:
        kind = given.get("type", "text")
        if kind not in _TYPES:
            text = 'Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".'
            raise JsException(text, "TypeError")
        name = _key(key)
        try:
            return await self._namespace.get(name, given.get("cacheTtl"))
        except (KvError, EmulatorError) as error:
            raise _refused("GET", error) from None

    async def _get_many(self, keys: Sequence[Any], given: Mapping[str, Any], *, with_metadata: bool) -> dict[str, Any]:
        try:
            found = await self._namespace.get_many(
                [_key(key) for key in keys],
                given.get("type"),
                with_metadata=with_metadata,
                cache_ttl=given.get("cacheTtl"),
            )
        except (KvError, EmulatorError) as error:
            raise _refused("GET_BULK", error) from None
        return {key: to_attribute_dict(value) for key, value in found.items()}

    def _value(self, entry: KvEntry, given: Mapping[str, Any]) -> Any:
        kind = given.get("type", "text")
        if kind == "text":
            return entry.value.decode("utf-8", "replace")
        if kind == "json":
            try:
                return to_attribute_dict(json.loads(entry.value))
            except ValueError as error:
                raise JsException(str(error), "SyntaxError") from None
        return memoryview(entry.value) if kind == "arrayBuffer" else ReadableStream(entry.value)


def _options(options: Any, keywords: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(options, str):
        return {"type": options, **keywords}
    return {**(options or _NONE), **keywords}


def _is_list(key: Any) -> bool:
    return isinstance(key, (list, tuple))


def _key(key: Any) -> str:
    """The name of a key, as workerd takes it."""
    name = "null" if key is None else str(key)
    if not name:
        raise JsException("Key name cannot be empty.", "TypeError")
    if name in {".", ".."}:
        raise JsException(f'"{name}" is not allowed as a key name.', "TypeError")
    return name


async def _content(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    content = bytes_of(value)
    if content is not None:
        return content
    if isinstance(value, bool | int | float):  # which JavaScript makes text of
        return json.dumps(value).encode()
    if isinstance(value, ReadableStream):
        return b"".join([as_bytes(piece) async for piece in value])
    text = "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values."
    raise JsException(text, "TypeError")


def _json(metadata: Any) -> str:
    try:
        return json.dumps(metadata, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise JsException(f"metadata: {error}", "TypeError") from None


def _refused(operation: str, error: KvError | EmulatorError) -> JsException:
    status = error.status if isinstance(error, KvError) else 500
    return JsException(f"KV {operation} failed: {status} {error.message}")
