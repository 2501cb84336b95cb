"""Reads D1 databases from a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from emulator.config import checks
from emulator.config.checks import Check
from emulator.config.section import Key, Section

KIND: Final = "d1"
KEYS: Final[Mapping[str, Key]] = {"d1_databases": Key(checks.ARRAY)}
DATABASE_KEYS: Final[Mapping[str, Check]] = {
    "binding": checks.BINDING,
    "database_name": checks.TEXT,
    "database_id": checks.TEXT,
    "preview_database_id": checks.TEXT,
    "migrations_dir": checks.TEXT,
    "migrations_pattern": checks.TEXT,
    "migrations_table": checks.TEXT,
    "jurisdiction": checks.TEXT,
    "remote": checks.BOOLEAN,
}

MIGRATIONS_DIRECTORY: Final = "migrations"
MIGRATIONS_TABLE: Final = "d1_migrations"


class SqlDatabase(NamedTuple):
    """A database: its id, or the name of the binding where the configuration gives none; its name; where its
    migrations are, relative to the configuration, as a directory and a pattern of files; and the table that says which
    of them have been applied."""

    id: str
    name: str
    migrations_dir: str = MIGRATIONS_DIRECTORY
    migrations_pattern: str = f"{MIGRATIONS_DIRECTORY}/*.sql"
    migrations_table: str = MIGRATIONS_TABLE


def read_databases(section: Section) -> None:
    """Read the valid databases. As under wrangler dev, a `preview_database_id` counts more than the `database_id`."""
    for name, sound, path in section.stores("d1_databases", DATABASE_KEYS):
        directory = sound.get("migrations_dir") or MIGRATIONS_DIRECTORY
        settings = SqlDatabase(
            sound.get("preview_database_id") or sound.get("database_id") or name,
            sound.get("database_name") or name,
            directory,
            sound.get("migrations_pattern") or f"{directory.rstrip('/')}/*.sql",
            sound.get("migrations_table") or MIGRATIONS_TABLE,
        )
        section.bind(KIND, name, settings, path)
