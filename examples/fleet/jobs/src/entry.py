"""Does jobs, and notes in a file of its process which it has done."""

import asyncio
import os
from pathlib import Path

from workers import MessageBatch, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def queue(self, batch: MessageBatch, env: object, ctx: object) -> None:
        await asyncio.sleep(0.02)  # the work
        with (Path(self.env.DONE) / f"{os.getpid()}.txt").open("a") as done:
            done.writelines(f"{message.body.job}\n" for message in batch.messages)
