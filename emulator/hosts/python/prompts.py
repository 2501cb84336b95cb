"""What happens around a prompt in worker code, `breakpoint()` or `input()`, where a person types on the terminal.

While the prompt reads, Ctrl-C interrupts it, as in any Python program, and a lender, such as the keys of
`emulator dev`, lets it have the terminal. When it is over, Ctrl-C stops the emulator again. pdb is changed in three
ways, when it is first used: it does not take Ctrl-C for itself after `c`; `q` ends the handler, whatever that catches,
and not the process; and it does not stop where messages are delivered again after a `q`, because that would ask for the
next one.
"""

from __future__ import annotations

import builtins
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import FrameType
from typing import Any, Final

from emulator.hosts.python.loader import WorkerScope
from emulator.hosts.triggers import QueueTrigger
from emulator_runtime.hosting import current

Lender = Callable[[], AbstractContextManager[None]]
"""Makes a context in which the terminal belongs to a prompt. May be called on any thread."""

lenders: Final[list[Lender]] = []

NOTICE_SECONDS: Final = 0.2
"""How often a prompt that reads is interrupted for a moment. Python overlooks a signal that comes between writing a
prompt and waiting for what is typed, until the next one."""

_QUIT: Final = "you ended this handler at the debugger's prompt"
_QUIT_BATCH: Final = f"{_QUIT}; until the code changes, its messages pass breakpoints when they are delivered again"


class DebuggerQuit(BaseException):
    """Ends the handler in which a person has typed `q` at the debugger's prompt. It is not an `Exception`, so that a
    handler's `except Exception` does not catch it."""

    def __init__(self) -> None:
        scope, ids = _batch()
        if scope is not None:
            scope.quit_ids.update(ids)
        super().__init__(_QUIT if scope is None else _QUIT_BATCH)


def _batch() -> tuple[WorkerScope | None, list[str]]:
    """The scope of the batch that is being handled, and the ids of its messages."""
    invocation = current.get(None)
    if invocation is None or not isinstance(invocation.trigger, QueueTrigger):
        return None, []
    scope = invocation.scope
    return scope if isinstance(scope, WorkerScope) else None, [each.id for each in invocation.trigger.delivery.messages]


def install() -> Callable[[], None]:
    """Begin to look after prompts, until the returned function is called. Call it on the main thread."""
    original = builtins.input

    def read(prompt: object = "", /) -> str:
        _change_pdb()
        with _reading():
            return original(prompt)

    builtins.input = read
    if sys.breakpointhook is sys.__breakpointhook__ and not os.environ.get("PYTHONBREAKPOINT"):
        sys.breakpointhook = _stop

    def restore() -> None:
        builtins.input = original
        if sys.breakpointhook is _stop:
            sys.breakpointhook = sys.__breakpointhook__
        _restore_pdb()

    return restore


def _stop(*, header: str | None = None, **options: Any) -> None:
    """What `breakpoint()` does: the same as Python's own, but pdb is changed before it begins."""
    import pdb  # noqa: T100 - loaded at the first breakpoint

    _change_pdb()
    debugger: Any = getattr(pdb.Pdb, "_last_pdb_instance", None) or pdb.Pdb()  # which is kept from Python 3.13 on
    if header is not None:
        debugger.message(header)
    debugger.set_trace(sys._getframe(1), **options)  # noqa: SLF001 - the documented name


def is_stepping() -> bool:
    """Whether this thread runs under a debugger that will stop again by itself, at the next line, say."""
    bdb = sys.modules.get("bdb")
    debugger = getattr(sys.gettrace(), "__self__", None)
    return bdb is not None and isinstance(debugger, bdb.Bdb) and debugger.stoplineno != -1


_changed: dict[str, Any] = {}
"""What the methods of `pdb.Pdb` were before they were changed."""

_ATTRIBUTES: Final = {"nosigint": True, "mode": None}
"""Attributes of every debugger, whatever it is made with. In mode `inline` of Python 3.14, `q` ends the process."""


def _change_pdb() -> None:
    pdb = sys.modules.get("pdb")
    if pdb is None or _changed:
        return
    debugger = pdb.Pdb
    interaction, set_trace = debugger.interaction, debugger.set_trace

    def interact(self: Any, *arguments: Any, **options: Any) -> None:
        with _reading():
            interaction(self, *arguments, **options)
        if self.quitting:
            raise DebuggerQuit

    def stop(self: Any, frame: FrameType | None = None, *arguments: Any, **options: Any) -> None:
        scope, ids = _batch()
        if scope is None or scope.quit_ids.isdisjoint(ids):
            set_trace(self, frame or sys._getframe(1), *arguments, **options)  # noqa: SLF001 - as pdb itself does

    _changed.update(interaction=interaction, set_trace=vars(debugger).get("set_trace"))
    debugger.interaction, debugger.set_trace = interact, stop
    for name, value in _ATTRIBUTES.items():
        setattr(debugger, name, _Fixed(value))


class _Fixed:
    """An attribute of all objects of a class that does not change when it is set."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __get__(self, _owner: object, _kind: type) -> object:
        return self._value

    def __set__(self, _owner: object, _value: object) -> None:
        pass


def _restore_pdb() -> None:
    if not _changed:
        return
    debugger = sys.modules["pdb"].Pdb
    for name in _ATTRIBUTES:
        delattr(debugger, name)
    for name, original in _changed.items():
        if original is None:  # inherited
            delattr(debugger, name)
        else:
            setattr(debugger, name, original)
    _changed.clear()


_depth = 0
"""How many prompts of the main thread are open: a debugger's own contains an `input()`."""


@contextmanager
def _reading() -> Iterator[None]:
    """A prompt is open in this context."""
    global _depth  # noqa: PLW0603 - the signals and the terminal are the process's
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and _depth:
        yield
        return
    with ExitStack() as stack:
        for lend in lenders:
            stack.enter_context(lend())
        if is_main:
            stack.enter_context(_interruptible())
            _depth += 1
            stack.callback(_closed)
        yield


def _closed() -> None:
    global _depth  # noqa: PLW0603
    _depth -= 1


def _noticed(_number: int, _frame: FrameType | None) -> None:
    """Nothing: that there is a signal has Python look for others."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """In this context Ctrl-C raises KeyboardInterrupt at once, and SIGTERM ends the handler and then reaches the event
    loop, which cannot see signals itself while worker code keeps it from running."""
    terminated = False

    def terminate(_number: int, _frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = True
        raise DebuggerQuit

    descriptor = signal.set_wakeup_fd(-1)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    termination = signal.signal(signal.SIGTERM, terminate)
    alarm = signal.signal(signal.SIGALRM, _noticed)
    before = signal.setitimer(signal.ITIMER_REAL, NOTICE_SECONDS, NOTICE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, alarm)
        signal.signal(signal.SIGTERM, termination)
        signal.signal(signal.SIGINT, interrupt)
        signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        # Python remembers that Ctrl-C has interrupted code in a string, and would end itself by the signal when it
        # ends, until it runs code in a string again.
        exec("")
        if terminated:
            signal.raise_signal(signal.SIGTERM)
