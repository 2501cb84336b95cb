"""A process that consumes a queue, says what it gets, and never ends a delivery: to be killed."""

from __future__ import annotations

import asyncio
import json
import sys

from emulator.queues.jetstream.address import read_address
from emulator.queues.message import Verdict, WorkerDelivery
from tests.queues.jetstream.sharing import AT_ONCE, Sharer


async def main() -> None:
    sharer = Sharer(read_address(sys.argv[1]))

    async def hang(delivery: WorkerDelivery) -> Verdict:
        sharer.got.extend((each.body.decode(), each.attempts) for each in delivery.messages)
        print(json.dumps(sharer.got), flush=True)
        await asyncio.Event().wait()
        return Verdict()

    sharer._deliver = hang  # type: ignore[method-assign]
    await sharer.begin(AT_ONCE)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
