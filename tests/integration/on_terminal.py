"""`emulator dev` on a terminal of its own, with a person who types and reads."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import DEADLINE_SECONDS

_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class OnTerminal:
    """A process on a terminal that is its own, so that Ctrl-C is a signal. `shown` is what has been read, without
    colours."""

    def __init__(
        self, *arguments: str, cwd: Path, command: tuple[str, ...] = ("-m", "emulator", "dev", "-p", "0")
    ) -> None:
        self.shown = ""
        self._end = 0
        self.terminal, other_end = pty.openpty()
        termios.tcsetwinsize(self.terminal, (50, 120))
        self.normal_mode = termios.tcgetattr(self.terminal)
        self.process = subprocess.Popen(
            [sys.executable, *command, *arguments],
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", "TERM": "xterm", "BROWSER": ""},
            stdin=other_end,
            stdout=other_end,
            stderr=other_end,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - it takes no lock
        )
        os.close(other_end)

    def ready(self) -> str:
        """The address, once it answers there."""
        return self.wait_for(r"Ready on (http://\S+)")[1]

    def obeys_keys(self) -> None:
        """Wait until keys are read one by one."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.mode()[3] & (termios.ICANON | termios.ECHO):
            assert time.monotonic() < deadline, self.shown
            self._read(0.01)

    def mode(self) -> list[Any]:
        return termios.tcgetattr(self.terminal)

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match behind the last one; fails with what was shown when none comes."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        expression = re.compile(pattern)
        while (match := expression.search(self.shown, self._end)) is None:
            if time.monotonic() > deadline or not self._read(deadline - time.monotonic()):
                pytest.fail(f"nothing matches {pattern!r} in:\n{self.shown[self._end :]}\n--- after:\n{self.shown}")
        self._end = match.end()
        return match

    def wait(self) -> int:
        """The exit status, once the process has ended; everything is in `shown` then."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self._read(0.1):
            assert time.monotonic() < deadline, self.shown
        return self.process.wait(DEADLINE_SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.terminal)

    def _read(self, seconds: float) -> bool:
        """Read what is shown within this time. False once the other end is closed."""
        if not select.select([self.terminal], [], [], max(0.0, seconds))[0]:
            return self.process.poll() is None
        try:
            piece = os.read(self.terminal, 65_536)
        except OSError:
            return False
        self.shown += _STYLE.sub("", piece.decode(errors="replace")).replace("\r", "")
        return bool(piece)
