"""One queue on the server: what is in it, and what is put in and taken out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

from emulator.queues.checks import check_room
from emulator.queues.jetstream.connection import MAX_ATOMIC, Connection, epoch
from emulator.queues.jetstream.messages import Codec, Kept, Tokens
from emulator.queues.jetstream.streams import CONSUMER, names_of
from emulator.queues.message import Backlog, Counts, NewMessage, QueueMessage

FRESH_SECONDS: Final = 0.05
"""For how long a backlog is taken to be what it was, and what was sent here since."""

_EMPTY: Final = Backlog(0, 0, None)


class Ending(msgspec.Struct, frozen=True, gc=False):
    """A message that is published because another one ends: in its place (`again`), or as its dead letter. Whoever
    repeats this does not double it."""

    of: str
    why: str
    message: QueueMessage
    delay_seconds: float

    @property
    def once(self) -> str:
        """What it is published once under."""
        return f"{self.of}.{self.why}"


class StreamQueue:
    """The queue of this name. Its stream has been made. Raises what Connection does."""

    def __init__(self, connection: Connection, name: str, tokens: Tokens) -> None:
        self.name = name
        self.names = names_of(connection.address.prefix, name)
        self.codec = Codec(connection, self.names)
        self._connection = connection
        self._tokens = tokens
        self._backlog = _EMPTY
        self._backlog_at = float("-inf")
        self._delayed_count = 0
        """How many of the messages of the backlog are delayed."""
        self._reading: asyncio.Task[None] | None = None
        self._first: tuple[int, float, bool] = (0, 0.0, False)
        """The sequence of the first message of the stream, when it was sent, and whether it is delayed."""

    async def send(self, messages: Sequence[tuple[QueueMessage, float]]) -> None:
        """Add messages, each with its delay in seconds, all or none up to MAX_ATOMIC."""
        parts = iter(messages)
        while part := list(islice(parts, MAX_ATOMIC)):
            await self._connection.publish_all(
                [self.codec.write(message, self._tokens.make(), delay_seconds=delay) for message, delay in part]
            )
        size = sum(len(message.body) for message, _ in messages)
        backlog = self._backlog
        oldest = backlog.oldest_message_timestamp
        if oldest is None and messages:
            oldest = messages[0][0].timestamp
        self._backlog = Backlog(backlog.backlog_count + len(messages), backlog.backlog_bytes + size, oldest)

    def check_room(self, messages: Sequence[NewMessage]) -> None:
        """Raise QueueError if the queue has no room for messages, as far as is known."""
        check_room(self.name, self._backlog.backlog_bytes, messages)

    async def end_with(self, endings: Sequence[Ending]) -> None:
        """Publish what takes the place of messages that end."""
        outgoing = [
            self.codec.write(each.message, self._tokens.make(), delay_seconds=each.delay_seconds, once=each.once)
            for each in endings
        ]
        await asyncio.gather(*(self._connection.publish(each) for each in outgoing))

    async def promote(self, messages: Sequence[tuple[Kept, QueueMessage]]) -> list[QueueMessage]:
        """Put messages, as they are given here, in the place of delayed ones, and return those that were still delayed.
        What has become ready or has left meanwhile, or was promoted by another session, stays as it is."""
        publish, delete, stream = self._connection.publish, self._connection.delete, self.names.stream
        promoted: list[QueueMessage] = []
        parts = iter(messages)
        while part := list(islice(parts, MAX_ATOMIC)):
            outgoing = [self.codec.write(message, self._tokens.make(), delay_seconds=0) for _, message in part]
            acks = await asyncio.gather(*map(publish, outgoing))
            # Of several sessions one deletes the message; only what that one has put in its place may stay.
            done = await asyncio.gather(*(delete(stream, kept.seq) for kept, _ in part))
            late = [ack.seq for ack, was_delayed in zip(acks, done, strict=True) if not was_delayed]
            await asyncio.gather(*(delete(stream, seq) for seq in late))
            promoted += [message for (_, message), was_delayed in zip(part, done, strict=True) if was_delayed]
        return promoted

    async def remove(self, messages: Sequence[Kept]) -> None:
        """Take messages out for good: ack those that were delivered, and delete the others."""
        connection = self._connection
        *first, last = [each.reply for each in messages if each.reply] or [""]
        for reply in first:
            await connection.tell_delivery(reply, b"+ACK")
        is_known = not last or await connection.confirm(last)
        others = iter([each.seq for each in messages if not each.reply or not is_known])
        while part := list(islice(others, MAX_ATOMIC)):
            await asyncio.gather(*(connection.delete(self.names.stream, seq) for seq in part))
        left = max(0, self._backlog.backlog_count - len(messages))
        size = self._backlog.backlog_bytes - sum(len(each.message.body) for each in messages)
        oldest = self._backlog.oldest_message_timestamp if left else None
        self._backlog = Backlog(left, max(0, size) if left else 0, oldest)

    async def get(self, seq: int) -> Kept | None:
        """The message with this sequence, if it is there."""
        stored = await self._connection.get(self.names.stream, seq)
        return None if stored is None else self.codec.read(stored)

    async def ready(self, count: int | None = None) -> list[Kept]:
        """The first `count` messages that are not delayed, in flight or not, in order."""
        stored = await self._connection.scan(self.names.stream, self.names.ready, count)
        return [self.codec.read(each) for each in stored]

    async def delayed(self) -> list[Kept]:
        """The delayed messages, by the time when they are due."""
        stored = await self._connection.scan(self.names.stream, f"{self.names.delayed}.*")
        return sorted(map(self.codec.read, stored), key=lambda each: each.message.ready_at)

    async def remove_all(self, last: int) -> None:
        """Take out everything up to this sequence."""
        await self._connection.api(f"STREAM.PURGE.{self.names.stream}", {"seq": last + 1})

    async def oldest(self, count: int, first: int = 1) -> list[Kept]:
        """The first messages of the stream from this sequence on, delayed or not."""
        stored = await self._connection.scan(self.names.stream, self.names.all, count, first=first)
        return [self.codec.read(each) for each in stored]

    async def backlog(self, *, fresh: bool = True) -> Backlog:
        """The backlog. Unless it must be `fresh`, it may be FRESH_SECONDS old."""
        now = asyncio.get_running_loop().time()
        if fresh or now - self._backlog_at > FRESH_SECONDS:
            if fresh or self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read_backlog())
            await self._reading
        return self._backlog

    async def counts(self, in_flight: int) -> Counts:
        """How many messages are in which state. At most `in_flight` are in flight: a session that has settled a
        delivery does not say so before it begins the next, but the server knows what is not acked."""
        backlog = await self.backlog()
        if in_flight:
            asked = await self._connection.api(f"CONSUMER.INFO.{self.names.stream}.{CONSUMER}")
            in_flight = min(in_flight, asked["num_ack_pending"])
        return Counts(max(0, backlog.backlog_count - self._delayed_count - in_flight), self._delayed_count, in_flight)

    async def _read_backlog(self) -> None:
        at = asyncio.get_running_loop().time()
        state = (await self._connection.api(f"STREAM.INFO.{self.names.stream}"))["state"]
        count, subjects = state["messages"], state.get("num_subjects", 0)
        if not count:
            self._backlog, self._backlog_at, self._delayed_count = _EMPTY, at, 0
            return
        if state["first_seq"] != self._first[0]:
            await self._read_first(state["first_seq"], state["first_ts"])
        _, oldest, is_delayed = self._first
        delayed = subjects - (0 if is_delayed and subjects == count else 1)
        size = state["bytes"] - count * self.codec.overhead
        size -= delayed * (self.codec.delayed_overhead - self.codec.overhead)
        self._backlog, self._backlog_at, self._delayed_count = Backlog(count, max(0, size), oldest), at, delayed

    async def _read_first(self, seq: int, first_ts: str) -> None:
        first = await self.get(seq)
        if first is None:
            self._first = (0, epoch(first_ts), False)  # it has just gone
        else:
            self._first = (seq, first.message.timestamp, first.is_delayed)
