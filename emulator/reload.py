"""Watching the files of the workers: what changed on disk, and which worker and configuration it concerns.

Directories are watched one by one, without those that hold no code of the user's (`node_modules`, `.venv`, ...),
because a recursive watch of a project with a virtual environment in it costs seconds and thousands of handles. A burst
of changes (an editor that writes a temporary file and renames it, a branch being checked out) is one change.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchfiles import Change as FileChange
from watchfiles import awatch

from emulator.config.model import WorkerConfig

STEP_MS: Final = 10
"""How long no further change may come before a burst counts as over."""

BURST_MS: Final = 400
"""How long a burst may last before what is known of it is acted on."""

IGNORED_DIRECTORIES: Final = frozenset(
    {"__pycache__", "node_modules", "python_modules", "venv", "env", "dist", "build", "site-packages"}
)

RELOADING_SUFFIXES: Final = frozenset(
    {".py", ".json", ".jsonc", ".toml", ".yaml", ".yml", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".css", ".js"}
    | {".svg", ".xml", ".txt", ".md", ".sql", ".csv"}
)
"""Files whose change reloads a worker: code, and what code commonly reads when it is imported. A database or a log that
the worker itself writes must not."""


@dataclass(frozen=True)
class Change:
    """What changed for one worker. `configuration` tells whether its configuration or secrets did."""

    config: WorkerConfig
    files: Sequence[Path]
    configuration: bool


async def watch(configs: Callable[[], Sequence[WorkerConfig]]) -> AsyncIterator[list[Change]]:
    """Yield what changed, a burst at a time, until cancelled. `configs` gives the configurations in force."""
    known: set[Path] = set()
    while True:
        current = configs()
        directories = _directories(current)
        # What was saved into a new directory before it was watched has changed too.
        unseen = set(directories) - known if known else set()
        known = set(directories)
        changes = _changes(current, {file for directory in unseen for file in directory.iterdir()})
        if changes:
            yield changes
        stop = asyncio.Event()
        async for raw in awatch(
            *directories, watch_filter=None, debounce=BURST_MS, step=STEP_MS, stop_event=stop, recursive=False
        ):
            changed = {Path(name) for _, name in raw}
            new_directory = any(kind is FileChange.added and _is_watchable(Path(name)) for kind, name in raw)
            changes = _changes(current, changed)
            if changes:
                yield changes
            if new_directory or list(configs()) != list(current):
                stop.set()


def _directories(configs: Sequence[WorkerConfig]) -> list[Path]:
    """Every directory whose files matter, without the ones below that hold none of the user's code."""
    found: dict[Path, None] = {}
    for config in configs:
        for path in config.watched:
            if path.parent.is_dir():
                found[path.parent] = None
        for directory, below, _ in os.walk(config.directory):
            below[:] = [name for name in below if _is_code_directory(Path(directory, name))]
            found[Path(directory)] = None
    return list(found)


def _is_code_directory(path: Path) -> bool:
    return not path.name.startswith(".") and path.name not in IGNORED_DIRECTORIES and not (path / "pyvenv.cfg").exists()


def _is_watchable(path: Path) -> bool:
    return path.is_dir() and _is_code_directory(path)


def _changes(configs: Sequence[WorkerConfig], changed: set[Path]) -> list[Change]:
    return [change for config in configs if (change := _concerns(config, changed))]


def _concerns(config: WorkerConfig, changed: set[Path]) -> Change | None:
    configuration = not changed.isdisjoint(config.watched)
    code = {path for path in changed if path.is_relative_to(config.directory) and _is_code(path, config.directory)}
    code.difference_update(config.watched)
    if not configuration and not code:
        return None
    files = sorted(code | (changed & set(config.watched)))
    return Change(config, files, configuration)


def _is_code(path: Path, root: Path) -> bool:
    if path.suffix not in RELOADING_SUFFIXES or path.name.startswith((".", "#")):
        return False
    return all(_is_code_directory(parent) for parent in path.parents if parent != root and parent.is_relative_to(root))
