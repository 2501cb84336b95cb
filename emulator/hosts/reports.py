"""Publishes what a host reports about one worker: failures, how invocations ended, and notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from emulator.base.acts import Act, acting
from emulator.base.bus import Bus, Level, Notice
from emulator.base.failure import Failure
from emulator.base.secrets import Secrets
from emulator.hosts.events import HandlerFailed
from emulator.hosts.host import HandlerError, HandlerMissing
from emulator.hosts.triggers import Trigger, with_article
from emulator.queues.message import Cause


class Reports:
    """Publishes on `bus` what happens to `worker`, without these secrets. `timer` measures durations in seconds."""

    def __init__(self, worker: str, bus: Bus, secrets: Secrets, timer: Callable[[], float] = perf_counter) -> None:
        self.worker = worker
        self.bus = bus
        self._secrets = secrets
        self._timer = timer

    def failed(self, failure: Failure, trigger: str, cause: BaseException) -> HandlerError:
        """Report that worker code failed in an invocation whose log text is `trigger`. Returns the error to raise."""
        told = self.publish_failure(failure, trigger, acting.get())
        error = HandlerError(told)
        error.__cause__ = cause
        return error

    def publish_failure(self, failure: Failure, trigger: str, act: Act | None) -> Failure:
        """Report that worker code failed in `act`. Returns the failure as it was told."""
        told = failure.without(self._secrets)
        self.bus.publish(HandlerFailed(self.worker, trigger, told, act=act))
        return told

    def cause(self, failure: Failure) -> Cause:
        """Why a handler asks for a retry, as it is told."""
        return Cause.of(failure.without(self._secrets))

    @contextmanager
    def finishing(self, trigger: Trigger[Any]) -> Iterator[None]:
        """Run an invocation in this context, and report how it ended. An invocation that did not begin, because the
        worker is not loaded or does not have the handler, is not reported."""
        started = self._timer()
        outcome = "ok"
        act = None if self.bus.acts is None else self.bus.acts.begin()
        token = acting.set(act)
        try:
            yield
        except HandlerError:
            outcome = "exception"
            raise
        except BaseException:
            outcome = ""
            raise
        finally:
            acting.reset(token)
            event = trigger.finished(self.worker, outcome, self._timer() - started) if outcome else None
            if event is not None:
                event.act = act
                self.bus.publish(event)

    def warn(self, text: str) -> None:
        """Show a warning."""
        self.notice("warning", text)

    def notice(self, level: Level, text: str) -> None:
        """Show a sentence to the user."""
        self.bus.publish(Notice(level, text, self.worker))

    def missing(self, handler: str, there: Sequence[str], where: str) -> HandlerMissing:
        """The error about a handler that the worker does not have. `where` says where to add it."""
        return HandlerMissing(
            f"worker {self.worker} has no {handler} handler, it has {' and '.join(there)}; "
            f"add {with_article(handler)} method to {where}"
        )

    def no_entrypoint(self, entrypoint: str) -> HandlerMissing:
        """The error about a named entrypoint."""
        return HandlerMissing(
            f"worker {self.worker}: the named entrypoint {entrypoint!r} cannot be invoked; "
            "only the default export handles events here"
        )
