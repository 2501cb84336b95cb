"""How deep the queues of a session are at the moment, and how durations are counted, for those who measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from emulator.queues.errors import QueueError

if TYPE_CHECKING:
    from emulator.session.session import Session


DURATION_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 900.0)
"""Upper limits by which durations are counted, in seconds."""


class Depth(msgspec.Struct, frozen=True):
    """What is in a queue: how many `messages` that are not acked yet, the `bytes` of their bodies, how many seconds ago
    the oldest was sent (0 if there is none), and how many of them the handlers of this session have now."""

    messages: int
    bytes: int
    oldest_seconds: float
    in_flight: int


async def depths(session: Session) -> dict[str, Depth]:
    """The depth of each queue. A queue whose engine does not answer is left out."""
    queues, now = session.queues, session.clock.now()
    found: dict[str, Depth] = {}
    for name in list(queues.states):
        try:
            backlog = await queues.backlog(name)
        except QueueError:
            continue  # deleted meanwhile, or its engine is away
        oldest = backlog.oldest_message_timestamp
        found[name] = Depth(
            backlog.backlog_count,
            backlog.backlog_bytes,
            0.0 if oldest is None else max(0.0, now - oldest),
            queues.in_flight(name),
        )
    return found
