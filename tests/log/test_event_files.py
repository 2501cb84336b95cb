from __future__ import annotations

from pathlib import Path

import pytest

from emulator.base.bus import Bus, Notice
from emulator.base.failure import Failure, Frame
from emulator.hosts.events import HandlerFailed
from emulator.log.event_files import EventFiles
from emulator.log.recorder import Recorder
from emulator.queues.events import BatchDelivered, MessagesSent
from emulator.queues.message import Cause, Settlement, Verdict
from tests.log.test_recorder import Timers, message, notices


class Kept:
    """A session that keeps what happens in `directory`."""

    def __init__(self, directory: Path, most: int = 10_000) -> None:
        self.bus = Bus()
        self.clock = Timers()
        self.recorder = Recorder(self.bus, self.clock.now, most=most)
        self.errors: list[OSError] = []
        self.files = EventFiles(self.recorder, directory, self.clock.now, self.clock.call_at, self.errors.append)
        self.files.load()
        self.files.begin()

    def texts(self) -> list[str]:
        """What has been said, oldest first."""
        return [each.event.text for each in self.recorder.after(0) if isinstance(each.event, Notice)]


def test_events_survive_a_restart(tmp_path: Path) -> None:
    first = Kept(tmp_path)
    bus = first.bus
    assert bus.acts is not None
    act = bus.acts.begin()
    source = [f"line {number}\n" for number in range(1, 51)]
    failure = Failure("ValueError", "no", (Frame("a.py", 20, "queue", "line 20", True, source),), "ValueError: no")
    bus.publish(HandlerFailed("shop", "QUEUE q", failure, act=act))
    bus.publish(MessagesSent("q", [message("1" * 32)], "shop", act=bus.acts.begin(act)))
    first.files.close()
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0

    again = Kept(tmp_path).recorder

    failed, sent = again.after(0)
    assert (failed.number, failed.at, sent.number) == (1, 100.0, 2)
    assert failed.event.act.id == act.id
    assert failed.event.act.trace == act.trace
    assert failed.event.failure.frames[0].context() == failure.frames[0].context()
    assert [each.number for each in again.about(act.id)] == [1, 2]
    assert len(again.about("1" * 32)) == 1


def test_local_variables_and_the_lines_of_a_cause_survive_a_restart(tmp_path: Path) -> None:
    first = Kept(tmp_path)
    source = [f"line {number}\n" for number in range(1, 2_001)]
    frame = Frame("a.py", 20, "queue", "line 20", True, source, variables={"order": "{'id': 1}"}, more_variables=2)
    failure = Failure("ValueError", "no", (frame,), "ValueError: no")
    sent = message("1" * 32)
    verdict = Verdict(retry_messages={sent.id: None}, causes={sent.id: Cause.of(failure)})
    settlement = Settlement([], retried=[(sent, 0)], verdict=verdict)
    first.bus.publish(HandlerFailed("shop", "QUEUE q", failure))
    first.bus.publish(BatchDelivered("q", "shop", [sent], verdict, settlement, 1.0, 0.1))
    first.files.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 5_000

    failed, delivered = (each.event for each in Kept(tmp_path).recorder.after(0))

    cause = delivered.settlement.verdict.cause_of(sent.id)
    for again in (failed.failure.frames[0], cause.frames[0]):
        assert (again.variables, again.more_variables) == ({"order": "{'id': 1}"}, 2)
        assert again.context() == frame.context()


def test_a_session_that_is_killed_loses_the_last_second_at_most(tmp_path: Path) -> None:
    first = Kept(tmp_path)
    notices(first.bus, "a", "b")
    first.clock.move(1.0)
    notices(first.bus, "c")
    second = Kept(tmp_path)
    assert second.texts() == ["a", "b"]
    notices(second.bus, "d")
    second.clock.move(1.0)
    third = Kept(tmp_path)
    assert third.texts() == ["a", "b", "d"]
    assert third.recorder.last == 3


def test_no_more_is_in_files_than_twice_what_is_kept(tmp_path: Path) -> None:
    session = Kept(tmp_path, most=1_000)
    for number in range(50):
        notices(session.bus, *(f"{number}.{each}" for each in range(100)))
        session.clock.move(1.0)
    assert len(list(tmp_path.iterdir())) <= 3
    again = Kept(tmp_path, most=1_000)
    assert again.texts() == session.texts()[-1_000:]
    assert again.recorder.last == 5_000


def test_many_short_sessions_do_not_lose_what_was_before_them(tmp_path: Path) -> None:
    for number in range(10):
        session = Kept(tmp_path, most=5)
        notices(session.bus, str(number))
        session.files.close()
    assert Kept(tmp_path, most=5).texts() == ["5", "6", "7", "8", "9"]
    assert len(list(tmp_path.iterdir())) <= 7


def test_a_burst_is_written_in_pieces_so_that_others_have_their_turn(tmp_path: Path) -> None:
    session = Kept(tmp_path)
    notices(session.bus, *map(str, range(1_200)))
    counts: list[int] = []
    for _ in range(3):
        session.clock.move(1.0 if not counts else 0.0)
        counts.append(len(Kept(tmp_path).texts()))
    assert counts == [500, 1_000, 1_200]


@pytest.mark.parametrize("rest", [b"", b"\0", b"\0\0\0\x05abc", b"\0\0\0\x03abc", b"\xff" * 50])
def test_what_was_cut_off_or_is_garbage_is_left_out_and_the_rest_is_read(tmp_path: Path, rest: bytes) -> None:
    first = Kept(tmp_path)
    notices(first.bus, "a", "b")
    first.files.close()
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + rest)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "x.1.events").write_bytes(rest)
    assert Kept(tmp_path).texts() == ["a", "b"]


def test_a_directory_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("in the way")
    session = Kept(tmp_path / "events")
    notices(session.bus, "a")
    session.clock.move(1.0)
    session.clock.move(1.0)
    session.files.close()
    assert len(session.errors) == 1
