"""Starts the emulator as a copy of a process that has imported it already.

The tests start the program some hundreds of times, and would spend a third of their time on importing the same modules
each time. So the first start in a test process begins one that imports them, and all starts are forks of that, with a
process id, an environment, a directory and streams of their own. They run what `python -m emulator` runs. Tests of how
the program starts, of its memory or on a terminal start the program itself.
"""

from __future__ import annotations

import array
import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, NoReturn

_ROOT: Final = Path(__file__).parent.parent.parent
_MOST_BYTES: Final = 1 << 17
_NOT_IMPORTED: Final = ("emulator.templates", "emulator.testing", "emulator.telemetry.", "emulator.__main__")
"""What a session does not import, or what looks at the environment when it is imported."""
_IMPORTED_LATE: Final = ("anyio._backends._asyncio", "httptools", "jinja2.ext", "watchfiles")
"""What only functions import."""

_MOST_SECONDS: Final = 60.0

_original: socket.socket | None = None
"""The connection to the process that is copied, once there is one."""


class Copy:
    """A running program, with what tests use of `subprocess.Popen`."""

    def __init__(
        self, *arguments: str, cwd: Path, environment: Mapping[str, str], stdin: int, stdout: int, stderr: int
    ) -> None:
        self.returncode: int | None = None
        told = {"arguments": arguments, "cwd": str(cwd), "environment": dict(environment)}
        self._news, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            streams = array.array("i", [stdin, stdout, stderr, theirs.fileno()])
            _connect().sendmsg([json.dumps(told).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
        self.pid = int(self._news.recv(16))

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._news.settimeout(timeout)
            try:
                self.returncode = int(self._news.recv(16))
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired("emulator", timeout or 0) from None
            self._news.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def run_emulator(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `emulator` with arguments to its end, which has to come within a minute."""
    environment = {**os.environ, "NO_COLOR": "1"}
    with open(os.devnull) as nothing, TemporaryFile("w+") as output, TemporaryFile("w+") as errors:  # noqa: PTH123
        streams = {"stdin": nothing.fileno(), "stdout": output.fileno(), "stderr": errors.fileno()}
        program = Copy(*arguments, cwd=cwd, environment=environment, **streams)
        try:
            status = program.wait(_MOST_SECONDS)
        finally:
            program.kill()
            program.wait()
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(arguments, status, output.read(), errors.read())


def _connect() -> socket.socket:
    """The connection to the process that is copied, which is started by the first call."""
    global _original
    if _original is None:
        _original, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.copies", str(theirs.fileno())],
                cwd=_ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # whoever presses Ctrl-C means the tests
            )
        atexit.register(process.wait)
        atexit.register(_original.close)
    return _original


def _import_the_emulator() -> None:
    import emulator

    for module in pkgutil.walk_packages(emulator.__path__, "emulator."):
        if not module.name.startswith(_NOT_IMPORTED):
            importlib.import_module(module.name)
    for name in _IMPORTED_LATE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _copy_on_demand(demands: socket.socket) -> Mapping[str, Any] | None:
    """Make copies of this process. Returns in each of them what it is to run, and in this one, when there is nobody any
    more who wants copies, None."""
    ended, wake = socket.socketpair()
    ended.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    copies: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(demands, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if ended in ready:
                ended.recv(1_024)
                _tell_ends(copies)
            if demands not in ready:
                continue
            demand, streams, _, _ = socket.recv_fds(demands, _MOST_BYTES, 4)
            if not demand:
                return None
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for number, stream in enumerate(streams[:3]):
                    os.dup2(stream, number)
                for each in (demands, ended, wake, *copies.values()):
                    each.close()
                for stream in streams:
                    os.close(stream)
                told: Mapping[str, Any] = json.loads(demand)
                return told
            for stream in streams[:3]:
                os.close(stream)
            copies[pid] = socket.socket(fileno=streams[3])
            copies[pid].send(b"%d" % pid)


def _tell_ends(copies: dict[int, socket.socket]) -> None:
    while copies:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            break
        with copies.pop(pid) as news, suppress(OSError):  # there may be nobody who waits
            news.send(b"%d" % os.waitstatus_to_exitcode(status))


def _be_the_program(told: Mapping[str, Any]) -> NoReturn:
    """Run the program, and end as the copies of `multiprocessing` do: without taking the interpreter apart, which would
    take longer than most tests."""
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.argv[:] = ["emulator", *told["arguments"]]
    sys.path[0] = told["cwd"]
    for name in list(sys.modules):
        if name.partition(".")[0] == "tests":
            del sys.modules[name]
    status = 0
    try:
        runpy.run_module("emulator", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _import_the_emulator()
    wanted = _copy_on_demand(socket.socket(fileno=int(sys.argv[1])))
    if wanted is not None:
        _be_the_program(wanted)
