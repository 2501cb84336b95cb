"""One cache, as a worker or a test uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from emulator.base.errors import EmulatorError
from emulator.bindings.cache.freshness import Headers
from emulator.bindings.cache.store import CacheError, CacheStore, Hit, Incoming
from emulator.bindings.use import Use


class NamedCache:
    """The operations on a cache. All raise CacheError where a test wants that, and EmulatorError if the disk is full.
    The Cache API has no words for that: `warn`, which a worker's cache has, tells the user, and CacheError is
    raised. `find_store` returns what keeps the responses."""

    def __init__(
        self, find_store: Callable[[], CacheStore], name: str, use: Use, warn: Callable[[str], None] | None = None
    ) -> None:
        self.name = name
        self._find_store = find_store
        self._use = use
        self._warn = warn

    async def match(self, key: str, asked: Headers = ()) -> Hit | None:
        """The fresh response with this key, or what of it answers a request with the headers `asked`; None if there is
        none."""
        with self._telling():
            async with self._use("match", key) as operation:
                hit = self._find_store().match(self.name, key, asked)
                operation.size = 0 if hit is None else hit.value.length
                return hit

    async def put(self, key: str, response: Incoming, asked: Headers = ()) -> bool:
        """Keep a response to a request with the headers `asked`. Returns whether it is kept; if not, its body may not
        have been read."""
        with self._telling():
            async with self._use("put", key) as operation:
                size = await self._find_store().put(self.name, key, response, asked)
                operation.size = size or 0
                return size is not None

    async def delete(self, key: str) -> bool:
        """Remove a response. Returns whether there was one."""
        with self._telling():
            async with self._use("delete", key):
                return self._find_store().delete(self.name, key)

    async def keys(self) -> list[str]:
        """The keys of all fresh responses, in order."""
        async with self._use("keys", ""):
            return self._find_store().keys(self.name)

    async def clear(self) -> None:
        """Remove all responses."""
        async with self._use("clear", ""):
            self._find_store().clear(self.name)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except EmulatorError as error:
            if self._warn is None:
                raise
            self._warn(error.message)
            raise CacheError(error.message) from None


def key_of(url: str, cf: Mapping[str, Any]) -> str:
    """The key of a request: its URL, unless its options for Cloudflare name another one."""
    key = cf.get("cacheKey")
    return str(key) if key else url
