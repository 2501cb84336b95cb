"""The namespaces of a session: keys with values that may expire.

The limits and the words in which something is refused are the service's.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from math import floor
from os import urandom
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.base.clock import Clock
from emulator.bindings.kv.config import KIND
from emulator.storage.database import Database
from emulator.storage.files import Files

if TYPE_CHECKING:
    from emulator.storage.state import State

MAX_KEY_BYTES: Final = 512
MAX_VALUE_BYTES: Final = 25 * 1024 * 1024
MAX_METADATA_BYTES: Final = 1024
MAX_LIST_KEYS: Final = 1000
MAX_BULK_KEYS: Final = 100
MAX_BULK_PUT: Final = 10_000
MIN_TTL_SECONDS: Final = 60
MIN_CACHE_TTL_SECONDS: Final = 30

FILE_BYTES: Final = 256 * 1024
"""Longer values are files."""

SCHEMA: Final = (
    """
    CREATE TABLE entries (
        namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB, file TEXT, size INTEGER NOT NULL, expiration INTEGER,
        metadata TEXT, UNIQUE (namespace, key)
    );
    CREATE INDEX expirations ON entries (expiration) WHERE expiration IS NOT NULL;
    CREATE TABLE titles (namespace TEXT PRIMARY KEY, title TEXT NOT NULL)
    """,
)

_LAST: Final = "\U0010ffff"
"""No key that begins with a prefix comes behind the prefix and a few of these."""


def open_store(state: State, clock: Clock) -> KvStore:
    """The namespaces that are kept in `state`. Files that a killed process has left are removed, if nobody else may be
    about to use them."""
    store = KvStore(state.database(KIND, SCHEMA), state.files(KIND), clock)
    state.keep_files(KIND, store.files)
    return store


class KvError(Exception):
    """The service refuses something: an HTTP status, and its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class KvEntry(msgspec.Struct, frozen=True, gc=False):
    """A value that was read. `expiration` is in seconds since the epoch; `metadata` is JSON."""

    value: bytes
    expiration: int | None
    metadata: str | None


class Listed(msgspec.Struct, frozen=True, gc=False):
    """A key of a list; see KvEntry."""

    name: str
    expiration: int | None
    metadata: str | None


class Listing(msgspec.Struct, frozen=True):
    """A page of keys. `cursor` leads to the next one; None if this is the last."""

    keys: Sequence[Listed]
    cursor: str | None


class KvStore:
    """All namespaces. `clock` says what has expired."""

    def __init__(self, database: Database, files: Files, clock: Clock) -> None:
        self._database = database
        self._files = files
        self._clock = clock

    def now(self) -> float:
        """The time by which entries expire, in seconds since the epoch."""
        return self._clock.now()

    async def get(self, namespace: str, key: str, cache_ttl: object = None) -> KvEntry | None:
        """The value of a key; None if there is none. Raises KvError."""
        check_key(key)
        check_cache_ttl(cache_ttl)
        row = self._database.row(
            "SELECT value, file, size, expiration, metadata FROM entries WHERE namespace = ? AND key = ? "
            "AND (expiration IS NULL OR expiration > ?)",
            namespace,
            key,
            self._clock.now(),
        )
        if row is None:
            return None
        value, file, size, expiration, metadata = row
        if file is not None:
            value = b"".join([piece async for piece in await self._files.read(file, 0, size)])
        return KvEntry(value, expiration, metadata)

    async def put(
        self,
        namespace: str,
        key: str,
        value: bytes,
        *,
        expiration: object = None,
        expiration_ttl: object = None,
        metadata: str | None = None,
    ) -> None:
        """Keep a value. `expiration` is in seconds since the epoch, and has no effect beside `expiration_ttl`, in
        seconds from now; `metadata` is JSON. Raises KvError."""
        check_key(key)
        expires = self._expires(expiration, expiration_ttl)
        if metadata is not None and len(metadata.encode()) > MAX_METADATA_BYTES:
            length = len(metadata.encode())
            raise KvError(413, f"Metadata length of {length} exceeds limit of {MAX_METADATA_BYTES}.")
        check_size(len(value))
        await self.restore(namespace, key, value, expires, metadata)
        if expires is not None:
            self._forget_expired()

    async def restore(self, namespace: str, key: str, value: bytes, expires: int | None, metadata: str | None) -> None:
        """Keep a value that has been accepted. `expires` is in seconds since the epoch."""
        file = None
        if len(value) > FILE_BYTES:
            file = await self._files.write(_whole(value))
        inline = value if file is None else None
        with self._database.transaction():
            replaced = self._database.row("SELECT file FROM entries WHERE namespace = ? AND key = ?", namespace, key)
            self._database.change(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(namespace, key, inline, file, len(value), expires, metadata),
            )
        if replaced is not None and replaced[0] is not None:
            self._files.delete([replaced[0]])

    def delete(self, namespace: str, keys: Sequence[str]) -> int:
        """Remove keys; those that do not exist, too, without an error. Returns how many there were. Raises KvError."""
        for key in keys:
            check_key(key)
        removed = 0
        files: list[str] = []
        with self._database.transaction():
            for key in keys:
                row = self._database.row("SELECT file FROM entries WHERE namespace = ? AND key = ?", namespace, key)
                if row is not None:
                    removed += self._database.change(
                        "DELETE FROM entries WHERE namespace = ? AND key = ?", namespace, key
                    )
                    files += [row[0]] if row[0] is not None else []
        self._files.delete(files)
        return removed

    def list(self, namespace: str, *, prefix: str = "", limit: object = None, cursor: str = "") -> Listing:
        """Keys in the order of their bytes in UTF-8. Raises KvError."""
        most = _limit(limit)
        _check_length(prefix)
        after = _read_cursor(cursor)
        first = "key > ?" if after >= prefix and after else "key >= ?"
        rows = self._database.rows(
            f"SELECT key, expiration, metadata FROM entries WHERE namespace = ? AND {first} AND key < ? "
            "AND (expiration IS NULL OR expiration > ?) ORDER BY key LIMIT ?",
            *(namespace, max(after, prefix), prefix + _LAST * 4, self._clock.now(), most + 1),
        )
        keys = [Listed(*row) for row in rows[:most]]
        more = urlsafe_b64encode(keys[-1].name.encode()).decode().rstrip("=") if len(rows) > most else None
        return Listing(keys, more)

    def files(self) -> set[str]:
        """The names of all files that belong to something."""
        return {name for (name,) in self._database.rows("SELECT file FROM entries WHERE file IS NOT NULL")}

    def namespaces(self) -> dict[str, str]:
        """The namespaces that have keys or were made here, by their ids, with their titles."""
        used = self._database.rows("SELECT DISTINCT namespace, namespace FROM entries")
        return dict(used) | dict(self._database.rows("SELECT namespace, title FROM titles"))

    def create(self, title: str) -> str:
        """Make a namespace. Returns its id."""
        identifier = urandom(16).hex()
        self._database.change("INSERT INTO titles VALUES (?, ?)", identifier, title)
        return identifier

    def forget(self, namespace: str) -> None:
        """Undo `create`."""
        self._database.change("DELETE FROM titles WHERE namespace = ?", namespace)

    def clear(self, namespace: str) -> None:
        """Remove all keys of a namespace."""
        with self._database.transaction():
            rows = self._database.rows("SELECT file FROM entries WHERE namespace = ? AND file IS NOT NULL", namespace)
            self._database.change("DELETE FROM entries WHERE namespace = ?", namespace)
        self._files.delete([name for (name,) in rows])

    def _expires(self, expiration: object, expiration_ttl: object) -> int | None:
        now = floor(self._clock.now())
        if expiration_ttl is not None:
            ttl = _whole_number(expiration_ttl)
            if ttl is None or ttl <= 0:
                text = "Please specify integer greater than 0."
                raise KvError(400, f"Invalid expiration_ttl of {_shown(expiration_ttl)}. {text}")
            if ttl < MIN_TTL_SECONDS:
                text = f"Expiration TTL must be at least {MIN_TTL_SECONDS}."
                raise KvError(400, f"Invalid expiration_ttl of {_shown(expiration_ttl)}. {text}")
            return now + ttl
        if expiration is None:
            return None
        at = _whole_number(expiration)
        if at is None or at <= now:
            text = "Please specify integer greater than the current number of seconds since the UNIX epoch."
            raise KvError(400, f"Invalid expiration of {_shown(expiration)}. {text}")
        if at < now + MIN_TTL_SECONDS:
            text = f"Expiration times must be at least {MIN_TTL_SECONDS} seconds in the future."
            raise KvError(400, f"Invalid expiration of {_shown(expiration)}. {text}")
        return at

    def _forget_expired(self) -> None:
        """Remove some of the entries that have expired."""
        rows = self._database.rows("SELECT rowid, file FROM entries WHERE expiration <= ? LIMIT 100", self._clock.now())
        for number, _ in rows:
            self._database.change("DELETE FROM entries WHERE rowid = ?", number)
        self._files.delete([file for _, file in rows if file is not None])


def check_key(key: str) -> None:
    """Raises KvError for a name that no key can have."""
    if not key:
        raise KvError(400, "Key names must not be empty")
    if key in {".", ".."}:
        raise KvError(400, f'Illegal key name "{key}". Please use a different name.')
    _check_length(key)


def check_cache_ttl(cache_ttl: object) -> None:
    """Raises KvError for a `cacheTtl` that is too short."""
    if cache_ttl is None:
        return
    seconds = _whole_number(cache_ttl)
    if seconds is None or seconds < MIN_CACHE_TTL_SECONDS:
        text = f"Cache TTL must be at least {MIN_CACHE_TTL_SECONDS}."
        raise KvError(400, f"Invalid cache_ttl of {_shown(cache_ttl)}. {text}")


def check_size(size: int) -> None:
    """Raises KvError for a value that is too large."""
    if size > MAX_VALUE_BYTES:
        raise KvError(413, f"Value length of {size} exceeds limit of {MAX_VALUE_BYTES}.")


def read_many(entries: Sequence[tuple[str, KvEntry | None]], kind: str, *, with_metadata: bool) -> dict[str, Any]:
    """The values of a bulk get by their keys, as text or as what JSON says. Raises KvError."""
    found: dict[str, Any] = {}
    size = 0
    for key, entry in entries:
        if entry is None:
            found[key] = None
            continue
        size += len(entry.value)
        try:
            value = json.loads(entry.value) if kind == "json" else entry.value.decode("utf-8", "replace")
        except ValueError:
            text = f"At least one of the requested keys corresponds to a non-{kind} value"
            raise KvError(400, text) from None
        metadata = None if entry.metadata is None else json.loads(entry.metadata)
        found[key] = {"value": value, "metadata": metadata} if with_metadata else value
    if size > MAX_VALUE_BYTES:
        raise KvError(413, f"Total size of request exceeds the limit of {MAX_VALUE_BYTES // 1024 // 1024}MB")
    return found


def check_bulk(keys: Sequence[object], kind: object) -> None:
    """Raises KvError for a bulk get that the service does not answer."""
    if kind not in {None, "text", "json"}:
        raise KvError(400, f'"{kind}" is not a valid type. Use "json" or "text"')
    if len(keys) > MAX_BULK_KEYS:
        raise KvError(400, f"You can request a maximum of {MAX_BULK_KEYS} keys")
    if not keys:
        raise KvError(400, "You must request a minimum of 1 key")


def _check_length(key: str) -> None:
    length = len(key.encode())
    if length > MAX_KEY_BYTES:
        raise KvError(414, f"UTF-8 encoded length of {length} exceeds key length limit of {MAX_KEY_BYTES}.")


def _limit(limit: object) -> int:
    if limit is None:
        return MAX_LIST_KEYS
    number = _whole_number(limit)
    if number is None or number < 1:
        raise KvError(400, f"Invalid key_count_limit of {_shown(limit)}. Please specify an integer greater than 0.")
    if number > MAX_LIST_KEYS:
        text = f"Please specify an integer less than {MAX_LIST_KEYS}."
        raise KvError(400, f"Invalid key_count_limit of {_shown(limit)}. {text}")
    return number


def _read_cursor(cursor: str) -> str:
    if not cursor:
        return ""
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:
        raise KvError(400, "Invalid cursor") from None


def _whole_number(given: object) -> int | None:
    """A number as JavaScript's parseInt reads one."""
    try:
        return int(given) if isinstance(given, int | float) else int(str(given))
    except (ValueError, OverflowError):
        return None


def _shown(given: object) -> str:
    return str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)


async def _whole(value: bytes) -> AsyncIterator[bytes]:
    yield value
