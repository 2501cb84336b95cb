"""A queue that many messages wait in, without a server: the memory of each, and the time that each takes to pass.

`python -m bench.backlog COUNT` prints one JSON object. It is a program of its own because the memory of a process only
tells something while nothing else was in it before.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path

from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.queues.memory.engine import MemoryEngine
from emulator.queues.message import NewMessage, Verdict, WorkerDelivery
from emulator.queues.service import Queues
from emulator.queues.settings import ConsumerSettings

BATCH = 100


def measure(count: int) -> dict[str, float]:
    """Let `count` messages (whole hundreds) of 100 bytes wait in a queue, then deliver and ack them all.

    The time is processor time, because nothing here waits and other programs should not count. A thousand messages go
    first, so that what Python does once is done; the rest find memory that is as fresh for few as it is for many.
    """
    _pass(1_000)
    bytes_per_message, seconds_per_message = _pass(count)
    return {"bytes_per_message": bytes_per_message, "seconds_per_message": seconds_per_message}


def _pass(count: int) -> tuple[float, float]:
    return asyncio.run(_pass_through(count))


async def _pass_through(count: int) -> tuple[float, float]:
    clock = VirtualClock()
    queues = Queues(MemoryEngine(clock), Bus(), clock)
    await queues.start()
    await queues.create_queue("backlog")
    gc.collect()
    before = _resident_bytes()
    seconds = 0.0
    for start in range(0, count, BATCH):
        messages = [NewMessage(b"%0100d" % number, "bytes") for number in range(start, start + BATCH)]
        started = time.process_time()
        await queues.send("backlog", messages, source="bench")
        seconds += time.process_time() - started
    del messages
    held = _resident_bytes() - before

    queues.attach("bench", _ack)
    await queues.set_consumer("backlog", ConsumerSettings(max_batch_size=BATCH), "bench")
    started = time.process_time()
    while (await queues.backlog("backlog")).backlog_count:
        while clock.run_due():
            pass
        await asyncio.sleep(0)
    seconds += time.process_time() - started
    return held / count, seconds / count


async def _ack(_delivery: WorkerDelivery) -> Verdict:
    return Verdict()


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
