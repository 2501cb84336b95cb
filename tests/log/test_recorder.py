from __future__ import annotations

from pathlib import Path

from emulator.base.acts import Acts
from emulator.base.bus import Bus, Notice
from emulator.base.failure import Failure, Frame
from emulator.hosts.events import HandlerFailed, WorkerOutput
from emulator.log.recorder import Recorder
from emulator.queues.events import MessagesSent
from emulator.queues.message import QueueMessage
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
    acts = bus.acts = Acts(lambda: 1.0)
    Recorder(bus, lambda: 1.0)
    assert bus.acts is acts


def test_whoever_listens_is_called_for_each_event_until_it_stops() -> None:
    bus = Bus()
    recorder = Recorder(bus, lambda: 1.0)
    seen: list[int] = []
    stop = recorder.listen(lambda: seen.append(recorder.last))
    notices(bus, "a", "b")
    stop()
    notices(bus, "c")
    assert seen == [1, 2]


def test_events_survive_a_restart(tmp_path: Path) -> None:
    bus = Bus()
    recorder = Recorder(bus, lambda: 7.0)
    assert bus.acts is not None
    act = bus.acts.begin()
    source = [f"line {number}\n" for number in range(1, 51)]
    failure = Failure("ValueError", "no", (Frame("a.py", 20, "queue", "line 20", True, source),), "ValueError: no")
    bus.publish(HandlerFailed("shop", "QUEUE q", failure, act=act))
    bus.publish(MessagesSent("q", [message("1" * 32)], "shop", act=bus.acts.begin(act)))
    recorder.save(tmp_path / "events.msgpack")
    assert (tmp_path / "events.msgpack").stat().st_mode & 0o077 == 0

    again = Recorder(Bus(), lambda: 8.0)
    again.load(tmp_path / "events.msgpack")

    failed, sent = again.after(0)
    assert (failed.number, failed.at, sent.number) == (1, 7.0, 2)
    assert failed.event.act.id == act.id
    assert failed.event.act.trace == act.trace
    assert failed.event.failure.frames[0].context() == failure.frames[0].context()
    assert [each.number for each in again.about(act.id)] == [1, 2]
    assert len(again.about("1" * 32)) == 1


def test_a_file_that_cannot_be_read_is_no_reason_not_to_start(tmp_path: Path) -> None:
    path = tmp_path / "events.msgpack"
    for content in (b"", b"\xff\xff", b"\x93\x01\x01\x91\x93\xa7Unknown\xcb" + b"\0" * 8 + b"\xc0"):
        path.write_bytes(content)
        recorder = Recorder(Bus(), lambda: 1.0)
        recorder.load(path)
        assert recorder.last == 0
