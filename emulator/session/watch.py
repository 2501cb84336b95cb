"""Watches the files of the workers: what changed on disk, and which worker and configuration it concerns.

The system's notifications only say when to look. What changed is the difference between two scans of the relevant
files. So an editor's temporary file and rename count as one change, a file that was saved before the watch began is not
missed, and a notification without a change has no effect. Directories are watched one by one, without those that
contain none of the user's code: watching a project with a virtual environment recursively costs seconds and thousands
of handles.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from time import time_ns
from typing import Final

import msgspec

from emulator.base.words import reason
from emulator.config.model import WorkerConfig

STEP_MS: Final = 20
"""How long nothing may change before a burst of changes counts as over."""

DEFER_SECONDS: Final = 0.1
"""How long after the start watching begins, so that it does not delay the first answers."""

POLL_SECONDS: Final = 1.0
"""How often to look where the system does not notify, because too many files are open or watched."""

BURST_MS: Final = 400
"""How long a burst may last before the changes seen so far are acted on."""

IGNORED_DIRECTORIES: Final = frozenset(
    {"__pycache__", "node_modules", "python_modules", "venv", "env", "dist", "build", "site-packages"}
)

RELOADING_SUFFIXES: Final = frozenset(
    {".py", ".json", ".jsonc", ".toml", ".yaml", ".yml", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".css", ".js"}
    | {".svg", ".xml", ".txt", ".md", ".sql", ".csv"}
    | {".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".wasm"}
)
"""Files whose change reloads a worker: code, and files that code commonly reads when it is imported. A database or a
log that the worker itself writes must not reload it."""


_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Change(msgspec.Struct, frozen=True):
    """What changed for one worker: `files` for which it is reloaded, and files that it serves as they are.
    `configuration` says whether its configuration or secrets did."""

    config: WorkerConfig
    files: Sequence[Path]
    configuration: bool
    served: Sequence[Path] = ()


class _Scan(msgspec.Struct, frozen=True):
    """The relevant files, each with what distinguishes its versions, and the directories that contain them; when it
    began, in nanoseconds since the epoch; and the files that code was known to be made of then."""

    files: dict[Path, tuple[int, int, int]]
    directories: set[Path]
    began_ns: int
    inputs: frozenset[Path]


class Watcher:
    """Detects changes from the moment it is created. `configs` returns the current configurations, and `files` the
    files that a worker's code was made of, wherever they are. The directories `ignored` are not watched: the emulator
    itself writes to them all the time. Those that `served` returns have files that a worker serves as they are, and are
    looked at only if `watches_served`."""

    def __init__(
        self,
        configs: Callable[[], Sequence[WorkerConfig]],
        ignored: Sequence[Path] = (),
        files: Callable[[WorkerConfig], Collection[Path]] = lambda _config: (),
        on_trouble: Callable[[str], None] = lambda _text: None,
        *,
        served: Callable[[WorkerConfig], Sequence[Path]] = lambda _config: (),
        watches_served: bool = False,
    ) -> None:
        self._configs = configs
        self._files = files
        self._on_trouble = on_trouble
        self._served = served
        self._watches_served = watches_served
        self._ignored = frozenset(path.resolve() for path in ignored)
        self._outputs = _outputs()
        self._seen = self._scan()

    async def changes(self) -> AsyncGenerator[list[Change], None]:
        """Yield what changed, one burst at a time, until closed.

        If the system cannot watch (too many files are open, say), `on_trouble` is told so once, and the files are
        looked at every second until it can.
        """
        # The first scan finds what is saved meanwhile. The imports take a third as long as the whole start.
        await asyncio.sleep(DEFER_SECONDS)
        has_told = False
        while True:
            try:
                async for changes in self._notified():
                    has_told = False
                    yield changes
            except OSError as error:
                if not has_told and not isinstance(error, FileNotFoundError):  # a directory that has just gone
                    has_told = True
                    late = "Changed files are noticed up to a second late, because they cannot be watched"
                    self._on_trouble(f"{late}: {reason(error)}")
            await asyncio.sleep(POLL_SECONDS)
            with suppress(OSError):
                if changes := self._look():
                    yield changes

    async def _notified(self) -> AsyncIterator[list[Change]]:
        """Yield what changed whenever the system says that something did. Raises OSError when it cannot say."""
        from watchfiles import awatch

        while True:
            directories = self._seen.directories
            notifications = awatch(*directories, watch_filter=None, debounce=BURST_MS, step=STEP_MS, recursive=False)
            async with aclosing(notifications):
                following = asyncio.ensure_future(anext(notifications))
                try:
                    # After one turn of the loop the watch is active; this scan finds what was saved before.
                    await asyncio.sleep(0)
                    while True:
                        changes = self._look()
                        if changes:
                            yield changes
                        if self._seen.directories != directories:
                            break
                        if _has_replaced(directories, await following):
                            break
                        following = asyncio.ensure_future(anext(notifications))
                finally:
                    following.cancel()
                    with suppress(asyncio.CancelledError):
                        await following

    def _look(self) -> list[Change]:
        """What differs from the last scan. Raises OSError if a scan is not possible."""
        before, self._seen = self._seen, self._scan()
        changed = {path for path, _ in before.files.items() ^ self._seen.files.items()}
        changed -= {path for path in self._seen.inputs - before.inputs if self._was_there(path, before)}
        if not changed:
            return []
        concerned = (
            _concerns(config, changed, self._files(config), self._served(config)) for config in self._configs()
        )
        return [change for change in concerned if change]

    def _was_there(self, path: Path, before: _Scan) -> bool:
        """Whether an input that is known only now is as it was at the scan `before`, and so as it was when it was
        read."""
        return path not in before.files and path in self._seen.files and self._seen.files[path][0] < before.began_ns

    def _scan(self) -> _Scan:
        configs = self._configs()
        others = {path for config in configs for path in self._files(config)}
        scan = _scan(configs, self._ignored, self._outputs, others, self._served)
        if self._watches_served:
            for config in configs:
                _scan_served(self._served(config), scan)
        return scan


def _outputs() -> frozenset[tuple[int, int]]:
    """The files, by device and number, to which this process writes what it prints: `emulator dev > log.txt`."""
    found = set()
    for descriptor in (1, 2):
        with suppress(OSError):
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def _scan(
    configs: Sequence[WorkerConfig],
    ignored: frozenset[Path],
    outputs: frozenset[tuple[int, int]],
    others: Collection[Path],
    served: Callable[[WorkerConfig], Sequence[Path]],
) -> _Scan:
    began_ns = time_ns()
    files: dict[Path, tuple[int, int, int]] = {}
    directories: set[Path] = set()
    named = [path for config in configs for path in config.watched]
    named += [path for path in others if not IGNORED_DIRECTORIES.intersection(path.parts)]
    for path in named:
        if path.parent.is_dir():
            directories.add(path.parent)
        with suppress(OSError):
            files[path] = _version(path.stat())
    for config in configs:
        for path in _watched(config):
            if path.is_file():
                directories.add(path.parent)
                files[path] = _version(path.stat())
            for directory, entries in _walk(path, ignored.union(_apart(config, path, served(config)))):
                directories.add(directory)
                for entry in entries:
                    if _is_relevant(config, entry.name):
                        with suppress(OSError):
                            status = entry.stat()
                            if (status.st_dev, status.st_ino) not in outputs:
                                files[Path(entry.path)] = _version(status)
    return _Scan(files, directories, began_ns, frozenset(others))


def _scan_served(roots: Sequence[Path], scan: _Scan) -> None:
    """Add the files below `roots`, whatever they and their directories are called."""
    for root in roots:
        if root.parent.is_dir():
            scan.directories.add(root.parent)  # tells when the root comes
        for directory, entries in _walk(root, frozenset(), everything=True):
            scan.directories.add(directory)
            for entry in entries:
                if not entry.name.endswith("~"):
                    with suppress(OSError):
                        scan.files[Path(entry.path)] = _version(entry.stat())


def _apart(config: WorkerConfig, root: Path, served: Sequence[Path]) -> list[Path]:
    """The served directories below `root` that have nothing to do with the code there."""
    return [path for path in served if path != root and path not in config.main.parents]


def _has_replaced(directories: Collection[Path], changes: Collection[tuple[object, str]]) -> bool:
    """Whether one of the directories was removed or made, perhaps both, so that it is another one than before."""
    from watchfiles import Change as Kind

    return any(kind != Kind.modified and Path(path) in directories for kind, path in changes)


def _watched(config: WorkerConfig) -> Sequence[Path]:
    """Where the code of a worker is, or what it is made of."""
    return [config.directory] if config.build is None else config.build.watched


def _walk(
    root: Path, ignored: frozenset[Path], *, everything: bool = False
) -> Iterator[tuple[Path, list[os.DirEntry[str]]]]:
    """Every directory that may have code, or `everything`, with its files."""
    waiting = [root]
    while waiting:
        directory = waiting.pop()
        found = []
        with _suppress_missing(), os.scandir(directory) as entries:
            for entry in entries:
                with suppress(OSError):
                    if not entry.is_dir():
                        found.append(entry)
                    elif _is_walked(entry, everything=everything) and Path(entry.path) not in ignored:
                        waiting.append(Path(entry.path))
            yield directory, found


@contextmanager
def _suppress_missing() -> Iterator[None]:
    """Skip a directory that is gone or may not be read. Running out of file descriptors or memory is still an error,
    because the directory may exist."""
    try:
        yield
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_walked(entry: os.DirEntry[str], *, everything: bool) -> bool:
    if entry.is_symlink():
        return False
    if everything:
        return True
    if entry.name.startswith(".") or entry.name in IGNORED_DIRECTORIES:
        return False
    return not Path(entry.path, "pyvenv.cfg").exists()


def _is_relevant(config: WorkerConfig, name: str) -> bool:
    """Whether a change of a file of this name may change the worker. A command may make code of anything."""
    if name.startswith((".", "#")):
        return False
    if config.build is not None:
        return not name.endswith("~")
    return os.path.splitext(name)[1] in RELOADING_SUFFIXES  # noqa: PTH122 - a name


def _concerns(
    config: WorkerConfig, changed: set[Path], files: Collection[Path], served: Sequence[Path]
) -> Change | None:
    configuration = changed & set(config.watched)
    as_it_is = {path for path in changed if any(map(path.is_relative_to, served))}
    code = set()
    for root in _watched(config):
        apart = _apart(config, root, served)
        code |= {path for path in changed if path.is_relative_to(root) and not any(map(path.is_relative_to, apart))}
    # What a command makes is not a change, wherever it is.
    code = code | (changed & set(files)) if config.build is None else code - {config.main}
    code -= set(config.watched)
    if not configuration and not code and not as_it_is:
        return None
    return Change(config, sorted(configuration | code), bool(configuration), sorted(as_it_is))
