"""The journal, without a server: how long it takes to recover, and how large it is while messages pass through it.

`python -m bench.journal WAITING PASSING` prints one JSON object. Messages have 100 bytes and come in batches of 100.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.base.coroutines import run_now
from emulator.queues.memory.engine import MemoryEngine
from emulator.queues.memory.journal import Journal
from emulator.queues.message import NewMessage
from emulator.queues.service import Queues
from emulator.queues.settings import ConsumerSettings

BATCH = 100
BODY = b"x" * 100
LOOK_EVERY = 100
"""How often, in batches, the size of the files is looked at."""


def recovery_seconds(waiting: int) -> float:
    """Open a journal in which `waiting` messages wait, and have them in their queue."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name) / "state"
        with _opened(directory) as queues:
            for _ in range(0, waiting, BATCH):
                run_now(queues.send("queue", [NewMessage(BODY, "bytes")] * BATCH, source="bench"))
        started = time.perf_counter()
        with _opened(directory) as queues:
            seconds = time.perf_counter() - started
            assert run_now(queues.backlog("queue")).backlog_count == waiting
    return seconds


def largest_ratio(passing: int, lingering: int) -> float:
    """The largest size of the files, to the bodies of the messages that are in the queue, while `passing` messages are
    sent, pulled and acked, and `lingering` wait behind them."""
    largest = 0.0
    with tempfile.TemporaryDirectory(prefix="bench-") as name, _opened(Path(name)) as queues:
        run_now(queues.set_consumer("queue", ConsumerSettings("http_pull"), ""))
        for number in range((passing + lingering) // BATCH):
            run_now(queues.send("queue", [NewMessage(BODY, "bytes")] * BATCH, source="bench"))
            if number >= lingering // BATCH:
                pulled = run_now(queues.pull("queue", BATCH))
                run_now(queues.acknowledge("queue", [each.lease_id for each in pulled]))
                if number % LOOK_EVERY == 0:
                    size = sum(path.stat().st_size for path in Path(name).iterdir())
                    largest = max(largest, size / (lingering * len(BODY)))
    return largest


@contextmanager
def _opened(directory: Path) -> Iterator[Queues]:
    journal = Journal(directory)
    clock = VirtualClock()
    queues = Queues(MemoryEngine(clock, journal=journal), Bus(), clock)
    run_now(queues.start())
    run_now(queues.create_queue("queue"))
    yield queues
    journal.close()


if __name__ == "__main__":
    waiting, passing = int(sys.argv[1]), int(sys.argv[2])
    values = {"recovery": recovery_seconds(waiting), "journal-size": largest_ratio(passing, passing // 20)}
    print(json.dumps(values))
