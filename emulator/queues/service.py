"""The queue service of a session. Bindings, the REST API, configurations and the testing kit all use its queues through
it.

It adds what engines do not do: ids, the service's checks and error codes, settlement, the consumers of queues, and
events. Everything that it returns is a value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from emulator.base.acts import acting
from emulator.base.bus import Bus
from emulator.base.clock import Clock, WallClock
from emulator.queues import declarations
from emulator.queues.checks import check_number, check_send
from emulator.queues.consumption import Consumption, Deliver, Forwarding, Settler
from emulator.queues.contract import QueueEngine, QueueUsers, Subscription
from emulator.queues.declarations import Declared, QueueState
from emulator.queues.errors import QueueError, QueueErrorCode, unknown_queue
from emulator.queues.events import ConsumerChanged, MessagesDropped, MessagesPromoted, MessagesSent, SendCounted
from emulator.queues.message import (
    Acknowledgement,
    Backlog,
    Counts,
    LeasedMessage,
    NewMessage,
    QueueMessage,
    Redrive,
    SentMessages,
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
from emulator.queues.settlement import answer, moved

if TYPE_CHECKING:
    from emulator.queues.bridge.bridge import Bridge

FORWARDING: Final = ConsumerSettings(max_batch_size=MAX_BATCH_COUNT, max_batch_timeout=0, max_concurrency=1)
"""How batches for another session are formed: at once, and one after the other, so that messages stay in order."""

_ID_BYTES: Final = 16


class Queues:
    """The queues of `engine`, some of which `bridge` connects with real ones. `random` creates message ids; a test
    passes a seeded one.

    Methods are called on the event loop's thread. They raise QueueError: 10104 for a queue that does not exist, and
    other codes for what the service refuses. Methods that change queues or messages may raise 10251 and 15000, and
    change nothing, if the change cannot be kept.
    """

    def __init__(
        self,
        engine: QueueEngine,
        bus: Bus,
        clock: Clock | None = None,
        random: Random | None = None,
        *,
        bridge: Bridge | None = None,
    ) -> None:
        self._engine = engine
        self._bridge = bridge
        self._bus = bus
        self._clock = clock or WallClock()
        self._bits = (random or Random()).getrandbits
        self._states = engine.states
        self._workers: dict[str, Deliver] = {}
        self._held: set[str] = set()
        self._forwards: dict[str, tuple[Deliver, str]] = {}
        self._consumptions: dict[str, tuple[Consumption, Subscription]] = {}
        self._settler = Settler(bus, self._clock, engine.states, self._follow)
        self._changing = asyncio.Lock()
        """Held while states are read and then replaced."""
        self._following: set[asyncio.Task[None]] = set()

    @property
    def states(self) -> Mapping[str, QueueState]:
        """The state of each queue, without its messages, in the order of their creation."""
        return self._states

    def state_of(self, name: str) -> QueueState:
        """The state of a queue, without its messages."""
        state = self._states.get(name)
        if state is None:
            raise unknown_queue(name)
        return state

    async def start(self) -> None:
        """Begin, with the queues and messages of an earlier run."""
        await self._engine.start(self._settler)

    async def close(self, grace_seconds: float) -> None:
        """Stop delivering, let the deliveries under way end for at most `grace_seconds` of real time, then cancel
        them."""
        closing = [self._engine.close(grace_seconds)]
        if self._bridge is not None:
            closing.append(self._bridge.close(grace_seconds))
        await asyncio.gather(*closing)

    async def end(self) -> None:
        """Let go of what the engine holds, as the last thing."""
        for task in self._following:
            task.cancel()
        await self._engine.end()

    @property
    def is_shared(self) -> bool:
        """Whether these are the queues of other sessions, too, wherever they run."""
        return self._engine.is_shared

    def users(self, name: str) -> QueueUsers:
        """Which sessions use a queue, if it is shared."""
        return self._engine.users(self.state_of(name).name)

    def attach(self, worker: str, deliver: Deliver) -> None:
        """Let `deliver` deliver batches to the worker of that name, if it consumes queues."""
        self._workers[worker] = deliver

    def hold(self, worker: str, *, held: bool) -> None:
        """Let deliveries to a worker wait while its code fails to load, and continue when it has loaded."""
        (self._held.add if held else self._held.discard)(worker)
        for consumption, subscription in self._consumptions.values():
            if consumption.worker == worker:
                subscription.hold(held)

    async def begin(self, configurations: Sequence[Declared]) -> Mapping[str, str]:
        """Create the queues that the workers' configurations name, and let all queues deliver to their consumers.
        Returns the queues that have lost their consumer since an earlier run, each with the worker that it was."""
        async with self._changing:
            beginning = declarations.Beginning((), {})

            def begin() -> Sequence[QueueState]:
                nonlocal beginning
                ours = not self._engine.is_shared
                beginning = declarations.begin(self.states, configurations, self._clock.now(), are_ours=ours)
                return beginning.put

            await self._put(begin)
            self._introduce(configurations)
            for name in list(self.states):
                await self._connect(name)
            await self._drop_unnamed(configurations)
        if self._bridge is not None:
            self._bridge.start(self.accept)
        return beginning.lost

    async def change(self, old: Declared, new: Declared, configurations: Sequence[Declared]) -> None:
        """Apply a changed configuration of a worker; `configurations` are the new ones of all workers. Messages stay,
        and a queue that no configuration names any more stays while it has messages."""
        async with self._changing:
            await self._put(lambda: declarations.change(self.states, old, new, self._clock.now()))
            self._introduce(configurations)
            await self._drop_unnamed(configurations)

    async def create_queue(self, name: str, settings: QueueSettings | None = None) -> bool:
        """Create a queue for a client. Returns False, and changes nothing, if a client created it before.

        A queue that exists because a configuration names it can be created once, because in production somebody has to
        create it.
        """
        async with self._changing:
            wanted = settings or QueueSettings()
            return await self._put(lambda: declarations.create(self.states, name, wanted, self._clock.now()))

    async def update_queue(self, name: str, settings: QueueSettings) -> None:
        """Change the settings of a queue, with immediate effect."""
        async with self._changing:
            await self._put(lambda: declarations.update(self.state_of(name), settings, self._clock.now()))

    async def pause(self, name: str) -> None:
        """Stop the deliveries of a queue. It still accepts messages."""
        await self._set_paused(name, True)

    async def resume(self, name: str) -> None:
        """Resume the deliveries of a queue."""
        await self._set_paused(name, False)

    async def delete_queue(self, name: str) -> None:
        """Delete a queue, its messages and its consumer."""
        async with self._changing:
            await self._drop(name)

    async def set_consumer(self, name: str, settings: ConsumerSettings, worker: str) -> None:
        """Set the consumer of a queue, or change its settings. `worker` is empty for type `http_pull`, where any client
        can pull. The dead letter queue is created too. Messages in flight are settled by the new settings."""
        self.state_of(name)
        async with self._changing:
            await self._put(lambda: declarations.set_consumer(self.states, name, settings, worker, self._clock.now()))

    async def remove_consumer(self, name: str) -> None:
        """Remove the consumer of a queue, which keeps its messages. Deliveries under way continue."""
        async with self._changing:
            await self._put(lambda: declarations.remove_consumer(self.state_of(name), self._clock.now()))

    async def forward(self, name: str, deliver: Deliver | None, to: str = "") -> None:
        """While a queue has no consumer here, let `deliver` forward its messages to the session described by `to`; None
        means that they wait. Does nothing if the queue does not exist."""
        if name not in self._states:
            return
        if deliver is None:
            self._forwards.pop(name, None)
        else:
            self._forwards[name] = (deliver, to)
        async with self._changing:
            await self._connect(name)

    def forwarded_to(self, name: str) -> str:
        """The session that the messages of a queue without a consumer are forwarded to; empty if they wait."""
        consumer, forward = self.state_of(name).consumer, self._forwards.get(name)
        return "" if forward is None or consumer is not None else forward[1]

    async def accept(self, name: str, messages: Sequence[QueueMessage], url: str = "") -> None:
        """Accept messages that another session, that at `url`, has forwarded, with the same ids and no attempts."""
        now = self._clock.now()
        accepted = [
            msgspec.structs.replace(each, enqueued_at=now, ready_at=now, attempts=0, failures=()) for each in messages
        ]
        await self._engine.insert(name, accepted)
        self._settler.tell_sent(name, accepted, "forwarded", location=url)

    def send(
        self,
        name: str,
        messages: Sequence[NewMessage],
        *,
        source: str,
        batch_delay_seconds: int | None = None,
        location: str = "",
    ) -> Coroutine[Any, Any, Backlog]:
        """Accept messages into a queue, all or none, and return its backlog. To be awaited at once.

        The delay of a message is its own, else the batch's, else the queue's; 0 is a value. `location` is the line of
        code that sends them, if it is known and `tells_of_sends`.
        """
        state = self._states.get(name)
        if state is None:
            raise unknown_queue(name)
        delay = state.settings.delivery_delay
        if batch_delay_seconds is not None:
            delay = batch_delay_seconds
        check_send(messages, batch_delay_seconds)
        size = _ID_BYTES * len(messages)
        digits = self._bits(8 * size).to_bytes(size, "big")
        ids = [digits.hex()] if size == _ID_BYTES else digits.hex(",", _ID_BYTES).split(",")
        act = None
        if self._bus.acts is not None:
            act = self._bus.acts.begin(acting.get())
            if self._bus.acts.is_exported:
                messages = [replace(each, traceparent=act.traceparent) for each in messages]
        now = self._clock.now()
        if self._bridge is not None and self._bridge.sends(source, name):
            sending = self._bridge.send(name, messages, batch_delay_seconds)
        else:
            sending = self._engine.send(name, messages, ids, at=now, delay_seconds=delay, source=source)
        events: list[object] = []
        if self._bus.wants(SendCounted):
            events.append(SendCounted(name, source, len(messages)))
        if self._bus.wants(MessagesSent):
            sent = SentMessages(messages, ids, at=now, delay=delay, source=source)
            events.append(MessagesSent(name, sent, source, location, act=act))
        return self._send_and_tell(sending, events) if events else sending

    @property
    def tells_of_sends(self) -> bool:
        """Whether anybody wants to know which code sends: who follows causes does, and who only counts does not."""
        return self._bus.acts is not None and self._bus.wants(MessagesSent)

    async def _send_and_tell(self, sending: Coroutine[Any, Any, Backlog], events: Sequence[object]) -> Backlog:
        backlog = await sending
        for event in events:
            self._bus.publish(event)
        return backlog

    async def pull(
        self, name: str, batch_size: int = DEFAULT_PULL_BATCH_SIZE, visibility_timeout_ms: int | None = None
    ) -> Sequence[LeasedMessage]:
        """Lease up to `batch_size` (1 to 100) ready messages to a client. Does not wait; there may be none.

        A lease lasts for `visibility_timeout_ms`; the default is the consumer's setting. Refused if the queue does not
        have an `http_pull` consumer, is paused, or a number is out of range.
        """
        state = self.state_of(name)
        consumer = state.consumer
        if consumer is None or consumer.type != "http_pull":
            raise QueueError(
                QueueErrorCode.HTTP_PULL_NOT_ENABLED,
                f"Queue {name} has no consumer of type http_pull, so it cannot be pulled from",
            )
        if visibility_timeout_ms is None:
            visibility_timeout_ms = consumer.visibility_timeout_ms
        check_number("batch_size", batch_size, PULL_BATCH_SIZE)
        check_number("visibility_timeout_ms", visibility_timeout_ms, VISIBILITY_TIMEOUT_MS)
        if state.settings.delivery_paused:
            raise QueueError(
                QueueErrorCode.QUEUE_DELIVERY_PAUSED, f"queue_delivery_paused: delivery of queue {name} is paused"
            )
        self._settler.pulls(name, consumer)
        return await self._engine.pull(name, batch_size, visibility_timeout_ms / 1000)

    async def acknowledge(
        self, name: str, acks: Iterable[str], retries: Iterable[tuple[str, int | None]] = ()
    ) -> Acknowledgement:
        """End leases of pulled messages, by lease id. The messages of `acks` are done; those of `retries` come back
        after a delay in seconds (None means the consumer's). Refused, with nothing changed, if a delay is out of
        range."""
        self.state_of(name)
        acks, retries = list(acks), list(retries)
        for _, delay_seconds in retries:
            if delay_seconds is not None:
                check_number("delay_seconds", delay_seconds, DELAY_SECONDS, QueueErrorCode.MESSAGE_METADATA_INVALID)
        leases = await self._engine.leases(name, [*acks, *(lease_id for lease_id, _ in retries)])
        said = answer(leases, acks, retries)
        if said.ended:
            settlement = self._settler.settle_leases(name, said.ended, said.verdict)
            await self._engine.settle(name, said.ended, settlement)
        again = said.verdict.retry_messages
        return Acknowledgement(
            [each.lease_id for each in said.ended if each.message.id not in again],
            [each.lease_id for each in said.ended if each.message.id in again],
            said.unknown,
            said.expired,
        )

    async def peek(self, name: str, count: int, skip: int = 0) -> Sequence[QueueMessage]:
        """`count` (1 to 100) waiting messages of a queue behind the first `skip`, delayed ones last. They do not
        change."""
        check_number("batch_size", count, PULL_BATCH_SIZE)
        return await self._engine.peek(name, count, skip)

    async def waiting(self, name: str, most: int | None = None, skip: int = 0) -> Sequence[QueueMessage]:
        """The waiting messages of a queue in the same order, all or at most so many, behind the first `skip`."""
        return await self._engine.peek(name, most, skip)

    async def find(self, name: str, ids: Collection[str]) -> Sequence[QueueMessage]:
        """The waiting messages of a queue with these `ids`, in any order."""
        return await self._engine.find(name, ids)

    async def leased(self, name: str) -> Sequence[LeasedMessage]:
        """The messages of a queue that clients have pulled and not settled, and whose leases have not expired, the
        oldest lease first."""
        return await self._engine.leases(name)

    async def backlog(self, name: str) -> Backlog:
        """The backlog of a queue."""
        return await self._engine.backlog(name)

    async def counts(self, name: str) -> Counts:
        """How many messages of a queue are in which state."""
        return await self._engine.counts(name)

    def in_flight(self, name: str) -> int:
        """How many messages of a queue the handlers of this session have now."""
        there = self._consumptions.get(name)
        return 0 if there is None else there[0].in_flight

    def delivering(self, name: str) -> Sequence[QueueMessage]:
        """The messages of a queue that the handlers of this session have now."""
        there = self._consumptions.get(name)
        return () if there is None else there[0].messages

    def deliveries_under_way(self, name: str) -> int:
        """How many deliveries of a queue run in this session now."""
        there = self._consumptions.get(name)
        return 0 if there is None else there[0].deliveries

    async def purge(self, name: str) -> int:
        """Delete the waiting messages of a queue, including delayed ones. Returns how many there were."""
        async with self._changing:
            await self._put(lambda: [replace(self.state_of(name), purged_at=self._clock.now())])
        return len(self._purged(name, await self._engine.purge(name)))

    async def purge_messages(self, name: str, ids: Collection[str]) -> Sequence[QueueMessage]:
        """Delete the waiting messages with these `ids`. Returns the messages that were deleted."""
        return self._purged(name, await self._engine.purge(name, ids))

    async def promote(self, name: str, ids: Collection[str] | None = None) -> int:
        """Make the delayed messages of a queue ready at once, or only those with `ids`, whether they were sent with a
        delay or retried with one. Their attempts stay. Returns how many there were."""
        promoted = await self._engine.promote(name, ids)
        if promoted:
            self._bus.publish(MessagesPromoted(name, promoted))
        return len(promoted)

    async def redrive(self, name: str, to: str | None = None, ids: Collection[str] | None = None) -> Redrive:
        """Move the dead letters in a queue back to the queues that they came from, or all its waiting messages to the
        queue `to`, with the same ids and no attempts; or only those with `ids`.

        Messages in flight stay. Refused, with nothing moved, if `to` is the queue itself.
        """
        self.state_of(name)
        if to is not None and self.state_of(to).name == name:
            text = f"to is {to!r}; a queue cannot be redriven to itself"
            raise QueueError(QueueErrorCode.JSON_REQUEST_BODY_INVALID, text)
        now = self._clock.now()
        orphans: dict[str, int] = {}
        no_dead_letters = 0

        def route(message: QueueMessage) -> tuple[str, QueueMessage] | None:
            nonlocal no_dead_letters
            letter = message.dead_letter
            target = to or (letter.queue if letter is not None else None)
            if target is None:
                no_dead_letters += 1
                return None
            state = self.states.get(target)
            if state is None:
                orphans[target] = orphans.get(target, 0) + 1
                return None
            return target, moved(message, now, state.settings.delivery_delay)

        entered = await self._engine.move(name, route, ids)
        for target, messages in entered.items():
            act = None if self._bus.acts is None else self._bus.acts.begin(acting.get())
            self._settler.tell_sent(target, messages, "redrive", act)
        return Redrive({target: len(messages) for target, messages in entered.items()}, no_dead_letters, orphans)

    async def _set_paused(self, name: str, paused: bool) -> None:
        def update() -> Sequence[QueueState]:
            state = self.state_of(name)
            settings = replace(state.settings, delivery_paused=paused)
            return declarations.update(state, settings, self._clock.now())

        async with self._changing:
            await self._put(update)

    async def _put(self, make: Callable[[], Sequence[QueueState]]) -> bool:
        """Apply the states that `make` makes of those that there are, deliver accordingly, and publish which consumers
        have changed. Returns whether any was made."""
        while True:
            states = make()
            if not states:
                return False
            before = {state.name: self.states.get(state.name) for state in states}
            if await self._engine.put(states):
                break
        for state in states:
            await self._connect(state.name)
            old = before[state.name]
            if state.consumer != (None if old is None else old.consumer):
                self._bus.publish(ConsumerChanged(state.name))
        return True

    async def _connect(self, name: str) -> None:
        """Let a queue deliver to its consumer, or to the session that consumes it, or not at all."""
        wanted = self._wanted(name)
        there = self._consumptions.get(name)
        if there is not None:
            consumption, subscription = there
            if wanted is not None and wanted.is_like(consumption):
                return
            subscription.close()
            del self._consumptions[name]
        if wanted is not None:
            subscription = await self._engine.consume(name, wanted.settings, wanted)
            if self._bridge is not None:
                subscription = self._bridge.join(name, wanted.settings, wanted, subscription)
            self._consumptions[name] = (wanted, subscription)
            if wanted.worker in self._held:
                subscription.hold(True)

    def _wanted(self, name: str) -> Consumption | None:
        state = self.state_of(name)
        if state.consumer is None:
            forward = self._forwards.get(name)
            return None if forward is None else Forwarding(self._settler, name, forward[1], FORWARDING, forward[0])
        deliver = self._workers.get(state.worker)
        if state.consumer.type != "worker" or deliver is None:
            return None
        return Consumption(self._settler, name, state.worker, state.consumer, deliver)

    def _introduce(self, configurations: Sequence[Declared]) -> None:
        self._engine.introduce({name for declared in configurations for name in declared.produces})

    async def _drop(self, name: str) -> None:
        await self._engine.drop(name)
        self._consumptions.pop(name, None)
        self._forwards.pop(name, None)

    def _follow(self, name: str) -> None:
        """Act on the change of a queue by another process."""
        if name not in self.states:
            self._consumptions.pop(name, None)  # now: it may be there again when the task runs
        task = asyncio.get_running_loop().create_task(self._act_on(name))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _act_on(self, name: str) -> None:
        async with self._changing:
            if name in self.states:
                await self._connect(name)
        self._bus.publish(ConsumerChanged(name))

    async def _drop_unnamed(self, configurations: Sequence[Declared]) -> None:
        if self._engine.is_shared:
            return  # another session may name them
        for name in declarations.unnamed(self.states, configurations):
            if not (await self._engine.backlog(name)).backlog_count:
                await self._drop(name)

    def _purged(self, name: str, messages: Sequence[QueueMessage]) -> Sequence[QueueMessage]:
        if messages:
            self._bus.publish(MessagesDropped(name, messages, "purged"))
        return messages
