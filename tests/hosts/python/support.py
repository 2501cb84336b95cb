"""Fixtures of the host tests: files of workers, and loaded versions of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from emulator.hosts.python.loader import WorkerModules, WorkerPackages

WriteFiles = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteFiles:
    """Writes files below a temporary directory, and gives the directory."""

    def write_files(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        return tmp_path

    return write_files


class Loading:
    """Loads versions of workers, and closes all of them at the end."""

    def __init__(self) -> None:
        self.versions: list[WorkerModules] = []
        self.packages: dict[Path, WorkerPackages] = {}
        self.warnings: list[str] = []

    def version(self, main: Path, worker: str = "sign-up") -> WorkerModules:
        if main.parent not in self.packages:
            self.packages[main.parent] = WorkerPackages(worker, main.parent, self.warnings.append)
        version = WorkerModules(worker, main, self.packages[main.parent])
        self.versions.append(version)
        return version

    def load(self, main: Path, worker: str = "sign-up") -> ModuleType:
        return self.version(main, worker).load()

    def close(self) -> None:
        for version in self.versions:
            version.close()
        for packages in self.packages.values():
            packages.close()


@pytest.fixture
def loading() -> Iterator[Loading]:
    loading = Loading()
    yield loading
    loading.close()
