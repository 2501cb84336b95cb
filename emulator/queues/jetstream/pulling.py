"""Pulls messages of a queue from the consumer that all sessions share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from emulator.queues.jetstream.connection import Connection, Stored, delivered, status_of
from emulator.queues.jetstream.messages import Codec, Kept
from emulator.queues.jetstream.streams import CONSUMER, GROUP, Names

_NS = 10**9
_LATE_SECONDS = 1.0
"""How long after its end a request counts as lost."""


class Puller:
    """What has `arrived` of a queue, and the one request for more that is open, if any. `wake` is called when a request
    ends."""

    def __init__(self, connection: Connection, names: Names, codec: Codec, wake: Callable[[], None]) -> None:
        self.arrived: list[Kept] = []
        self.pending = 0
        """How many messages waited behind the last one that arrived."""
        self.first_age_seconds = 0.0
        """For how long the first of `arrived` had been ready when it arrived, in the server's time."""
        self._connection = connection
        self._names = names
        self._codec = codec
        self._wake = wake
        self._inbox = connection.inbox()
        self._number = 0
        self._left = 0
        self._lost_at = 0.0
        self._subscription: Subscription | None = None

    @property
    def is_pulling(self) -> bool:
        """Whether a request is open. One that the server has forgotten is not, a little later."""
        return self._left > 0 and asyncio.get_running_loop().time() < self._lost_at

    @property
    def lost_at(self) -> float:
        """When the open request counts as lost, in the time of the event loop."""
        return self._lost_at

    async def pull(self, count: int, *, wait_seconds: float = 0, priority: int = 0) -> None:
        """Ask for up to `count` messages. If there are fewer, the request stays open for `wait_seconds` of real time.
        Messages are in `arrived` as they come; `wake` is called when no more will."""
        if self._subscription is None:
            self._subscription = await self._connection.subscribe(f"{self._inbox}.*", self._receive)
        self._number += 1
        self._left = count
        self._lost_at = asyncio.get_running_loop().time() + wait_seconds + _LATE_SECONDS
        body: dict[str, object] = {"batch": count, "group": GROUP, "priority": priority}
        if wait_seconds:
            body["expires"] = round(wait_seconds * _NS)
        else:
            body["no_wait"] = True
        await self._connection.ask(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._names.stream}.{CONSUMER}", body, f"{self._inbox}.{self._number}"
        )

    async def close(self) -> None:
        """Ask for no more. When this returns, everything that the server has sent has arrived."""
        subscription, self._subscription = self._subscription, None
        self._left = 0
        if subscription is not None:
            await self._connection.drain(subscription)

    async def _receive(self, message: Msg) -> None:
        if status_of(message):
            if message.subject == f"{self._inbox}.{self._number}" and status_of(message) != "100":
                self._left = 0
                self._wake()
            return
        info = delivered(message.reply)
        stored = Stored(info.seq, message.subject, message.headers or {}, message.data)
        if not self.arrived:
            self.first_age_seconds = max(0.0, self._connection.now() - info.at) if info.deliveries == 1 else 0.0
        self.pending = info.pending
        self.arrived.append(self._codec.read(stored, deliveries=info.deliveries, reply=message.reply, at=info.at))
        self._left -= 1
        if self._left <= 0 or len(self.arrived) == 1:
            self._wake()
