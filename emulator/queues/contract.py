"""What a queue engine does: the manual for whoever writes one, and all that the rest of the emulator knows of it.

An engine keeps queues and their messages, leases messages to deliveries and to clients that pull, and runs deliveries
in batches. Values go in and come out; no object that lives in an engine leaves it. What it does not know: the service's
limits and error codes, what becomes of a message by what a handler said, what a dead letter looks like, and events.
Those are the business of `emulator.queues.service`, which is the only caller of an engine and its `Arbiter`.

Four things hold for every method:

- It may suspend. An engine that keeps everything in this process need not, and says so in its own documentation.
- What it accepted is there when it returns, and survives as the engine promises: `memory` without a journal until the
  process ends, with one also after `kill -9`. Leases need not survive; a message that was in flight then waits again.
- An engine whose messages survive keeps an attempt before it calls `deliver`. What a recipient had when the process
  ended without `close` waits again with that attempt counted, and with a failure of it
  (`emulator.queues.settlement.interrupted`). A delivery that was given back, or that `close` has cancelled, does not
  count, and neither does what a client had pulled.
- It raises QueueError 10104 (QUEUE_NOT_FOUND) for a queue that there is not, 10251 (QUEUE_STORAGE_LIMIT_EXCEEDED) when
  there is no room, and 15000 (UNKNOWN_INTERNAL_ERROR) when what it accepts cannot be kept otherwise; nothing has
  changed then. Where nothing else is said, it raises nothing else.

Delivery is at least once: after a crash, or where a settlement takes several steps elsewhere, a message may come again.
Ids identify messages for those who see them; an engine must not count on their being unique, since a message that was
forwarded twice is there twice.

All times are in seconds since the epoch, on the clock that the engine was made with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from emulator.queues.declarations import QueueState
from emulator.queues.message import Backlog, Batch, Leased, Message, NewMessage, Settlement
from emulator.queues.settings import ConsumerSettings

Route = Callable[[Message], tuple[str, Message] | None]
"""Where a waiting message moves, and how it is there; None: it stays."""


class Recipient(Protocol):
    """What an engine delivers the batches of one queue to."""

    async def deliver(self, batch: Batch) -> Settlement | None:
        """Run the consumer, and say what becomes of each message of the batch. None: it was not delivered, and the
        attempt is given back.

        Raises nothing but CancelledError, when the engine cancels the delivery: because its lease is over, the queue is
        deleted or the engine closes.
        """

    def time_out(self, batch: Batch) -> Settlement:
        """The lease of a batch is over while `deliver` still runs, which is cancelled: say what becomes of it."""

    def settled(self, batch: Batch, settlement: Settlement) -> None:
        """The settlement of a batch is carried out, and kept as far as it can be. Told once for each batch that was not
        given back."""


class Arbiter(Protocol):
    """What an engine asks, and tells, about messages that it does not deliver."""

    def lease_expired(self, queue: str, leases: Sequence[Leased]) -> Settlement:
        """Clients did not settle these messages in time: say what becomes of them."""

    def leases_settled(self, queue: str, leases: Sequence[Leased], settlement: Settlement) -> None:
        """The settlement of pulled messages is carried out, whether their leases expired or a client ended them. Told
        once."""

    def messages_expired(self, queue: str, messages: Sequence[Message]) -> None:
        """Messages that waited longer than the retention period are gone. Told once."""


class Subscription(Protocol):
    """A consumer of a queue, from `QueueEngine.consume` on."""

    def hold(self, held: bool) -> None:
        """Begin no batch while `held`: the consumer cannot run at the moment. Batches under way are not concerned."""

    def close(self) -> None:
        """Begin no batch any more. Batches under way run on, and are settled as if nothing had happened."""


class QueueEngine(Protocol):
    """Queues by name.

    `start` is called once, before everything else. `close` may be called while other methods still run.
    """

    @property
    def states(self) -> Mapping[str, QueueState]:
        """What is known of each queue beside its messages, in the order of their creation. Reading it asks nobody: an
        engine elsewhere keeps a copy that follows. The mapping is a view, always the same one; a state is a value."""

    async def start(self, arbiter: Arbiter) -> None:
        """Begin, with the queues and messages that an earlier run has left. Nothing is delivered before `consume`."""

    async def close(self, grace_seconds: float) -> None:
        """Deliver no more, let the deliveries under way end for at most `grace_seconds` of real time, then cancel them.
        What is cancelled is not settled: it waits again, as far as messages survive. Queues can still be looked at and
        sent to."""

    async def put(self, states: Sequence[QueueState]) -> None:
        """Let queues, made if need be, be as `states` say: all of them or none. Settings act at once, a pause and a
        shorter retention period on what waits too. The consumer in a state is kept and delivers nothing: `consume` does
        that."""

    async def drop(self, queue: str) -> None:
        """Forget a queue with all that is in it. Deliveries under way are cancelled; leases mean nothing any more."""

    async def send(
        self,
        queue: str,
        messages: Sequence[NewMessage],
        ids: Sequence[str],
        *,
        at: float,
        delay_seconds: float,
        source: str,
    ) -> Backlog:
        """Let new messages enter a queue, all or none, and return the backlog with them.

        `ids` are theirs, in the same order; `at` is when they were sent, which is now. One without a delay of its own
        has `delay_seconds`, and one with a delay of 0 or less is ready at once. They are delivered in this order, as
        far as they become ready at the same time.
        """

    async def insert(self, queue: str, messages: Sequence[Message]) -> None:
        """Let messages enter a queue as they are, all or none: with their ids, times and attempts. `enqueued_at` is
        now. One that is inserted twice may be there twice."""

    async def consume(self, queue: str, settings: ConsumerSettings, recipient: Recipient) -> Subscription:
        """Deliver the messages of a queue in batches to `recipient` until the subscription is closed.

        A batch goes out when `max_batch_size` messages are ready, or when the oldest one has been ready for
        `max_batch_timeout`; never while the queue is paused or held, and never an empty one. Each message in it counts
        one attempt more. It is leased for HANDLER_TIMEOUT_SECONDS, then `time_out` settles it.

        Deliveries start with one at a time. One that succeeded while a full batch waited allows one more, up to
        `max_concurrency`; one that failed takes one away. Retries that a handler asked for are no failure. The rest of
        the settings (`max_retries` and the like) is the recipient's business. There is one subscription to a queue at a
        time: the one before is to be closed first. Deliveries that it began go on, and count against `max_concurrency`.
        """

    async def pull(self, queue: str, count: int, visibility_seconds: float) -> Sequence[Leased]:
        """Lease up to `count` ready messages to a client, each for itself, at once and possibly none. Each counts one
        attempt more. Subscriptions, concurrency and pauses do not matter here.

        A lease that nobody settles in time is settled as the arbiter says, and its message waits again or is gone. Ids
        of leases are never used again, in another run of the emulator either.
        """

    async def leases(self, queue: str, lease_ids: Collection[str]) -> Sequence[Leased]:
        """Those of the leases that still mean something, in the order of `lease_ids`, each once. One that has expired
        does until its message is leased again or gone."""

    async def settle(self, queue: str, leases: Sequence[Leased], settlement: Settlement) -> None:
        """End leases of pulled messages, and carry out what becomes of their messages.

        A lease that has ended meanwhile is left out. The letters of a settlement are in their dead letter queue, made
        if there is none, when it is carried out; an engine that cannot do both at once inserts them first, so that a
        message may be there twice and is never lost. Never refused: what cannot be written now is written later, and
        the messages may come again until then. The same holds for the settlements of batches.
        """

    async def peek(self, queue: str, count: int | None = None) -> Sequence[Message]:
        """The first `count` messages that wait (None: all): the ready ones in the order of their delivery, then the
        delayed ones by the time when they are due. They stay as they are."""

    async def backlog(self, queue: str) -> Backlog:
        """How much is in a queue, in flight included, without what has outlived the retention period and waits."""

    async def purge(self, queue: str, ids: Collection[str] | None = None) -> Sequence[Message]:
        """Delete what waits, delayed messages included, or of that the messages called `ids`. What is in flight stays.
        Returns what is gone."""

    async def move(self, queue: str, route: Route) -> Mapping[str, Sequence[Message]]:
        """Let what waits leave for other queues, as `route` says of each message, which is asked once. Returns what
        entered each of these queues. What is in flight stays.

        All of it or none, where an engine can do that at once; one that cannot inserts first and deletes then, so that
        a message may be in both queues after a crash and is never lost. `route` names queues that there are.
        """
