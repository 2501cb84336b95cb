"""What the sessions that share queues know of each other: states of queues, who is alive, who delivers what, and the
leases of clients that pull. All of it is in one bucket, and read from the copy of it that is kept up to date here."""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from os import getpid
from types import MappingProxyType
from typing import Final

import msgspec

from emulator.queues.contract import QueueUsers
from emulator.queues.declarations import QueueState
from emulator.queues.jetstream.bucket import BucketEntry, SharedBucket
from emulator.queues.jetstream.connection import Connection

BEAT_SECONDS: Final = 5.0
DEAD_SECONDS: Final = 15.0
"""A session that has said nothing for so long is dead."""

SESSION_KEPT_SECONDS: Final = 60.0
LANE_KEPT_SECONDS: Final = 3600.0
LANE_RENEWED_SECONDS: Final = 600.0
EXPIRED_KEPT_SECONDS: Final = 86_400.0
"""How long an expired lease is remembered, for a late ack."""

_REMEMBERED: Final = 10_000
"""How many interrupted messages are remembered, with the time when their delivery began."""


class SessionRecord(msgspec.Struct, frozen=True):
    """A session: where it runs, and the queues that it produces to and consumes now."""

    host: str
    pid: int
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.host} (process {self.pid})"


class LaneRecord(msgspec.Struct, frozen=True, gc=False):
    """A lane of a queue: the session that has it, and what it delivers there: the sequences of the messages, and when
    it began, by its clock."""

    session: str
    taken_at: float = 0
    seqs: tuple[int, ...] = ()


class LeaseRecord(msgspec.Struct, frozen=True, gc=False):
    """A message that a client has pulled through a session. `token` and `seq` say which; the message is acked at
    `reply` until the lease `has_expired`. Times are the server's, in seconds since the epoch."""

    session: str
    token: str
    seq: int
    reply: str
    taken_at: float
    expires_at: float
    deliveries: int
    has_expired: bool = False


class _StateRecord(msgspec.Struct, frozen=True):
    number: int
    state: QueueState


class Lane:
    """A lane that this session has. It delivers one batch at a time. One of a queue with `max_concurrency` is one of
    so many; another is made as it is needed."""

    def __init__(self, key: str, revision: int | None) -> None:
        self.key = key
        self.revision = revision
        """None if nobody else can take the lane."""
        self.record: LaneRecord | None = None
        self.written_at = 0.0


class Shared:
    """The bucket as `session` sees it. `states_changed` is called with the queues whose states others have changed, and
    `lanes_changed` with a queue that has a free lane."""

    def __init__(
        self,
        connection: Connection,
        session: str,
        states_changed: Callable[[str], None],
        lanes_changed: Callable[[str], None],
    ) -> None:
        self.session = session
        self.bucket = SharedBucket(connection, self._changed)
        self._connection = connection
        self._states_changed = states_changed
        self._lanes_changed = lanes_changed
        self._numbers: dict[str, int] = {}
        self._written: dict[str, bytes] = {}
        """What this session is writing of the states of queues, by key."""
        self._states: dict[str, QueueState] = {}
        self.states: Mapping[str, QueueState] = MappingProxyType(self._states)
        """The states of all queues, in the order of their creation."""
        self.sessions: dict[str, tuple[SessionRecord, float]] = {}
        """Sessions, each with the server's time when it last said something."""
        self._lanes: dict[str, dict[str, LaneRecord]] = {}
        self.leases: dict[str, dict[str, LeaseRecord]] = {}
        """The leases of a queue's messages by id."""
        self._interrupted: OrderedDict[tuple[str, int], float] = OrderedDict()
        self._made = count()
        self._own: set[Lane] = set()

    async def open(self) -> None:
        """Make the bucket if need be, and read it."""
        await self.bucket.open()

    # States of queues

    def revisions(self, states: Sequence[QueueState]) -> Mapping[str, int]:
        """The revisions of the states that there are of these queues, by key."""
        return {key: self.bucket.revision(key) for key in (f"queue.{state.name}" for state in states)}

    async def put_states(self, states: Sequence[QueueState], revisions: Mapping[str, int]) -> bool:
        """Set states of queues, all or none. Returns False if one does not have its revision any more."""
        number = max(self._numbers.values(), default=0)
        values: dict[str, bytes] = {}
        fresh: dict[str, int] = {}
        for state in states:
            own = self._numbers.get(state.name) or fresh.get(state.name)
            if own is None:
                number += 1
                own = fresh[state.name] = number
            values[f"queue.{state.name}"] = msgspec.json.encode(_StateRecord(own, state))
        self._written.update(values)
        is_done = await self.bucket.put_all(values, revisions)
        for key, value in values.items():
            if self._written.get(key) is value:
                del self._written[key]
        return is_done

    async def delete_state(self, queue: str) -> None:
        """Delete the state of a queue."""
        self._numbers.pop(queue, None)
        self._states.pop(queue, None)
        await self.bucket.delete(f"queue.{queue}")

    # Sessions

    async def beat(self, produces: Sequence[str], consumes: Sequence[str]) -> None:
        """Say that this session is alive, and what it produces to and consumes."""
        record = SessionRecord(socket.gethostname(), getpid(), tuple(produces), tuple(sorted(consumes)))
        kept = SESSION_KEPT_SECONDS * self._connection.pace
        await self.bucket.put(f"session.{self.session}", msgspec.json.encode(record), keep_seconds=kept)

    def is_alive(self, session: str) -> bool:
        """Whether a session is there, as far as is known."""
        if session == self.session:
            return True
        there = self.sessions.get(session)
        return there is not None and self._connection.now() - there[1] < DEAD_SECONDS * self._connection.pace

    def users(self, queue: str) -> QueueUsers:
        """Which sessions that are alive use a queue."""
        records = [record for session, (record, _) in self.sessions.items() if self.is_alive(session)]
        producers = sorted(str(each) for each in records if queue in each.produces)
        return QueueUsers(tuple(producers), tuple(sorted(str(each) for each in records if queue in each.consumes)))

    def forget_the_dead(self) -> None:
        """Forget what the server has forgotten, and let go of the lanes that the dead had."""
        self.bucket.forget_markers()
        now, pace = self._connection.now(), self._connection.pace
        kept = {"session": SESSION_KEPT_SECONDS * pace, "lane": LANE_KEPT_SECONDS, "lease": 2 * EXPIRED_KEPT_SECONDS}
        for key, entry in list(self.bucket.entries.items()):
            if now - entry.at > kept.get(key.partition(".")[0], float("inf")):
                self.bucket.forget(key)
        for queue, lanes in self._lanes.items():
            if any(not self.is_alive(lane.session) for lane in lanes.values()):
                self._lanes_changed(queue)

    # Lanes

    async def take_lane(self, queue: str, limit: int | None) -> Lane | None:
        """Take a lane of a queue. With a `limit`, there are so many for all sessions; None if none is free."""
        if limit is None:
            lane = Lane(f"lane.{queue}.{self.session}-{next(self._made)}", None)
            self._own.add(lane)
            return lane
        own = LaneRecord(self.session)
        for number in range(limit):
            key = f"lane.{queue}.{number}"
            entry = self.bucket.entries.get(key)
            if entry is not None and self.is_alive(self._lane_record(entry).session):
                continue
            revision = await self._write_lane(key, own, self.bucket.revision(key))
            if revision:
                lane = Lane(key, revision)
                lane.record, lane.written_at = own, self._connection.now()
                self._own.add(lane)
                return lane
        return None

    async def use_lane(self, lane: Lane, taken_at: float, seqs: Sequence[int]) -> bool:
        """Note what is delivered in a lane, before it is. Returns False if others have taken the lane, because they
        did not hear of this session for too long."""
        lane.record = LaneRecord(self.session, taken_at, tuple(seqs))
        return await self._renew(lane)

    async def release_lane(self, lane: Lane) -> None:
        """Give a lane up."""
        self._own.discard(lane)
        if lane.record is not None:
            await self.bucket.delete(lane.key, last=lane.revision)

    async def renew_lanes(self) -> None:
        """Keep the lanes of this session, which the server would forget some day."""
        now = self._connection.now()
        for lane in list(self._own):
            if lane.record is not None and now - lane.written_at > LANE_RENEWED_SECONDS * self._connection.pace:
                await self._renew(lane)

    def in_flight(self, queue: str) -> set[int]:
        """The sequences of the messages that a handler or a client has now."""
        seqs = {seq for lane in self._lanes.get(queue, {}).values() if self.is_alive(lane.session) for seq in lane.seqs}
        seqs.update(lease.seq for lease in self.leases.get(queue, {}).values() if not lease.has_expired)
        return seqs

    def interrupted_at(self, queue: str, seq: int) -> float | None:
        """When a delivery of this message began that a dead session did not end; None if nothing is known of one."""
        known = self._interrupted.get((queue, seq))
        for lane in self._lanes.get(queue, {}).values():
            if seq in lane.seqs and not self.is_alive(lane.session):
                known = lane.taken_at
        return known

    # Leases

    async def put_lease(self, queue: str, lease_id: str, lease: LeaseRecord, *, last: int | None = None) -> bool:
        """Set a lease; with `last`, only if that is its revision."""
        key, value = f"lease.{queue}.{lease_id}", msgspec.json.encode(lease)
        kept = EXPIRED_KEPT_SECONDS if lease.has_expired else 0
        return bool(await self.bucket.put(key, value, last=last, keep_seconds=kept))

    async def end_lease(self, queue: str, lease_id: str) -> bool:
        """Delete a lease. Returns False if somebody else did, or changed it meanwhile."""
        key = f"lease.{queue}.{lease_id}"
        entry = self.bucket.entries.get(key)
        return entry is not None and await self.bucket.delete(key, last=entry.revision)

    async def expire_lease(self, queue: str, lease_id: str, lease: LeaseRecord) -> bool:
        """Say that a lease has expired. Returns False if somebody else did, or ended it."""
        entry = self.bucket.entries.get(f"lease.{queue}.{lease_id}")
        if entry is None:
            return False
        expired = msgspec.structs.replace(lease, has_expired=True)
        return await self.put_lease(queue, lease_id, expired, last=entry.revision)

    async def find_lease(self, queue: str, lease_id: str) -> LeaseRecord | None:
        """A lease, also if another session has made it just now."""
        known = self.leases.get(queue, {}).get(lease_id)
        if known is None and lease_id.isalnum():
            await self.bucket.read(f"lease.{queue}.{lease_id}")
            known = self.leases.get(queue, {}).get(lease_id)
        return known

    # The end

    async def leave(self) -> None:
        """Say that this session ends, and give up what it has."""
        for lane in list(self._own):
            await self.release_lane(lane)
        await self.bucket.delete(f"session.{self.session}")

    async def _renew(self, lane: Lane) -> bool:
        assert lane.record is not None
        lane.written_at = self._connection.now()
        revision = await self._write_lane(lane.key, lane.record, lane.revision)
        if lane.revision is not None:
            if not revision:
                self._own.discard(lane)
                return False
            lane.revision = revision
        return True

    async def _write_lane(self, key: str, record: LaneRecord, last: int | None) -> int:
        return await self.bucket.put(key, msgspec.json.encode(record), last=last, keep_seconds=LANE_KEPT_SECONDS)

    def _lane_record(self, entry: BucketEntry) -> LaneRecord:
        return msgspec.json.decode(entry.value, type=LaneRecord)

    def _set_state(self, state: QueueState, number: int) -> None:
        is_new = state.name not in self._states
        self._numbers[state.name] = number
        self._states[state.name] = state
        if is_new:
            for name in sorted(self._states, key=lambda name: self._numbers[name]):
                self._states[name] = self._states.pop(name)

    def _changed(self, key: str, entry: BucketEntry | None) -> None:
        kind, _, rest = key.partition(".")
        queue, _, name = rest.partition(".")
        if kind == "queue":
            self._state_changed(queue, entry)
        elif kind == "session":
            if entry is None:
                self.sessions.pop(rest, None)
            else:
                self.sessions[rest] = msgspec.json.decode(entry.value, type=SessionRecord), entry.at
        elif kind == "lane":
            self._lane_changed(queue, name, entry)
        elif kind == "lease":
            leases = self.leases.setdefault(queue, {})
            if entry is None:
                leases.pop(name, None)
            else:
                leases[name] = msgspec.json.decode(entry.value, type=LeaseRecord)

    def _state_changed(self, queue: str, entry: BucketEntry | None) -> None:
        if entry is None:
            if queue in self._states:
                del self._states[queue], self._numbers[queue]
                self._states_changed(queue)
            return
        record = msgspec.json.decode(entry.value, type=_StateRecord)
        if self._states.get(queue) != record.state:
            self._set_state(record.state, record.number)
            if self._written.get(f"queue.{queue}") != entry.value:
                self._states_changed(queue)

    def _lane_changed(self, queue: str, name: str, entry: BucketEntry | None) -> None:
        lanes = self._lanes.setdefault(queue, {})
        before = lanes.pop(name, None)
        if entry is not None:
            lanes[name] = self._lane_record(entry)
        if before is not None and (entry is None or lanes[name].session != before.session):
            for seq in before.seqs:
                self._interrupted[queue, seq] = before.taken_at
            while len(self._interrupted) > _REMEMBERED:
                self._interrupted.popitem(last=False)
        if entry is None:
            self._lanes_changed(queue)
