"""Detects worker code that blocks the event loop, and stops it if that takes too long.

A thread asks the loop for a sign of life a few times a second. If there is none for a second, it reports where worker
code is stuck, once for each place. If the loop's thread has meanwhile used more CPU time than the worker may use, an
exception is raised inside the handler. Time in `time.sleep` does not count, and none at all while a debugger holds the
code, which is also added up (`held_seconds`) for those who limit how long a handler runs.

On the main thread the exception comes from a signal handler, which Python runs between two instructions of the main
thread; so it can check that worker code is running, and never interrupts anything else. If the loop runs on another
thread, Python can only be asked to raise the exception there soon.

Code written in C may hold Python's lock, and then the thread does not run either: `re`, or arithmetic with large
integers. For that the system sends the same signal for every so much CPU time that the process uses. Such code looks
for signals now and then, so that the handler asks the loop for a sign of life as well, and reports and raises as the
thread does. What does not even look for signals can be neither seen nor stopped before it ends.
"""

from __future__ import annotations

import asyncio
import linecache
import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

from emulator.base.failure import is_own
from emulator.base.words import shown_path
from emulator.hosts.host import CpuLimitExceeded
from emulator.hosts.python.loader import WorkerModules, modules_of
from emulator.hosts.python.output import at_prompt

Report = Callable[[str, str], None]
"""Called with a sentence and the name of the worker that it is about: on the watchdog's own thread, because the event
loop is busy, or in the middle of the worker code that blocks it."""

_SIGNAL: Final = signal.SIGVTALRM if hasattr(signal, "SIGVTALRM") else signal.SIGINT
_POLL_SECONDS: Final = 0.02

_held_seconds = 0.0


def held_seconds() -> float:
    """For how long, in real seconds and all together, a debugger has held worker code in this process. Exact to a
    twentieth of a second; counts only while there is a watchdog."""
    return _held_seconds


class Watchdog:
    """Watches `loop` from `start` to `stop`, both called on the loop's thread.

    `blocked_after_seconds` is how long, in real time, the loop may go without a sign of life. The CPU limit is that of
    the worker whose code is running.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Report, *, blocked_after_seconds: float = 1.0) -> None:
        self._loop = loop
        self._report = report
        self._blocked_after = blocked_after_seconds
        self._stopped = threading.Event()
        self._alive = threading.Event()
        self._reported: set[tuple[str, str, int]] = set()
        self._thread: threading.Thread | None = None
        self._watched = 0
        self._asked_by_signal: tuple[float, float] | None = None
        """When the signal handler asked the loop for a sign of life and did not get it yet: in real time, and in CPU
        seconds of the thread."""
        self._has_told = False
        """Whether it has been reported where the loop is stuck this time."""
        self._is_over_limit = False
        self._cpu_seconds: Callable[[], float] = time.process_time
        self._previous_handler: Any = None
        self._uses_signal = False

    def start(self) -> None:
        """Start watching."""
        self._watched = threading.get_ident()
        self._uses_signal = threading.current_thread() is threading.main_thread() and _SIGNAL != signal.SIGINT
        if self._uses_signal:
            self._previous_handler = signal.signal(_SIGNAL, self._interrupted)
            signal.siginterrupt(_SIGNAL, False)
            signal.setitimer(signal.ITIMER_VIRTUAL, self._blocked_after / 4, self._blocked_after / 4)
        self._cpu_seconds = _cpu_clock(self._watched)
        self._stopped.clear()
        self._thread = threading.Thread(target=self._watch, name="emulator-watchdog", daemon=True)
        self._thread.pydev_do_not_trace = True  # type: ignore[attr-defined]  # debugpy leaves it running
        self._thread.start()

    def stop(self) -> None:
        """Stop watching. Does nothing if it was not started."""
        if self._thread is None:
            return
        self._stopped.set()
        self._alive.set()
        self._thread.join()
        self._thread = None
        if self._uses_signal:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(_SIGNAL, self._previous_handler)

    def _watch(self) -> None:
        global _held_seconds  # noqa: PLW0603 - there is one watchdog in a process
        while not self._stopped.wait(self._blocked_after / 4):
            self._alive.clear()
            self._has_told = self._is_over_limit = False
            asked, cpu = time.monotonic(), self._cpu_seconds()
            last = asked
            try:
                self._loop.call_soon_threadsafe(self._alive.set)
            except RuntimeError:  # the loop is closed
                return
            while not self._alive.wait(_POLL_SECONDS):
                if self._stopped.is_set():
                    return
                frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - the documented name
                last, before = time.monotonic(), last
                if at_prompt(frame):
                    _held_seconds += last - before
                    asked, cpu = last, self._cpu_seconds()
                    continue
                if not self._has_told and time.monotonic() - asked >= self._blocked_after:
                    self._has_told = self._report_blocked(frame)
                self._check_limit(frame, self._cpu_seconds() - cpu)
                del frame

    def _report_blocked(self, frame: FrameType | None) -> bool:
        """Report where worker code is stuck. Returns whether worker code was running."""
        worker_frame, modules = _innermost_worker_frame(frame)
        if worker_frame is None or modules is None:
            return False
        line = worker_frame.f_lineno
        code = worker_frame.f_code
        place = (worker_frame.f_globals["__name__"], code.co_qualname, line)
        if place in self._reported:
            return True
        self._reported.add(place)
        source = linecache.getline(code.co_filename, line).strip()
        self._report(
            f"has blocked the event loop for more than {self._blocked_after:g} s, so nothing else can run: "
            f"{shown_path(code.co_filename)}:{line} in {code.co_name}" + (f"\n    {source}" if source else ""),
            modules.worker,
        )
        return True

    def _check_limit(self, frame: FrameType | None, cpu_seconds: float) -> None:
        modules = _interruptible(frame)
        if modules is None or cpu_seconds * 1000 < modules.cpu_ms:
            return
        if self._uses_signal:
            self._is_over_limit = True
            interrupt_main(_SIGNAL)
        else:
            self._raise_soon()

    def _interrupted(self, _number: int, frame: FrameType | None) -> None:
        """The signal handler. If the signal comes at a bad moment, the watchdog sends another while the loop is
        stuck."""
        is_held = at_prompt(frame)
        modules = None if is_held else _interruptible(frame)
        if self._is_over_limit and not self._alive.is_set() and modules is not None:
            raise _limit_exceeded(modules)
        if self._asked_by_signal is None:
            self._asked_by_signal = time.monotonic(), self._cpu_seconds()
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._answered_signal)
            return
        if is_held:
            self._asked_by_signal = time.monotonic(), self._cpu_seconds()
        if modules is None:
            return
        asked, cpu = self._asked_by_signal
        if not self._has_told and time.monotonic() - asked >= self._blocked_after:
            self._has_told = self._report_blocked(frame)
        if (self._cpu_seconds() - cpu) * 1000 >= modules.cpu_ms:
            raise _limit_exceeded(modules)

    def _answered_signal(self) -> None:
        self._asked_by_signal = None
        self._has_told = False

    def _raise_soon(self) -> None:
        """Raise in the watched thread at its next instruction, and take it back if worker code has ended meanwhile."""
        import ctypes  # imported here, because it is rarely needed

        raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
        identifier = ctypes.c_ulong(self._watched)
        raise_in_thread(identifier, ctypes.py_object(CpuLimitExceeded))
        if _interruptible(sys._current_frames().get(self._watched)) is None:  # noqa: SLF001
            raise_in_thread(identifier, None)


def _limit_exceeded(modules: WorkerModules) -> CpuLimitExceeded:
    return CpuLimitExceeded(
        f"the handler used more than {modules.cpu_ms:,} ms of CPU time without a pause (limits.cpu_ms)"
    )


def _interruptible(frame: FrameType | None) -> WorkerModules | None:
    """The worker whose code is running at `frame`, or has called the library that `frame` is in. None if no worker's
    code is running, or the emulator's own, which must not be interrupted."""
    innermost = True
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if isinstance(name, str):
            modules = modules_of(name)
            if modules is not None:
                return modules
        if is_own(frame.f_code.co_filename) and (innermost or name != "emulator.hosts.python.loader"):
            return None
        innermost = False
        frame = frame.f_back
    return None


def _innermost_worker_frame(frame: FrameType | None) -> tuple[FrameType | None, WorkerModules | None]:
    while frame is not None:
        name = frame.f_globals.get("__name__")
        modules = modules_of(name) if isinstance(name, str) else None
        if modules is not None:
            return frame, modules
        frame = frame.f_back
    return None, None


def _cpu_clock(thread: int) -> Callable[[], float]:
    """A function that returns the CPU seconds of a thread, or of the process if the system does not count them by
    thread."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time
    clock = time.pthread_getcpuclockid(thread)
    return lambda: time.clock_gettime(clock)
