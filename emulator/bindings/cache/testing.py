"""How tests reach a cache: `emulator.cache()`, `emulator.cache("name")`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from emulator.bindings.cache.store import KIND, CacheError, Incoming
from emulator.bindings.kit import Accessor, Faulty, Kit, content_of
from emulator.storage.values import whole

if TYPE_CHECKING:
    from emulator.bindings.cache.kind import OpenCaches

    class CacheAccess:
        """The type of what `Emulator` has for the cache."""

        def cache(self, name: str = "") -> ResponseCache:
            """The cache that workers open by this name; without one `caches.default`."""
            raise NotImplementedError

    class AsyncCacheAccess:
        """The type of what `AsyncEmulator` has for the cache."""

        def cache(self, name: str = "") -> AsyncResponseCache:
            """The cache that workers open by this name; without one `caches.default`."""
            raise NotImplementedError


class Cached(msgspec.Struct, frozen=True):
    """A response in a cache. The names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """What the body says as JSON."""
        return json.loads(self.content)


class _BaseCache(Faulty):
    """What a test can do with a cache without running anything."""

    def __init__(self, kit: Kit, name: str = "") -> None:
        __tracebackhide__ = True
        self._kit = kit
        self.name = name
        opened = cast("OpenCaches", kit.open_kind(KIND))
        self._cache = opened.cache(name)
        self._faults, self._target = opened.faults, name

    def _refusal(self) -> Exception:
        return CacheError("Internal Server Error")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or 'default'}>"

    def _get(self, url: str) -> Cached | None:
        return self._now(self._found(url))

    async def _found(self, url: str) -> Cached | None:
        hit = await self._cache.match(url)
        if hit is None:
            return None
        headers: dict[str, str] = {}
        for name, value in hit.headers:
            text = value.decode("latin-1")
            key = name.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return Cached(hit.status, headers, b"".join([piece async for piece in hit.value]))

    def _put(self, url: str, value: Any, status: int, headers: Mapping[str, str] | None) -> bool:
        content = content_of(value)
        raw = [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in (headers or {}).items()]
        return self._now(self._cache.put(url, Incoming(status, "", raw, len(content), whole(content))))

    def _delete(self, url: str) -> bool:
        return self._now(self._cache.delete(url))

    def _keys(self) -> list[str]:
        return self._now(self._cache.keys())

    def _clear(self) -> None:
        self._now(self._cache.clear())


class ResponseCache(_BaseCache):
    """A cache as a test uses it."""

    def get(self, url: str) -> Cached | None:
        """The fresh response to a URL; None if there is none."""
        __tracebackhide__ = True
        return self._get(url)

    def put(self, url: str, value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> bool:
        """Keep text, bytes, or anything else as JSON, as the body of a response. Returns whether it is kept, which its
        status and headers decide as those of a worker's response do."""
        __tracebackhide__ = True
        return self._put(url, value, status, headers)

    def delete(self, url: str) -> bool:
        """Remove a response. Returns whether there was one."""
        __tracebackhide__ = True
        return self._delete(url)

    def keys(self) -> list[str]:
        """The URLs of all fresh responses, in order."""
        __tracebackhide__ = True
        return self._keys()

    def clear(self) -> None:
        """Remove all responses."""
        __tracebackhide__ = True
        self._clear()


class AsyncResponseCache(_BaseCache):
    """A cache as an async test uses it."""

    async def get(self, url: str) -> Cached | None:
        """The fresh response to a URL; None if there is none."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._get, url)

    async def put(self, url: str, value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> bool:
        """Keep text, bytes, or anything else as JSON, as the body of a response. Returns whether it is kept, which its
        status and headers decide as those of a worker's response do."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._put, url, value, status, headers)

    async def delete(self, url: str) -> bool:
        """Remove a response. Returns whether there was one."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._delete, url)

    async def keys(self) -> list[str]:
        """The URLs of all fresh responses, in order."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._keys)

    async def clear(self) -> None:
        """Remove all responses."""
        __tracebackhide__ = True
        await self._kit.on_thread(self._clear)


ACCESSOR: Final = Accessor("cache", ResponseCache, AsyncResponseCache)
