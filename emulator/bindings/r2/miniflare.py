"""Takes over the buckets that `wrangler dev` has kept, without uploads in parts that have not ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

from emulator.base.clock import WallClock
from emulator.base.words import count
from emulator.bindings.miniflare import KeptObject, kept_objects
from emulator.bindings.r2.objects import Metadata, R2Object
from emulator.bindings.r2.store import R2Store, open_store
from emulator.storage.database import Database, copy_of
from emulator.storage.files import file_pieces
from emulator.storage.state import State

_OBJECTS: Final = "miniflare-R2BucketObject"
_ROWS: Final = (
    "SELECT key, version, size, etag, uploaded, checksums, http_metadata, custom_metadata, blob_id FROM _mf_objects"
)
_PARTS: Final = "SELECT blob_id FROM _mf_multipart_parts WHERE object_key = ? ORDER BY part_number"


def take_over(directory: Path, state: State) -> Iterator[str]:
    """Copy all buckets below `directory`, and say how many objects of each."""
    store: R2Store | None = None
    for bucket in kept_objects(directory, _OBJECTS):
        store = store or open_store(state, WallClock())
        with copy_of(bucket.database) as database:
            taken = asyncio.run(_copy(store, bucket, database))
        yield f"R2 {bucket.name}: {count(taken, 'object')}"


async def _copy(store: R2Store, bucket: KeptObject, database: Database) -> int:
    rows = database.rows(_ROWS)
    for key, version, size, etag, uploaded, checksums, http, custom, blob in rows:
        if blob is None:
            blobs, md5 = [each for (each,) in database.rows(_PARTS, key)], {}
        else:
            blobs, md5 = [blob], {"md5": etag}
        metadata = Metadata(json.loads(http), json.loads(custom))
        kept = R2Object(key, version, size, etag, uploaded, metadata, md5 | json.loads(checksums))
        await store.restore(bucket.name, kept, _contents([bucket.values / each for each in blobs]))
    return len(rows)


async def _contents(files: Sequence[Path]) -> AsyncIterator[bytes]:
    for file in files:
        async for piece in file_pieces(file):
            yield piece
