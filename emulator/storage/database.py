"""A SQLite database in a file, or in memory.

A write is in the file when the call returns, and survives the end of the process, however that comes. The disk is
waited for now and then only: a power cut may lose the last moments, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import apsw

from emulator.base.errors import EmulatorError
from emulator.base.words import shown_path

BUSY_MILLISECONDS: Final = 5_000
"""How long a write waits for one of another process."""

_FORMAT: Final = slice(18, 20)
"""Where a database says whether it has a log of writes."""

_WITHOUT_LOG: Final = b"\x01\x01"

Row = tuple[Any, ...]


@contextmanager
def copy_of(path: Path) -> Iterator[Database]:
    """A copy of another program's database, whose files are not touched."""
    import shutil  # few need these
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as directory:
        copy = Path(directory) / path.name
        for more in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copy(f"{path}{more}", f"{copy}{more}")
        database = Database(copy, None)
        try:
            yield database
        finally:
            database.close()


class Database:
    """An open database. `path` is its file, or None for one in memory. Only one thread may use it at a time."""

    def __init__(self, path: Path | None, schema: Sequence[str] | None) -> None:
        """`schema` has a script for each version of the database, which leads to it from the version before; None means
        that the database is taken as it is.

        Raises EmulatorError if the file is damaged, cannot be used, or has a later version.
        """
        self.path = path
        self._schema = schema
        with self._telling():
            self.connection = apsw.Connection(":memory:" if path is None else str(path))
            self.connection.set_busy_timeout(BUSY_MILLISECONDS)
            if path is not None:
                self.connection.execute("PRAGMA journal_mode = wal; PRAGMA synchronous = normal").fetchall()
            self._upgrade()

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """All rows of a query."""
        with self._telling():
            return self.connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """The first row of a query; None if there is none."""
        with self._telling():
            return self.connection.execute(sql, parameters).fetchone()

    def change(self, sql: str, *parameters: Any) -> int:
        """Execute a statement that changes rows. Returns how many it has changed."""
        with self._telling():
            self.connection.execute(sql, parameters)
            return self.connection.changes()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes in this context happen, or none."""
        with self._telling(), self.connection:
            yield

    def contents(self) -> bytes:
        """The whole database as bytes: what its file would be, without a log of writes."""
        with self._telling():
            contents = self.connection.serialize("main")
        return contents[: _FORMAT.start] + _WITHOUT_LOG + contents[_FORMAT.stop :]

    def replace(self, contents: bytes) -> None:
        """Replace everything by the contents of another database of the same kind."""
        with self._telling(), apsw.Connection(":memory:") as other:
            other.deserialize("main", contents)
            with self.connection.backup("main", other, "main") as backup:
                backup.step()
        self._upgrade()

    def clear(self) -> None:
        """Begin anew with an empty database."""
        fresh = Database(None, self._schema)
        self.replace(fresh.contents())
        fresh.close()

    def close(self) -> None:
        """Close it."""
        self.connection.close()

    def _upgrade(self) -> None:
        if self._schema is None:
            return
        found = self.connection.pragma("user_version")
        known = len(self._schema)
        if found > known:
            raise EmulatorError(
                f"{self._name} was written by a newer version of the emulator",
                hint="Upgrade the emulator, or keep data elsewhere with --persist-to.",
            )
        if found < known:
            with self.connection:
                for script in self._schema[found:]:
                    self.connection.execute(script)
                self.connection.pragma("user_version", known)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Errors of the file, not of SQL, are told in words."""
        try:
            yield
        except (apsw.NotADBError, apsw.CorruptError):
            hint = "Make room for a new one: emulator state reset; or keep data elsewhere with --persist-to."
            raise EmulatorError(f"{self._name} is damaged", hint=hint) from None
        except apsw.FullError:
            raise EmulatorError(f"there is no room left on the disk for {self._name}") from None
        except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.IOError, apsw.BusyError) as error:
            raise EmulatorError(f"{self._name} cannot be used: {error}") from None

    @property
    def _name(self) -> str:
        return "a database in memory" if self.path is None else shown_path(self.path)
