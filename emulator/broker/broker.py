"""The broker owns the queues of a session and drives them on a clock.

Every message enters by `Queue.enqueue` and leaves by a settlement, whatever its source. The broker adds what the state
machine must not know: ids, the service's checks, tasks that run consumers, timers, dead letter queues, and events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from random import Random
from typing import Final

import msgspec

from emulator.broker.clock import Clock, Timer, WallClock
from emulator.broker.errors import QueueError, QueueErrorCode
from emulator.broker.message import (
    Acknowledgement,
    ContentType,
    DeadLetter,
    Delivery,
    DeliveryResult,
    Lease,
    Message,
    Metrics,
    PulledMessage,
    Redrive,
    Settlement,
)
from emulator.broker.queue import Queue
from emulator.broker.settings import (
    DEFAULT_PULL_BATCH_SIZE,
    DELAY_SECONDS,
    MAX_BATCH_BYTES,
    MAX_BATCH_COUNT,
    MAX_MESSAGE_BYTES,
    PULL_BATCH_SIZE,
    VISIBILITY_TIMEOUT_MS,
    ConsumerSettings,
    QueueSettings,
    Range,
)
from emulator.events import BatchDelivered, Bus, MessagesDeadLettered, MessagesDropped, MessagesSent

MAX_BACKLOG_BYTES: Final = 25_000_000_000

CANCEL_SECONDS: Final = 1.0
"""How long (in real time) a cancelled handler may take to end before it is left behind."""

Deliver = Callable[[Delivery], Awaitable[DeliveryResult | None]]
"""Runs a consumer on a batch and tells what it decided; None when the batch could not be delivered at all."""


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message on its way into a queue. `delay_seconds` None leaves it to the batch, the producer and the queue."""

    body: bytes
    content_type: ContentType
    delay_seconds: int | None = None


@dataclass(slots=True)
class QueueTimes:
    """When things happened to a queue, in seconds since the epoch; None: never. `modified_at` is the last change of its
    settings or its consumer, and `consumer_set_at` when it got the consumer that it has."""

    created_at: float
    modified_at: float
    consumer_set_at: float | None = None
    purged_at: float | None = None


class _Driver:
    """What the broker keeps of one queue beside its state machine."""

    __slots__ = ("awake", "deleted", "deliver", "queue", "running", "timer", "timer_at", "times", "worker")

    def __init__(self, queue: Queue, now: float) -> None:
        self.queue = queue
        self.times = QueueTimes(now, now)
        self.worker = ""
        self.deliver: Deliver | None = None
        self.awake = False
        self.deleted = False
        self.timer: Timer | None = None
        self.timer_at = float("inf")
        self.running: dict[int, tuple[asyncio.Task[None], Delivery]] = {}


class Broker:
    """Queues by name, and their deliveries.

    Methods are called on the event loop's thread. `random` gives message ids; a test passes a seeded one.
    """

    def __init__(self, bus: Bus, clock: Clock | None = None, random: Random | None = None) -> None:
        self._bus = bus
        self._clock = clock or WallClock()
        self._bits = (random or Random()).getrandbits
        self._drivers: dict[str, _Driver] = {}
        self._held: set[str] = set()
        self._closed = False

    # Queues and consumers

    @property
    def queues(self) -> Sequence[Queue]:
        """The queues, in the order of their creation. Look, but change them only through the broker."""
        return [driver.queue for driver in self._drivers.values()]

    def queue(self, name: str) -> Queue:
        """The queue of that name. Raises QueueError 10104 when there is none."""
        return self._driver(name).queue

    def create_queue(self, name: str) -> Queue:
        """The queue of that name, made if need be."""
        driver = self._drivers.get(name)
        if driver is None:
            driver = self._drivers[name] = _Driver(Queue(name), self._clock.now())
        return driver.queue

    def delete_queue(self, name: str) -> None:
        """Forget a queue and what it holds. Raises QueueError 10104 when there is none."""
        driver = self._driver(name)
        driver.deleted = True
        self._disarm(driver)
        for task, _ in driver.running.values():
            task.cancel()
        del self._drivers[name]

    def update_queue(self, name: str, settings: QueueSettings) -> None:
        """Give a queue new settings; they act at once. Raises QueueError 10104 when there is none."""
        driver = self._driver(name)
        driver.queue.settings = settings
        driver.times.modified_at = self._clock.now()
        self._wake(driver)

    def pause(self, name: str) -> None:
        """Stop deliveries of a queue. It still accepts messages."""
        self.update_queue(name, replace(self.queue(name).settings, delivery_paused=True))

    def resume(self, name: str) -> None:
        """Deliver again."""
        self.update_queue(name, replace(self.queue(name).settings, delivery_paused=False))

    def set_consumer(self, name: str, settings: ConsumerSettings, worker: str, deliver: Deliver | None) -> None:
        """Let a queue, made if need be, deliver by `deliver` to the consumer called `worker`.

        Without `deliver` (as for `http_pull`) its messages wait until they are pulled. The dead letter queue is made
        too. What is in flight is settled by the new settings.
        """
        self.create_queue(name)
        driver = self._drivers[name]
        driver.queue.consumer = settings
        driver.queue.held = worker in self._held
        driver.worker = worker
        driver.deliver = deliver
        now = driver.times.modified_at = self._clock.now()
        if driver.times.consumer_set_at is None:
            driver.times.consumer_set_at = now
        if settings.dead_letter_queue is not None:
            self.create_queue(settings.dead_letter_queue)
        self._wake(driver)

    def remove_consumer(self, name: str) -> None:
        """Deliver to nobody: the queue keeps its messages. What is in flight runs on."""
        driver = self._driver(name)
        driver.queue.consumer = None
        driver.deliver = None
        driver.worker = ""
        driver.times.modified_at = self._clock.now()
        driver.times.consumer_set_at = None

    def times_of(self, name: str) -> QueueTimes:
        """When things happened to a queue. Raises QueueError 10104 when there is none."""
        return replace(self._driver(name).times)

    def consumer_of(self, name: str) -> str:
        """The name of the worker that consumes a queue; empty when there is none."""
        return self._driver(name).worker

    def hold(self, worker: str, *, held: bool) -> None:
        """Let the deliveries to a worker wait while its code does not load, and go on when it does."""
        if held:
            self._held.add(worker)
        else:
            self._held.discard(worker)
        for driver in self._drivers.values():
            if driver.worker == worker and driver.queue.held != held:
                driver.queue.held = held
                self._wake(driver)

    # Messages

    def send(
        self,
        name: str,
        messages: Sequence[Outgoing],
        *,
        source: str,
        batch_delay_seconds: int | None = None,
        producer_delay_seconds: int | None = None,
    ) -> Metrics:
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
        _check(messages, queue, batch_delay_seconds)
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
        _check_number("batch_size", batch_size, PULL_BATCH_SIZE)
        _check_number("visibility_timeout_ms", visibility_timeout_ms, VISIBILITY_TIMEOUT_MS)
        if queue.settings.delivery_paused:
            raise QueueError(
                QueueErrorCode.QUEUE_DELIVERY_PAUSED, f"queue_delivery_paused: delivery of queue {name} is paused"
            )
        now = self._clock.now()
        self._catch_up(driver, now)
        pulled = queue.pull(now, batch_size, visibility_timeout_ms)
        self._wake(driver)
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
                _check_number("delay_seconds", delay_seconds, DELAY_SECONDS, QueueErrorCode.MESSAGE_METADATA_INVALID)
        now = self._clock.now()
        acknowledgement = driver.queue.acknowledge(acks, retries, now)
        if acknowledgement.ended:
            self._pulled_settled(driver, acknowledgement, now)
            self._wake(driver)
        return acknowledgement

    def peek(self, name: str, count: int) -> Sequence[Message]:
        """The first `count` (1 to 100) messages that wait in a queue, delayed ones last. They stay as they are."""
        driver = self._driver(name)
        _check_number("batch_size", count, PULL_BATCH_SIZE)
        self._catch_up(driver, self._clock.now())
        return list(islice(driver.queue.waiting(), count))

    def purge(self, name: str) -> int:
        """Delete what waits in a queue, delayed messages included. Returns how many there were."""
        driver = self._driver(name)
        driver.times.purged_at = self._clock.now()
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
        self._catch_up(driver, now)
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
        for target, messages in by_target.items():
            receiver = self._drivers[target]
            ready_at = now + receiver.queue.settings.delivery_delay
            moved = [
                Message(each.id, each.body, each.content_type, each.timestamp, now, ready_at, source=each.source)
                for each in messages
            ]
            driver.queue.withdraw(messages)
            self._enqueue(receiver, moved, now, "redrive")
        if by_target:
            self._wake(driver)
        return Redrive({target: len(messages) for target, messages in by_target.items()}, no_dead_letters, orphans)

    def metrics(self, name: str) -> Metrics:
        """The backlog of a queue."""
        driver = self._driver(name)
        self._delete_expired(driver, self._clock.now())
        return driver.queue.metrics()

    # Life

    async def close(self, grace_seconds: float) -> None:
        """Deliver no more, let the deliveries under way end for at most `grace_seconds` of real time, then cancel
        them."""
        self._closed = True
        for driver in self._drivers.values():
            self._disarm(driver)
        running = [task for driver in self._drivers.values() for task, _ in driver.running.values()]
        if not running:
            return
        _, pending = await asyncio.wait(running, timeout=grace_seconds)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=CANCEL_SECONDS)

    # How

    def _driver(self, name: str) -> _Driver:
        driver = self._drivers.get(name)
        if driver is None:
            raise QueueError(QueueErrorCode.QUEUE_NOT_FOUND, f"Queue not found: {name}")
        return driver

    def _enqueue(self, driver: _Driver, messages: Sequence[Message], now: float, source: str) -> None:
        driver.queue.enqueue(messages, now)
        if self._bus.wants(MessagesSent):
            self._bus.publish(MessagesSent(driver.queue.name, messages, source))
        self._wake(driver)

    def _wake(self, driver: _Driver) -> None:
        """Look at a queue once what runs now has ended, so that a burst of sends is looked at once."""
        if not driver.awake and not self._closed:
            driver.awake = True
            self._clock.call_soon(partial(self._pump, driver))

    def _pump(self, driver: _Driver) -> None:
        """Do all that is due in a queue, and come back when the next thing is."""
        driver.awake = False
        if self._closed or driver.deleted:
            return
        queue = driver.queue
        now = self._clock.now()
        self._catch_up(driver, now)
        for lease in queue.expired_leases(now):
            self._time_out(driver, lease, now)
        if driver.deliver is not None:
            while (taken := queue.take_batch(now)) is not None:
                delivery = Delivery(queue.name, taken.messages, queue.metrics())
                run = self._deliver(driver, taken, driver.deliver, delivery)
                driver.running[taken.id] = (asyncio.get_running_loop().create_task(run), delivery)
        self._arm(driver, now)

    def _time_out(self, driver: _Driver, lease: Lease, now: float) -> None:
        """Stop a handler that has run too long. What it has decided in time holds; the rest has failed."""
        task, delivery = driver.running[lease.id]
        result = delivery.so_far()
        result.outcome = "exceeded_wall_time"
        result.error = f"the handler ran longer than {lease.expires_at - lease.taken_at:,.0f} seconds"
        task.cancel()
        self._settled(driver, lease, result, driver.queue.settle(lease, result, now), now)

    def _arm(self, driver: _Driver, now: float) -> None:
        due = driver.queue.next_due()
        if due is None:
            self._disarm(driver)
            return
        if due == driver.timer_at and driver.timer is not None:
            return
        self._disarm(driver)
        driver.timer_at = due
        driver.timer = self._clock.call_at(max(due, now), partial(self._on_timer, driver))

    def _disarm(self, driver: _Driver) -> None:
        if driver.timer is not None:
            driver.timer.cancel()
        driver.timer = None
        driver.timer_at = float("inf")

    def _on_timer(self, driver: _Driver) -> None:
        driver.timer = None
        driver.timer_at = float("inf")
        self._pump(driver)

    async def _deliver(self, driver: _Driver, lease: Lease, deliver: Deliver, delivery: Delivery) -> None:
        result: DeliveryResult | None
        task, _ = driver.running[lease.id]
        try:
            result = await deliver(delivery)
        except (
            Exception,
            asyncio.CancelledError,
        ) as error:  # a consumer tells its failures in the result; this one broke
            result = DeliveryResult("exception", error=f"{type(error).__name__}: {error}")
        finally:
            del driver.running[lease.id]
        if task.cancelling():
            return  # Its lease is over, its queue deleted or the broker closed: what it decided comes too late.
        now = self._clock.now()
        if result is None:
            driver.queue.release(lease)
        else:
            self._settled(driver, lease, result, driver.queue.settle(lease, result, now), now)
        self._wake(driver)

    def _purged(self, driver: _Driver, messages: Sequence[Message]) -> Sequence[Message]:
        if messages:
            self._bus.publish(MessagesDropped(driver.queue.name, messages, "purged"))
        self._wake(driver)
        return messages

    def _catch_up(self, driver: _Driver, now: float) -> None:
        """Let what the passing of time does to messages that wait, or that clients have pulled, be done."""
        self._delete_expired(driver, now)
        expired = driver.queue.expire_pulled(now)
        if expired is not None:
            self._pulled_settled(driver, expired, now)

    def _pulled_settled(self, driver: _Driver, acknowledgement: Acknowledgement, now: float) -> None:
        """Tell of pulled messages that were settled together as of a batch that was delivered, and move dead ones."""
        ended = acknowledgement.ended
        messages = [each.message for each in ended]
        consumer = driver.queue.consumer or ConsumerSettings("http_pull")
        taken_at, expires_at = min(each.taken_at for each in ended), max(each.expires_at for each in ended)
        lease = Lease(0, messages, consumer, taken_at, expires_at)
        self._settled(driver, lease, acknowledgement.result, acknowledgement.settlement, now)

    def _settled(
        self, driver: _Driver, lease: Lease, result: DeliveryResult, settlement: Settlement, now: float
    ) -> None:
        name = driver.queue.name
        if self._bus.wants(BatchDelivered):
            duration = now - lease.taken_at
            self._bus.publish(BatchDelivered(name, driver.worker, lease, result, settlement, duration))
        if settlement.dropped:
            self._bus.publish(MessagesDropped(name, settlement.dropped, "retries"))
        if settlement.expired:
            self._bus.publish(MessagesDropped(name, settlement.expired, "expired"))
        if settlement.dead:
            self._move(name, settlement.dead, settlement.dead_letter_queue, now)

    def _move(self, name: str, dead: Sequence[Message], target: str, now: float) -> None:
        """Put dead letters of queue `name` into `target`, with the same id, no attempts yet, and why they died."""
        letters = [
            Message(
                message.id,
                message.body,
                message.content_type,
                message.timestamp,
                now,
                now + self.create_queue(target).settings.delivery_delay,
                dead_letter=DeadLetter(name, now, message.failures),
                source=message.source,
            )
            for message in dead
        ]
        self._bus.publish(MessagesDeadLettered(name, target, letters))
        self._enqueue(self._drivers[target], letters, now, "dead letter")

    def _delete_expired(self, driver: _Driver, now: float) -> None:
        expired = driver.queue.advance(now)
        if expired:
            self._bus.publish(MessagesDropped(driver.queue.name, expired, "expired"))


def _check_number(
    name: str,
    value: int,
    allowed: Range,
    code: QueueErrorCode = QueueErrorCode.JSON_REQUEST_BODY_INVALID,
) -> None:
    if value not in allowed:
        raise QueueError(code, f"{name} of {value!r} is invalid: it must be a whole number, {allowed}")


def _check(messages: Iterable[Outgoing], queue: Queue, batch_delay_seconds: int | None) -> None:
    """Refuse what the service would refuse. The caller made sure that there is at least one message."""
    count = size = 0
    for outgoing in messages:
        count += 1
        length = len(outgoing.body)
        size += length
        if length > MAX_MESSAGE_BYTES:
            raise QueueError(
                QueueErrorCode.MESSAGE_SIZE_OUT_OF_BOUNDS,
                f"Message is {length:,} bytes long, over the limit of {MAX_MESSAGE_BYTES:,} bytes",
            )
        delay = outgoing.delay_seconds
        if delay is not None and delay not in DELAY_SECONDS:
            raise QueueError(
                QueueErrorCode.MESSAGE_METADATA_INVALID,
                f"Message delay of {delay!r} is invalid: it must be a whole number of seconds, {DELAY_SECONDS}",
            )
    if count > MAX_BATCH_COUNT:
        raise QueueError(
            QueueErrorCode.BATCH_COUNT_OUT_OF_BOUNDS,
            f"Batch has {count:,} messages, over the limit of {MAX_BATCH_COUNT}",
        )
    if count > 1 and size > MAX_BATCH_BYTES:
        raise QueueError(
            QueueErrorCode.BATCH_SIZE_OUT_OF_BOUNDS,
            f"Batch is {size:,} bytes long, over the limit of {MAX_BATCH_BYTES:,} bytes",
        )
    if batch_delay_seconds is not None and batch_delay_seconds not in DELAY_SECONDS:
        raise QueueError(
            QueueErrorCode.BATCH_DELAY_INVALID,
            f"Batch delay of {batch_delay_seconds!r} is invalid: it must be a whole number of seconds, {DELAY_SECONDS}",
        )
    if queue.backlog_bytes + size > MAX_BACKLOG_BYTES:
        raise QueueError(
            QueueErrorCode.QUEUE_STORAGE_LIMIT_EXCEEDED,
            f"Queue {queue.name} has a backlog over {MAX_BACKLOG_BYTES // 10**9} GB",
        )
