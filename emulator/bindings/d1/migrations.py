"""Migrations of a database: files of SQL that are applied once, in the order of their names, and noted in a table."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from emulator.base.errors import EmulatorError
from emulator.base.words import reason, shown_path


class Migration(msgspec.Struct, frozen=True):
    """A migration: its name, which is its path below the directory of migrations, and its SQL."""

    name: str
    sql: str


class Migrations(msgspec.Struct, frozen=True):
    """Where the migrations of a database are: their directory, a pattern relative to it, and the table that says which
    have been applied."""

    directory: Path
    pattern: str
    table: str

    def all(self) -> list[Migration]:
        """All migrations, in order. Raises EmulatorError."""
        if not self.directory.is_dir():
            raise EmulatorError(
                f"there are no migrations: the directory {shown_path(self.directory)} does not exist",
                hint="`emulator d1 migrations create` makes the first one, and `migrations_dir` says where they are.",
            )
        try:
            paths = sorted(path for path in self.directory.glob(self.pattern) if path.is_file())
            return [
                Migration(path.relative_to(self.directory).as_posix(), path.read_text(encoding="utf-8"))
                for path in paths
            ]
        except (OSError, UnicodeDecodeError) as error:
            text = reason(error) if isinstance(error, OSError) else str(error)
            raise EmulatorError(f"the migrations in {shown_path(self.directory)} cannot be read: {text}") from None

    def pending(self, applied: Collection[str]) -> list[Migration]:
        """Those that have not been applied. Raises EmulatorError."""
        return [migration for migration in self.all() if migration.name not in applied]

    @property
    def prepares(self) -> str:
        """The SQL that makes the table."""
        return (
            f"CREATE TABLE IF NOT EXISTS {_quoted(self.table)} (id INTEGER PRIMARY KEY AUTOINCREMENT, "
            "name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL);"
        )

    @property
    def exists(self) -> str:
        """The SQL that has a row if there is the table."""
        name = self.table.replace("'", "''")
        return f"SELECT name FROM sqlite_schema WHERE type = 'table' AND name = '{name}'"

    @property
    def applied(self) -> str:
        """The SQL that asks for the names of those that have been applied."""
        return f"SELECT name FROM {_quoted(self.table)} ORDER BY id"

    def applies(self, migration: Migration) -> str:
        """The SQL that applies a migration and takes note of it."""
        name = migration.name.replace("'", "''")
        return f"{migration.sql}\n;INSERT INTO {_quoted(self.table)} (name) VALUES ('{name}');"


def next_name(existing: Sequence[str], message: str) -> str:
    """The name of a new migration: `0002_add_users.sql`."""
    numbers = [int(found.group()) for name in existing if (found := re.match(r"\d+", name))]
    words = re.sub(r"[^\w.-]+", "_", message.strip()).strip("_") or "migration"
    return f"{max(numbers, default=0) + 1:04}_{words}.sql"


def migrations_of(directory: Path, folder: str, pattern: str, table: str) -> Migrations:
    """The migrations of a database whose configuration is in `directory`; see SqlDatabase."""
    prefix = f"{folder.rstrip('/')}/"
    return Migrations(directory / folder, pattern.removeprefix(prefix), table)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
