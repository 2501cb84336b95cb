"""Connects a session with real queues.

What a producer with `remote` sends goes to the real queue at once: a send returns when the service has taken it, or
fails as there. A consumer with `remote` gets, besides the messages of the local queue, those of the real one. They are
pulled, delivered as batches of the consumer's settings, and acked or retried there, where their attempts are counted
and dead letters are kept. With `"remote": "copy"` it gets copies, which enter the local queue; the real one does not
change.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count as numbers
from time import time
from typing import Final, Literal

from msgspec.structs import replace

from emulator.base.bus import Bus, Notice
from emulator.base.words import count
from emulator.queues.bridge.cloud import Cloud, CloudError, CloudMessage
from emulator.queues.bridge.real import RealQueues
from emulator.queues.contract import Recipient, Subscription
from emulator.queues.message import Backlog, Batch, NewMessage, QueueMessage, Settlement, backlog_of
from emulator.queues.settings import (
    HANDLER_TIMEOUT_SECONDS,
    PULL_BATCH_SIZE,
    ConsumerSettings,
)

SOURCE: Final = "bridge"
"""The source of messages that came from a real queue."""

POLL_SECONDS: Final = 1.0
LONGEST_POLL_SECONDS: Final = 5.0
"""How often an empty queue is asked: first, and when it has been empty for a while."""

LONGEST_PAUSE_SECONDS: Final = 60.0
"""How long to wait at most after a call that failed."""

LEASE_SECONDS: Final = HANDLER_TIMEOUT_SECONDS + 120
"""For how long messages are pulled: as long as a handler may run, and the time to form a batch and to ack it."""

_GIVE_BACK_SECONDS: Final = 3.0
"""How long the end of a session waits for leases to be given back."""

_MOST_AT_ONCE: Final = 20
"""How many deliveries of a real queue run at most where `max_concurrency` does not say."""

_MOST_COPIED: Final = 100_000
"""How many ids of copies are remembered."""


class Bridge:
    """The real queues of a session. `tell` gets sentences about what goes wrong, each once."""

    def __init__(self, queues: RealQueues, cloud: Cloud, bus: Bus) -> None:
        self._queues = queues
        self._cloud = cloud
        self._bus = bus
        self._pullings: set[_Pulling] = set()
        self._copying: list[asyncio.Task[None]] = []

    def sends(self, worker: str, queue: str) -> bool:
        """Whether what a worker sends to a queue goes to the real one."""
        return (worker, queue) in self._queues.sends

    async def send(self, queue: str, messages: Sequence[NewMessage], delay_seconds: int | None) -> Backlog:
        """Send messages to the real queue. The backlog is not known. Raises QueueError."""
        await self._cloud.send(queue, messages, delay_seconds)
        return Backlog(0, 0, None)

    def join(
        self, queue: str, settings: ConsumerSettings, recipient: Recipient, subscription: Subscription
    ) -> Subscription:
        """Let a consumer of a local queue get the messages of the real one, too, if it takes them."""
        if self._queues.consumes.get(queue) != "take":
            return subscription
        pulling = _Pulling(self._cloud, _Teller(self._bus, queue), settings, recipient, subscription)
        self._pullings.add(pulling)
        return pulling

    def start(self, accept: Callable[[str, Sequence[QueueMessage]], Awaitable[None]]) -> None:
        """Say which queues are real, and begin to `accept` copies."""
        for text in self._queues.told():
            self._bus.publish(Notice("warning", text))
        self._copying = [
            asyncio.create_task(self._copy(queue, accept))
            for queue, mode in self._queues.consumes.items()
            if mode == "copy"
        ]

    async def close(self, grace_seconds: float) -> None:
        """Pull no more, and let deliveries under way end."""
        for task in self._copying:
            task.cancel()
        await asyncio.gather(
            *(each.end(grace_seconds) for each in self._pullings), *self._copying, return_exceptions=True
        )
        await self._cloud.close()

    async def _copy(self, queue: str, accept: Callable[[str, Sequence[QueueMessage]], Awaitable[None]]) -> None:
        """Let copies of what waits in a real queue enter the local one, each once."""
        teller = _Teller(self._bus, queue)
        known: OrderedDict[str, None] = OrderedDict()
        while True:
            try:
                found = await self._cloud.peek(queue, PULL_BATCH_SIZE.high)
                new = [each for each in found if each.id not in known]
                if new:
                    await accept(queue, [_local(each, time()) for each in new])
                    known.update(dict.fromkeys(each.id for each in new))
                    while len(known) > _MOST_COPIED:
                        known.popitem(last=False)
                pause = teller.answered(is_busy=bool(new))
            except CloudError as error:
                pause = teller.failed(error)
            await asyncio.sleep(pause)


class _Teller:
    """Says what goes wrong with a queue, once until it goes well again, and how long to wait before the next call."""

    def __init__(self, bus: Bus, queue: str) -> None:
        self.queue = queue
        self._bus = bus
        self._trouble = ""
        self._pause = POLL_SECONDS

    def answered(self, *, is_busy: bool) -> float:
        if self._trouble:
            self.say("info", "goes on")
            self._trouble, is_busy = "", True
        self._pause = POLL_SECONDS if is_busy else min(self._pause * 1.5, LONGEST_POLL_SECONDS)
        return 0.0 if is_busy else self._pause

    def failed(self, error: CloudError) -> float:
        if error.cause != self._trouble:
            self._trouble = error.cause
            self.say("error", f"nothing comes from the real queue: {error.cause}")
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        return self._pause if error.may_pass else LONGEST_PAUSE_SECONDS

    def say(self, level: Literal["info", "warning", "error"], text: str) -> None:
        self._bus.publish(Notice(level, f"queue {self.queue}: {text}"))


class _Pulling:
    """Delivers the messages of a real queue to the consumer of the local one, whose subscription it joins."""

    def __init__(
        self,
        cloud: Cloud,
        teller: _Teller,
        settings: ConsumerSettings,
        recipient: Recipient,
        subscription: Subscription,
    ) -> None:
        self._cloud = cloud
        self._teller = teller
        self._queue = teller.queue
        self._settings = settings
        self._recipient = recipient
        self._subscription = subscription
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._ids = numbers(-1, -1)  # those of the local queue's batches are positive
        self._running: set[asyncio.Task[None]] = set()
        self._pulling = asyncio.create_task(self._pull())

    def hold(self, held: bool) -> None:
        (self._may_run.clear if held else self._may_run.set)()
        self._subscription.hold(held)

    def close(self) -> None:
        self._pulling.cancel()
        self._subscription.close()

    async def end(self, grace_seconds: float) -> None:
        """Pull no more, and let deliveries under way end for some time; then cancel them."""
        self._pulling.cancel()
        await asyncio.wait({self._pulling})
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _pull(self) -> None:
        most = self._settings.max_concurrency or _MOST_AT_ONCE
        while True:
            await self._may_run.wait()
            batch = await self._next_batch()
            task = asyncio.create_task(self._deliver(*batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            is_full = len(batch[0]) == self._settings.max_batch_size
            while len(self._running) >= (most if is_full else 1):
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _next_batch(self) -> tuple[list[CloudMessage], int]:
        """The next messages: as many as a batch has, or those that have come when the first has waited for long
        enough; and how many are waiting."""
        found: list[CloudMessage] = []
        try:
            return found, await self._fill(found)
        except asyncio.CancelledError:
            await self._give_back(found)
            raise

    async def _fill(self, found: list[CloudMessage]) -> int:
        """Add the next messages to `found`. Returns how many are waiting."""
        waiting = 0
        due = float("inf")
        loop = asyncio.get_running_loop()
        while len(found) < self._settings.max_batch_size and loop.time() < due:
            try:
                more, waiting = await self._cloud.pull(
                    self._queue, self._settings.max_batch_size - len(found), LEASE_SECONDS
                )
                pause = self._teller.answered(is_busy=bool(more))
            except CloudError as error:
                more, pause = [], self._teller.failed(error)
            if more and not found:
                due = loop.time() + self._settings.max_batch_timeout
            found += more
            if pause:
                await asyncio.sleep(min(pause, max(0.0, due - loop.time())))
        return waiting

    async def _give_back(self, found: Sequence[CloudMessage]) -> None:
        """Let messages that nobody settles any more be pulled again at once, if the service can be reached."""
        if found:
            with suppress(CloudError, TimeoutError):
                async with asyncio.timeout(_GIVE_BACK_SECONDS):
                    await self._cloud.acknowledge(self._queue, [], [(each.lease_id, 0) for each in found])

    async def _deliver(self, found: Sequence[CloudMessage], waiting: int) -> None:
        now = time()
        messages = [_local(each, now, each.attempts) for each in found]
        backlog = replace(backlog_of(messages), backlog_count=max(waiting, len(messages)))
        batch = Batch(next(self._ids), self._queue, messages, backlog, now, now + HANDLER_TIMEOUT_SECONDS)
        try:
            settlement = await self._settled(batch)
        except asyncio.CancelledError:
            await self._give_back(found)
            raise
        leases = {each.id: each.lease_id for each in found}
        if settlement is None:  # the consumer could not run
            await self._answer([], [(lease, 0) for lease in leases.values()])
            await self._may_run.wait()
            return
        settlement = _in_the_cloud(settlement)
        again = [(leases[message.id], delay) for message, delay in settlement.retried]
        await self._answer([leases[message.id] for message in settlement.acked], again)
        self._recipient.settled(batch, settlement)

    async def _settled(self, batch: Batch) -> Settlement | None:
        """What becomes of a batch."""
        delivering = asyncio.ensure_future(self._recipient.deliver(batch))
        due = batch.expires_at
        try:
            while True:
                await asyncio.wait({delivering}, timeout=max(0.0, due - time()))
                if delivering.done():
                    return delivering.result()
                late = self._recipient.time_out(batch)
                if isinstance(late, Settlement):
                    return late
                due = late
        finally:
            delivering.cancel()

    async def _answer(self, acks: Sequence[str], retries: Sequence[tuple[str, int]]) -> None:
        """End leases. While the service cannot be reached this is tried again, as long as the leases may last."""
        ends = time() + LEASE_SECONDS
        pause = POLL_SECONDS
        while True:
            try:
                await self._cloud.acknowledge(self._queue, acks, retries)
            except CloudError as error:
                if not error.may_pass or time() + pause > ends:
                    what = count(len(acks) + len(retries), "message")
                    self._teller.say("error", f"{what} could not be settled, and will come again: {error.cause}")
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                return


def _local(message: CloudMessage, now: float, attempts: int = 0) -> QueueMessage:
    return QueueMessage(
        message.id, message.body, message.content_type, message.timestamp, now, now, attempts, source=SOURCE
    )


def _in_the_cloud(settlement: Settlement) -> Settlement:
    """A settlement in which nothing dies: the service counts attempts, and keeps dead letters."""
    given_up = [(message, 0) for message in (*settlement.dead, *settlement.dropped, *settlement.expired)]
    return Settlement(
        settlement.acked,
        [*settlement.retried, *given_up],
        verdict=settlement.verdict,
        max_attempts=settlement.max_attempts,
    )
