"""How tests reach a KV namespace: `emulator.kv("SESSIONS")`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from emulator.base.errors import EmulatorError
from emulator.bindings.kit import Accessor, Faulty, Kit, content_of
from emulator.bindings.kv.config import KIND
from emulator.bindings.kv.namespace import KvNamespace
from emulator.bindings.kv.store import MAX_LIST_KEYS, KvError

if TYPE_CHECKING:
    from emulator.bindings.kv.kind import OpenKv

    class KvAccess:
        """The type of what `Emulator` has for KV."""

        def kv(self, name: str) -> Kv:
            """A namespace, by the name of a binding or by its id. Raises EmulatorError, which names those there are."""
            raise NotImplementedError

    class AsyncKvAccess:
        """The type of what `AsyncEmulator` has for KV."""

        def kv(self, name: str) -> AsyncKv:
            """A namespace, by the name of a binding or by its id. Raises EmulatorError, which names those there are."""
            raise NotImplementedError


class _BaseKv(Faulty):
    """What a test can do with a namespace without running anything."""

    def __init__(self, kit: Kit, name: str) -> None:
        __tracebackhide__ = True
        self._kit = kit
        self.name = name
        self._open = cast("OpenKv", kit.open_kind(KIND))
        identifier = self._open.ids.get(name, name)
        if identifier not in dict(self._open.namespaces()):
            there = ", ".join(sorted(self._open.ids)) or "none"
            raise EmulatorError(f"there is no KV namespace {name!r}; the bindings are: {there}")
        self._namespace: KvNamespace = self._open.namespace(identifier)
        self._faults, self._target = self._open.faults, identifier

    def _refusal(self) -> Exception:
        return KvError(500, "Internal Server Error")

    def __repr__(self) -> str:
        return f"<Kv {self.name}>"

    def _get(self, key: str) -> str | None:
        value = self._get_bytes(key)
        return None if value is None else value.decode("utf-8", "replace")

    def _get_bytes(self, key: str) -> bytes | None:
        entry = self._now(self._namespace.get(key))
        return None if entry is None else entry.value

    def _get_json(self, key: str) -> Any:
        value = self._get_bytes(key)
        return None if value is None else json.loads(value)

    def _metadata(self, key: str) -> Any:
        entry = self._now(self._namespace.get(key))
        return None if entry is None or entry.metadata is None else json.loads(entry.metadata)

    def _put(self, key: str, value: Any, expiration_ttl: int | None, metadata: Any) -> None:
        text = None if metadata is None else json.dumps(metadata)
        self._now(self._namespace.put(key, content_of(value), expiration_ttl=expiration_ttl, metadata=text))

    def _delete(self, key: str) -> None:
        self._now(self._namespace.delete(key))

    def _keys(self, prefix: str) -> list[str]:
        names: list[str] = []
        cursor = ""
        while True:
            page = self._now(self._namespace.list(prefix=prefix, limit=MAX_LIST_KEYS, cursor=cursor))
            names += [key.name for key in page.keys]
            if page.cursor is None:
                return names
            cursor = page.cursor


class Kv(_BaseKv):
    """A namespace as a test uses it."""

    def get(self, key: str) -> str | None:
        """The value of a key as text; None if there is none."""
        __tracebackhide__ = True
        return self._get(key)

    def get_bytes(self, key: str) -> bytes | None:
        """The value of a key; None if there is none."""
        __tracebackhide__ = True
        return self._get_bytes(key)

    def get_json(self, key: str) -> Any:
        """What the value of a key says as JSON; None if there is none."""
        __tracebackhide__ = True
        return self._get_json(key)

    def metadata(self, key: str) -> Any:
        """The metadata of a key; None if it has none, or does not exist."""
        __tracebackhide__ = True
        return self._metadata(key)

    def put(self, key: str, value: Any, *, expiration_ttl: int | None = None, metadata: Any = None) -> None:
        """Keep text, bytes, or anything else as JSON; `expiration_ttl` in seconds from now, at least 60."""
        __tracebackhide__ = True
        self._put(key, value, expiration_ttl, metadata)

    def delete(self, key: str) -> None:
        """Remove a key."""
        __tracebackhide__ = True
        self._delete(key)

    def keys(self, prefix: str = "") -> list[str]:
        """All keys that begin with `prefix`, in order."""
        __tracebackhide__ = True
        return self._keys(prefix)


class AsyncKv(_BaseKv):
    """A namespace as an async test uses it."""

    async def get(self, key: str) -> str | None:
        """The value of a key as text; None if there is none."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._get, key)

    async def get_bytes(self, key: str) -> bytes | None:
        """The value of a key; None if there is none."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._get_bytes, key)

    async def get_json(self, key: str) -> Any:
        """What the value of a key says as JSON; None if there is none."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._get_json, key)

    async def metadata(self, key: str) -> Any:
        """The metadata of a key; None if it has none, or does not exist."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._metadata, key)

    async def put(self, key: str, value: Any, *, expiration_ttl: int | None = None, metadata: Any = None) -> None:
        """Keep text, bytes, or anything else as JSON; `expiration_ttl` in seconds from now, at least 60."""
        __tracebackhide__ = True
        await self._kit.on_thread(self._put, key, value, expiration_ttl, metadata)

    async def delete(self, key: str) -> None:
        """Remove a key."""
        __tracebackhide__ = True
        await self._kit.on_thread(self._delete, key)

    async def keys(self, prefix: str = "") -> list[str]:
        """All keys that begin with `prefix`, in order."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._keys, prefix)


ACCESSOR: Final = Accessor("kv", Kv, AsyncKv)
