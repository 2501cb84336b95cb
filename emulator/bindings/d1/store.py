"""The databases of a session."""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from urllib.parse import quote
from uuid import uuid4

import msgspec

from emulator.base.clock import Clock
from emulator.bindings.d1.config import KIND
from emulator.bindings.d1.database import SqlStore
from emulator.storage.state import State

SCHEMA: Final = (
    """
    CREATE TABLE databases (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, created REAL NOT NULL, declared INTEGER NOT NULL
    )
    """,
)

_MAX_FILE_NAME: Final = 100


class KnownDatabase(msgspec.Struct, frozen=True):
    """A database that is known: `created` is in seconds since the epoch, and `declared` says whether a configuration
    has named it."""

    id: str
    name: str
    created: float
    declared: bool


class SqlStores:
    """All databases. Each is opened when it is first asked for."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._entries = state.database(KIND, SCHEMA)
        self._open: dict[str, SqlStore] = {}
        self._bookmarks = 0

    def declare(self, identifier: str, name: str) -> None:
        """Take note of a database that a configuration names."""
        self._entries.change(
            "INSERT INTO databases VALUES (?, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET name = ?2, declared = 1 "
            "WHERE name <> ?2 OR NOT declared",
            *(identifier, name, self._clock.now()),
        )

    def create(self, name: str) -> KnownDatabase:
        """Make a database."""
        entry = KnownDatabase(str(uuid4()), name, self._clock.now(), declared=False)
        self._entries.change("INSERT INTO databases VALUES (?, ?, ?, 0)", entry.id, entry.name, entry.created)
        return entry

    def entries(self) -> list[KnownDatabase]:
        """All databases, by name."""
        rows = self._entries.rows("SELECT id, name, created, declared FROM databases ORDER BY name")
        return [
            KnownDatabase(identifier, name, created, bool(declared)) for identifier, name, created, declared in rows
        ]

    def open(self, identifier: str) -> SqlStore:
        """A database. Raises EmulatorError if its file cannot be used."""
        found = self._open.get(identifier)
        if found is None:
            database = self._state.database(f"{KIND}/{_file_name(identifier)}", None)
            found = self._open[identifier] = SqlStore(database)
        return found

    def remove(self, entry: KnownDatabase) -> None:
        """Empty a database, and forget it unless it is declared."""
        self.open(entry.id).clear()
        self._entries.change("DELETE FROM databases WHERE id = ? AND NOT declared", entry.id)

    def bookmark(self) -> str:
        """Says up to when a database has been seen; later ones compare as greater."""
        self._bookmarks += 1
        return f"{int(self._clock.now() * 1000):012x}-{self._bookmarks:08x}"


def _file_name(identifier: str) -> str:
    name = quote(identifier, safe=" ()@+,=")
    return name if len(name) <= _MAX_FILE_NAME and name not in {".", ".."} else sha256(identifier.encode()).hexdigest()
