"""The private directory of a session in which its JavaScript workers listen and find each other."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from emulator.bindings.wiring import OtherWorker

_ROOT: Final = Path("/tmp")
"""Where the directory is made: the system's choice may be too long for the path of a Unix socket, of which there are
hardly more than 100 characters."""


class SocketDirectory:
    """A directory that exists while any host uses it, and that only this user can look into."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._users: set[str] = set()
        self._numbers: dict[tuple[str, str], int] = {}
        self._made = 0
        self.entrypoints: dict[str, set[str]] = {}
        """Which entrypoints of each worker others bind to; the empty one is the default export."""
        self.workers: set[str] = set()
        """The session's JavaScript workers."""
        self.called: set[str] = set()
        """The workers that others bind to."""

    def join(self, worker: str, called: Iterable[OtherWorker]) -> None:
        """`worker` is one of the session's, and its bindings lead to `called`."""
        self.workers.add(worker)
        self.entrypoints.setdefault(worker, {""})
        for other in called:
            self.entrypoints.setdefault(other.worker, {""}).add(other.entrypoint)
            self.called.add(other.worker)

    def enter(self, worker: str) -> None:
        """The host of `worker` uses the directory, until it leaves."""
        if self._path is None:
            root = _ROOT if _ROOT.is_dir() else None
            self._path = Path(tempfile.mkdtemp(prefix="emulator-", dir=root))
        self._users.add(worker)

    def leave(self, worker: str) -> None:
        """The host of `worker` is done; the last to leave removes the directory."""
        self._users.discard(worker)
        if not self._users and self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None

    @property
    def path(self) -> Path:
        """The directory itself. Only for those who have entered."""
        assert self._path is not None
        return self._path

    def has(self, descriptor: int) -> bool:
        """Whether a file descriptor is of a socket in the directory, or connected to one, or of a pipe, as what a
        process writes comes over one."""
        mode = os.fstat(descriptor).st_mode
        if self._path is None or not stat.S_ISSOCK(mode):
            return self._path is not None and stat.S_ISFIFO(mode)
        with socket.socket(fileno=os.dup(descriptor)) as each:
            if each.family != socket.AF_UNIX:
                return False
            names = [each.getsockname()]
            with suppress(OSError):
                names.append(each.getpeername())
        return any(isinstance(name, str) and name.startswith(f"{self._path}/") for name in names)

    def make_process_directory(self) -> Path:
        """A new directory for the files of one process."""
        self._made += 1
        directory = self.path / f"p{self._made}"
        directory.mkdir()
        return directory

    def service(self, worker: str, entrypoint: str) -> Path:
        """Where others reach an entrypoint of `worker` (empty: its default export), whichever process runs it."""
        return self.path / f"s{self._number(worker, entrypoint)}"

    @property
    def bindings(self) -> Path:
        """Where the bindings of all workers are answered."""
        return self.path / "b"

    def outbound(self, worker: str) -> Path:
        """Where what `worker` fetches is answered when the network is not to."""
        return self.path / f"o{self._number(worker, '')}"

    def _number(self, worker: str, entrypoint: str) -> int:
        return self._numbers.setdefault((worker, entrypoint), len(self._numbers))
