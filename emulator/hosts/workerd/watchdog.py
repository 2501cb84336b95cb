"""Notices JavaScript that keeps its process from doing anything else, and has it ended when it goes on too long.

A process runs all of a worker's JavaScript on one thread. When something has run for a while, the process is asked a
question that any worker answers at once; while there is no answer, code spins, and its CPU time counts. Its line cannot
be told: workerd's inspector answers only between two pieces of JavaScript, and lets anybody in who finds its port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from time import monotonic
from typing import Any, Final, Protocol

from emulator.base.words import count
from emulator.hosts.triggers import Trigger

LOOK_SECONDS: Final = 0.5
"""How often a process that is running something is looked at. What ends before is never asked about."""

BLOCKED_SECONDS: Final = 1.0
"""How long a process may give no answer before that is told."""

_POLL_SECONDS: Final = 0.1
_MOST_NAMED: Final = 3


class Watched(Protocol):
    """A process that runs JavaScript."""

    active: set[Trigger[Any]]

    def ask(self) -> Coroutine[Any, Any, None]:
        """Ask it something; returns when it has answered, or has ended."""

    def cpu_seconds(self) -> float:
        """The CPU time that it has used."""


class ProcessWatchdog:
    """Watches `process` while it runs something.

    `warn` is called with a sentence, once each time when the process does not answer for a while. Once that has cost
    more than `cpu_ms` milliseconds of CPU time, `end` is called with the invocations that may be the reason, and is to
    end the process. Time in which a debugger holds the process, as `is_held` tells, does not count.
    """

    def __init__(
        self,
        process: Watched,
        cpu_ms: int,
        warn: Callable[[str], None],
        end: Callable[[Collection[Trigger[Any]]], None],
        is_held: Callable[[], bool] = bool,
    ) -> None:
        self._process = process
        self._cpu_ms = cpu_ms
        self._warn = warn
        self._end = end
        self._is_held = is_held
        self._before: set[Trigger[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None
        self.is_on = False
        """Whether it is watching; if not, `start` has to be called when something begins to run."""

    def start(self) -> None:
        """Watch until nothing runs any more."""
        self.is_on = True
        self._before = set()
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def stop(self) -> None:
        """Watch no more, for good."""
        self.is_on = True
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def _look(self) -> None:
        active = self._process.active
        if not active:
            self.is_on = False
            return
        suspects = active & self._before
        if suspects:
            self._asking = asyncio.ensure_future(self._ask(suspects))
            return
        self._before = set(active)
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    async def _ask(self, suspects: set[Trigger[Any]]) -> None:
        asked, cpu = monotonic(), self._process.cpu_seconds()
        has_told = False
        answering = asyncio.ensure_future(self._process.ask())
        try:
            while not answering.done():
                await asyncio.wait((answering,), timeout=_POLL_SECONDS)
                if answering.done():
                    break
                if self._is_held():
                    asked, cpu = monotonic(), self._process.cpu_seconds()
                    continue
                if not has_told and monotonic() - asked > BLOCKED_SECONDS:
                    has_told = True
                    self._warn(_blocked_text(suspects))
                if (self._process.cpu_seconds() - cpu) * 1000 >= self._cpu_ms:
                    self._end(suspects)
                    return
        finally:
            answering.cancel()
        self.start()


def _blocked_text(suspects: Collection[Trigger[Any]]) -> str:
    texts = sorted(trigger.text for trigger in suspects)
    named = ", ".join(texts[:_MOST_NAMED])
    if len(texts) > _MOST_NAMED:
        named += f" and {count(len(texts) - _MOST_NAMED, 'other', 'others')}"
    one = "" if len(texts) == 1 else "one of "
    return (
        f"has computed for more than {BLOCKED_SECONDS:g} s without a pause, and nothing else of it runs meanwhile: "
        f"{one}{named}"
    )
