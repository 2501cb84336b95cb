"""The life of one workerd process: started, listening, dead, and never left behind.

A small shell runs between the emulator and workerd. It waits on a pipe whose other end only the emulator has: when that
end closes, because the emulator closes it or has ended for any reason, the shell kills workerd. Its exit status says
how workerd ended. Everything that workerd writes comes over one pipe, which ends with workerd.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

from emulator.base.words import reason
from emulator.hosts.workerd.configuration import INSPECTOR, Sockets
from emulator.wire.texts import read_json

START_SECONDS: Final = 15.0
"""How long workerd may take to start listening."""

_GUARD: Final = """
files=$1
shift
"$@" </dev/null &
worker=$!
exec >/dev/null 2>&1
read -r order
kill -KILL "$worker"
wait "$worker"
status=$?
test -n "$order" || rm -rf -- "$files"
exit "$status"
"""
_DOES_NOT_RUN: Final = frozenset({2, 126, 127})
"""The status of a shell if a file is not a program, or not one for this machine; workerd's own is 1."""
_LISTENS: Final = frozenset({"listen", "listen-inspector"})
_READ_BYTES: Final = 65_536
_EXIT_SECONDS: Final = 5.0


class WorkerdStartError(Exception):
    """workerd did not start listening. The text is what it wrote."""


class WorkerdProcess:
    """A running workerd.

    `on_line` is called with every line that it writes, except those of its start. `on_exit` is called once if it ends
    by itself. Both are called on the event loop's thread.
    """

    def __init__(self, on_line: Callable[[dict[str, Any]], None], on_exit: Callable[[], None]) -> None:
        self._on_line = on_line
        self._on_exit = on_exit
        self._guard: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workerd: Path | None = None
        self._partial = b""
        self._awaited: set[str] = set()
        self._listening: asyncio.Future[None] | None = None
        self._said: list[str] = []
        self._ended: asyncio.Future[None] | None = None
        self._killed = False
        self.inspector_port: int | None = None
        """Where debuggers reach the process, on this machine; None if nowhere."""
        self._statistics = ""
        """The file in which the system counts workerd's CPU time."""

    @property
    def pid(self) -> int | None:
        """The process id of the shell that guards workerd and leads its process group; None if there is no process."""
        return None if self._guard is None else self._guard.pid

    async def start(self, workerd: Path, configuration: Path, sockets: Sockets, files: Path) -> None:
        """Start workerd, and wait until it listens on all of `sockets`. The directory `files` is removed if the
        emulator is killed.

        Raises WorkerdStartError if it ends before that, or takes too long.
        """
        self._loop = asyncio.get_running_loop()
        self._workerd = workerd
        self._awaited = set(sockets.names)
        self._listening = self._loop.create_future()
        self._ended = self._loop.create_future()
        command = [str(workerd), "serve", "--experimental", "--control-fd=1"]
        if sockets.debug is not None:
            command.append(f"--debug-port=unix:{sockets.debug}")
        if sockets.has_inspector:
            command.append("--inspector-addr=127.0.0.1:0")
        command.append(str(configuration))
        try:
            self._guard = subprocess.Popen(  # noqa: ASYNC220 - it returns as soon as the shell is there
                ["/bin/sh", "-c", _GUARD, "sh", str(files), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for us to act on
            )
        except OSError as error:
            raise WorkerdStartError(f"{workerd} cannot be started: {reason(error)}") from None
        assert self._guard.stdout is not None
        os.set_blocking(self._guard.stdout.fileno(), False)
        self._loop.add_reader(self._guard.stdout.fileno(), self.read_output)
        try:
            await asyncio.wait_for(asyncio.shield(self._listening), START_SECONDS)
        except TimeoutError:
            self._listening.cancel()
            await self.kill()
            raise WorkerdStartError(f"workerd did not listen within {START_SECONDS:g} s") from None
        except BaseException:
            self._listening.cancel()
            await self.kill()
            raise

    def read_output(self) -> None:
        """Read what workerd has written so far."""
        while self._guard is not None and self._guard.stdout is not None and not self._guard.stdout.closed:
            try:
                data = self._guard.stdout.read(_READ_BYTES)
            except OSError:
                data = b""
            if data is None:  # nothing at the moment
                return
            if not data:
                self._end()
                return
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in lines:
                self._take(line)
            if len(data) < _READ_BYTES:
                return

    async def kill(self) -> None:
        """End the process, and return when it has. `on_exit` is not called."""
        self._killed = True
        guard = self._guard
        if guard is None or self._ended is None or self._ended.done():
            return
        self._order_end(guard)
        await asyncio.wait((self._ended,), timeout=_EXIT_SECONDS)
        if not self._ended.done():
            with suppress(OSError):
                os.killpg(guard.pid, signal.SIGKILL)
            self._end()

    def end_by_force(self) -> None:
        """End the process as if it did so by itself: `on_exit` is called."""
        if self._guard is not None:
            self._order_end(self._guard)

    def cpu_seconds(self) -> float:
        """The CPU time that workerd has used; where the system does not tell, the time by the clock on the wall."""
        if self._guard is None:
            return 0.0
        try:
            if not self._statistics:
                children = Path(f"/proc/{self._guard.pid}/task/{self._guard.pid}/children").read_text(encoding="ascii")
                self._statistics = f"/proc/{int(children.split()[0])}/stat"
            fields = Path(self._statistics).read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # fields 14 and 15 in its manual
        except (OSError, ValueError, IndexError):
            return monotonic()

    async def has_ended(self, timeout_seconds: float) -> bool:
        """Whether the process has ended, or ends within `timeout_seconds`."""
        if self._ended is None:
            return True
        await asyncio.wait((self._ended,), timeout=timeout_seconds)
        return self._ended.done()

    def exit_text(self) -> str:
        """How a process that has ended by itself ended, in words."""
        status = 0 if self._guard is None else self._guard.returncode
        number = status - 128 if status > 128 else -status
        if number > 0:
            with suppress(ValueError):
                return f"was killed by {signal.Signals(number).name}"
        return f"exited with status {status}"

    def _take(self, line: bytes) -> None:
        if not line:
            return
        try:
            record = read_json(line)
        except ValueError:
            record = None
        is_starting = self._listening is not None and not self._listening.done()
        if not isinstance(record, dict):  # a warning of workerd's; before it listens, the shell's or V8's last words
            record = {"level": "error" if is_starting else "warn", "message": line.decode("utf-8", "replace")}
        if record.get("event") in _LISTENS and "level" not in record:
            if record["event"] == "listen":
                self._awaited.discard(str(record.get("socket")))
            else:
                self._awaited.discard(INSPECTOR)
                self.inspector_port = record["port"]
            if not self._awaited and self._listening is not None and not self._listening.done():
                self._listening.set_result(None)
        elif is_starting and record.get("level") in ("error", "fatal"):
            self._said.append(str(record.get("message", "")))
        else:
            self._on_line(record)

    def _end(self) -> None:
        """Handle the end of the pipe, and so of workerd."""
        guard, loop = self._guard, self._loop
        assert guard is not None
        assert guard.stdout is not None
        assert loop is not None
        assert self._ended is not None
        if self._ended.done():
            return
        self._ended.set_result(None)
        loop.remove_reader(guard.stdout.fileno())
        guard.stdout.close()
        self._take(self._partial)
        self._partial = b""
        self._order_end(guard)
        guard.wait()  # the shell has nothing left to do but to tell how workerd ended
        if self._listening is not None and not self._listening.done():
            said = "\n".join(self._said)
            if guard.returncode in _DOES_NOT_RUN or not said:
                said = f"{self._workerd} does not run on this machine: it {self.exit_text()} ({said or 'said nothing'})"
            self._listening.set_exception(WorkerdStartError(said))
        elif not self._killed:
            self._on_exit()

    @staticmethod
    def _order_end(guard: subprocess.Popen[bytes]) -> None:
        assert guard.stdin is not None
        if not guard.stdin.closed:
            with suppress(OSError):
                guard.stdin.write(b"end\n")
            guard.stdin.close()
