"""The broker owns the queues of a session.

Every message enters by `Queue.enqueue` and leaves by a settlement, whatever its source. The broker adds what the state
machine must not know: ids, the service's checks, dead letter queues, events and, where messages are to survive the
process, a journal. A `Driver` for each queue runs its consumer and its timers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Final

from emulator.base.bus import Bus
from emulator.base.clock import Clock, WallClock
from emulator.queues.checks import check_number, check_send
from emulator.queues.declarations import Origin, QueueState
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.events import (
    BatchDelivered,
    ConsumerChanged,
    MessagesDeadLettered,
    MessagesDropped,
    MessagesForwarded,
    MessagesSent,
)
from emulator.queues.memory.driver import Deliver, Driver
from emulator.queues.memory.journal import Journal
from emulator.queues.memory.queue import Queue
from emulator.queues.memory.records import MessageRecord
from emulator.queues.message import (
    Acknowledgement,
    Backlog,
    DeadLetter,
    Lease,
    Message,
    NewMessage,
    PulledMessage,
    Redrive,
    Settlement,
    Verdict,
)
from emulator.queues.settings import (
    DEFAULT_PULL_BATCH_SIZE,
    DELAY_SECONDS,
    MAX_BATCH_COUNT,
    PULL_BATCH_SIZE,
    VISIBILITY_TIMEOUT_MS,
    ConsumerSettings,
    QueueSettings,
)

FORWARDING: Final = ConsumerSettings(max_batch_size=MAX_BATCH_COUNT, max_batch_timeout=0, max_concurrency=1)
"""How messages are taken that go to another session: at once, and one batch after the other, so that they stay in
order."""

CANCEL_SECONDS: Final = 1.0
"""How long (in real time) a cancelled handler may take to end before it is left behind."""


class Broker:
    """Queues by name, and their deliveries.

    Methods are called on the event loop's thread. `random` gives message ids; a test passes a seeded one. With a
    `journal`, the queues and messages that it has recovered are here from the start (without what delivers them), and
    whatever is accepted, settled or changed is in it before the call returns; it may raise QueueError 10251 or 15000
    then, with nothing changed.
    """

    def __init__(
        self, bus: Bus, clock: Clock | None = None, random: Random | None = None, journal: Journal | None = None
    ) -> None:
        self._bus = bus
        self._clock = clock or WallClock()
        self._bits = (random or Random()).getrandbits
        self._journal = journal
        self._drivers: dict[str, Driver] = {}
        self._held: set[str] = set()
        self._closed = False
        if journal is not None:
            now = self._clock.now()
            for state, messages in journal.take_recovered():
                self._apply(state).queue.restore(messages, now)

    # Queues and consumers

    @property
    def queues(self) -> Sequence[Queue]:
        """The queues, in the order of their creation. Look, but change them only through the broker."""
        return [driver.queue for driver in self._drivers.values()]

    def queue(self, name: str) -> Queue:
        """The queue of that name. Raises QueueError 10104 when there is none."""
        return self._driver(name).queue

    def has_queue(self, name: str) -> bool:
        """Whether there is a queue of that name."""
        return name in self._drivers

    def state_of(self, name: str) -> QueueState:
        """What is known of a queue beside its messages. Raises QueueError 10104 when there is none."""
        return self._driver(name).state

    def create_queue(self, name: str, settings: QueueSettings | None = None, origin: Origin | None = None) -> Queue:
        """The queue of that name, made if need be. Settings and origin that are not given stay, or are the default."""
        driver = self._drivers.get(name)
        if driver is None or settings is not None or origin is not None:
            now = self._clock.now()
            state = QueueState(name, now, now) if driver is None else driver.state
            self._commit(
                replace(state, settings=settings or state.settings, origin=origin or state.origin, modified_at=now)
            )
        return self._drivers[name].queue

    def delete_queue(self, name: str) -> None:
        """Forget a queue and what it holds. Raises QueueError 10104 when there is none."""
        driver = self._driver(name)
        if self._journal is not None:
            self._journal.deleted(name, driver.queue.unsettled())
        driver.stop()
        for task, _ in driver.running.values():
            task.cancel()
        driver.queue.discard()
        del self._drivers[name]

    def update_queue(self, name: str, settings: QueueSettings, origin: Origin | None = None) -> None:
        """Give a queue new settings; they act at once. Raises QueueError 10104 when there is none."""
        self._driver(name)
        self.create_queue(name, settings, origin)

    def pause(self, name: str) -> None:
        """Stop deliveries of a queue. It still accepts messages."""
        self.update_queue(name, replace(self.queue(name).settings, delivery_paused=True))

    def resume(self, name: str) -> None:
        """Deliver again."""
        self.update_queue(name, replace(self.queue(name).settings, delivery_paused=False))

    def set_consumer(
        self,
        name: str,
        settings: ConsumerSettings,
        worker: str,
        deliver: Deliver | None,
        origin: Origin | None = None,
    ) -> None:
        """Let a queue, made if need be, deliver by `deliver` to the consumer called `worker`.

        Without `deliver` (as for `http_pull`) its messages wait until they are pulled. The dead letter queue is made
        too. What is in flight is settled by the new settings.
        """
        now = self._clock.now()
        driver = self._drivers.get(name)
        old = QueueState(name, now, now) if driver is None else driver.state
        state = replace(
            old,
            modified_at=now,
            consumer=settings,
            worker=worker,
            consumer_set_at=now if old.consumer_set_at is None else old.consumer_set_at,
            origin=origin or old.origin,
        )
        target = settings.dead_letter_queue
        if target is None or target in self._drivers:
            self._commit(state)
        else:
            self._commit(state, QueueState(target, now, now))
        self.connect(name, deliver)

    def connect(self, name: str, deliver: Deliver | None) -> None:
        """Let `deliver` carry messages to the consumer that a queue has: None where it has none, or clients pull.
        Raises QueueError 10104 when there is no such queue."""
        driver = self._driver(name)
        driver.deliver = deliver
        driver.wake()

    def remove_consumer(self, name: str, origin: Origin | None = None) -> None:
        """Deliver to nobody: the queue keeps its messages. What is in flight runs on."""
        driver = self._driver(name)
        state = driver.state
        self._commit(
            replace(
                state,
                modified_at=self._clock.now(),
                consumer=None,
                worker="",
                consumer_set_at=None,
                origin=origin or state.origin,
            )
        )
        driver.deliver = None

    def forward(self, name: str, deliver: Deliver | None, to: str = "") -> None:
        """While a queue has no consumer here, let `deliver` take its messages to where it has one, described by `to`;
        None: they wait. Raises QueueError 10104 when there is no such queue."""
        driver = self._driver(name)
        driver.forward = deliver
        driver.forwarded_to = to
        self._apply(driver.state)

    def forwarded_to(self, name: str) -> str:
        """Where the messages of a queue go that has no consumer here; empty where they wait. Raises QueueError 10104
        when there is no such queue."""
        driver = self._driver(name)
        return driver.forwarded_to if driver.queue.consumer is FORWARDING else ""

    def accept(self, name: str, messages: Sequence[MessageRecord]) -> None:
        """Take over messages that another session has forwarded: at once, with the same ids, attempts fresh. Raises
        QueueError."""
        driver = self._driver(name)
        now = self._clock.now()
        accepted = [
            Message(
                each.id.hex(),
                each.body,
                each.content_type,
                each.timestamp,
                now,
                now,
                dead_letter=each.dead_letter,
                source=each.source,
            )
            for each in messages
        ]
        if self._journal is not None:
            self._journal.enqueued(name, accepted)
        self._enqueue(driver, accepted, now, "forwarded")

    def consumer_of(self, name: str) -> str:
        """The name of the worker that consumes a queue; empty when there is none."""
        return self._driver(name).state.worker

    def hold(self, worker: str, *, held: bool) -> None:
        """Let the deliveries to a worker wait while its code does not load, and go on when it does."""
        if held:
            self._held.add(worker)
        else:
            self._held.discard(worker)
        for driver in self._drivers.values():
            if driver.state.worker == worker and driver.queue.held != held:
                driver.queue.held = held
                driver.wake()

    # Messages

    def send(
        self,
        name: str,
        messages: Sequence[NewMessage],
        *,
        source: str,
        batch_delay_seconds: int | None = None,
        producer_delay_seconds: int | None = None,
    ) -> Backlog:
        """Accept messages into a queue, all or none, and return its backlog.

        The delay of a message is its own, else the batch's, else the producer's, else the queue's; 0 is a value.
        Raises QueueError when the service would refuse.
        """
        driver = self._driver(name)
        queue = driver.queue
        default_delay = queue.settings.delivery_delay
        if batch_delay_seconds is not None:
            default_delay = batch_delay_seconds
        elif producer_delay_seconds is not None:
            default_delay = producer_delay_seconds
        check_send(messages, queue, batch_delay_seconds)
        now = self._clock.now()
        bits = self._bits
        accepted = [
            Message(
                bits(128).to_bytes(16, "big").hex(),
                outgoing.body,
                outgoing.content_type,
                now,
                now,
                now + (default_delay if outgoing.delay_seconds is None else outgoing.delay_seconds),
                source=source,
            )
            for outgoing in messages
        ]
        if self._journal is not None:
            self._journal.enqueued(name, accepted)
        self._enqueue(driver, accepted, now, source)
        return queue.metrics()

    def pull(
        self, name: str, batch_size: int = DEFAULT_PULL_BATCH_SIZE, visibility_timeout_ms: int | None = None
    ) -> Sequence[PulledMessage]:
        """Lease up to `batch_size` (1 to 100) ready messages to a client, at once and possibly none.

        A lease holds for `visibility_timeout_ms`, without one for as long as the consumer's settings say. Raises
        QueueError when the queue has no `http_pull` consumer, is paused, or a number is out of range.
        """
        driver = self._driver(name)
        queue = driver.queue
        consumer = queue.consumer
        if consumer is None or consumer.type != "http_pull":
            raise QueueError(
                QueueErrorCode.HTTP_PULL_NOT_ENABLED,
                f"Queue {name} has no consumer of type http_pull, so it cannot be pulled from",
            )
        if visibility_timeout_ms is None:
            visibility_timeout_ms = consumer.visibility_timeout_ms
        check_number("batch_size", batch_size, PULL_BATCH_SIZE)
        check_number("visibility_timeout_ms", visibility_timeout_ms, VISIBILITY_TIMEOUT_MS)
        if queue.settings.delivery_paused:
            raise QueueError(
                QueueErrorCode.QUEUE_DELIVERY_PAUSED, f"queue_delivery_paused: delivery of queue {name} is paused"
            )
        now = self._clock.now()
        driver.catch_up(now)
        pulled = queue.pull(now, batch_size, visibility_timeout_ms)
        driver.wake()
        return pulled

    def acknowledge(
        self, name: str, acks: Iterable[str], retries: Iterable[tuple[str, int | None]] = ()
    ) -> Acknowledgement:
        """End leases of pulled messages, by lease id: `acks` are done, `retries` come back after their delay in seconds
        (None: the consumer's). Raises QueueError, and changes nothing, when a delay is out of range."""
        driver = self._driver(name)
        retries = list(retries)
        for _, delay_seconds in retries:
            if delay_seconds is not None:
                check_number("delay_seconds", delay_seconds, DELAY_SECONDS, QueueErrorCode.MESSAGE_METADATA_INVALID)
        now = self._clock.now()
        acknowledgement = driver.queue.acknowledge(acks, retries, now)
        if acknowledgement.ended:
            driver.pulled_settled(acknowledgement, now)
            driver.wake()
        return acknowledgement

    def peek(self, name: str, count: int) -> Sequence[Message]:
        """The first `count` (1 to 100) messages that wait in a queue, delayed ones last. They stay as they are."""
        driver = self._driver(name)
        check_number("batch_size", count, PULL_BATCH_SIZE)
        driver.catch_up(self._clock.now())
        return list(islice(driver.queue.waiting(), count))

    def purge(self, name: str) -> int:
        """Delete what waits in a queue, delayed messages included. Returns how many there were."""
        driver = self._driver(name)
        self._commit(replace(driver.state, purged_at=self._clock.now()))
        return len(self._purged(driver, driver.queue.purge()))

    def purge_messages(self, name: str, ids: Collection[str]) -> Sequence[Message]:
        """Delete the messages called `ids` where they wait in a queue. Returns those that did."""
        driver = self._driver(name)
        return self._purged(driver, driver.queue.purge(ids))

    def redrive(self, name: str, to: str | None = None) -> Redrive:
        """Move the dead letters that wait in a queue back to the queues that they came from, or everything that waits
        in it to the queue `to`: at once, with the same ids, attempts fresh.

        What is in flight stays. Raises QueueError, and moves nothing, when there is no such queue, or `to` is the queue
        itself.
        """
        driver = self._driver(name)
        if to is not None and self._driver(to) is driver:
            text = f"to is {to!r}; a queue cannot be redriven to itself"
            raise QueueError(QueueErrorCode.JSON_REQUEST_BODY_INVALID, text)
        now = self._clock.now()
        driver.catch_up(now)
        by_target: dict[str, list[Message]] = {}
        orphans: dict[str, int] = {}
        no_dead_letters = 0
        for message in driver.queue.waiting():
            letter = message.dead_letter
            target = to or (letter.queue if letter is not None else None)
            if target is None:
                no_dead_letters += 1
            elif target not in self._drivers:
                orphans[target] = orphans.get(target, 0) + 1
            else:
                by_target.setdefault(target, []).append(message)
        moves = {target: (messages, self._moved(target, messages, now)) for target, messages in by_target.items()}
        if self._journal is not None:
            self._journal.moved(name, moves)
        for target, (messages, moved) in moves.items():
            driver.queue.withdraw(messages)
            self._enqueue(self._drivers[target], moved, now, "redrive")
        if moves:
            driver.wake()
        return Redrive({target: len(messages) for target, messages in by_target.items()}, no_dead_letters, orphans)

    def metrics(self, name: str) -> Backlog:
        """The backlog of a queue."""
        driver = self._driver(name)
        driver.delete_expired(self._clock.now())
        return driver.queue.metrics()

    # Life

    async def close(self, grace_seconds: float) -> None:
        """Deliver no more, let the deliveries under way end for at most `grace_seconds` of real time, then cancel
        them."""
        self._closed = True
        for driver in self._drivers.values():
            driver.stop()
        running = [task for driver in self._drivers.values() for task, _ in driver.running.values()]
        if not running:
            return
        _, pending = await asyncio.wait(running, timeout=grace_seconds)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=CANCEL_SECONDS)

    # How

    def _driver(self, name: str) -> Driver:
        driver = self._drivers.get(name)
        if driver is None:
            raise QueueError(QueueErrorCode.QUEUE_NOT_FOUND, f"Queue not found: {name}")
        return driver

    def _commit(self, *states: QueueState) -> None:
        """Let queues, made if need be, be as `states` say: all of them, or none when the journal cannot be written."""
        if self._journal is not None:
            self._journal.changed(states)
        for state in states:
            old = self._drivers.get(state.name)
            consumer = None if old is None else old.state.consumer
            self._apply(state)
            if state.consumer != consumer:
                self._bus.publish(ConsumerChanged(state.name))

    def _apply(self, state: QueueState) -> Driver:
        driver = self._drivers.get(state.name)
        if driver is None:
            first_serial = 0 if self._journal is None else self._bits(48)
            queue = Queue(state.name, first_serial=first_serial)
            driver = self._drivers[state.name] = Driver(queue, state, self._clock, self._settled, self._expired)
            driver.stopped = self._closed
        else:
            driver.wake()
        driver.state = state
        driver.queue.settings = state.settings
        driver.queue.consumer = state.consumer
        if state.consumer is None and driver.forward is not None:
            driver.queue.consumer = FORWARDING
        driver.queue.held = state.worker in self._held
        return driver

    def _enqueue(self, driver: Driver, messages: Sequence[Message], now: float, source: str) -> None:
        driver.queue.enqueue(messages, now)
        if self._bus.wants(MessagesSent):
            self._bus.publish(MessagesSent(driver.queue.name, messages, source))
        driver.wake()

    def _purged(self, driver: Driver, messages: Sequence[Message]) -> Sequence[Message]:
        if messages:
            self._gone(driver, messages)
            self._bus.publish(MessagesDropped(driver.queue.name, messages, "purged"))
        driver.wake()
        return messages

    def _expired(self, driver: Driver, messages: Sequence[Message]) -> None:
        self._gone(driver, messages)
        self._bus.publish(MessagesDropped(driver.queue.name, messages, "expired"))

    def _gone(self, driver: Driver, messages: Sequence[Message]) -> None:
        if self._journal is not None:
            self._journal.settled(driver.queue.name, messages)

    def _settled(self, driver: Driver, lease: Lease, result: Verdict, settlement: Settlement, now: float) -> None:
        name = driver.queue.name
        letters = self._letters(name, settlement, now) if settlement.dead else ()
        if self._journal is not None:
            gone = [*settlement.acked, *settlement.dead, *settlement.dropped, *settlement.expired]
            retried = [message for message, _ in settlement.retried]
            self._journal.settled(name, gone, retried, settlement.dead_letter_queue, letters)
        duration = now - lease.taken_at
        if lease.consumer is FORWARDING:
            self._bus.publish(MessagesForwarded(name, settlement.acked, duration))
        elif self._bus.wants(BatchDelivered):
            self._bus.publish(BatchDelivered(name, driver.state.worker, lease, result, settlement, duration))
        if settlement.dropped:
            self._bus.publish(MessagesDropped(name, settlement.dropped, "retries"))
        if settlement.expired:
            self._bus.publish(MessagesDropped(name, settlement.expired, "expired"))
        if letters:
            target = settlement.dead_letter_queue
            self._bus.publish(MessagesDeadLettered(name, target, letters))
            self._enqueue(self._drivers[target], letters, now, "dead letter")

    def _moved(self, target: str, messages: Sequence[Message], now: float) -> Sequence[Message]:
        """Messages as they enter the queue `target`, as if they had just been sent."""
        ready_at = now + self._drivers[target].queue.settings.delivery_delay
        return [
            Message(each.id, each.body, each.content_type, each.timestamp, now, ready_at, source=each.source)
            for each in messages
        ]

    def _letters(self, name: str, settlement: Settlement, now: float) -> Sequence[Message]:
        """The dead of a settlement as they enter their dead letter queue: with the same id, no attempts yet, and why
        they died. The queue is made where somebody has deleted it."""
        target = self._drivers.get(settlement.dead_letter_queue)
        if target is None:
            # Not by _commit: a settlement cannot be refused. The letters in the journal make the queue there.
            target = self._apply(QueueState(settlement.dead_letter_queue, now, now))
        ready_at = now + target.queue.settings.delivery_delay
        return [
            Message(
                message.id,
                message.body,
                message.content_type,
                message.timestamp,
                now,
                ready_at,
                dead_letter=DeadLetter(name, now, message.failures),
                source=message.source,
            )
            for message in settlement.dead
        ]
