from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from emulator.base.acts import Acts
from emulator.base.bus import Bus, Notice
from emulator.base.failure import Failure, Frame
from emulator.hosts.events import HandlerFailed, WorkerOutput
from emulator.log.recorder import Recorder
from emulator.queues.events import BatchDelivered, MessagesSent
from emulator.queues.message import Cause, QueueMessage, Settlement, Verdict
from emulator.server.events import RequestFinished


def notices(bus: Bus, *texts: str) -> None:
    for text in texts:
        bus.publish(Notice("info", text))


def message(identifier: str, size: int = 1) -> QueueMessage:
    return QueueMessage(identifier, b"x" * size, "bytes", 1.0, 1.0, 1.0)


def test_events_have_running_numbers_and_times() -> None:
    bus, now = Bus(), 5.0
    recorder = Recorder(bus, lambda: now)
    notices(bus, "a")
    now = 6.0
    notices(bus, "b")
    assert [(each.number, each.at, each.event.text) for each in recorder.after(0)] == [(1, 5.0, "a"), (2, 6.0, "b")]
    assert [each.event.text for each in recorder.newest()] == ["b", "a"]
    assert [each.event.text for each in recorder.newest(before=2)] == ["a"]
    assert [each.number for each in recorder.after(1)] == [2]
    assert (recorder.first, recorder.last, recorder.since) == (1, 2, 5.0)


def test_the_oldest_events_go_when_there_are_too_many() -> None:
    bus = Bus()
    recorder = Recorder(bus, lambda: 1.0, most=10)
    notices(bus, *map(str, range(1_000)))
    kept = [each.event.text for each in recorder.after(0)]
    assert len(kept) <= 10 + 256
    assert kept[-1] == "999"
    assert recorder.last == 1_000
    assert recorder.at(1) is None
    assert recorder.at(1_000) is not None


def test_the_oldest_events_go_when_their_messages_are_too_large() -> None:
    bus = Bus()
    recorder = Recorder(bus, lambda: 1.0, most_bytes=1_000_000)
    for number in range(512):
        bus.publish(MessagesSent("q", [message(f"{number:032x}", 100_000)], "shop"))
    assert recorder.last - recorder.first < 10
    assert recorder.about(f"{0:032x}") == []
    assert len(recorder.about(f"{511:032x}")) == 1


def test_local_variables_count_for_how_much_is_kept() -> None:
    texts = {f"name{number}": "x" * 180 for number in range(20)}
    frames = tuple(Frame("a.py", 1, "queue", "", is_user=True, variables=texts) for _ in range(10))
    failure = Failure("ValueError", "no", frames, "ValueError: no")
    sent = message("1" * 32)
    verdict = Verdict(retry_all=True, retry_all_cause=Cause.of(failure))
    settlement = Settlement([], retried=[(sent, 0)], verdict=verdict)
    for event, most in (
        (HandlerFailed("shop", "GET /", failure), 12),
        (HandlerFailed("shop", "GET /", replace(failure, frames=())), 50),
        (BatchDelivered("q", "shop", [sent], verdict, settlement, 1.0, 0.1), 12),
    ):
        bus = Bus()
        recorder = Recorder(bus, lambda: 1.0, most_bytes=1_000_000)
        for _ in range(512):
            bus.publish(event)
        assert most / 2 < recorder.last - recorder.first <= most


def test_what_is_about_a_message_or_an_act_is_found_while_events_come_and_go() -> None:
    bus = Bus()
    recorder = Recorder(bus, lambda: 1.0, most=300)
    acts = bus.acts
    assert acts is not None
    for number in range(2_000):
        request = acts.begin()
        bus.publish(MessagesSent("q", [message(f"{number:032x}")], "shop", act=acts.begin(request)))
        bus.publish(WorkerOutput("shop", "GET /", "info", str(number), act=request))
        bus.publish(RequestFinished("shop", "GET", f"/{number}", 200, 0.1, act=request))
        if number % 50 == 0:
            names = [type(each.event).__name__ for each in recorder.about(request.id)]
            assert names == ["MessagesSent", "WorkerOutput", "RequestFinished"]
            assert len(recorder.about(f"{number:032x}")) == 1
    assert recorder.messages(f"{1_999:032x}"[:30]) != []
    assert recorder.about(f"{5:032x}") == []


def test_somebody_who_has_acts_keeps_them() -> None:
    bus = Bus()
    acts = Acts(lambda: 1.0)
    bus.follow(acts)
    Recorder(bus, lambda: 1.0)
    assert bus.acts is acts


class Timers:
    """A clock that a test moves, with what is due."""

    def __init__(self) -> None:
        self.time = 100.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        self._due.append((when, callback))

    def move(self, seconds: float) -> None:
        self.time += seconds
        for each in [each for each in self._due if each[0] <= self.time]:
            self._due.remove(each)
            each[1]()


def answered(bus: Bus, *statuses: int) -> None:
    for status in statuses:
        bus.publish(RequestFinished("shop", "GET", "/", status, 0.1))


def test_a_burst_of_ordinary_events_is_kept_whole_and_of_more_a_part_and_whatever_failed() -> None:
    bus, clock = Bus(), Timers()
    recorder = Recorder(bus, clock.now, call_at=clock.call_at)
    seen: list[RequestFinished] = []
    bus.subscribe(RequestFinished, seen.append)
    answered(bus, *[200] * 5_001)
    clock.move(0.0)
    assert recorder.last == 5_001
    assert bus.acts is None
    assert not bus.wants(MessagesSent)

    answered(bus, *[200] * 500, 503, *[200] * 500)
    notices(bus, "a")
    kept = [each.event for each in recorder.after(5_001)]
    assert [type(each).__name__ for each in kept] == ["RequestFinished", "Notice"]
    assert kept[0].status == 503

    clock.move(0.5)
    assert bus.acts is not None
    assert recorder.gaps == [(100.0, 100.5)]
    assert recorder.has_gap(99.0)
    assert recorder.has_gap(100.2, 100.3)
    assert not recorder.has_gap(100.5)
    assert not recorder.has_gap(90.0, 100.0)
    answered(bus, *[200] * 501)
    clock.move(0.0)
    answered(bus, *[200] * 500)
    assert recorder.last == 5_003 + 501
    clock.move(0.5)
    assert recorder.gaps == [(100.0, 101.0)]
    assert len(seen) == 5_001 + 1_001 + 1_001


def test_messages_count_among_ordinary_events() -> None:
    bus, clock = Bus(), Timers()
    recorder = Recorder(bus, clock.now, call_at=clock.call_at)
    for number in range(51):
        bus.publish(MessagesSent("q", [message(f"{number:032x}")] * 99, "shop"))
        clock.move(0.0)
    assert recorder.last == 51
    assert not bus.wants(MessagesSent)


def test_ordinary_events_that_come_slowly_enough_are_all_kept() -> None:
    bus, clock = Bus(), Timers()
    recorder = Recorder(bus, clock.now, call_at=clock.call_at)
    for _ in range(400):
        clock.move(0.1)
        answered(bus, *[200] * 18)
    assert recorder.last == 7_200
    assert recorder.gaps == []
