"""Takes over the namespaces that `wrangler dev` has kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from emulator.base.clock import WallClock
from emulator.base.words import count
from emulator.bindings.kv.store import KvStore, open_store
from emulator.bindings.miniflare import KeptObject, kept_objects
from emulator.storage.database import copy_of
from emulator.storage.state import State

_OBJECTS: Final = "miniflare-KVNamespaceObject"


def take_over(directory: Path, state: State) -> Iterator[str]:
    """Copy all namespaces below `directory`, and say how many keys of each."""
    store: KvStore | None = None
    for namespace in kept_objects(directory, _OBJECTS):
        store = store or open_store(state, WallClock())
        yield f"KV {namespace.name}: {count(asyncio.run(_copy(store, namespace)), 'key')}"


async def _copy(store: KvStore, namespace: KeptObject) -> int:
    taken = 0
    with copy_of(namespace.database) as database:
        rows = database.rows("SELECT key, blob_id, expiration, metadata FROM _mf_entries")
    for key, blob, expiration, metadata in rows:
        expires = None if expiration is None else expiration // 1000
        if expires is None or expires > store.now():
            await store.restore(namespace.name, key, (namespace.values / blob).read_bytes(), expires, metadata)
            taken += 1
    return taken
