"""What `js.caches` of a Python worker leads to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from emulator.bindings.cache.cache import NamedCache, key_of
from emulator.bindings.cache.freshness import Headers
from emulator.bindings.cache.store import CacheError, Hit, Incoming
from emulator.storage.values import whole
from emulator_runtime.hosting import JsException, as_bytes


class CacheOfWorker:
    """A cache, with production's words where it is in trouble. Keys are URLs, unless `cf` says another one."""

    def __init__(self, cache: NamedCache) -> None:
        self._cache = cache

    async def match(self, url: str, asked: Headers, cf: Mapping[str, Any]) -> Hit | None:
        """What was found; None if nothing was, which trouble looks like, too."""
        with suppress(CacheError):
            return await self._cache.match(key_of(url, cf), asked)
        return None

    async def put(  # noqa: PLR0917 - as the runtime calls it
        self,
        url: str,
        asked: Headers,
        cf: Mapping[str, Any],
        head: tuple[int, str, Headers],
        length: int | None,
        body: bytes | AsyncIterator[Any],
    ) -> None:
        """Keep a response, if it may be kept and there is no trouble. `head` is its status, reason and headers."""
        pieces = whole(body) if isinstance(body, bytes) else _as_bytes(body)
        with suppress(CacheError):
            await self._cache.put(key_of(url, cf), Incoming(*head, length, pieces), asked)

    async def delete(self, url: str, cf: Mapping[str, Any]) -> bool:
        """Remove a response. Returns whether there was one."""
        try:
            return await self._cache.delete(key_of(url, cf))
        except CacheError:
            raise JsException("Unable to delete cached response.") from None


async def _as_bytes(body: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for piece in body:
        yield as_bytes(piece)
