"""The reasons for invoking a worker: a request, a batch of messages, a cron that is due, an e-mail.

`TRIGGERS` is the only list of them. A row says which handler runs, its arguments, the text in the log, and, as the type
parameter, the result of an invocation. A new kind of trigger needs a new row, and a line in each host.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

import msgspec

from emulator.base.bus import Happening
from emulator.hosts.events import EmailFinished, ScheduledFinished
from emulator.queues.message import Verdict, WorkerDelivery
from emulator_runtime.hosting import FetchResponse, Request

if TYPE_CHECKING:
    from emulator.bindings.email.incoming import IncomingEmail

R_co = TypeVar("R_co", covariant=True)


class Trigger(msgspec.Struct, Generic[R_co], eq=False):
    """A reason for invoking a worker; `R_co` is the type of the result. Two triggers are never equal."""

    handler: ClassVar[str]
    """The name of the worker's handler for it."""
    parameters: ClassVar[str]
    """The arguments of the handler, as the documentation names them."""

    @property
    def text(self) -> str:
        """Its text in the log: `GET /signup`, `QUEUE my-app-events`."""
        raise NotImplementedError

    def finished(self, _worker: str, _outcome: str, _duration: float) -> Happening | None:
        """The event that says how an invocation ended; None if the caller publishes one. `duration` is in seconds."""
        return None


class FetchTrigger(Trigger[FetchResponse], eq=False):
    """A request, answered by a response."""

    handler = "fetch"
    parameters = "request, env, ctx"

    request: Request

    @property
    def text(self) -> str:
        scheme, _, rest = self.request.url.partition("://")
        path = f"/{rest.partition('/')[2]}" if rest else scheme
        return f"{self.request.raw_method} {path}"


class QueueTrigger(Trigger[Verdict], eq=False):
    """A batch of messages, answered by the handler's decisions. An exception in the handler is part of the result."""

    handler = "queue"
    parameters = "batch, env, ctx"

    delivery: WorkerDelivery

    @property
    def text(self) -> str:
        return f"QUEUE {self.delivery.queue}"


class ScheduledTrigger(Trigger[None], eq=False):
    """A cron that is due at `scheduled_time_ms`, in milliseconds since the epoch."""

    handler = "scheduled"
    parameters = "controller, env, ctx"

    cron: str
    scheduled_time_ms: int

    @property
    def text(self) -> str:
        return f"SCHEDULED {self.cron}"

    def finished(self, worker: str, outcome: str, duration: float) -> ScheduledFinished:
        return ScheduledFinished(worker, self.cron, outcome, duration)


class EmailTrigger(Trigger[None], eq=False):
    """A message that has come in by e-mail. What the handler does with it, it does to `email`."""

    handler = "email"
    parameters = "message, env, ctx"

    email: IncomingEmail

    @property
    def text(self) -> str:
        return f"EMAIL {self.email.sender} to {self.email.recipient}"

    def finished(self, worker: str, outcome: str, duration: float) -> EmailFinished:
        email = self.email
        return EmailFinished(worker, email.sender, email.recipient, outcome, email.rejected or "", duration)


TRIGGERS: Final[Sequence[type[Trigger[object]]]] = (FetchTrigger, QueueTrigger, ScheduledTrigger, EmailTrigger)

HANDLERS: Final[Sequence[str]] = tuple(trigger.handler for trigger in TRIGGERS)
"""Every handler that a worker may have, in the order of all listings."""


def in_order(handlers: Collection[str]) -> tuple[str, ...]:
    """The handlers that a worker has, in the order of HANDLERS."""
    return tuple(handler for handler in HANDLERS if handler in handlers)


def any_of(words: Sequence[str]) -> str:
    """`fetch, queue or scheduled`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def with_article(word: str) -> str:
    """`a queue`, `an alarm`."""
    return f"a{'n' if word[0] in 'aeiou' else ''} {word}"
