"""How deep the queues of a session are."""

from __future__ import annotations

import asyncio
from pathlib import Path

from emulator.base.bus import Bus
from emulator.base.clock import VirtualClock
from emulator.queues.message import NewMessage
from emulator.session.depths import Depth, depths
from emulator.session.session import Session
from tests.integration.conftest import write_worker
from tests.support.configs import load_config

WORKER = """
    import asyncio
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def queue(self, batch, env, ctx):
            await asyncio.Event().wait()
"""


async def test_a_queue_is_as_deep_as_what_waits_and_what_a_handler_has(tmp_path: Path) -> None:
    consumer = {"queue": "jobs", "max_batch_size": 2, "max_batch_timeout": 0, "max_concurrency": 1}
    producer = {"binding": "MAILS", "queue": "mails"}
    write_worker(tmp_path, WORKER, queues={"consumers": [consumer], "producers": [producer]})
    clock = VirtualClock()
    session = Session([load_config(tmp_path / "wrangler.jsonc")], Bus(), clock=clock)
    await session.load()
    await session.queues.send("jobs", [NewMessage(b"12345", "text")] * 3, source="test")
    clock.run_due()
    await asyncio.sleep(0)  # the delivery begins
    clock.move_to(clock.now() + 7)
    assert await depths(session) == {"jobs": Depth(3, 15, 7.0, 2), "mails": Depth(0, 0, 0.0, 0)}
    await session.stop(0.0)
