"""What is in the queues of a session now: messages with their states, counted, and looked through by a filter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from itertools import chain, islice
from time import perf_counter
from typing import TYPE_CHECKING, Final

from emulator.dashboard.filters import Filter
from emulator.dashboard.rows import WAITING, FoundMessage, MessageFacts, state_of
from emulator.queues.events import MessagesSent
from emulator.queues.message import Counts, QueueMessage

if TYPE_CHECKING:
    from emulator.log.recorder import Recorder
    from emulator.session.session import Session

MOST_SEARCHED: Final = 20_000
"""How many waiting messages of a queue are looked through for a page."""

MOST_BODIES: Final = 5
MOST_BODY_BYTES: Final = 64_000
"""How many bodies there are to begin a new message from, and how large they may be."""

_MOST_EVENTS: Final = 2_000
"""How many events are looked through for them."""

_SLICE_SECONDS: Final = 0.002
"""How long is looked for messages before other work is done."""


async def find(session: Session, queue: str, identifier: str) -> FoundMessage | None:
    """A message in a queue, by its id; None if it is not there. Of a shared queue, the first MOST_SEARCHED messages
    that wait are looked through. Raises QueueError 10104."""
    queues = session.queues
    waiting = await (queues.waiting(queue, MOST_SEARCHED) if queues.is_shared else queues.find(queue, (identifier,)))
    there = [*await in_flight(session, queue), *_waiting(session, queue, waiting)]
    return next((found for found in there if found.message.id == identifier), None)


async def in_flight(session: Session, queue: str) -> list[FoundMessage]:
    """The messages of a queue that handlers of this session, or clients, have now."""
    queues = session.queues
    leased = await queues.leased(queue)
    return [
        *(FoundMessage(queue, "in flight", each) for each in queues.delivering(queue)),
        *(FoundMessage(queue, "in flight", each.message, each.expires_at) for each in leased),
    ]


async def search(
    session: Session, queue: str, wanted: Filter, most: int | None = MOST_SEARCHED, seen: set[str] | None = None
) -> AsyncGenerator[FoundMessage, None]:
    """The messages in a queue that a filter means, in the same order: of those that wait, the first `most` are looked
    through, or with None all, as far as their states can be meant. Adds the ids of all that are looked through to
    `seen`. Other work goes on meanwhile, so what comes and goes then may be missing. Raises QueueError 10104."""
    now, until = session.clock.now(), perf_counter() + _SLICE_SECONDS
    async for part in _parts(session, queue, wanted.only("state"), most):
        for found in part:
            if seen is not None:
                seen.add(found.message.id)
            if wanted.matches(MessageFacts(found, now)):
                yield found
            if perf_counter() > until:
                await asyncio.sleep(0)
                until = perf_counter() + _SLICE_SECONDS


async def ids_of(session: Session, queue: str, wanted: Filter) -> set[str]:
    """The ids of all waiting messages of a queue that a filter means. Raises QueueError 10104."""
    return {found.message.id async for found in search(session, queue, wanted, None) if found.state in WAITING}


def total(counts: Sequence[Counts]) -> Counts:
    """How many messages of several queues are in which state."""
    retrying = [each.retrying for each in counts if each.retrying is not None]
    dead = [each.dead for each in counts if each.dead is not None]
    return Counts(
        sum(each.ready for each in counts),
        sum(each.delayed for each in counts),
        sum(each.in_flight for each in counts),
        sum(retrying) if len(retrying) == len(counts) else None,
        sum(dead) if len(dead) == len(counts) else None,
    )


def unsearched(counts: Counts, wanted: Filter) -> int:
    """How many of the messages that wait in a queue are not looked through for a page with this filter."""
    if not wanted.terms:
        return 0
    state = wanted.only("state")
    ready = 0 if state == "delayed" else counts.ready
    return 0 if state == "in flight" else max(0, ready + counts.delayed - MOST_SEARCHED)


async def last_bodies(session: Session, recorder: Recorder | None, queue: str) -> list[QueueMessage]:
    """Messages with different bodies, the last that were sent to a queue first, and then some that wait. They can be
    sent again as they are: JSON or text that is not too long. Raises QueueError 10104."""
    waiting = await session.queues.waiting(queue, 2 * MOST_BODIES)
    found: dict[tuple[str, bytes], QueueMessage] = {}
    for message in chain(_sent(recorder, queue), waiting):
        if message.content_type in {"json", "text"} and len(message.body) <= MOST_BODY_BYTES:
            found.setdefault((message.content_type, message.body), message)
        if len(found) == MOST_BODIES:
            break
    return list(found.values())


def _sent(recorder: Recorder | None, queue: str) -> Iterator[QueueMessage]:
    """The last messages that were sent to a queue, as far as that is recorded, the last first."""
    for recorded in islice(recorder.newest(), _MOST_EVENTS) if recorder is not None else ():
        event = recorded.event
        if isinstance(event, MessagesSent) and event.queue == queue:
            yield from reversed(event.messages[-2 * MOST_BODIES :])


def _waiting(session: Session, queue: str, messages: Collection[QueueMessage]) -> Iterator[FoundMessage]:
    now = session.clock.now()
    return (FoundMessage(queue, state_of(each, now), each) for each in messages)


async def _parts(
    session: Session, queue: str, state: str | None, most: int | None
) -> AsyncIterator[Iterator[FoundMessage]]:
    queues = session.queues
    counts = await queues.counts(queue)
    if state is None or state == "in flight":
        yield iter(await in_flight(session, queue))
    if state not in (None, *WAITING, "retrying"):
        return
    before = counts.ready if state == "delayed" else 0
    end = None if most is None else before + most
    # Shared queues are read from a server: that gives way by itself, but begins from the first message each time.
    skip, step = (0, end) if queues.is_shared else (before, MOST_SEARCHED)
    while end is None or skip < end:
        waiting = await queues.waiting(queue, step, skip)
        yield _waiting(session, queue, waiting)
        if step is None or len(waiting) < step:
            return
        skip += step
