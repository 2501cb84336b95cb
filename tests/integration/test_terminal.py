"""Who reads what `emulator dev` prints must not matter to it: a reader that reads nothing, one that has gone, a full
disk."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import DEADLINE_SECONDS, Running, write_worker

WORKER = """
    import time
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            for number in range(10):
                print("x" * 60_000)
            return Response("ok")
"""
REQUESTS = 40
"""How many of them print more than the pipe and the buffer hold."""

_DROPPED = re.compile(r"Warning: ([\d,]+) (?:line was|lines were) not printed, because nobody read (?:it|them)")


class Unread:
    """`emulator dev` whose output is read up to its address, and no further."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        write_worker(directory, WORKER)
        reader, writer = os.pipe()
        if sys.platform == "linux":
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4_096)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "emulator", "dev", "-p", "0", *arguments],
            cwd=directory,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
        )
        os.close(writer)
        self.output = os.fdopen(reader, "rb", buffering=0)
        read = b""
        while b"\n\n" not in read.partition(b"Ready on ")[2]:
            piece = self.output.read(4_096)
            assert piece, read
            read += piece
        self.url = read.partition(b"Ready on ")[2].split()[0].decode()

    def print_much(self) -> None:
        """Let the worker print more than anything holds. Each request is answered all the same."""
        with httpx.Client(timeout=DEADLINE_SECONDS) as client:
            for _ in range(REQUESTS):
                assert client.get(self.url).text == "ok"

    def end(self, *numbers: int) -> int:
        for number in numbers:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()
        assert self.process.stderr is not None
        self.process.stderr.close()

    @property
    def complaints(self) -> bytes:
        assert self.process.stderr is not None
        return self.process.stderr.read()


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[Unread]:
    made = Unread(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("numbers", [(signal.SIGINT,), (signal.SIGTERM,)], ids=["SIGINT", "SIGTERM"])
def test_a_reader_that_reads_nothing_holds_up_neither_requests_nor_the_end(
    unread: Unread, numbers: tuple[int, ...]
) -> None:
    unread.print_much()
    assert unread.end(*numbers) == 0
    assert unread.complaints == b""


def test_a_second_signal_ends_it_at_once_whoever_reads(unread: Unread) -> None:
    unread.print_much()
    assert unread.end(signal.SIGINT, signal.SIGINT) in (0, 130)


def test_a_reader_that_begins_to_read_is_told_how_much_it_has_missed(unread: Unread) -> None:
    unread.print_much()
    unread.process.send_signal(signal.SIGINT)
    lines = b"".join(iter(lambda: unread.output.read(65_536), b"")).decode().splitlines()
    assert unread.end() == 0
    printed = sum(line.startswith("[shop GET /] xxx") for line in lines)
    told = [match for match in map(_DROPPED.fullmatch, lines) if match is not None]
    dropped = sum(int(match[1].replace(",", "")) for match in told)
    assert printed < 10 * REQUESTS <= printed + dropped


def test_a_reader_that_goes_away_disturbs_nobody(unread: Unread) -> None:
    unread.output.close()
    unread.print_much()
    assert unread.end(signal.SIGINT) == 0
    assert unread.complaints == b""


def test_what_is_printed_last_is_read_at_a_normal_end(unread: Unread) -> None:
    with httpx.Client(timeout=DEADLINE_SECONDS) as client:
        assert client.get(unread.url).text == "ok"
    unread.process.send_signal(signal.SIGINT)
    lines = b"".join(iter(lambda: unread.output.read(65_536), b"")).decode().splitlines()
    assert unread.end() == 0
    assert sum(line == "[shop GET /] " + "x" * 60_000 for line in lines) == 10
    assert lines[-1].startswith("Stopping: ")


def test_what_a_worker_prints_appears_while_it_keeps_the_loop_from_running(
    tmp_path: Path, dev: Callable[..., Running]
) -> None:
    code = """
        import os, time
        from workers import Response, WorkerEntrypoint

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                while not os.path.exists("released"):
                    print("still here")
                    time.sleep(0.06)
                return Response("ok")
    """
    write_worker(tmp_path, code)
    running = dev(tmp_path)
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(httpx.get(running.url, timeout=DEADLINE_SECONDS).text))
    asking.start()
    running.wait_for("still here")
    running.wait_for("still here")
    assert answers == []
    (tmp_path / "released").touch()
    asking.join(DEADLINE_SECONDS)
    assert answers == ["ok"]
