"""Delivers messages the way an at-least-once service may: twice, out of order, late, or with the ack lost.

A correct consumer copes with all of it. Everything that happens follows from the seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from emulator.queues.consumption import Deliver
from emulator.queues.message import Delivery, Message, Verdict

LATEST_SECONDS: Final = 30.0
LOST_ACK: Final = "chaos: the ack was lost after the handler ran"


@dataclass(frozen=True)
class Chaos:
    """How likely each disturbance is for a batch (`duplicate`: for a message), from 0 to 1.

    `duplicate` delivers a message a second time, in the same batch or in one of its own, which must succeed too.
    `reorder` shuffles a batch. `delay` delivers it up to 30 seconds late. `drop_ack` runs the handler and then loses
    its decision, so that the batch is delivered again. An ack is never lost on a message's last attempt: chaos alone
    never makes a dead letter.
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


@dataclass
class _Plan:
    """What happens to a delivery: the messages that are delivered, those that are delivered `again` afterwards, how
    many seconds it is `late`, whether its ack is `lost`, and all of that in words."""

    messages: list[Message]
    again: list[Message]
    late: float = 0.0
    lost: bool = False
    told: list[str] = field(default_factory=list)


class Disturber:
    """Puts chaos between a queue and its consumer. `max_retries` returns how often a queue's messages may be
    retried."""

    def __init__(self, chaos: Chaos, max_retries: Callable[[str], int], report: Callable[[str], None]) -> None:
        self._chaos = chaos
        self._random = Random(chaos.seed)
        self._max_retries = max_retries
        self._report = report

    def around(self, deliver: Deliver) -> Deliver:
        """`deliver`, disturbed."""
        return partial(self._deliver, deliver)

    async def _deliver(self, deliver: Deliver, delivery: Delivery) -> Verdict | None:
        plan = self._plan(delivery)
        if plan.told:
            self._report(f"CHAOS {delivery.queue}: {', '.join(plan.told)}")
        if plan.late:
            await asyncio.sleep(plan.late)
        result = await self._hand_over(deliver, delivery, plan.messages)
        if plan.again and result is not None:
            second = await self._hand_over(deliver, delivery, plan.again)
            if second is not None:
                result = _both(result, second, [message.id for message in delivery.messages], plan.again)
        if plan.lost and result is not None and result.outcome == "ok":
            return Verdict("exception", error=LOST_ACK)
        return result

    def _plan(self, delivery: Delivery) -> _Plan:
        """Decide what happens to a delivery. Everything is decided at once, and every random number is drawn whether it
        is needed or not, so that the result does not depend on what else is running."""
        chaos, random = self._chaos, self._random
        again = [message for message in delivery.messages if random.random() < chaos.duplicate]
        together = random.random() < 0.5
        shuffled = random.random() < chaos.reorder
        is_late, late = random.random() < chaos.delay, random.uniform(0.1, LATEST_SECONDS)
        lost = random.random() < chaos.drop_ack
        limit = self._max_retries(delivery.queue)
        plan = _Plan([*delivery.messages, *(again if together else ())], [] if together else again)
        if again:
            plan.told.append(f"{len(again)} delivered twice")
        if shuffled and len(plan.messages) > 1:
            random.shuffle(plan.messages)
            plan.told.append("reordered")
        if is_late:
            plan.late = late
            plan.told.append(f"{late:.1f} s late")
        if lost and all(message.attempts <= limit for message in delivery.messages):
            plan.lost = True
            plan.told.append("ack lost")
        return plan

    async def _hand_over(self, deliver: Deliver, delivery: Delivery, messages: list[Message]) -> Verdict | None:
        handed = Delivery(delivery.queue, messages, delivery.metrics)
        delivery.so_far = lambda: handed.so_far()  # noqa: PLW0108 - it is set later
        return await deliver(handed)


def _both(first: Verdict, second: Verdict, ids: list[str], again: list[Message]) -> Verdict:
    """What two deliveries decided together: a message is settled if no delivery that contained it wants it again."""
    refused = [message.id for message in again if _accepts(first, message.id) and not _accepts(second, message.id)]
    if not refused:
        return first
    retries = {each: first.retry_messages.get(each) for each in ids if not _accepts(first, each)}
    if second.outcome == "ok":
        retries |= {each: second.retry_messages.get(each, second.retry_all_delay) for each in refused}
    return Verdict(
        second.outcome,
        explicit_acks=frozenset(each for each in ids if _accepts(first, each) and each not in refused),
        retry_messages=retries,
        error=second.error,
        traceback=second.traceback,
        causes={**first.causes, **second.causes},
        retry_all_cause=second.retry_all_cause or first.retry_all_cause,
    )


def _accepts(result: Verdict, message_id: str) -> bool:
    """Whether a decision acks a message."""
    if message_id in result.explicit_acks:
        return True
    rest = result.ack_all or (result.outcome == "ok" and not result.retry_all)
    return rest and message_id not in result.retry_messages
