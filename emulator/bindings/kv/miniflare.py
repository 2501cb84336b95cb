"""Takes over the namespaces that `wrangler dev` has kept: an SQLite database for each, and a file for each value."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from emulator.base.clock import WallClock
from emulator.base.words import count
from emulator.bindings.kv.config import KIND
from emulator.bindings.kv.store import SCHEMA, KvStore
from emulator.storage.database import copy_of
from emulator.storage.state import State

_DATABASES: Final = "miniflare-KVNamespaceObject"
_NO_NAMESPACE: Final = "metadata.sqlite"


def take_over(directory: Path, state: State) -> Iterator[str]:
    """Copy all namespaces below `directory`, and say how many keys of each."""
    store: KvStore | None = None
    for path in sorted((directory / _DATABASES).glob("*.sqlite")):
        if path.name == _NO_NAMESPACE:
            continue
        with copy_of(path) as database:
            rows = database.rows("SELECT key, blob_id, expiration, metadata FROM _mf_entries")
        namespace = next((found for _, blob, *_ in rows if (found := _namespace(directory, blob))), None)
        if namespace is None:
            continue
        store = store or KvStore(state.database(KIND, SCHEMA), state.files(KIND), WallClock())
        taken = asyncio.run(_copy(store, directory, namespace, rows))
        yield f"KV {namespace}: {count(taken, 'key')}"


async def _copy(store: KvStore, directory: Path, namespace: str, rows: list[tuple[object, ...]]) -> int:
    taken = 0
    for key, blob, expiration, metadata in rows:
        value = _blob(directory, namespace, str(blob)).read_bytes()
        expires = None if expiration is None else int(str(expiration)) // 1000
        if expires is None or expires > store.now():
            await store.restore(namespace, str(key), value, expires, None if metadata is None else str(metadata))
            taken += 1
    return taken


def _namespace(directory: Path, blob: object) -> str | None:
    """Which namespace a file belongs to."""
    return next((path.name for path in directory.iterdir() if _blob(directory, path.name, str(blob)).is_file()), None)


def _blob(directory: Path, namespace: str, blob: str) -> Path:
    return directory / namespace / "blobs" / blob
