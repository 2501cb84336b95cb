"""The contract of a queue engine: the manual for authors of engines, and everything that the rest of the emulator
relies on.

An engine keeps queues and their messages, leases messages to deliveries and to clients that pull, and runs deliveries
in batches. Arguments and results are values; an engine's own objects never leave it. An engine does not know the
service's limits and error codes, how a handler's decisions settle messages, what a dead letter looks like, or events.
These belong to `emulator.queues.service`, which is the only caller of an engine and its `Arbiter`.

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

Delivery is at least once: after a crash, or if an engine needs several steps for a settlement, a message may be
delivered again. Ids identify messages for users; an engine must not rely on unique ids, because a message that was
forwarded twice exists twice.

All times are in seconds since the epoch, on the engine's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from emulator.queues.declarations import QueueState
from emulator.queues.message import Backlog, Batch, Counts, LeasedMessage, NewMessage, QueueMessage, Settlement
from emulator.queues.settings import ConsumerSettings

Route = Callable[[QueueMessage], tuple[str, QueueMessage] | None]
"""Returns the queue that a waiting message moves to, and the message as it is there; None if it stays."""


class Recipient(Protocol):
    """Receives the batches of one queue from an engine."""

    async def deliver(self, batch: Batch) -> Settlement | None:
        """Run the consumer, and return the settlement of each message in the batch. None means that the batch was not
        delivered and the attempt does not count.

        Raises only CancelledError, if the engine cancels the delivery because its lease has expired, the queue is
        deleted or the engine closes.
        """

    def time_out(self, batch: Batch) -> Settlement | float:
        """Return the settlement of a batch whose lease has expired while `deliver` still runs; `deliver` is
        cancelled. Or return a later time, in seconds since the epoch, until which the lease is extended, because a
        debugger has held the handler."""

    def settled(self, batch: Batch, settlement: Settlement) -> None:
        """Called once for each batch that was delivered, after its settlement has been carried out, and stored if
        possible."""


class Arbiter(Protocol):
    """Receives an engine's questions and reports about messages that it does not deliver."""

    def lease_expired(self, queue: str, leases: Sequence[LeasedMessage]) -> Settlement:
        """Return the settlement of messages that clients did not settle in time."""

    def leases_settled(self, queue: str, leases: Sequence[LeasedMessage], settlement: Settlement) -> None:
        """Called once after the settlement of pulled messages has been carried out, whether a client ended their leases
        or the leases expired."""

    def messages_expired(self, queue: str, messages: Sequence[QueueMessage]) -> None:
        """Called once when messages that waited longer than the retention period have been deleted."""

    def states_changed(self, queue: str) -> None:
        """Called when another process has put or dropped a queue of an engine that is shared."""


class QueueUsers(msgspec.Struct, frozen=True):
    """The processes that produce to a queue and that consume it, each as `HOST (process PID)`."""

    producers: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()


class Subscription(Protocol):
    """A consumer of a queue, returned by `QueueEngine.consume`."""

    def hold(self, held: bool) -> None:
        """Begin no batches while `held`, because the consumer cannot run. Batches under way continue."""

    def close(self) -> None:
        """Begin no more batches. Batches under way continue and are settled as usual."""


class QueueEngine(Protocol):
    """Queues by name.

    `start` is called once, before all other methods. `close` may be called while other methods still run. `end` is the
    last.
    """

    @property
    def is_shared(self) -> bool:
        """Whether the queues are those of other processes, too, which may consume them and change their states."""

    @property
    def states(self) -> Mapping[str, QueueState]:
        """The state of each queue, without its messages, in the order of their creation. Reading it does no I/O: an
        engine in another process keeps a copy up to date. The mapping is always the same view; a state is a value."""

    async def start(self, arbiter: Arbiter) -> None:
        """Begin, with the queues and messages of an earlier run. Nothing is delivered before `consume`."""

    def introduce(self, produces: Collection[str]) -> None:
        """Take note of the queues that this process produces to from now on, for other processes to see."""

    def users(self, queue: str) -> QueueUsers:
        """Which processes use a queue, as far as is known. An engine that is not shared knows of none."""

    async def close(self, grace_seconds: float) -> None:
        """Stop delivering, let the deliveries under way end for at most `grace_seconds` of real time, then cancel them.
        Cancelled deliveries are not settled: their messages wait again, if messages survive. Queues can still be read
        and sent to."""

    async def end(self) -> None:
        """Let go of what the engine holds outside of this process's memory, such as a connection. Without `close`
        before it, what was under way is left as if the process had been killed."""

    async def put(self, states: Sequence[QueueState]) -> bool:
        """Set the states of queues, creating those that do not exist: all of them or none. Settings take effect at
        once; a pause and a shorter retention period also affect waiting messages. The consumer in a state is only
        stored: `consume` starts deliveries.

        Returns False, and changes nothing, if another process has changed one of these queues meanwhile: `states` is
        up to date then, and the caller makes the new states of it again. A caller does not suspend between reading
        `states` and calling this."""

    async def drop(self, queue: str) -> None:
        """Delete a queue and its messages. Deliveries under way are cancelled, and leases become unknown."""

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
        """Add new messages to a queue, all or none, and return the backlog with them.

        `ids` are their ids, in the same order; `at` is the time when they were sent, which is now. What is in their
        other fields is in the messages, too. A message without its own delay gets `delay_seconds`; with a delay of 0 or
        less it is ready at once. Messages that become ready at the same time are delivered in this order.
        """

    async def insert(self, queue: str, messages: Sequence[QueueMessage]) -> None:
        """Add messages to a queue unchanged, all or none: with their ids, times and attempts. `enqueued_at` is now. A
        message that is inserted twice may exist twice."""

    async def consume(self, queue: str, settings: ConsumerSettings, recipient: Recipient) -> Subscription:
        """Deliver the messages of a queue to `recipient`, in batches, until the subscription is closed.

        A batch is delivered when `max_batch_size` messages are ready, or when the oldest one has been ready for
        `max_batch_timeout`, but not while the queue is paused or held. It is never empty. Delivery adds one to the
        attempts of each message. The batch is leased for HANDLER_TIMEOUT_SECONDS, then `time_out` settles it
        or extends the lease.

        Concurrency begins at one delivery. A delivery that succeeds while a full batch waits raises it by one, up to
        `max_concurrency`, and one that fails lowers it by one. Retries that a handler asks for are not failures. The
        other settings, such as `max_retries`, are the recipient's concern. A queue has one subscription at a time: the
        earlier one must be closed first. Deliveries that it began continue, and count towards `max_concurrency`.
        """

    async def pull(self, queue: str, count: int, visibility_seconds: float) -> Sequence[LeasedMessage]:
        """Lease up to `count` ready messages to a client, each with its own lease. Does not wait; there may be none.
        This adds one to the attempts of each message. Subscriptions, concurrency and pauses have no effect here.

        The arbiter settles leases that are not settled in time, and the message waits again or is gone. Lease ids are
        never used again, not even in another run of the emulator.
        """

    async def leases(self, queue: str, lease_ids: Collection[str] | None = None) -> Sequence[LeasedMessage]:
        """The leases with these ids that are still known, in the order of `lease_ids`, each once. An expired lease is
        known until its message is leased again or gone. None means all leases that have not expired, whichever process
        they were made in, the oldest first."""

    async def settle(self, queue: str, leases: Sequence[LeasedMessage], settlement: Settlement) -> None:
        """End leases of pulled messages, and carry out the settlement of their messages.

        A lease that has ended meanwhile is ignored. The letters of a settlement enter their dead letter queue, which is
        created if it does not exist. An engine that cannot do both in one step inserts the letters first, so that a
        message may exist twice but is never lost. A settlement is never refused: what cannot be written now is written
        later, and the messages may be delivered again until then. The same applies to the settlements of batches.
        """

    async def peek(self, queue: str, count: int | None = None, skip: int = 0) -> Sequence[QueueMessage]:
        """`count` waiting messages (None means all) behind the first `skip`: the ready ones in the order of delivery,
        then the delayed ones by the time when they are due. They do not change."""

    async def find(self, queue: str, ids: Collection[str]) -> Sequence[QueueMessage]:
        """The waiting messages with these `ids`, in any order. They do not change."""

    async def backlog(self, queue: str) -> Backlog:
        """The backlog of a queue, including messages in flight, but not waiting messages that are older than the
        retention period."""

    async def counts(self, queue: str) -> Counts:
        """How many messages of a queue are in which state, of the same messages as in its backlog. Takes no longer for
        a million of them."""

    async def promote(self, queue: str, ids: Collection[str] | None = None) -> Sequence[QueueMessage]:
        """Make the delayed messages ready at once, or only those with `ids`: their `ready_at` is now, and all else of
        them stays. They come behind those that are ready, in the order in which they would have become due. Returns
        them as they are now.

        An engine that cannot change a message in one step inserts first and then deletes, as with `move`.
        """

    async def purge(self, queue: str, ids: Collection[str] | None = None) -> Sequence[QueueMessage]:
        """Delete the waiting messages, including delayed ones, or only those with `ids`. Messages in flight stay.
        Returns the deleted messages."""

    async def move(
        self, queue: str, route: Route, ids: Collection[str] | None = None
    ) -> Mapping[str, Sequence[QueueMessage]]:
        """Move waiting messages to other queues. `route` is called once for each message, or only for those with `ids`.
        Returns the messages that entered each queue. Messages in flight stay.

        All messages move or none, if an engine can do that in one step. An engine that cannot inserts first and then
        deletes, so that a message may be in both queues after a crash but is never lost. `route` returns only queues
        that exist.
        """
