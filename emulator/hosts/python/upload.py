"""What `wrangler deploy` sends of a Python worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from emulator.config.model import PYTHON_MODULES, WorkerConfig

_ENDINGS: Final = frozenset({".py", ".txt", ".html", ".sql", ".bin", ".wasm"})
"""The endings of files that are sent from the directory of the main module. Of packages, everything is sent that is
not compiled Python."""


def uploaded(config: WorkerConfig) -> Iterator[bytes]:
    """The content of each module: files beside `main` and below, virtual environments and the like included, and
    `python_modules/` beside the configuration. Python that lies in both is sent twice."""
    yield config.main.read_bytes()
    for file in _files(config.directory):
        if file.suffix in _ENDINGS and file != config.main:
            yield file.read_bytes()
    for file in _files(config.path.parent / PYTHON_MODULES):
        if file.suffix != ".pyc":
            yield file.read_bytes()


def _files(top: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(top):
        names.sort()
        yield from (Path(directory, name) for name in sorted(files))
