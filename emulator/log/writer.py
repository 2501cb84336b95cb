"""Writes text to a file descriptor on a separate thread, so that the emulator never waits for a slow reader.

Writing to a pipe that nobody reads, or to a terminal that was stopped with Ctrl-S, may block for any time; on the event
loop's thread that would stop requests and signals. So text is put into a buffer. If the buffer stays full for a moment,
lines are dropped and counted, and the next line says how many.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import Final

MAX_WAITING: Final = 4_000_000
"""How many characters may wait to be written."""

PATIENCE_SECONDS: Final = 0.5
"""How long a write waits once for room in a full buffer, to give a slow reader time."""

LAST_PATIENCE_SECONDS: Final = 2.0
"""How long to wait at the end for a reader that does not read."""

_PIECE_BYTES: Final = 65_536


class Writer:
    """Writes texts, encoded by `encode`, to `descriptor`. `tell_lost` returns the line that says how many lines were
    dropped; it may be called on any thread. `on_gone` is called once, if nothing can be written any more."""

    def __init__(
        self,
        descriptor: int,
        encode: Callable[[str], bytes],
        tell_lost: Callable[[int], str],
        on_gone: Callable[[], None],
    ) -> None:
        self._descriptor = descriptor
        self._encode = encode
        self._tell_lost = tell_lost
        self._on_gone = on_gone
        self._changed = threading.Condition()
        self._texts: list[str] = []
        self._waiting = 0
        self._written = 0
        self._lost = 0
        self._is_stalled = False
        self._is_gone = False
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def write(self, text: str, *, patience_seconds: float = 0.0) -> None:
        """Write `text`, which ends with a line break. Waits at most `patience_seconds` for it to be written, if nothing
        else is waiting."""
        with self._changed:
            if self._is_gone:
                return
            if not self._has_room(text) and not self._is_stalled:
                self._changed.wait_for(lambda: self._has_room(text), PATIENCE_SECONDS)
            if not self._has_room(text):
                self._is_stalled = True
                self._lost += text.count("\n")
                return
            was_idle = not self._waiting
            self._add_lost()
            self._add(text)
            if was_idle and patience_seconds:
                self._changed.wait_for(lambda: not self._waiting, patience_seconds)

    def close(self) -> None:
        """Wait until everything is written, while the reader still reads."""
        with self._changed:
            self._is_closing = True
            self._add_lost()
            self._changed.notify_all()
            while self._waiting and not self._is_gone:
                written = self._written
                if not self._changed.wait_for(self._progress_since(written), LAST_PATIENCE_SECONDS):
                    self._go()

    def _progress_since(self, written: int) -> Callable[[], bool]:
        return lambda: self._written != written or not self._waiting or self._is_gone

    def _has_room(self, text: str) -> bool:
        return not self._waiting or self._waiting + len(text) <= MAX_WAITING

    def _add(self, text: str) -> None:
        self._texts.append(text)
        self._waiting += len(text)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="terminal", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _add_lost(self) -> None:
        if self._lost and not self._is_gone:
            lost, self._lost = self._lost, 0
            self._add(self._tell_lost(lost))

    def _go(self) -> None:
        """Nothing can be written any more."""
        if not self._is_gone:
            self._is_gone = True
            self._texts.clear()
            self._waiting = 0
            self._on_gone()
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._texts or self._is_closing or self._is_gone)
                if self._is_gone or not self._texts:
                    return
                text = "".join(self._texts)
                self._texts.clear()
            try:
                self._write_all(self._encode(text))
            except OSError:  # the reader is gone (`emulator dev | head`) or the disk is full; the workers keep running
                with self._changed:
                    self._go()
                return
            with self._changed:
                self._waiting = max(0, self._waiting - len(text))
                if self._waiting <= MAX_WAITING // 2:
                    self._is_stalled = False
                self._changed.notify_all()

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                size = os.write(self._descriptor, view[:_PIECE_BYTES])
            except BlockingIOError:  # somebody who has the same pipe has set it to non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
                continue
            view = view[size:]
            with self._changed:
                if self._is_gone:
                    return
                self._written += size
                self._changed.notify_all()
