"""Takes over the namespaces that `wrangler dev` has kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from emulator.base.clock import WallClock
from emulator.base.words import count
from emulator.bindings.kv.store import KvStore, open_store
from emulator.bindings.miniflare import KeptObject, kept_objects
from emulator.storage.database import copy_of
from emulator.storage.state import State

_OBJECTS: Final = "miniflare-KVNamespaceObject"


class KeptEntry(NamedTuple):
    """A key, and the file with its value. `expiration` is in seconds since the epoch, `metadata` is JSON."""

    key: str
    path: Path
    expiration: int | None
    metadata: str | None


def namespaces(directory: Path, of: str = _OBJECTS) -> Iterator[tuple[str, list[KeptEntry]]]:
    """The namespaces below `directory` by name, with what is in them. `of` is the name of Miniflare's class."""
    for namespace in kept_objects(directory, of):
        yield namespace.name, list(_entries(namespace))


def take_over(directory: Path, state: State) -> Iterator[str]:
    """Copy all namespaces below `directory`, and say how many keys of each."""
    store: KvStore | None = None
    for namespace, entries in namespaces(directory):
        store = store or open_store(state, WallClock())
        yield f"KV {namespace}: {count(asyncio.run(_copy(store, namespace, entries)), 'key')}"


async def _copy(store: KvStore, namespace: str, entries: list[KeptEntry]) -> int:
    alive = [entry for entry in entries if entry.expiration is None or entry.expiration > store.now()]
    for entry in alive:
        await store.restore(namespace, entry.key, entry.path.read_bytes(), entry.expiration, entry.metadata)
    return len(alive)


def _entries(namespace: KeptObject) -> Iterator[KeptEntry]:
    with copy_of(namespace.database) as database:
        rows = database.rows("SELECT key, blob_id, expiration, metadata FROM _mf_entries")
    for key, blob, expiration, metadata in rows:
        expires = None if expiration is None else int(expiration) // 1000
        yield KeptEntry(str(key), namespace.values / str(blob), expires, None if metadata is None else str(metadata))
