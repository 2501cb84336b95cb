"""The private directory of a session for the sockets of its JavaScript workers."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/tmp")
"""The parent of the directory. The system's default may be too long for the path of a Unix socket, which is limited to
about 100 characters."""


class SocketDirectory:
    """A directory that exists while a host uses it, and that only this user can read. `python_workers` are the other
    workers of the session, which may become more."""

    def __init__(self, python_workers: Collection[str] = ()) -> None:
        self._path: Path | None = None
        self._users: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._made = 0
        self._python_workers = python_workers
        self.workers: set[str] = set()
        """The session's JavaScript workers."""

    def join(self, worker: str) -> None:
        """Add a JavaScript worker of the session."""
        self.workers.add(worker)

    def enter(self, worker: str) -> None:
        """The host of `worker` begins to use the directory."""
        if self._path is None:
            root = _ROOT if _ROOT.is_dir() else None
            self._path = Path(tempfile.mkdtemp(prefix="emulator-", dir=root))
        self._users.add(worker)

    def leave(self, worker: str) -> None:
        """The host of `worker` stops using the directory; the last one removes it."""
        self._users.discard(worker)
        if not self._users and self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None

    @property
    def path(self) -> Path:
        """The directory itself, for hosts that use it."""
        assert self._path is not None
        return self._path

    def has(self, descriptor: int) -> bool:
        """Whether a file descriptor belongs to a socket in the directory, to a connection with one, or to a pipe,
        because the output of a process comes over a pipe."""
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

    def service(self, worker: str) -> Path:
        """The socket at which others reach `worker`, whichever process runs it."""
        return self.path / f"s{self._number(worker)}"

    def find(self, binding: str, worker: str) -> Path | str:
        """The socket at which others reach `worker`, or why env.`binding` cannot lead there, as a sentence."""
        if worker in self.workers:
            return self.service(worker)
        leads = f"env.{binding} leads to the worker {worker}, which is"
        if worker in self._python_workers:
            return f"{leads} a Python worker; calling one from JavaScript is not emulated yet"
        return f"{leads} not a worker of this session; name its configuration with -c too"

    @property
    def bindings(self) -> Path:
        """The socket at which the bindings of all workers are answered."""
        return self.path / "b"

    def outbound(self, worker: str) -> Path:
        """The socket at which the `fetch()` of `worker` is answered instead of by the network."""
        return self.path / f"o{self._number(worker)}"

    def _number(self, worker: str) -> int:
        return self._numbers.setdefault(worker, len(self._numbers))
