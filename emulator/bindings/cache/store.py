"""The caches of a session: responses by the name of the cache and by the key, which is a URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple, Self

import msgspec

from emulator.base.clock import Clock
from emulator.bindings.cache.freshness import Headers, keeping
from emulator.bindings.cache.matching import select
from emulator.storage.database import Database, Row
from emulator.storage.files import Files
from emulator.storage.state import State
from emulator.storage.values import FilePart, Value, ValueFiles

KIND: Final = "cache"

INLINE_BYTES: Final = 64 * 1024
"""Longer bodies are files."""

MAX_BODY_BYTES: Final = 512 * 1024 * 1024

SCHEMA: Final = (
    """
    CREATE TABLE responses (
        cache TEXT NOT NULL, key TEXT NOT NULL, status INTEGER NOT NULL, reason TEXT NOT NULL, headers BLOB NOT NULL,
        stored REAL NOT NULL, expires REAL NOT NULL, age INTEGER NOT NULL, size INTEGER NOT NULL, value BLOB,
        file TEXT, UNIQUE (cache, key)
    );
    CREATE INDEX expirations ON responses (expires)
    """,
)

_FORGOTTEN_AT_ONCE: Final = 100


class CacheError(Exception):
    """The service is in trouble."""


class Incoming(NamedTuple):
    """A response that is to be kept. Names of headers are in lower case. `length` is how many bytes the body has, None
    if that is not known yet; `pieces` are its bytes."""

    status: int
    reason: str
    headers: Headers
    length: int | None
    pieces: AsyncIterator[bytes]


class Hit(NamedTuple):
    """A response that was found. Its headers have a Content-Length if its length was known when it came."""

    status: int
    reason: str
    headers: Headers
    value: Value


def open_store(state: State, clock: Clock) -> CacheStore:
    """The caches that are kept in `state`."""
    store = CacheStore(state.database(KIND, SCHEMA), state.files(KIND), clock)
    state.keep_files(KIND, store.files)
    return store


class CacheStore:
    """All caches. `clock` says what is fresh."""

    def __init__(self, database: Database, files: Files, clock: Clock) -> None:
        self._database = database
        self._values = ValueFiles(files)
        self._clock = clock

    def match(self, cache: str, key: str, asked: Headers = ()) -> Hit | None:
        """The fresh response with this key, or what of it answers a request with the headers `asked`; None if there is
        none."""
        now = self._clock.now()
        row = self._database.row(
            "SELECT status, reason, headers, stored, age, size, value, file FROM responses "
            "WHERE cache = ? AND key = ? AND expires > ?",
            *(cache, key, now),
        )
        if row is None:
            return None
        status, reason, encoded, stored, age, size, value, file = row
        headers = _read_headers(encoded)
        chosen = select(status, reason, headers, size, asked)
        length = len(chosen.part)
        shown = [*chosen.headers, (b"cf-cache-status", b"HIT"), (b"age", b"%d" % (age + int(now - stored)))]
        part = FilePart(file, chosen.part.start, chosen.part.stop)
        if file is None:
            body = Value(self._values, length, value[part.start : part.end])
        else:
            body = Value(self._values, length, b"", [part] if length else ())
        return Hit(chosen.status, chosen.reason, shown, body)

    async def put(self, cache: str, key: str, response: Incoming, asked: Headers = ()) -> int | None:
        """Keep a response to a request with the headers `asked`, in place of an earlier one. Returns how many bytes
        its body has; None if it is not kept, and then the body may not have been read. Raises what reading it
        raises."""
        now = self._clock.now()
        kept = keeping(response.status, response.headers, asked, now)
        if kept is None:
            return None
        if not kept.seconds:
            self.delete(cache, key)
            return None
        body = _Limited(response.pieces)
        try:
            value, file = await self._values.receive(body, INLINE_BYTES)
        except _TooLargeError:
            return None
        length = [] if response.length is None else [(b"content-length", b"%d" % body.size)]
        now = self._clock.now()
        try:
            with self._database.transaction():
                replaced = self._database.rows("SELECT file FROM responses WHERE cache = ? AND key = ?", cache, key)
                self._database.change(
                    "INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    *(cache, key, response.status, response.reason, _written_headers([*kept.headers, *length])),
                    *(now, now + kept.seconds, kept.age, body.size, value, file),
                )
        except BaseException:
            self._remove_files([(file,)])
            raise
        self._remove_files(replaced)
        self._forget_expired()
        return body.size

    def delete(self, cache: str, key: str) -> bool:
        """Remove a response. Returns whether there was a fresh one."""
        rows = self._database.rows(
            "DELETE FROM responses WHERE cache = ? AND key = ? RETURNING file, expires > ?",
            *(cache, key, self._clock.now()),
        )
        self._remove_files(rows)
        return any(is_fresh for _, is_fresh in rows)

    def names(self) -> list[str]:
        """The names of the caches that have responses."""
        return [name for (name,) in self._database.rows("SELECT DISTINCT cache FROM responses ORDER BY cache")]

    def keys(self, cache: str) -> list[str]:
        """The keys of the fresh responses in a cache, in order."""
        rows = self._database.rows(
            "SELECT key FROM responses WHERE cache = ? AND expires > ? ORDER BY key", cache, self._clock.now()
        )
        return [key for (key,) in rows]

    def clear(self, cache: str) -> None:
        """Remove all responses of a cache."""
        rows = self._database.rows("DELETE FROM responses WHERE cache = ? RETURNING file", cache)
        self._remove_files(rows)

    def files(self) -> set[str]:
        """The names of all files that belong to a response."""
        return {file for (file,) in self._database.rows("SELECT file FROM responses WHERE file IS NOT NULL")}

    def _forget_expired(self) -> None:
        """Remove some of the responses that are not fresh any more."""
        rows = self._database.rows(
            "DELETE FROM responses WHERE rowid IN (SELECT rowid FROM responses WHERE expires <= ? LIMIT ?) "
            "RETURNING file",
            *(self._clock.now(), _FORGOTTEN_AT_ONCE),
        )
        self._remove_files(rows)

    def _remove_files(self, rows: Sequence[Row]) -> None:
        """Remove the files that the rows begin with."""
        self._values.remove([row[0] for row in rows if row[0] is not None])


class _TooLargeError(Exception):
    """A body has more bytes than the cache takes."""


class _Limited:
    """A body that comes in, measured on its way. Raises _TooLargeError."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self.size = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = bytes(await anext(self._pieces))
        self.size += len(piece)
        if self.size > MAX_BODY_BYTES:
            raise _TooLargeError
        return piece


def _written_headers(headers: Headers) -> bytes:
    return msgspec.msgpack.encode(headers)


_read_headers: Final = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]]).decode
