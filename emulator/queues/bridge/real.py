"""Which queues of a session are real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Literal, NamedTuple

ConsumeMode = Literal["take", "copy"]


class RealQueues(NamedTuple):
    """Which queues are real: those that are sent to, as pairs of worker and queue, and those that are consumed."""

    sends: Set[tuple[str, str]]
    consumes: Mapping[str, ConsumeMode]

    def __bool__(self) -> bool:
        return bool(self.sends or self.consumes)

    def told(self) -> Iterable[str]:
        """A sentence for each."""
        for worker, queue in sorted(self.sends):
            yield f"queue {queue} is REAL: what {worker} sends goes to the account's queue"
        for queue, mode in sorted(self.consumes.items()):
            if mode == "take":
                yield f"queue {queue} is REAL: its messages are taken from the account's queue, and acked there"
            else:
                yield f"queue {queue}: copies of the messages in the account's queue are delivered; it does not change"
