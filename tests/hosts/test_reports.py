"""What a host publishes about its worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emulator.base.bus import Bus, Notice
from emulator.base.failure import Failure
from emulator.base.secrets import Secrets
from emulator.hosts.events import HandlerFailed, ScheduledFinished
from emulator.hosts.host import HandlerError, HandlerMissing, NotLoaded
from emulator.hosts.reports import Reports
from emulator.hosts.triggers import ScheduledTrigger

FAILURE = Failure("ValueError", "bad", (), "ValueError: bad")
TRIGGER = ScheduledTrigger("* * * * *", 0)


class Book:
    """Reports about a worker, on a clock that goes a second a look, and the events that came of them."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        bus = Bus()
        for kind in (HandlerFailed, ScheduledFinished, Notice):
            bus.subscribe(kind, self.events.append)
        self._now = 0.0
        self.reports = Reports("app", bus, Secrets(), self._look)

    def _look(self) -> float:
        self._now += 1
        return self._now

    def finish(self, error: Callable[[], BaseException] | None = None) -> None:
        with self.reports.finishing(TRIGGER):
            if error is not None:
                raise error()


def test_an_invocation_that_ended_is_told_of_with_its_duration() -> None:
    book = Book()
    book.finish()
    assert book.events == [ScheduledFinished("app", "* * * * *", "ok", 1.0)]


def test_a_failure_is_told_of_before_the_end_of_its_invocation() -> None:
    book = Book()
    with pytest.raises(HandlerError):
        book.finish(lambda: book.reports.failed(FAILURE, TRIGGER.text, ValueError("bad")))
    assert book.events == [
        HandlerFailed("app", "SCHEDULED * * * * *", FAILURE),
        ScheduledFinished("app", "* * * * *", "exception", 1.0),
    ]


@pytest.mark.parametrize("error", [lambda: NotLoaded(FAILURE), lambda: HandlerMissing("none"), KeyboardInterrupt])
def test_an_invocation_that_never_ran_is_not_told_of(error: Callable[[], BaseException]) -> None:
    book = Book()
    with pytest.raises((NotLoaded, HandlerMissing, KeyboardInterrupt)):
        book.finish(error)
    assert book.events == []


def test_a_failure_is_raised_with_what_worker_code_raised_as_its_cause() -> None:
    cause = ValueError("bad")
    error = Book().reports.failed(FAILURE, "GET /", cause)
    assert (error.__cause__, error.failure) == (cause, FAILURE)


def test_a_missing_handler_is_said_with_what_there_is_and_where_to_add_it() -> None:
    error = Book().reports.missing("alarm", ("fetch", "queue"), "the default export")
    assert str(error) == (
        "worker app has no alarm handler, it has fetch and queue; add an alarm method to the default export"
    )
