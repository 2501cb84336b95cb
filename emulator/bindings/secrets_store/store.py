"""The secrets of all stores, each with a name in its store and an id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from emulator.base.clock import Clock, WallClock
from emulator.base.words import count
from emulator.storage.database import Database
from emulator.storage.state import State

MAX_VALUE_BYTES: Final = 1024
"""The service's limit."""

SCHEMA: Final = (
    """
    CREATE TABLE stores (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created REAL NOT NULL);
    CREATE TABLE secrets (
        id TEXT PRIMARY KEY, store TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, comment TEXT NOT NULL,
        scopes TEXT NOT NULL, created REAL NOT NULL, modified REAL NOT NULL, UNIQUE (store, name)
    )
    """,
)

_COLUMNS: Final = "id, store, name, comment, scopes, created, modified"


class SecretError(Exception):
    """The service refuses something, in its words."""


class SecretEntry(msgspec.Struct, frozen=True):
    """What is known of a secret, but for its value. Times are in seconds since the epoch."""

    id: str
    store: str
    name: str
    comment: str
    scopes: Sequence[str]
    created: float
    modified: float


class Store(msgspec.Struct, frozen=True):
    """A store that was made. `created` is in seconds since the epoch."""

    id: str
    name: str
    created: float


class SecretsStore:
    """All stores. A store need not have been made to have secrets."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, store: str, name: str) -> str | None:
        """The value of a secret; None if it does not exist."""
        row = self._database.row("SELECT value FROM secrets WHERE store = ? AND name = ?", store, name)
        return None if row is None else row[0]

    def put(self, store: str, name: str, value: str, comment: str = "", scopes: Sequence[str] = ()) -> SecretEntry:
        """Keep a value, in place of one that has the name. Raises SecretError."""
        if not value or len(value.encode()) > MAX_VALUE_BYTES:
            raise SecretError(f"a secret has 1 to {MAX_VALUE_BYTES:,} bytes; {name} has {len(value.encode()):,}")
        now = self._clock.now()
        self._database.change(
            "INSERT INTO secrets VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (store, name) DO UPDATE SET "
            "value = excluded.value, comment = excluded.comment, scopes = excluded.scopes, "
            "modified = excluded.modified",
            uuid4().hex,
            store,
            name,
            value,
            comment,
            ",".join(scopes),
            now,
            now,
        )
        return self._entries("store = ? AND name = ?", store, name)[0]

    def delete(self, store: str, name: str) -> bool:
        """Remove a secret. Returns whether there was one."""
        return self._database.change("DELETE FROM secrets WHERE store = ? AND name = ?", store, name) > 0

    def entries(self, store: str) -> list[SecretEntry]:
        """The secrets of a store, by name."""
        return self._entries("store = ?", store)

    def find(self, store: str, identifier: str) -> SecretEntry | None:
        """A secret of a store by its id."""
        return next(iter(self._entries("store = ? AND id = ?", store, identifier)), None)

    def create_store(self, name: str) -> Store:
        """Make a store."""
        made = Store(uuid4().hex, name, self._clock.now())
        self._database.change("INSERT INTO stores VALUES (?, ?, ?)", made.id, made.name, made.created)
        return made

    def delete_store(self, store: str) -> None:
        """Remove a store with its secrets."""
        with self._database.transaction():
            self._database.change("DELETE FROM stores WHERE id = ?", store)
            self._database.change("DELETE FROM secrets WHERE store = ?", store)

    def stores(self) -> list[Store]:
        """The stores that were made or have secrets."""
        made = [Store(*row) for row in self._database.rows("SELECT id, name, created FROM stores ORDER BY name")]
        used = self._database.rows(
            "SELECT store, min(created) FROM secrets WHERE store NOT IN (SELECT id FROM stores) GROUP BY 1 ORDER BY 1"
        )
        return [*made, *(Store(store, store, created) for store, created in used)]

    def _entries(self, condition: str, *parameters: str) -> list[SecretEntry]:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM secrets WHERE {condition} ORDER BY name", *parameters)
        return [
            SecretEntry(row[0], row[1], row[2], row[3], row[4].split(",") if row[4] else (), *row[5:]) for row in rows
        ]


def take_over(directory: Path, state: State) -> Iterator[str]:
    """Copy the secrets that `wrangler dev` has kept, and say how many of each store. Raises EmulatorError."""
    from emulator.bindings.kv.miniflare import namespaces  # Miniflare keeps them in a namespace of KV for each store

    store: SecretsStore | None = None
    for name, entries in namespaces(directory, "miniflare-secrets-store-KVNamespaceObject"):
        store = store or SecretsStore(state.database("secrets_store", SCHEMA), WallClock())
        for entry in entries:
            store.put(name, entry.key, entry.path.read_text(encoding="utf-8"))
        yield f"Secrets Store {name}: {count(len(entries), 'secret')}"
