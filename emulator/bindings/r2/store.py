"""The buckets of a session: objects, and uploads in parts.

A small value is in the database, a large one in a file, and one that came in parts in the files of its parts. A file is
complete before the transaction that makes it part of an object; a file of which the database does not know was left by
a process that was killed.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from math import floor
from os import urandom
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import msgspec

from emulator.base.clock import Clock
from emulator.bindings.r2 import errors
from emulator.bindings.r2.errors import R2Error
from emulator.bindings.r2.objects import (
    HASH_NAMES,
    MAX_LIST_KEYS,
    MIN_PART_BYTES,
    NO_METADATA,
    Conditions,
    Metadata,
    R2Object,
    R2Range,
    check_customer_key,
    check_key,
    check_metadata,
    check_size,
    range_of_header,
)
from emulator.storage.database import Database
from emulator.storage.files import Files

if TYPE_CHECKING:
    from emulator.storage.database import Row
    from emulator.storage.state import State

INLINE_BYTES: Final = 64 * 1024
"""Longer values are files."""

MAX_PAGE_BYTES: Final = 768 * 1024
"""About how much a page of a list may say. workerd takes a megabyte."""

SCHEMA: Final = (
    """
    CREATE TABLE objects (
        bucket TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
        uploaded INTEGER NOT NULL, checksums TEXT NOT NULL, http TEXT NOT NULL, custom TEXT NOT NULL,
        storage_class TEXT NOT NULL, files TEXT, value BLOB, UNIQUE (bucket, key)
    );
    CREATE TABLE uploads (
        id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, http TEXT NOT NULL, custom TEXT NOT NULL,
        storage_class TEXT NOT NULL, ended INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE parts (
        upload TEXT NOT NULL, number INTEGER NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL, file TEXT NOT NULL,
        UNIQUE (upload, number)
    );
    CREATE TABLE buckets (name TEXT PRIMARY KEY, created INTEGER NOT NULL)
    """,
    """
    ALTER TABLE objects ADD COLUMN customer_key TEXT NOT NULL DEFAULT '';
    ALTER TABLE uploads ADD COLUMN customer_key TEXT NOT NULL DEFAULT ''
    """,
)

_COLUMNS: Final = "key, version, size, etag, uploaded, checksums, http, custom, storage_class, customer_key"
_FACTS_BYTES: Final = 400
"""About how much JSON an object is without its names and metadata."""

_GROUPED_ROWS: Final = 50
"""How many rows are read at once where a prefix may make the rest of them useless."""

_NEVER: Final = "\U0010ffff"


def open_store(state: State, clock: Clock) -> R2Store:
    """The buckets that are kept in `state`. Files that a killed process has left are removed, if nobody else may be
    about to use them."""
    store = R2Store(state.database("r2", SCHEMA), state.files("r2"), clock)
    state.keep_files("r2", store.files)
    return store


class R2Listing(msgspec.Struct, frozen=True):
    """A page of objects and of prefixes that end with the delimiter. `cursor` leads to the next one; None if this is
    the last."""

    objects: Sequence[R2Object]
    prefixes: Sequence[str]
    cursor: str | None


class Piece(NamedTuple):
    """A file of an object, in their order."""

    file: str
    size: int


class PublishedPart(NamedTuple):
    """A part that an upload is to be completed with."""

    number: int
    etag: str


class R2Store:
    """All buckets. `clock` says when something is uploaded."""

    def __init__(self, database: Database, files: Files, clock: Clock) -> None:
        self._database = database
        self._files = files
        self._clock = clock
        self._read: Counter[str] = Counter()
        self._unwanted: set[str] = set()

    def head(self, bucket: str, key: str) -> R2Object | None:
        """An object without its value; None if there is none. Raises R2Error."""
        check_key(key)
        row = self._database.row(f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? AND key = ?", bucket, key)
        if row is None:
            return None
        found = _object(row)
        return msgspec.structs.replace(found, range=(0, found.size))

    def get(
        self,
        bucket: str,
        key: str,
        wanted: R2Range | str | None = None,
        conditions: Conditions | None = None,
        customer_key: str = "",
    ) -> tuple[R2Object, Value | None] | None:
        """An object with its value, or with the part of it that is `wanted`, also as a `Range` header; without it if
        the conditions do not hold. None if there is no object. Raises R2Error, also if `customer_key`, as in Metadata,
        is not the object's."""
        check_key(key)
        row = self._database.row(
            f"SELECT {_COLUMNS}, files, value FROM objects WHERE bucket = ? AND key = ?", bucket, key
        )
        if row is None:
            return None
        *facts, files, value = row
        found = _object(tuple(facts))
        check_customer_key(found.metadata.customer_key, customer_key)
        if conditions is not None and not conditions.hold(found.etag, found.uploaded):
            return msgspec.structs.replace(found, range=(0, found.size)), None
        if isinstance(wanted, str):
            wanted = range_of_header(wanted, found.size)
        offset, length = (0, found.size) if wanted is None else wanted.within(found.size)
        found = msgspec.structs.replace(found, range=(offset, length))
        if files is None:
            return found, Value(self, length, value[offset : offset + length])
        return found, Value(self, length, b"", _parts_within(_pieces(files), offset, offset + length))

    async def put(
        self,
        bucket: str,
        key: str,
        value: bytes | AsyncIterator[bytes],
        metadata: Metadata = NO_METADATA,
        *,
        conditions: Conditions | None = None,
        hashes: Mapping[str, bytes] | None = None,
    ) -> R2Object | None:
        """Keep an object; None if the conditions do not hold. `hashes` are the checksums that the value must have, by
        the names of HASH_BYTES. Raises R2Error, and what `value` raises."""
        check_key(key)
        check_metadata(metadata)
        wanted = hashes or {}
        received = await self._receive(value, ("md5", *(name for name in wanted if name != "md5")))
        md5 = received.digests["md5"].hex()
        checksums = {"md5": md5} | {name: received.digests[name].hex() for name in wanted}
        made = R2Object(key, urandom(16).hex(), received.size, md5, self._now(), metadata, checksums)
        return made if self._keep(bucket, made, received, conditions, wanted) else None

    async def restore(self, bucket: str, kept: R2Object, value: AsyncIterator[bytes]) -> None:
        """Keep an object as it was elsewhere."""
        self._keep(bucket, kept, await self._receive(value, ()))

    def delete(self, bucket: str, keys: Sequence[str]) -> int:
        """Remove objects; those that do not exist, too, without an error. Returns how many there were. Raises
        R2Error."""
        for key in keys:
            check_key(key)
        removed = 0
        files: list[str] = []
        with self._database.transaction():
            for key in keys:
                row = self._database.row("SELECT files FROM objects WHERE bucket = ? AND key = ?", bucket, key)
                if row is not None:
                    removed += self._database.change("DELETE FROM objects WHERE bucket = ? AND key = ?", bucket, key)
                    files += _names(row[0])
        self._remove(files)
        return removed

    def list(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        limit: int = MAX_LIST_KEYS,
        cursor: str = "",
        start_after: str = "",
    ) -> R2Listing:
        """Objects in the order of their keys in UTF-8, those whose keys have the delimiter behind the prefix as one
        prefix. At most `limit` of both, and fewer if they say much. Raises R2Error."""
        if not 1 <= limit <= MAX_LIST_KEYS:
            raise R2Error(errors.INVALID_LIMIT)
        begin = max(prefix, _read_cursor(cursor), f"{start_after}\0" if start_after else "")
        end = _behind(prefix)
        objects: list[R2Object] = []
        prefixes: list[str] = []
        size = 0
        while True:
            # With a delimiter, one prefix may stand for a million of keys, which are passed over.
            most = min(limit - len(objects) - len(prefixes) + 1, _GROUPED_ROWS if delimiter else limit + 1)
            rows = self._database.rows(
                f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?",
                *(bucket, begin, end, most),
            )
            for row in rows:
                key = row[0]
                group = _group(key, prefix, delimiter)
                size += len(group or key) + _FACTS_BYTES + (0 if group else len(row[6]) + len(row[7]))
                is_full = len(objects) + len(prefixes) == limit or (size > MAX_PAGE_BYTES and bool(objects or prefixes))
                if is_full:
                    return R2Listing(objects, prefixes, _cursor(begin))
                if group:
                    prefixes.append(group)
                    begin = _behind(group)
                    break
                objects.append(_object(row))
                begin = f"{key}\0"
            else:
                if len(rows) < most:
                    return R2Listing(objects, prefixes, None)

    def create_upload(self, bucket: str, key: str, metadata: Metadata = NO_METADATA) -> str:
        """Begin an upload in parts. Returns its id. Raises R2Error."""
        check_key(key)
        check_metadata(metadata)
        identifier = urlsafe_b64encode(urandom(96)).decode()
        self._database.change(
            "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            *(identifier, bucket, key, _json(metadata.http), _json(metadata.custom), metadata.storage_class),
            metadata.customer_key,
        )
        return identifier

    async def upload_part(
        self,
        bucket: str,
        key: str,
        upload: str,
        number: int,
        value: bytes | AsyncIterator[bytes],
        *,
        customer_key: str = "",
    ) -> tuple[str, int]:
        """Keep a part, 1 to 10,000, in place of an earlier one. Returns its etag and its size. Raises R2Error, also if
        `customer_key`, as in Metadata, is not the upload's."""
        check_key(key)
        received = await self._receive(value, ("md5",), inline_bytes=-1)
        assert received.file is not None
        etag = received.digests["md5"].hex()
        try:
            with self._database.transaction():
                self._check_open(bucket, key, upload, customer_key)
                replaced = self._database.row("SELECT file FROM parts WHERE upload = ? AND number = ?", upload, number)
                self._database.change(
                    "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)",
                    *(upload, number, etag, received.size, received.file),
                )
        except BaseException:
            self._remove(received.files)
            raise
        self._remove(replaced or ())
        return etag, received.size

    def complete_upload(self, bucket: str, key: str, upload: str, published: Sequence[PublishedPart]) -> R2Object:
        """Make an object of parts, which have all but for the last one the same size. Raises R2Error."""
        check_key(key)
        with self._database.transaction():
            row = self._database.row(
                "SELECT http, custom, storage_class, customer_key, ended FROM uploads "
                "WHERE id = ? AND bucket = ? AND key = ?",
                *(upload, bucket, key),
            )
            if row is None:
                raise R2Error(errors.INTERNAL)
            *described, ended = row
            if ended:
                raise R2Error(errors.NO_SUCH_UPLOAD)
            kept: dict[int, Row] = {
                row[0]: row
                for row in self._database.rows("SELECT number, etag, size, file FROM parts WHERE upload = ?", upload)
            }
            parts = _chosen(kept, published)
            digest = hashlib.md5(b"".join([bytes.fromhex(etag) for _, etag, _, _ in parts]), usedforsecurity=False)
            metadata = _metadata(*described)
            etag = f"{digest.hexdigest()}-{len(parts)}"
            pieces = [Piece(file, size) for _, _, size, file in parts]
            size = sum(piece.size for piece in pieces)
            made = R2Object(key, urandom(16).hex(), size, etag, self._now(), metadata, {})
            replaced = self._database.row("SELECT files FROM objects WHERE bucket = ? AND key = ?", bucket, key)
            self._insert(bucket, made, pieces, None)
            self._end(upload)
        used = {piece.file for piece in pieces}
        self._remove([row[3] for row in kept.values() if row[3] not in used])
        self._remove(_names(replaced[0]) if replaced is not None else ())
        return made

    def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """End an upload without an object, which may have ended already. Raises R2Error."""
        check_key(key)
        with self._database.transaction():
            row = self._database.row(
                "SELECT ended FROM uploads WHERE id = ? AND bucket = ? AND key = ?", upload, bucket, key
            )
            if row is None:
                raise R2Error(errors.INTERNAL)
            files = self._database.rows("SELECT file FROM parts WHERE upload = ?", upload)
            self._end(upload)
        self._remove([file for (file,) in files])

    def buckets(self) -> dict[str, int]:
        """The buckets that were created here or have objects, by name, with the time of their creation, or of their
        oldest object, in milliseconds since the epoch."""
        used = self._database.rows("SELECT bucket, min(uploaded) FROM objects GROUP BY bucket")
        return dict(used) | dict(self._database.rows("SELECT name, created FROM buckets"))

    def create_bucket(self, name: str) -> int:
        """Create a bucket. Returns the time."""
        now = self._now()
        self._database.change("INSERT OR REPLACE INTO buckets VALUES (?, ?)", name, now)
        return now

    def delete_bucket(self, name: str) -> None:
        """Delete an empty bucket, with the uploads in it that have not ended. Raises R2Error."""
        with self._database.transaction():
            if self._database.row("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", name) is not None:
                raise R2Error(errors.BUCKET_NOT_EMPTY)
            files = self._database.rows(
                "SELECT file FROM parts WHERE upload IN (SELECT id FROM uploads WHERE bucket = ?)", name
            )
            self._database.change("DELETE FROM parts WHERE upload IN (SELECT id FROM uploads WHERE bucket = ?)", name)
            self._database.change("DELETE FROM uploads WHERE bucket = ?", name)
            self._database.change("DELETE FROM buckets WHERE name = ?", name)
        self._remove([file for (file,) in files])

    def size(self, bucket: str) -> tuple[int, int]:
        """How many objects a bucket has, and how many bytes they are."""
        row = self._database.row("SELECT count(*), coalesce(sum(size), 0) FROM objects WHERE bucket = ?", bucket)
        assert row is not None
        return row[0], row[1]

    def files(self) -> set[str]:
        """The names of all files that belong to something."""
        names = {name for (name,) in self._database.rows("SELECT file FROM parts")}
        for (files,) in self._database.rows("SELECT files FROM objects WHERE files IS NOT NULL"):
            names.update(_names(files))
        return names

    def _keep(
        self,
        bucket: str,
        made: R2Object,
        received: _Received,
        conditions: Conditions | None = None,
        hashes: Mapping[str, bytes] = {},
    ) -> bool:
        """Keep what was received, if the conditions hold. Raises R2Error if it does not have these checksums."""
        try:
            for name, digest in hashes.items():
                _verify(name, digest, received.digests[name])
            files = None if received.file is None else [Piece(received.file, received.size)]
            with self._database.transaction():
                row = self._database.row(
                    "SELECT etag, uploaded, files FROM objects WHERE bucket = ? AND key = ?", bucket, made.key
                )
                etag, uploaded, replaced = row or (None, 0, None)
                holds = conditions is None or conditions.hold(etag, uploaded)
                if holds:
                    self._insert(bucket, made, files, received.value)
        except BaseException:
            self._remove(received.files)
            raise
        self._remove(_names(replaced) if holds else received.files)
        return holds

    def _insert(self, bucket: str, made: R2Object, files: Sequence[Piece] | None, value: bytes | None) -> None:
        self._database.change(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(bucket, made.key, made.version, made.size, made.etag, made.uploaded, _json(made.checksums)),
            *(_json(made.metadata.http), _json(made.metadata.custom), made.metadata.storage_class),
            *(None if files is None else _json(files), value, made.metadata.customer_key),
        )

    def _check_open(self, bucket: str, key: str, upload: str, customer_key: str) -> None:
        row = self._database.row(
            "SELECT ended, customer_key FROM uploads WHERE id = ? AND bucket = ? AND key = ?", upload, bucket, key
        )
        if row is None or row[0]:
            raise R2Error(errors.NO_SUCH_UPLOAD)
        if row[1] != customer_key:
            raise R2Error(errors.CUSTOMER_KEY_OF_UPLOAD)

    def _end(self, upload: str) -> None:
        self._database.change("DELETE FROM parts WHERE upload = ?", upload)
        self._database.change("UPDATE uploads SET ended = 1 WHERE id = ?", upload)

    def _now(self) -> int:
        return floor(self._clock.now() * 1000)

    async def _receive(
        self, value: bytes | AsyncIterator[bytes], hashes: Iterable[str], inline_bytes: int = INLINE_BYTES
    ) -> _Received:
        """Take in a value, and keep a large one as a file."""
        incoming = _Incoming(value, hashes)
        first = b""
        async for piece in incoming:
            first += piece
            if len(first) > inline_bytes:
                break
        if len(first) <= inline_bytes:
            return _Received(incoming.size, incoming.digests(), first)
        file = await self._files.write(_chain(first, incoming))
        return _Received(incoming.size, incoming.digests(), None, file)

    def _remove(self, files: Iterable[str]) -> None:
        """Remove files, those that are being read once they have been."""
        for file in files:
            if self._read[file]:
                self._unwanted.add(file)
            else:
                self._files.delete([file])

    def hold(self, files: Iterable[str]) -> None:
        """Let files stay until `release`."""
        self._read.update(files)

    def release(self, files: Iterable[str]) -> None:
        """The end of `hold`."""
        for file in files:
            self._read[file] -= 1
            if not self._read[file]:
                del self._read[file]
                if file in self._unwanted:
                    self._unwanted.discard(file)
                    self._files.delete([file])

    async def read(self, part: _Part) -> AsyncIterator[bytes]:
        """A part of a file that is held."""
        return await self._files.read(part.file, part.start, part.end)


class _Part(NamedTuple):
    """A part of a file."""

    file: str
    start: int
    end: int


class _Received(NamedTuple):
    size: int
    digests: Mapping[str, bytes]
    value: bytes | None
    file: str | None = None

    @property
    def files(self) -> Sequence[str]:
        return () if self.file is None else (self.file,)


class Value:
    """A value that is read: an async iterator of bytes, which can be closed. Its files stay until it is gone, whatever
    happens to the object."""

    def __init__(self, store: R2Store, length: int, value: bytes, parts: Sequence[_Part] = ()) -> None:
        self.length = length
        self._store = store
        self._value = value
        self._parts = list(reversed(parts))
        self._held = [part.file for part in parts]
        self._open: AsyncIterator[bytes] | None = None
        store.hold(self._held)

    def take_whole(self) -> bytes | None:
        """All of it, if it is in memory; None if it has to be read."""
        if self._parts:
            return None
        value, self._value = self._value, b""
        return value

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._value:
            value, self._value = self._value, b""
            return value
        while True:
            if self._open is not None:
                async for piece in self._open:
                    return piece
                self._open = None
            if not self._parts:
                self._release()
                raise StopAsyncIteration
            self._open = await self._store.read(self._parts.pop())

    async def aclose(self) -> None:
        """Read no more of it."""
        self._value = b""
        self._parts.clear()
        opened, self._open = self._open, None
        close = getattr(opened, "aclose", None)
        if close is not None:
            await close()
        self._release()

    def __del__(self) -> None:
        # A worker may look at an object and leave its value alone.
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        self._store.release(held)


class _Incoming:
    """A value that comes in, measured and hashed on its way."""

    def __init__(self, value: bytes | AsyncIterator[bytes], hashes: Iterable[str]) -> None:
        self._source = _whole(value) if isinstance(value, bytes) else value
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in hashes}
        self.size = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = bytes(await anext(self._source))
        self.size += len(piece)
        check_size(self.size)
        for each in self._hashes.values():
            each.update(piece)
        return piece

    def digests(self) -> dict[str, bytes]:
        return {name: each.digest() for name, each in self._hashes.items()}


async def _whole(value: bytes) -> AsyncIterator[bytes]:
    if value:
        yield value


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _verify(name: str, wanted: bytes, found: bytes) -> None:
    if wanted != found:
        algorithm = HASH_NAMES[name]
        lines = (
            f"The {algorithm} checksum you specified did not match what we received.",
            f"You provided a {algorithm} checksum with value: {wanted.hex()}",
            f"Actual {algorithm} was: {found.hex()}",
        )
        raise R2Error(errors.BAD_DIGEST, "\n".join(lines))


def _chosen(kept: Mapping[int, Row], published: Sequence[PublishedPart]) -> list[Row]:
    """The parts that an upload is completed with, in their order. Raises R2Error."""
    if len({part.number for part in published}) < len(published):
        raise R2Error(errors.INTERNAL)
    chosen: list[Row] = []
    for number, etag in published:
        part = kept.get(number)
        if part is None or part[1] != etag:
            raise R2Error(errors.INVALID_PART)
        chosen.append(part)
    if any(size < MIN_PART_BYTES for _, _, size, _ in chosen[:-1]):
        raise R2Error(errors.PART_TOO_SMALL)
    chosen.sort(key=lambda part: int(part[0]))
    sizes = [size for _, _, size, _ in chosen]
    if any(size != sizes[0] or size < MIN_PART_BYTES for size in sizes[:-1]) or (sizes and sizes[-1] > sizes[0]):
        raise R2Error(errors.BAD_UPLOAD)
    return chosen


def _object(row: Row) -> R2Object:
    key, version, size, etag, uploaded, checksums, *described = row
    return R2Object(key, version, size, etag, uploaded, _metadata(*described), json.loads(checksums))


def _metadata(http: str, custom: str, storage_class: str, customer_key: str) -> Metadata:
    return Metadata(json.loads(http), json.loads(custom), storage_class, customer_key)


def _pieces(files: str) -> list[Piece]:
    return [Piece(*each) for each in json.loads(files)]


def _names(files: str | None) -> list[str]:
    return [] if files is None else [piece.file for piece in _pieces(files)]


def _parts_within(pieces: Sequence[Piece], start: int, end: int) -> list[_Part]:
    """The parts of files that are the bytes from `start` up to `end`."""
    parts = []
    offset = 0
    for file, size in pieces:
        first, last = max(start - offset, 0), min(end - offset, size)
        if first < last:
            parts.append(_Part(file, first, last))
        offset += size
    return parts


def _group(key: str, prefix: str, delimiter: str) -> str:
    """The prefix under which a key is listed; empty if it is listed itself."""
    if not delimiter:
        return ""
    found = key.find(delimiter, len(prefix))
    return "" if found < 0 else key[: found + len(delimiter)]


def _behind(prefix: str) -> str:
    """The first text in the order of UTF-8 that comes behind all that begin with `prefix`."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return _NEVER * 300


def _cursor(begin: str) -> str:
    return urlsafe_b64encode(begin.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> str:
    with suppress(ValueError):
        return b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
    raise R2Error(errors.INVALID_ARGUMENT, "The cursor is not valid.")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
