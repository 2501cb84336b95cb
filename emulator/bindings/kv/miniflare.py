"""Takes over the namespaces that `wrangler dev` has kept: an SQLite database for each, and a file for each value."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from emulator.base.clock import WallClock
from emulator.base.words import count
from emulator.bindings.kv.config import KIND
from emulator.bindings.kv.store import SCHEMA, KvStore
from emulator.storage.database import copy_of
from emulator.storage.state import State

_DATABASES: Final = "miniflare-KVNamespaceObject"
_NO_NAMESPACE: Final = "metadata.sqlite"


class KeptEntry(NamedTuple):
    """A key, and the file with its value. `expiration` is in seconds since the epoch, `metadata` is JSON."""

    key: str
    path: Path
    expiration: int | None
    metadata: str | None


def namespaces(directory: Path, databases: str = _DATABASES) -> Iterator[tuple[str, list[KeptEntry]]]:
    """The namespaces below `directory` by name, with what is in them. Their databases are in `databases` there."""
    for path in sorted((directory / databases).glob("*.sqlite")):
        if path.name == _NO_NAMESPACE:
            continue
        with copy_of(path) as database:
            rows = database.rows("SELECT key, blob_id, expiration, metadata FROM _mf_entries")
        namespace = next((found for _, blob, *_ in rows if (found := _namespace(directory, blob))), None)
        if namespace is not None:
            yield (
                namespace,
                [
                    KeptEntry(
                        str(key),
                        _blob(directory, namespace, str(blob)),
                        None if expiration is None else int(expiration) // 1000,
                        None if metadata is None else str(metadata),
                    )
                    for key, blob, expiration, metadata in rows
                ],
            )


def take_over(directory: Path, state: State) -> Iterator[str]:
    """Copy all namespaces below `directory`, and say how many keys of each."""
    store: KvStore | None = None
    for namespace, entries in namespaces(directory):
        store = store or KvStore(state.database(KIND, SCHEMA), state.files(KIND), WallClock())
        taken = asyncio.run(_copy(store, namespace, entries))
        yield f"KV {namespace}: {count(taken, 'key')}"


async def _copy(store: KvStore, namespace: str, entries: list[KeptEntry]) -> int:
    alive = [entry for entry in entries if entry.expiration is None or entry.expiration > store.now()]
    for entry in alive:
        await store.restore(namespace, entry.key, entry.path.read_bytes(), entry.expiration, entry.metadata)
    return len(alive)


def _namespace(directory: Path, blob: object) -> str | None:
    """Which namespace a file belongs to."""
    return next((path.name for path in directory.iterdir() if _blob(directory, path.name, str(blob)).is_file()), None)


def _blob(directory: Path, namespace: str, blob: str) -> Path:
    return directory / namespace / "blobs" / blob
