"""Everything that the bindings of a session keep: a database and files for each kind that asks for them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from emulator.base.errors import EmulatorError
from emulator.base.words import reason, shown_path

if TYPE_CHECKING:
    from emulator.storage.database import Database
    from emulator.storage.files import Files

DIRECTORY: Final = "bindings"
"""The directory of all this, in that of the session's state."""

PLACE: Final = ".wrangler/state/emulator"
"""The directory of a session's state, beside the configuration of its first worker."""


class Snapshot(msgspec.Struct, frozen=True):
    """What was kept at some moment, by the names of the kinds."""

    databases: Mapping[str, bytes]
    files: Mapping[str, Mapping[str, bytes]]


class State:
    """What is kept, below `directory`, or in memory if that is None. Nothing is made before a kind asks for it.

    Several sessions may use one directory.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = None if directory is None else directory / DIRECTORY
        self._databases: dict[str, Database] = {}
        self._files: dict[str, Files] = {}
        self._lock: int | None = None
        self._restored = Snapshot({}, {})
        """What is there in memory before a kind has changed anything."""

    def database(self, name: str, schema: Sequence[str] | None) -> Database:
        """The database of a kind, or one of several, whose names begin with that of the kind and a slash; `schema` as
        for Database, whose errors it raises."""
        found = self._databases.get(name)
        if found is None:
            from emulator.storage.database import Database  # many sessions keep nothing

            path = None if self.directory is None else self._made(self.directory) / f"{name}.sqlite"
            if path is not None and path.parent != self.directory:
                path.parent.mkdir(exist_ok=True)
            found = self._databases[name] = Database(path, schema)
            if name in self._restored.databases:
                found.replace(self._restored.databases[name])
        return found

    def files(self, name: str) -> Files:
        """The files of a kind."""
        found = self._files.get(name)
        if found is None:
            from emulator.storage.files import FilesInDirectory, FilesInMemory

            found = FilesInMemory() if self.directory is None else FilesInDirectory(self.directory / name)
            if name in self._restored.files:
                found.replace(self._restored.files[name])
            self._files[name] = found
        return found

    def claim(self) -> bool:
        """Take note that the directory, which must exist, is used, and return whether nobody else does."""
        assert self.directory is not None
        self._made(self.directory)
        return self.is_alone

    @property
    def is_alone(self) -> bool:
        """Whether no other session uses the directory, so that files of which nobody knows are left over."""
        if self._lock is None:
            return self.directory is None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        return True

    def keep_files(self, name: str, known: Callable[[], Container[str]]) -> None:
        """Remove the files of a kind that are not `known`, which a killed process has left, unless another session may
        be about to use them."""
        from emulator.storage.files import FilesInDirectory

        files = self.files(name)
        if isinstance(files, FilesInDirectory) and self.is_alone:
            files.keep_only(known())

    def snapshot(self) -> Snapshot:
        """What is kept now."""
        return Snapshot(
            {name: database.contents() for name, database in self._databases.items()},
            {name: files.contents() for name, files in self._files.items()},
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Keep what was kept at that moment, and nothing else. Of a state in a directory, only what kinds have asked
        for is replaced."""
        if self.directory is None:
            self._restored = snapshot
        for name, database in self._databases.items():
            contents = snapshot.databases.get(name)
            database.clear() if contents is None else database.replace(contents)
        for name, files in self._files.items():
            files.replace(snapshot.files.get(name, {}))

    def copy(self, directory: Path) -> State:
        """A copy of everything, which is in memory if this is, and else below `directory`. Large values, which never
        change, are not written again where the file system allows that."""
        if self.directory is None:
            made = State()
            made.restore(self.snapshot())
            return made
        made = State(directory)
        assert made.directory is not None
        if self.directory.is_dir():
            import shutil  # nearly nobody copies

            def copied(source: str, target: str) -> None:
                if not source.endswith((".sqlite", ".sqlite-wal")):
                    with suppress(OSError):
                        os.link(source, target)
                        return
                shutil.copy(source, target)

            left_out = shutil.ignore_patterns("lock", "*-shm")
            shutil.copytree(self.directory, made.directory, ignore=left_out, copy_function=copied)
        return made

    def close(self) -> None:
        """Close all of it."""
        for database in self._databases.values():
            database.close()
        self._databases.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _made(self, directory: Path) -> Path:
        """Make the directory, and take note that a session uses it."""
        if self._lock is None:
            try:
                directory.mkdir(parents=True, exist_ok=True)
                self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise EmulatorError(f"{shown_path(directory)} cannot be used: {reason(error)}") from None
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        return directory
