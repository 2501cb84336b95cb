"""A key-value bucket on the server that is watched: what one session writes, all others know a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from emulator.queues.jetstream.connection import REQUEST_SECONDS, Connection, Outgoing, delivered, status_of
from emulator.queues.jetstream.errors import RefusedError, UnreachableError
from emulator.queues.jetstream.streams import make_bucket

HEARTBEAT_SECONDS: Final = 5.0
MARKER_SECONDS: Final = 300
"""How long the server remembers that a key was deleted, for those who watch."""

_NS: Final = 10**9
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_CONFLICTS: Final = (10071, 10164)
"""A key has another revision than was expected; the server says it in one of two ways."""


class BucketEntry(msgspec.Struct, frozen=True, gc=False):
    """The value of a key, the number of the change that made it, and the time of the server then."""

    value: bytes
    revision: int
    at: float


Changed = Callable[[str, BucketEntry | None], None]
"""Told of each change of a key by whomever; None means that it was deleted."""


class SharedBucket:
    """The bucket of all sessions with the prefix of `connection`. `entries` is what it has, as far as is known here."""

    def __init__(self, connection: Connection, changed: Changed) -> None:
        self._connection = connection
        self._changed = changed
        name = connection.address.prefix
        self.stream = f"KV_{name}"
        self._base = f"$KV.{name}."
        self.entries: dict[str, BucketEntry] = {}
        self._markers: dict[str, tuple[int, float]] = {}
        """The deletions that the server remembers: the revision of each, and when it was told of here."""
        self._subscription: Subscription | None = None
        self._expected = 1
        self._heard_at = 0.0
        self._loaded: asyncio.Event = asyncio.Event()
        self._seen: set[str] | None = None

    async def open(self) -> None:
        """Make the bucket if it is not there, and read all of it."""
        await make_bucket(self._connection, self.stream, f"{self._base}>")
        await self.watch()

    async def watch(self) -> None:
        """Watch from the beginning: at first, and where changes may have been missed. Returns when all is known."""
        await self.unwatch()
        connection = self._connection
        self._seen, self._expected = set(), 1
        self._loaded.clear()
        inbox = connection.inbox()
        self._subscription = await connection.subscribe(inbox, self._receive)
        self._hear()
        made = await connection.api(
            f"CONSUMER.CREATE.{self.stream}",
            {
                "stream_name": self.stream,
                "config": {
                    "deliver_subject": inbox,
                    "deliver_policy": "last_per_subject",
                    "filter_subject": f"{self._base}>",
                    "ack_policy": "none",
                    "max_deliver": 1,
                    "mem_storage": True,
                    "num_replicas": 1,
                    "idle_heartbeat": round(HEARTBEAT_SECONDS * _NS),
                    "inactive_threshold": round(6 * HEARTBEAT_SECONDS * _NS),
                },
            },
        )
        if not made.get("num_pending") and not made.get("delivered", {}).get("consumer_seq"):
            self._load()
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._loaded.wait()
        except TimeoutError:
            raise UnreachableError(f"the queue engine at {connection.address} does not answer") from None

    async def unwatch(self) -> None:
        """Watch no more."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(Exception):  # the connection that it belongs to may be gone
                await subscription.unsubscribe()

    @property
    def is_deaf(self) -> bool:
        """Whether nothing was heard from the server for so long that changes may have been missed."""
        return asyncio.get_running_loop().time() - self._heard_at > 3 * HEARTBEAT_SECONDS

    async def put(self, key: str, value: bytes, *, last: int | None = None, keep_seconds: float = 0) -> int:
        """Set a key, and return the revision. With `last`, only if that is its `revision`, else 0 is returned. The
        server deletes it after `keep_seconds`, unless they are 0."""
        headers: dict[str, str] = {}
        if keep_seconds:
            headers["Nats-TTL"] = f"{max(1, round(keep_seconds))}s"
        return await self._write(key, value, headers, last)

    def revision(self, key: str) -> int:
        """The revision of a key, as it is known here. One that was deleted has one for a while, too."""
        there = self.entries.get(key)
        return self._markers.get(key, (0, 0.0))[0] if there is None else there.revision

    def forget_markers(self) -> None:
        """Forget the deletions that the server has forgotten."""
        limit = self._connection.now() - MARKER_SECONDS
        for key in [key for key, (_, at) in self._markers.items() if at < limit]:
            del self._markers[key]

    async def put_all(self, values: Mapping[str, bytes], revisions: Mapping[str, int]) -> bool:
        """Set several keys, all or none. Returns False if one does not have its revision any more."""
        messages = [
            Outgoing(self._base + key, value, {_EXPECTED: str(revisions[key])}) for key, value in values.items()
        ]
        try:
            await self._connection.publish_all(messages)
        except RefusedError as error:
            if error.number not in _CONFLICTS:
                raise
            return False
        finally:
            for key in values:
                await self.read(key)
        return True

    async def delete(self, key: str, *, last: int | None = None) -> bool:
        """Delete a key; with `last`, only if that is its revision. Returns whether it was deleted."""
        headers = {"KV-Operation": "DEL", "Nats-TTL": f"{MARKER_SECONDS}s"}
        return bool(await self._write(key, b"", headers, last))

    async def read(self, key: str) -> BucketEntry | None:
        """The value of a key as the server has it now."""
        stored = await self._connection.last(self.stream, self._base + key)
        if stored is None:
            self._markers.pop(key, None)
            self.forget(key)
        elif "KV-Operation" in stored.headers:
            self._apply_deletion(key, stored.seq)
        else:
            self._apply(key, BucketEntry(stored.payload, stored.seq, self._connection.now()))
        return self.entries.get(key)

    async def _write(self, key: str, value: bytes, headers: dict[str, str], last: int | None) -> int:
        if last is not None:
            headers[_EXPECTED] = str(last)
        try:
            ack = await self._connection.publish(Outgoing(self._base + key, value, headers))
        except RefusedError as error:
            if error.number not in _CONFLICTS:
                raise
            await self.read(key)
            return 0
        if "KV-Operation" in headers:
            self._apply_deletion(key, ack.seq)
        else:
            self._apply(key, BucketEntry(value, ack.seq, self._connection.now()))
        return ack.seq

    async def _receive(self, message: Msg) -> None:
        self._hear()
        if status_of(message):
            return
        info = delivered(message.reply)
        if info.number != self._expected:
            self._heard_at = float("-inf")
            return
        self._expected += 1
        key = message.subject.removeprefix(self._base)
        headers = message.headers or {}
        if "KV-Operation" in headers or "Nats-Marker-Reason" in headers:
            self._apply_deletion(key, info.seq)
        else:
            if self._seen is not None:
                self._seen.add(key)
            self._apply(key, BucketEntry(message.data, info.seq, info.at))
        if not info.pending:
            self._load()

    def _apply(self, key: str, entry: BucketEntry) -> None:
        if entry.revision <= self.revision(key):
            return
        self._markers.pop(key, None)
        self.entries[key] = entry
        self._changed(key, entry)

    def _apply_deletion(self, key: str, revision: int) -> None:
        there = self.entries.get(key)
        if there is not None and there.revision > revision:
            return
        self._markers[key] = max(revision, self.revision(key)), self._connection.now()
        if there is not None:
            del self.entries[key]
            self._changed(key, None)

    def forget(self, key: str) -> None:
        """Take note that the server has deleted a key whose time is over."""
        if self.entries.pop(key, None) is not None:
            self._changed(key, None)

    def _load(self) -> None:
        """All that was there is known: what was not seen was deleted while nobody watched."""
        if self._seen is not None:
            for key in [key for key in self.entries if key not in self._seen]:
                self.forget(key)
            self._seen = None
        self._loaded.set()

    def _hear(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()
