"""How tests reach a queue: `emulator.queue("my-app-events")`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from emulator.base.coroutines import run_now
from emulator.bindings.kit import Accessor, Kit
from emulator.bindings.queue.kit_values import Delivery, Message, Metrics, at_time
from emulator.queues.message import NewMessage
from emulator.wire.codec import ContentType, encode

if TYPE_CHECKING:
    from emulator.queues.declarations import QueueState
    from emulator.queues.service import Queues

    class QueueAccess:
        """The type of what `Emulator` has for queues."""

        def queue(self, name: str) -> Queue:
            """A queue. Raises EmulatorError, which names the ones that are there."""
            raise NotImplementedError

    class AsyncQueueAccess:
        """The type of what `AsyncEmulator` has for queues."""

        def queue(self, name: str) -> AsyncQueue:
            """A queue. Raises EmulatorError, which names the ones that are there."""
            raise NotImplementedError


class QueueKit(Kit, Protocol):
    """What an open emulator knows about its queues."""

    @property
    def deliveries(self) -> Sequence[Delivery]: ...

    @property
    def queues(self) -> Queues: ...

    def state_of(self, name: str) -> QueueState: ...

    def messages(self, name: str) -> list[Message]: ...

    def in_flight(self, name: str) -> list[Message]: ...

    def fail_next(self, name: str, number: int, error: Exception) -> None: ...


class _BaseQueue:
    """What a test can look at in a queue without running anything."""

    def __init__(self, kit: QueueKit, name: str) -> None:
        __tracebackhide__ = True
        kit.state_of(name)
        self._kit = kit
        self.name = name

    @property
    def messages(self) -> list[Message]:
        """The waiting messages: the ready ones in order, then the delayed ones by the time when they are due."""
        return self._kit.messages(self.name)

    @property
    def in_flight(self) -> list[Message]:
        """The messages that a handler has at the moment."""
        return self._kit.in_flight(self.name)

    @property
    def deliveries(self) -> list[Delivery]:
        """Every delivery of this queue so far, oldest first."""
        return [delivery for delivery in self._kit.deliveries if delivery.queue == self.name]

    @property
    def metrics(self) -> Metrics:
        """The backlog: everything that is not settled."""
        self._kit.state_of(self.name)
        metrics = run_now(self._kit.queues.backlog(self.name))
        oldest = metrics.oldest_message_timestamp
        return Metrics(metrics.backlog_count, metrics.backlog_bytes, None if oldest is None else at_time(oldest))

    @property
    def is_paused(self) -> bool:
        """Whether deliveries are stopped."""
        return self._kit.state_of(self.name).settings.delivery_paused

    def fail_next(self, number: int = 1, error: Exception | type[Exception] | None = None) -> None:
        """Let the next `number` deliveries fail with `error` (a ConnectionError unless given), without running the
        handler. Each counts as an attempt."""
        __tracebackhide__ = True
        raised = error() if isinstance(error, type) else error
        self._kit.fail_next(self.name, number, raised or ConnectionError("made to fail by the test"))

    def __repr__(self) -> str:
        if self._kit.closed:
            return f"<Queue {self.name} of a closed emulator>"
        states = Counter(message.state for message in (*self.messages, *self.in_flight))
        counts = {state: states[state] for state in ("ready", "delayed", "in flight")}
        words = [f"{number} {what}" for what, number in counts.items() if number] or ["empty"]
        return f"<Queue {self.name} {', '.join([*words, *(['paused'] if self.is_paused else [])])}>"

    def _send(self, bodies: Iterable[Any], content_type: ContentType, delay_seconds: int | None) -> None:
        __tracebackhide__ = True
        self._kit.check_open()
        if isinstance(bodies, (str, bytes, Mapping)):
            raise TypeError(f"send_batch() takes a list of bodies, not a {type(bodies).__name__}")
        outgoing = [NewMessage(encode(body, content_type), content_type, delay_seconds) for body in bodies]
        if not outgoing:
            raise TypeError("send_batch() requires at least one message")
        run_now(self._kit.queues.send(self.name, outgoing, source="test"))

    def _pause(self) -> None:
        __tracebackhide__ = True
        self._kit.check_open()
        run_now(self._kit.queues.pause(self.name))

    def _resume(self) -> None:
        __tracebackhide__ = True
        self._kit.check_open()
        run_now(self._kit.queues.resume(self.name))

    def _purge(self) -> int:
        __tracebackhide__ = True
        self._kit.check_open()
        return run_now(self._kit.queues.purge(self.name))

    def _promote(self) -> int:
        __tracebackhide__ = True
        self._kit.check_open()
        return run_now(self._kit.queues.promote(self.name))


class Queue(_BaseQueue):
    """A queue as a test uses it."""

    def send(self, body: Any, *, content_type: ContentType = "json", delay_seconds: int | None = None) -> None:
        """Send one message, as a producer would. Raises TypeError or QueueError as a producer would see them."""
        __tracebackhide__ = True
        self._send([body], content_type, delay_seconds)

    def send_batch(
        self, bodies: Iterable[Any], *, content_type: ContentType = "json", delay_seconds: int | None = None
    ) -> None:
        """Send 1 to 100 messages, all or none."""
        __tracebackhide__ = True
        self._send(bodies, content_type, delay_seconds)

    def pause(self) -> None:
        """Stop deliveries; messages are still accepted."""
        __tracebackhide__ = True
        self._pause()

    def resume(self) -> None:
        """Deliver again."""
        __tracebackhide__ = True
        self._resume()

    def purge(self) -> int:
        """Delete the waiting messages. Returns how many there were."""
        __tracebackhide__ = True
        return self._purge()

    def promote(self) -> int:
        """Make the delayed messages, retries among them, ready at once. Returns how many there were."""
        __tracebackhide__ = True
        return self._promote()


class AsyncQueue(_BaseQueue):
    """A queue as an async test uses it. Methods that change something are awaited."""

    async def send(self, body: Any, *, content_type: ContentType = "json", delay_seconds: int | None = None) -> None:
        """Send one message, as a producer would. Raises TypeError or QueueError as a producer would see them."""
        __tracebackhide__ = True
        await self._kit.on_thread(self._send, [body], content_type, delay_seconds)

    async def send_batch(
        self, bodies: Iterable[Any], *, content_type: ContentType = "json", delay_seconds: int | None = None
    ) -> None:
        """Send 1 to 100 messages, all or none."""
        __tracebackhide__ = True
        await self._kit.on_thread(self._send, bodies, content_type, delay_seconds)

    async def pause(self) -> None:
        """Stop deliveries; messages are still accepted."""
        __tracebackhide__ = True
        await self._kit.on_thread(self._pause)

    async def resume(self) -> None:
        """Deliver again."""
        __tracebackhide__ = True
        await self._kit.on_thread(self._resume)

    async def purge(self) -> int:
        """Delete the waiting messages. Returns how many there were."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._purge)

    async def promote(self) -> int:
        """Make the delayed messages, retries among them, ready at once. Returns how many there were."""
        __tracebackhide__ = True
        return await self._kit.on_thread(self._promote)


ACCESSOR: Final = Accessor("queue", Queue, AsyncQueue)
