"""Writes text to a file descriptor on a thread of its own, so that nobody waits for whoever reads it.

A pipe that is not read, a terminal that was stopped with Ctrl-S: writing to these takes as long as the reader likes,
and on the event loop's thread no request would be answered and no signal heard meanwhile. Here a text is put into a
buffer. When that is full and stays so for a moment, lines are dropped and counted, and what is written next says how
many.
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
"""How long whoever writes waits for room in a full buffer, once: a reader that is only slow gets that time."""

LAST_PATIENCE_SECONDS: Final = 2.0
"""How long a reader may take at the end before it reads any more, until it is given up."""

_PIECE_BYTES: Final = 65_536


class Writer:
    """Writes to `descriptor` what `encode` makes of texts. `tell_lost` makes the line that says how many lines were
    dropped; it is called on any thread. `on_gone` is called, once, when nothing can be written any more."""

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
        """Have `text`, which ends with the end of a line, written. A writer that has nothing else to do is waited for
        at most `patience_seconds`."""
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
        """Wait until everything is written, for as long as anything is being read."""
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
