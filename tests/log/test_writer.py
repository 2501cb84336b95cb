"""The thread that writes to the terminal: nobody waits for a reader, and nothing is lost that a reader wants."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from emulator.log import writer as writer_module
from emulator.log.writer import Writer

PIPE_BYTES = 4_096


class Piped:
    """A writer on a pipe that nobody reads before `read` is called."""

    def __init__(self) -> None:
        self.reader, self.descriptor = os.pipe()
        if sys.platform == "linux":
            fcntl.fcntl(self.descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.gone = threading.Event()
        self.writer = Writer(self.descriptor, str.encode, "{} lost\n".format, self._go)
        self.closing = threading.Thread(target=self.writer.close)

    def _go(self) -> None:
        self.gone.set()

    def end(self) -> str:
        """Close the writer while everything is read, and return that."""
        self.closing.start()
        read: list[bytes] = []
        reading = threading.Thread(target=self._read_all, args=(read,))
        reading.start()
        self.closing.join(20)
        assert not self.closing.is_alive()
        os.close(self.descriptor)
        self.descriptor = -1
        reading.join(20)
        return b"".join(read).decode()

    def _read_all(self, read: list[bytes]) -> None:
        while piece := os.read(self.reader, 65_536):
            read.append(piece)

    def close(self) -> None:
        for descriptor in (self.reader, self.descriptor):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Piped]:
    monkeypatch.setattr(writer_module, "MAX_WAITING", 100_000)
    monkeypatch.setattr(writer_module, "PATIENCE_SECONDS", 0.01)
    made = Piped()
    yield made
    made.close()


def test_what_is_written_is_read_in_its_order(piped: Piped) -> None:
    lines = [f"line {number}\n" for number in range(5_000)]
    for line in lines:
        piped.writer.write(line)
    assert piped.end() == "".join(lines)
    assert not piped.gone.is_set()


def test_nobody_waits_for_a_reader_and_what_was_dropped_is_counted(piped: Piped) -> None:
    line = "x" * 999 + "\n"
    for _ in range(1_000):
        piped.writer.write(line)
    piped.writer.write("two\nlines\n")
    text = piped.end()
    kept = text.count(line)
    assert 90 <= kept <= 110
    assert text == line * kept + f"{1_002 - kept} lost\n"


def test_what_comes_after_dropped_lines_stands_behind_their_number(piped: Piped) -> None:
    piped.writer.write("x" * 99_999 + "\n")
    piped.writer.write("dropped\n" * 10_000)
    read: list[bytes] = []
    reading = threading.Thread(target=piped._read_all, args=(read,))
    reading.start()
    with piped.writer._changed:
        assert piped.writer._changed.wait_for(lambda: not piped.writer._waiting, 20)
    piped.writer.write("after\n")
    piped.writer.close()
    os.close(piped.descriptor)
    piped.descriptor = -1
    reading.join(20)
    assert b"".join(read).decode().split("\n")[1:] == ["10000 lost", "after", ""]


def test_a_reader_that_reads_nothing_is_given_up_at_the_end(piped: Piped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "LAST_PATIENCE_SECONDS", 0.01)
    piped.writer.write("x" * 50_000 + "\n")
    piped.writer.close()
    assert piped.gone.is_set()
    piped.writer.write("too late\n")
    piped.writer.close()


def test_a_reader_that_has_gone_is_noticed(piped: Piped) -> None:
    os.close(piped.reader)
    piped.reader = -1
    piped.writer.write("x\n", patience_seconds=20)
    assert piped.gone.is_set()
    piped.writer.close()


def test_a_pipe_that_somebody_has_set_to_non_blocking_loses_nothing(piped: Piped) -> None:
    os.set_blocking(piped.descriptor, False)
    piped.writer.write("x" * 50_000 + "\n")
    assert piped.end() == "x" * 50_000 + "\n"


def test_with_patience_a_text_is_there_when_write_returns(piped: Piped) -> None:
    piped.writer.write("printed\n", patience_seconds=20)
    assert os.read(piped.reader, 100) == b"printed\n"
    assert piped.end() == ""


def test_patience_is_for_a_writer_that_keeps_up(piped: Piped) -> None:
    piped.writer.write("x" * 50_000 + "\n")
    piped.writer.write("printed\n", patience_seconds=3_600)
    assert piped.end().endswith("\nprinted\n")
