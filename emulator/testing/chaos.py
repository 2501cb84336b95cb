"""Delivering as an at-least-once service may: twice, in another order, late, or with the ack lost.

A consumer that is correct is so under all of this. Everything that happens follows from the seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final

from emulator.broker.broker import Deliver
from emulator.broker.message import Delivery, DeliveryResult

LATEST_SECONDS: Final = 30.0
LOST_ACK: Final = "chaos: the ack was lost after the handler ran"


@dataclass(frozen=True)
class Chaos:
    """How likely each disturbance is for a batch (`duplicate`: for a message), from 0 to 1.

    `duplicate` delivers a message a second time, in the same batch or in one of its own; `reorder` shuffles a batch;
    `delay` delivers it up to 30 seconds late; `drop_ack` runs the handler and then loses what it decided, so that the
    batch comes again. An ack is never lost on a message's last attempt: no message is dead-lettered by chaos alone.
    """

    seed: int
    duplicate: float = 0.2
    reorder: float = 0.5
    delay: float = 0.2
    drop_ack: float = 0.2

    def __post_init__(self) -> None:
        for name in ("duplicate", "reorder", "delay", "drop_ack"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"chaos: {name} is a probability from 0 to 1, not {value!r}")


class Disturber:
    """Puts chaos between the broker and a consumer. `max_retries` tells how often a queue's messages may fail."""

    def __init__(self, chaos: Chaos, max_retries: Callable[[str], int], report: Callable[[str], None]) -> None:
        self._chaos = chaos
        self._random = Random(chaos.seed)
        self._max_retries = max_retries
        self._report = report

    def around(self, deliver: Deliver) -> Deliver:
        """`deliver`, disturbed."""
        return partial(self._deliver, deliver)

    async def _deliver(self, deliver: Deliver, delivery: Delivery) -> DeliveryResult | None:
        # All decisions are made before anything is awaited, so that they do not depend on what else runs.
        chaos, random = self._chaos, self._random
        done: list[str] = []
        messages = list(delivery.messages)
        again = [message for message in messages if random.random() < chaos.duplicate]
        together = random.random() < 0.5
        shuffled = random.random() < chaos.reorder
        late = random.uniform(0.1, LATEST_SECONDS) if random.random() < chaos.delay else 0.0
        lost = random.random() < chaos.drop_ack
        if again:
            done.append(f"{len(again)} delivered twice")
            if together:
                messages += again
        if shuffled and len(messages) > 1:
            random.shuffle(messages)
            done.append("reordered")
        if late:
            done.append(f"{late:.1f} s late")
        limit = self._max_retries(delivery.queue)
        lost = lost and all(message.attempts <= limit for message in delivery.messages)
        if lost:
            done.append("ack lost")
        if done:
            self._report(f"CHAOS {delivery.queue}: {', '.join(done)}")
        if late:
            await asyncio.sleep(late)
        result = await self._hand_over(deliver, delivery, messages)
        if again and not together and result is not None:
            await self._hand_over(deliver, delivery, again)
        if lost and result is not None and result.outcome == "ok":
            return DeliveryResult("exception", error=LOST_ACK)
        return result

    async def _hand_over(self, deliver: Deliver, delivery: Delivery, messages: list[Any]) -> DeliveryResult | None:
        handed = Delivery(delivery.queue, messages, delivery.metrics)
        delivery.so_far = lambda: handed.so_far()  # noqa: PLW0108 - it is set later
        return await deliver(handed)
