"""Runs the `scheduled` handlers of a session's workers when their crons are due, on the session's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from emulator.base.bus import Notice
from emulator.config.cron import parse
from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded
from emulator.hosts.triggers import ScheduledTrigger

if TYPE_CHECKING:
    from emulator.base.clock import Timer
    from emulator.session.session import Session

LATE_SECONDS: Final = 60.0
"""A cron that should have run longer ago than this, while the machine slept, is left out until it is due again."""


class Crons:
    """Invokes the workers of `session`. No wait is longer than `longest_wait` seconds: the timers of a machine stand
    still while it sleeps.
    """

    def __init__(self, session: Session, longest_wait: float) -> None:
        self._session = session
        self._longest_wait = longest_wait
        self._due: dict[tuple[str, str], float] = {}
        self._running: set[asyncio.Task[None]] = set()
        self.timer: Timer | None = None
        """The one timer; None if no worker has a cron that is ever due."""

    def stop(self) -> None:
        """Invoke nothing any more. Handlers that run go on."""
        if self.timer is not None:
            self.timer.cancel()

    def plan(self) -> None:
        """Begin, or go on with what the configurations say now. What was added is due from now on."""
        now = self._session.clock.now()
        self._due = {
            key: due
            for key in self._declared()
            if (due := self._due.get(key) or parse(key[1]).next_after(now)) is not None
        }
        self._wait()

    def _declared(self) -> Iterator[tuple[str, str]]:
        for config in self._session.configs:
            for cron in config.crons:
                yield config.name, cron

    def _wait(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None
        if self._due:
            clock = self._session.clock
            when = min(*self._due.values(), clock.now() + self._longest_wait)
            self.timer = clock.call_at(when, self._look)

    def _look(self) -> None:
        """Run what is due, each cron once."""
        now = self._session.clock.now()
        for (worker, cron), due in self._due.items():
            if due <= now:
                following = parse(cron).next_after(now)
                self._due[worker, cron] = float("inf") if following is None else following
                if now - due <= LATE_SECONDS:
                    task = asyncio.ensure_future(self._run(worker, cron, due))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
        self._wait()

    async def _run(self, worker: str, cron: str, due: float) -> None:
        host = next(host for host in self._session.hosts if host.config.name == worker)
        with suppress(HandlerError):  # it has been reported
            try:
                await host.invoke("", ScheduledTrigger(cron, round(due * 1000)))
            except (HandlerMissing, NotLoaded) as error:
                why = "its code failed to load" if isinstance(error, NotLoaded) else str(error)
                self._session.bus.publish(Notice("error", f"cron {cron} was due, but did not run: {why}", worker))
