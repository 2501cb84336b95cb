"""What the tests of the state machine say to a queue: messages to send, and the answers that a consumer can give, which
the queue carries out as the rules of settlement say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from emulator.queues.memory.entry import Entry
from emulator.queues.memory.queue import Lease, MemoryQueue, Pulled
from emulator.queues.message import QueueMessage, Settlement, Verdict
from emulator.queues.settings import ConsumerSettings, QueueSettings
from emulator.queues.settlement import CLIENT_LATE, Terms, answer, settle_leases
from emulator.queues.settlement import settle as settle_by_rules
from emulator.wire.codec import ContentType

T = 1_800_000_000.0
"""When every conversation starts, in seconds since the epoch."""

_numbers = count(1)


def message(
    body: bytes = b"{}",
    *,
    at: float = T,
    delay: float = 0,
    sent: float | None = None,
    content_type: ContentType = "json",
) -> Entry:
    """A message that enters a queue at `at`, deliverable `delay` seconds later; `sent` is its timestamp, if earlier."""
    return Entry(f"{next(_numbers):032x}", body, content_type, "shop", at if sent is None else sent, at, at + delay)


def messages(number: int, *, at: float = T, delay: float = 0) -> list[Entry]:
    return [message(at=at, delay=delay) for _ in range(number)]


def make_queue(
    *,
    size: int = 10,
    timeout: int = 0,
    retries: int = 3,
    dlq: str | None = None,
    concurrency: int | None = None,
    retry_delay: int = 0,
    retention: int = 345_600,
    delivery_paused: bool = False,
) -> MemoryQueue:
    """A queue with a consumer. A batch goes out at once unless `timeout` says otherwise."""
    consumer = ConsumerSettings(
        max_batch_size=size,
        max_batch_timeout=timeout,
        max_retries=retries,
        dead_letter_queue=dlq,
        max_concurrency=concurrency,
        retry_delay=retry_delay,
    )
    return MemoryQueue("orders", QueueSettings(0, delivery_paused, retention), consumer)


def take(queue: MemoryQueue, now: float = T) -> Lease:
    """The batch that must go out now."""
    lease = queue.take_batch(now)
    assert lease is not None, "no batch is due"
    return lease


def settle(
    queue: MemoryQueue, lease: Lease, verdict: Verdict, now: float, consumer: ConsumerSettings | None = None
) -> Settlement:
    """End a lease by what its handler decided, under the settings of `consumer`, else of the queue's, else of those
    that it was taken with. Returns what has become of its messages."""
    terms = terms_of(queue, consumer or queue.consumer or lease.settings, now)
    settlement = settle_by_rules(lease.batch.messages, lease.batch.taken_at, verdict, terms)
    queue.settle(lease, settlement, now)
    return settlement


def terms_of(queue: MemoryQueue, consumer: ConsumerSettings, now: float) -> Terms:
    return Terms(queue.name, consumer, now, queue.settings.message_retention_period)


@dataclass(frozen=True)
class Ended:
    """Leases of pulled messages that ended together, and what has become of the messages; lease ids that changed
    nothing."""

    leases: Sequence[Pulled]
    verdict: Verdict
    settlement: Settlement
    unknown: Sequence[str] = ()
    expired: Sequence[str] = ()


class PullQueue(MemoryQueue):
    """A queue that clients pull from, under the settings of `puller`."""

    puller = ConsumerSettings("http_pull")

    def acknowledge(self, acks: Iterable[str], retries: Iterable[tuple[str, int | None]], now: float) -> Ended:
        """End leases by what a client says of them."""
        acks, retries = list(acks), list(retries)
        found = self.find_pulled([*acks, *(each for each, _ in retries)], now)
        said = answer([each.look() for each in found], acks, retries)
        settlement = settle_leases(said.ended, said.verdict, terms_of(self, self.puller, now))
        ended = self.end_pulled([each.lease_id for each in said.ended])
        self.settle_pulled(ended, settlement, now)
        return Ended(ended, said.verdict, settlement, said.unknown, said.expired)

    def expire(self, now: float) -> Ended | None:
        """End the leases whose time is up. None when there is none."""
        ended = self.expire_pulled(now)
        if not ended:
            return None
        verdict = Verdict("lease_expired", error=CLIENT_LATE)
        settlement = settle_leases([each.look() for each in ended], verdict, terms_of(self, self.puller, now))
        self.settle_pulled(ended, settlement, now)
        return Ended(ended, verdict, settlement)


class Identified(Protocol):
    @property
    def id(self) -> str: ...


def returned(
    *,
    ack: Iterable[Identified] = (),
    retry: Iterable[Identified] = (),
    delays: dict[str, int | None] | None = None,
    ack_all: bool = False,
    retry_all: bool = False,
    retry_all_delay: int | None = None,
) -> Verdict:
    """The handler returned, after these calls. `delays` are retries with a delay of their own, by message id."""
    retries: dict[str, int | None] = {each.id: None for each in retry}
    return Verdict(
        "ok",
        ack_all,
        retry_all,
        retry_all_delay,
        frozenset(each.id for each in ack),
        retries | (delays or {}),
    )


def threw(
    *,
    ack: Iterable[Identified] = (),
    retry: Iterable[Identified] = (),
    ack_all: bool = False,
    error: str = "ValueError: no",
) -> Verdict:
    """The handler raised, after these calls."""
    verdict = returned(ack=ack, retry=retry, ack_all=ack_all)
    return verdict.failed("exception", error, f"Traceback (most recent call last):\n{error}")


def ids(some: Iterable[Identified]) -> list[str]:
    return [each.id for each in some]


def retried(settlement_retried: Sequence[tuple[QueueMessage, int]]) -> list[tuple[str, int]]:
    """The retried messages by id, each with its delay."""
    return [(each.id, delay) for each, delay in settlement_retried]
