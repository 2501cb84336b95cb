from __future__ import annotations

from emulator.base.bus import Bus, Notice
from emulator.base.failure import Failure
from emulator.dashboard.lately import failed, happened
from emulator.hosts.events import HandlerFailed, ScheduledFinished
from emulator.log.recorder import Recorder
from emulator.queues.events import BatchDelivered, MessagesSent
from emulator.queues.message import Attempt, QueueMessage, Settlement, Verdict
from emulator.server.events import RequestFinished


def recorded() -> tuple[Bus, Recorder]:
    bus = Bus()
    return bus, Recorder(bus, lambda: 5.0)


def message(identifier: str, error: str = "", attempts: int = 1) -> QueueMessage:
    failures = (Attempt(attempts, 1.0, "exception", error, ""),) if error else ()
    return QueueMessage(identifier, b"x", "text", 1.0, 1.0, 1.0, attempts=attempts, failures=failures)


def deliver(bus: Bus, settlement: Settlement) -> None:
    messages = [each for _, group in settlement.by_result() for each in group]
    bus.publish(BatchDelivered("jobs", "shop", messages, Verdict(), settlement, 1.0, 0.1))


def test_what_failed_is_told_once_for_each_message_newest_first() -> None:
    bus, recorder = recorded()
    deliver(bus, Settlement([], retried=[(message("a" * 32, "first"), 5), (message("b" * 32, "other"), 5)]))
    deliver(bus, Settlement([], dead=[message("a" * 32, "second", 2)]))
    told = [(each.what, each.error, each.result, each.address) for each in failed(recorder, 5)]
    assert told == [
        ("Message aaaaaaaa of jobs, attempt 2", "second", "dead", f"/cdn-cgi/emulator/messages/{'a' * 32}"),
        ("Message bbbbbbbb of jobs, attempt 1", "other", "retried", f"/cdn-cgi/emulator/messages/{'b' * 32}"),
    ]
    assert len(failed(recorder, 1)) == 1


def test_what_has_gone_well_since_or_was_redriven_has_not_failed() -> None:
    bus, recorder = recorded()
    deliver(bus, Settlement([], retried=[(message("a" * 32, "no"), 5)], dead=[message("b" * 32, "no")]))
    deliver(bus, Settlement([message("a" * 32)]))
    bus.publish(MessagesSent("jobs", [message("b" * 32)], "redrive"))
    assert failed(recorder, 5) == []


def test_a_request_that_failed_leads_to_its_page_and_has_the_error_of_its_handler() -> None:
    bus, recorder = recorded()
    assert bus.acts is not None
    act = bus.acts.begin()
    bus.publish(HandlerFailed("shop", "GET /", Failure("ValueError", "no", (), ""), act=act))
    bus.publish(RequestFinished("shop", "GET", "/x", 500, 0.1, act=act))
    bus.publish(RequestFinished("shop", "GET", "/y", 404, 0.1, act=bus.acts.begin()))
    bus.publish(ScheduledFinished("shop", "0 3 * * 1", "exception", 0.1))
    told = [(each.what, each.error, each.result, each.address) for each in failed(recorder, 5)]
    assert told == [
        ("Cron 0 3 * * 1", "", "exception", ""),
        ("GET /x", "ValueError: no", "500", f"/cdn-cgi/emulator/requests/{act.id}"),
    ]


def test_the_last_request_that_is_shown_has_its_error_too() -> None:
    bus, recorder = recorded()
    assert bus.acts is not None
    for number in range(3):
        act = bus.acts.begin()
        bus.publish(HandlerFailed("shop", "GET /", Failure("ValueError", str(number), (), ""), act=act))
        bus.publish(RequestFinished("shop", "GET", f"/{number}", 500, 0.1, act=act))
    assert [each.error for each in failed(recorder, 2)] == ["ValueError: 2", "ValueError: 1"]


def test_what_happened_is_what_the_log_shows() -> None:
    bus, recorder = recorded()
    bus.publish(Notice("info", "hello"))
    bus.publish(MessagesSent("jobs", [message("a" * 32)], "shop"))
    bus.publish(RequestFinished("shop", "GET", "/x", 200, 0.1))
    assert [row.event for row in happened(recorder, 5)] == ["request", "notice"]
    assert [row.event for row in happened(recorder, 1)] == ["request"]
