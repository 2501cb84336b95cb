"""One bucket, as a binding, the REST API or a test uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from emulator.bindings.r2 import errors
from emulator.bindings.r2.errors import R2Error
from emulator.bindings.r2.objects import (
    MAX_DELETE_KEYS,
    MAX_LIST_KEYS,
    NO_METADATA,
    Conditions,
    Metadata,
    R2Object,
    R2Range,
)
from emulator.bindings.r2.store import PublishedPart, R2Listing, R2Store, Value
from emulator.bindings.use import Use


class R2Bucket:
    """The operations on a bucket. All raise R2Error; see R2Store."""

    def __init__(self, store: R2Store, name: str, use: Use) -> None:
        self.name = name
        self._store = store
        self._use = use

    def head(self, key: str) -> R2Object | None:
        """An object without its value; None if there is none."""
        with self._use("head", key):
            return self._store.head(self.name, key)

    def get(
        self,
        key: str,
        wanted: R2Range | str | None = None,
        conditions: Conditions | None = None,
        customer_key: str = "",
    ) -> tuple[R2Object, Value | None] | None:
        """An object with its value, without if the conditions do not hold; None if there is none."""
        with self._use("get", key) as operation:
            found = self._store.get(self.name, key, wanted, conditions, customer_key)
            if found is not None and found[1] is not None:
                operation.size = found[1].length
            return found

    async def put(
        self,
        key: str,
        value: bytes | AsyncIterator[bytes],
        metadata: Metadata = NO_METADATA,
        *,
        conditions: Conditions | None = None,
        hashes: Mapping[str, bytes] | None = None,
    ) -> R2Object | None:
        """Keep an object; None if the conditions do not hold."""
        with self._use("put", key) as operation:
            made = await self._store.put(self.name, key, value, metadata, conditions=conditions, hashes=hashes)
            operation.size = 0 if made is None else made.size
            return made

    def delete(self, keys: Sequence[str]) -> int:
        """Remove at most 1,000 objects. Returns how many there were."""
        with self._use("delete", ", ".join(keys[:10])):
            if len(keys) > MAX_DELETE_KEYS:
                raise R2Error(errors.INVALID_ARGUMENT, f"At most {MAX_DELETE_KEYS} keys can be deleted at once.")
            return self._store.delete(self.name, keys)

    def list(
        self,
        *,
        prefix: str = "",
        delimiter: str = "",
        limit: int = MAX_LIST_KEYS,
        cursor: str = "",
        start_after: str = "",
    ) -> R2Listing:
        """A page of objects in order."""
        with self._use("list", prefix):
            return self._store.list(
                self.name, prefix=prefix, delimiter=delimiter, limit=limit, cursor=cursor, start_after=start_after
            )

    def create_upload(self, key: str, metadata: Metadata = NO_METADATA) -> str:
        """Begin an upload in parts. Returns its id."""
        with self._use("createMultipartUpload", key):
            return self._store.create_upload(self.name, key, metadata)

    async def upload_part(
        self, key: str, upload: str, number: int, value: bytes | AsyncIterator[bytes], *, customer_key: str = ""
    ) -> str:
        """Keep a part. Returns its etag."""
        with self._use("uploadPart", key) as operation:
            etag, operation.size = await self._store.upload_part(
                self.name, key, upload, number, value, customer_key=customer_key
            )
            return etag

    def complete_upload(self, key: str, upload: str, parts: Sequence[PublishedPart]) -> R2Object:
        """Make an object of parts."""
        with self._use("completeMultipartUpload", key) as operation:
            made = self._store.complete_upload(self.name, key, upload, parts)
            operation.size = made.size
            return made

    def abort_upload(self, key: str, upload: str) -> None:
        """End an upload without an object."""
        with self._use("abortMultipartUpload", key):
            self._store.abort_upload(self.name, key, upload)
