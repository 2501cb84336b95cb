"""One file with everything that a session's bindings keep, for another machine or a test to begin from: a zip of
databases and files."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from emulator.base.errors import EmulatorError
from emulator.base.words import reason, shown_path
from emulator.storage.database import Database
from emulator.storage.state import DIRECTORY, Snapshot

_ABOUT: Final = "emulator-state.json"
_FORMAT: Final = 1
_SUFFIX: Final = ".sqlite"
_BESIDE: Final = ("-wal", "-shm")


def write_archive(directory: Path, archive: Path) -> None:
    """Write what is kept below `directory` to `archive`, also while a session uses it. Raises EmulatorError; then there
    is no archive, or the one that was there."""
    root = directory / DIRECTORY
    try:
        with tempfile.NamedTemporaryFile(dir=archive.parent, prefix=f".{archive.name}-", delete=False) as draft:
            try:
                with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as packed:
                    packed.writestr(_ABOUT, json.dumps({"format": _FORMAT}))
                    for path in _databases(root):
                        packed.writestr(_name(path, root), _contents(path))
                    for path in _files(root):
                        packed.write(path, _name(path, root))
                Path(draft.name).replace(archive)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise EmulatorError(f"{shown_path(archive)} cannot be written: {reason(error)}") from None


def unpack_archive(archive: Path, directory: Path) -> None:
    """Let what is kept below `directory` be what `archive` contains. Nobody may use the directory meanwhile. Raises
    EmulatorError; then everything is as it was."""
    root = directory / DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=directory, prefix=f".{DIRECTORY}-"))
    try:
        with _opened(archive) as packed:
            for name in _members(packed):
                path = draft / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(name) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
        replace_contents(root, draft)
    except OSError as error:
        raise EmulatorError(f"{shown_path(archive)} cannot be unpacked: {reason(error)}") from None
    except zipfile.BadZipFile as error:
        raise EmulatorError(f"{shown_path(archive)} is damaged: {error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def replace_contents(root: Path, contents: Path) -> None:
    """Put the directory `contents` in the place of `root`, which is removed."""
    aside = contents.with_name(f"{contents.name}-old")
    if root.exists():
        root.rename(aside)
    contents.rename(root)
    shutil.rmtree(aside, ignore_errors=True)


def read_archive(archive: Path) -> Snapshot:
    """What `archive` contains, in memory. Raises EmulatorError."""
    databases: dict[str, bytes] = {}
    files: dict[str, dict[str, bytes]] = {}
    try:
        with _opened(archive) as packed:
            for name in _members(packed):
                if name.endswith(_SUFFIX):
                    databases[name.removesuffix(_SUFFIX)] = packed.read(name)
                else:
                    *kind, _, file = PurePosixPath(name).parts
                    files.setdefault("/".join(kind), {})[file] = packed.read(name)
    except zipfile.BadZipFile as error:
        raise EmulatorError(f"{shown_path(archive)} is damaged: {error}") from None
    return Snapshot(databases, files)


def sizes(directory: Path) -> dict[str, int]:
    """How many bytes are kept below `directory`, by the name of what keeps them."""
    root = directory / DIRECTORY
    found: dict[str, int] = {}
    for path in (*_databases(root), *_files(root)):
        name = path.relative_to(root).parts[0].removesuffix(_SUFFIX)
        beside = (path.with_name(path.name + more) for more in _BESIDE)
        found[name] = found.get(name, 0) + sum(each.stat().st_size for each in (path, *beside) if each.exists())
    return dict(sorted(found.items()))


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        packed = zipfile.ZipFile(archive)
        about: Any = json.loads(packed.read(_ABOUT))
        known = about["format"] == _FORMAT
    except OSError as error:
        raise EmulatorError(f"{shown_path(archive)} cannot be read: {reason(error)}") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError):
        raise EmulatorError(f"{shown_path(archive)} is not what `emulator state export` writes") from None
    if not known:
        raise EmulatorError(f"{shown_path(archive)} was written by a newer version of the emulator")
    return packed


def _members(packed: zipfile.ZipFile) -> Iterator[str]:
    """The files in an archive, which may come from anybody."""
    for name in packed.namelist():
        parts = PurePosixPath(name).parts
        if name == _ABOUT or name.endswith("/"):
            continue
        if not parts or ".." in parts or name.startswith("/") or "\\" in name:
            raise EmulatorError(f"the archive has a file called {name!r}, which no archive of ours has")
        yield name


def _databases(root: Path) -> list[Path]:
    return sorted(root.rglob(f"*{_SUFFIX}"))


def _files(root: Path) -> Iterator[Path]:
    for place, _, names in os.walk(root):
        if Path(place) != root:
            yield from (Path(place, name) for name in sorted(names) if not name.endswith((_SUFFIX, *_BESIDE)))


def _contents(path: Path) -> bytes:
    """What a database contains, also while another process writes to it."""
    database = Database(path, None)
    try:
        return database.contents()
    finally:
        database.close()


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
