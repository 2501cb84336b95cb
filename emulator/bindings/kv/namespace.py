"""One namespace, as a binding, the REST API or a test uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.bindings.kv.store import KvEntry, KvStore, Listing, check_bulk, check_cache_ttl, read_many
from emulator.bindings.use import Use


class KvNamespace:
    """The operations on a namespace. All raise KvError; see KvStore."""

    def __init__(self, store: KvStore, namespace: str, use: Use) -> None:
        self.id = namespace
        self._store = store
        self._use = use

    async def get(self, key: str, cache_ttl: object = None) -> KvEntry | None:
        """The value of a key; None if there is none."""
        async with self._use("get", key) as operation:
            entry = await self._store.get(self.id, key, cache_ttl)
            operation.size = 0 if entry is None else len(entry.value)
            return entry

    async def get_many(
        self, keys: Sequence[str], kind: Any, *, with_metadata: bool, cache_ttl: object = None
    ) -> dict[str, Any]:
        """The values of keys, each as text or, if `kind` is `json`, as what it says; None for those that are not
        there. With metadata, values are objects with `value` and `metadata`."""
        async with self._use("get", ", ".join(map(str, keys))) as operation:
            check_bulk(keys, kind)
            check_cache_ttl(cache_ttl)
            entries = [(key, await self._store.get(self.id, key)) for key in keys]
            operation.size = sum(len(entry.value) for _, entry in entries if entry is not None)
            return read_many(entries, kind or "text", with_metadata=with_metadata)

    async def put(
        self,
        key: str,
        value: bytes,
        *,
        expiration: object = None,
        expiration_ttl: object = None,
        metadata: str | None = None,
    ) -> None:
        """Keep a value."""
        async with self._use("put", key, len(value)):
            await self._store.put(
                self.id, key, value, expiration=expiration, expiration_ttl=expiration_ttl, metadata=metadata
            )

    async def delete(self, *keys: str) -> int:
        """Remove keys. Returns how many there were."""
        async with self._use("delete", ", ".join(keys)):
            return self._store.delete(self.id, keys)

    async def list(self, *, prefix: str = "", limit: object = None, cursor: str = "") -> Listing:
        """A page of keys in order."""
        async with self._use("list", prefix):
            return self._store.list(self.id, prefix=prefix, limit=limit, cursor=cursor)

    async def clear(self) -> None:
        """Remove all keys."""
        async with self._use("clear", ""):
            self._store.clear(self.id)
