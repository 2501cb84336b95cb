"""Answers the KV bindings of JavaScript workers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final
from urllib.parse import parse_qs, unquote

import msgspec

from emulator.base.errors import EmulatorError
from emulator.bindings.kv.namespace import KvNamespace
from emulator.bindings.kv.store import KvError, check_key
from emulator.bindings.wiring import Answered, Reference, WireRequest, WireResponse, Wiring

_METADATA: Final = b"cf-kv-metadata"
_JSON: Final = ((b"Content-Type", b"application/json"),)
_NOTHING: Final = WireResponse(status=404, reason=b"Not Found")


class _Bulk(msgspec.Struct):
    keys: list[str]
    type: str | None = None
    withMetadata: bool = False  # noqa: N815 - workerd's name
    cacheTtl: int | str | None = None  # noqa: N815


_read_bulk: Final = msgspec.json.Decoder(_Bulk).decode


def wire(namespaces: Iterable[tuple[str, KvNamespace]]) -> Iterator[Wiring]:
    """The KV bindings of a worker, by their names."""
    for name, namespace in namespaces:
        yield Wiring(name, {"kvNamespace": Reference()}, {"": Answered(partial(answer, namespace))})


async def answer(namespace: KvNamespace, request: WireRequest) -> WireResponse:
    """The answer to a request of a binding. The reason of a refusal has the service's words."""
    path, _, query = request.target.partition("?")
    try:
        return await _answer(namespace, request, unquote(path[1:], errors="strict"), parse_qs(query))
    except KvError as error:
        return refusal(error.status, error.message)
    except EmulatorError as error:
        return refusal(500, error.message)
    except ValueError as error:  # msgspec's errors are ValueErrors, too
        return refusal(400, f"the request is damaged: {error}")


async def _answer(namespace: KvNamespace, request: WireRequest, key: str, query: dict[str, list[str]]) -> WireResponse:
    method = request.method
    if method == b"POST" and key == "bulk/get":
        asked = _read_bulk(request.body)
        found = await namespace.get_many(
            asked.keys, asked.type, with_metadata=asked.withMetadata, cache_ttl=asked.cacheTtl
        )
        return WireResponse(json.dumps(found).encode(), headers=_JSON)
    if method == b"GET" and not key:
        return await _listing(namespace, query)
    check_key(key)
    if method == b"GET":
        return await _value(namespace, key, _one(query, "cache_ttl"))
    if method == b"PUT":
        metadata = request.headers.get(_METADATA)
        await namespace.put(
            key,
            request.body,
            expiration=_one(query, "expiration"),
            expiration_ttl=_one(query, "expiration_ttl"),
            metadata=None if metadata is None else metadata.decode(),
        )
    else:
        await namespace.delete(key)
    return WireResponse()


async def _value(namespace: KvNamespace, key: str, cache_ttl: str | None) -> WireResponse:
    entry = await namespace.get(key, cache_ttl)
    if entry is None:
        return _NOTHING
    headers: list[tuple[bytes, bytes]] = []
    if entry.expiration is not None:
        headers.append((b"CF-Expiration", b"%d" % entry.expiration))
    if entry.metadata is not None:
        headers.append((b"CF-KV-Metadata", json.dumps(json.loads(entry.metadata)).encode("ascii")))
    return WireResponse(entry.value, headers=headers)


async def _listing(namespace: KvNamespace, query: dict[str, list[str]]) -> WireResponse:
    page = await namespace.list(
        prefix=_one(query, "prefix") or "", limit=_one(query, "key_count_limit"), cursor=_one(query, "cursor") or ""
    )
    keys = [
        {
            "name": key.name,
            **({} if key.expiration is None else {"expiration": key.expiration}),
            **({} if key.metadata is None else {"metadata": key.metadata}),
        }
        for key in page.keys
    ]
    more = {} if page.cursor is None else {"cursor": page.cursor}
    content = {"keys": keys, "list_complete": page.cursor is None, **more, "cacheStatus": None}
    return WireResponse(json.dumps(content).encode(), headers=_JSON)


def refusal(status: int, message: str) -> WireResponse:
    """An answer that workerd throws the words of."""
    return WireResponse(status=status, reason=" ".join(message.split()).encode("ascii", "replace"))


def _one(query: dict[str, list[str]], name: str) -> str | None:
    values = query.get(name)
    return None if values is None else values[-1]
