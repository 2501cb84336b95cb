"""The journal, with which messages survive the process: every message, settlement, setting and consumer is written to
it at once.

The engine writes before it acts: a message is in the journal when `send` returns, and a change of a queue when the call
returns. A settlement has already happened and cannot be refused: if its record cannot be written (the disk is full), it
is written before the next record that can be, and until then the messages would come back after a crash, as
at-least-once delivery allows. The beginning of a delivery is written before its handler runs, so messages that were in
flight when the process ended wait again with one more failure: a message whose handler kills the process uses up its
attempts like any other. Pulls by clients are not written; the messages wait again, and that attempt does not count.

The journal is a log of records (see `segments`). Cleaning begins with its oldest segment: live messages in it are
appended again, in their present state, and the segment is deleted. Only the oldest segment is ever deleted, so the
record of a settlement is never deleted before the message that it settles. Cleaning is done in small steps, in
proportion to what is appended and settled; the log stays slightly below twice the size of the live messages.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from emulator.base.words import reason
from emulator.queues.declarations import QueueState
from emulator.queues.errors import QueueError, QueueErrorCode
from emulator.queues.memory.entry import Entry
from emulator.queues.memory.records import MessageRecord, record_of, restored
from emulator.queues.memory.segments import Log, Segment
from emulator.queues.message import Attempt
from emulator.queues.settlement import interrupted
from emulator.wire.texts import pack

SEGMENT_BYTES: Final = 4_000_000
"""In bytes. A segment that has grown to this size gets a successor."""

FREE_BYTES: Final = 8_000_000
"""In bytes. A log up to this size is not cleaned."""

_RECORD_BYTES: Final = 64
"""About how many bytes a message takes in the journal, besides its body."""

NOWHERE: Final = 0
"""The `segment` of a message that has left; the first segment is number 1."""

PIECE: Final = 100
"""How many messages are copied at once."""

_WRITTEN_CREDIT: Final = 4
_SETTLED_CREDIT: Final = 2
"""How many bytes may be copied for each byte that is appended, and for each byte of a message that leaves. A log that
is too large is at least half dead, so copying frees at least as much as it adds; with less credit the log would grow
further."""

_ID_BYTES: Final = 16

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

Moves = Mapping[str, tuple[Sequence[Entry], Sequence[Entry]]]
"""By the queue that they move to: messages as they were, and as they are there."""


class _Retried(msgspec.Struct, array_like=True, gc=False):
    """A message that waits again after a failure, or from now on until another time; then it has no new failures."""

    id: bytes
    ready_at: float
    attempts: int
    failures: tuple[Attempt, ...]


class _Enqueued(msgspec.Struct, array_like=True, tag=1, gc=False):
    queue: str
    messages: list[MessageRecord]


class _Settled(msgspec.Struct, array_like=True, tag=2, gc=False):
    """`gone` contains ids of 16 bytes each. `letters` are in the queue `target` from now on."""

    queue: str
    gone: bytes
    retried: list[_Retried] = []
    target: str = ""
    letters: list[MessageRecord] = []


class _Begun(msgspec.Struct, array_like=True, tag=5, gc=False):
    """A delivery of messages begins at `at`. The ids have 16 bytes each."""

    queue: str
    ids: bytes
    at: float


class _GivenBack(msgspec.Struct, array_like=True, tag=6, gc=False):
    """A delivery did not happen after all."""

    queue: str
    ids: bytes


class _Changed(msgspec.Struct, array_like=True, tag=3, gc=False):
    state: QueueState


class _Deleted(msgspec.Struct, array_like=True, tag=4, gc=False):
    queue: str


_decode: Final = msgspec.msgpack.Decoder(_Enqueued | _Settled | _Changed | _Deleted | _Begun | _GivenBack).decode


class _Contents:
    """The live part of a segment: the number of messages, and lists of the messages that were written there, by
    queue."""

    __slots__ = ("live", "pieces")

    def __init__(self) -> None:
        self.live = 0
        self.pieces: deque[tuple[str, Sequence[Entry]]] = deque()


class Journal:
    """The journal in a directory, which it locks. `take_recovered` returns what an earlier run left, and `reports` says
    what was damaged. `on_trouble` is called when settlements cannot be written, and when they can be again.

    Raises EmulatorError if the directory is in use, cannot be used, or contains a journal from a newer emulator.
    """

    def __init__(self, directory: Path) -> None:
        self.on_trouble: Callable[[str], None] = lambda _text: None
        self._log = Log(directory)
        self.reports: list[str] = self._log.reports
        self._states: dict[str, QueueState] = {}
        self._contents = {segment.number: _Contents() for segment in self._log.segments}
        self._live_bytes = 0
        self._credit = 0
        self._unwritten: list[bytes] = []
        self._unwritten_letters = False
        self._unsynced = False
        self._recovered = self._recover()

    @property
    def directory(self) -> Path:
        """The directory of the journal."""
        return self._log.directory

    @property
    def size(self) -> int:
        """The total size of the files, in bytes."""
        return self._log.size

    @property
    def live_bytes(self) -> int:
        """About how many of these bytes the messages in the queues take."""
        return self._live_bytes

    @property
    def recovered_count(self) -> int:
        """How many messages an earlier run has left; 0 after they were taken."""
        return sum(len(messages) for _, messages in self._recovered)

    def take_recovered(self) -> Sequence[tuple[QueueState, Sequence[Entry]]]:
        """The queues that an earlier run has left, each with its messages, all of which wait. Empty from the second
        call on."""
        recovered, self._recovered = self._recovered, []
        return recovered

    def enqueued(self, queue: str, messages: Sequence[Entry]) -> None:
        """Write that messages enter a queue. Raises QueueError, and writes none, if that is not possible."""
        self._write([pack(_Enqueued(queue, [*map(record_of, messages)]))])
        self._add(queue, messages)
        self._clean()

    def settled(
        self,
        queue: str,
        gone: Sequence[Entry],
        retried: Sequence[Entry] = (),
        target: str = "",
        letters: Sequence[Entry] = (),
    ) -> None:
        """Write that messages have left a queue or wait there again, and that the letters of those that left enter
        `target`. Never raises."""
        again = [_Retried(_raw(each), each.ready_at, each.attempts, each.failures[-1:]) for each in retried]
        self._note(pack(_Settled(queue, _ids(gone), again, target, [*map(record_of, letters)])), bool(letters))
        for each in retried:
            each.begun_at = 0
        self._remove(gone)
        if letters:
            self._add(target, letters)
        self._clean()

    def promoted(self, queue: str, messages: Sequence[Entry], at: float) -> None:
        """Write that delayed messages are ready `at` a time. Raises QueueError, and writes none, if that is not
        possible."""
        self._write([pack(_Settled(queue, b"", [_Retried(_raw(each), at, each.attempts, ()) for each in messages]))])

    def begun(self, queue: str, messages: Sequence[Entry], at: float) -> None:
        """Write that a delivery of messages begins. Never raises: if it cannot be written, messages are delivered
        anyway, and the attempt does not count if the process ends now."""
        try:
            self._append([pack(_Begun(queue, _ids(messages), at))])
        except OSError:
            return
        for each in messages:
            each.begun_at = at

    def given_back(self, queue: str, messages: Sequence[Entry]) -> None:
        """Write that a delivery of messages did not happen after all, or was cancelled. Never raises."""
        self._note(pack(_GivenBack(queue, _ids(messages))))
        for each in messages:
            each.begun_at = 0

    def _note(self, record: bytes, has_letters: bool = False) -> None:
        """Write something that has already happened, now or with the next record that can be written."""
        try:
            self._append([record])
        except OSError as error:
            if not self._unwritten:
                self.on_trouble(
                    f"Acks and retries cannot be saved in {self.directory}: {reason(error)}. They are saved as soon as "
                    f"possible; if the emulator is killed before that, their messages are delivered again"
                )
            self._unwritten.append(record)
            self._unwritten_letters = self._unwritten_letters or has_letters

    def moved(self, queue: str, moves: Moves) -> None:
        """Write that messages move from a queue to others. Raises QueueError if that is not possible."""
        self._write(
            [
                pack(_Settled(queue, _ids(old), [], target, [*map(record_of, new)]))
                for target, (old, new) in moves.items()
            ]
        )
        for target, (old, new) in moves.items():
            self._remove(old)
            self._add(target, new)
        self._clean()

    def changed(self, states: Sequence[QueueState]) -> None:
        """Write that queues are created or changed. Raises QueueError if that is not possible."""
        self._write([pack(_Changed(state)) for state in states])
        self._states.update({state.name: state for state in states})
        self._clean()

    def deleted(self, queue: str, messages: Sequence[Entry]) -> None:
        """Write that a queue is deleted with its messages. Raises QueueError if that is not possible."""
        self._write([pack(_Deleted(queue))])
        self._states.pop(queue, None)
        self._remove(messages)
        self._clean()

    @property
    def is_unsynced(self) -> bool:
        """Whether something was written that a loss of power could undo."""
        return self._unsynced

    def sync(self) -> None:
        """Sync what was written to the disk. May be called on another thread. Raises OSError."""
        self._unsynced = False
        self._log.sync()

    def close(self) -> None:
        """Write what could not be written before, if that is possible now, and unlock the directory."""
        with suppress(OSError):
            if self._unwritten:
                self._append([])
        with suppress(OSError):
            self._log.close()

    def _write(self, payloads: Sequence[bytes]) -> None:
        try:
            self._append(payloads)
        except OSError as error:
            code = (
                QueueErrorCode.QUEUE_STORAGE_LIMIT_EXCEEDED
                if error.errno in _FULL
                else QueueErrorCode.UNKNOWN_INTERNAL_ERROR
            )
            text = f"nothing was accepted, because it cannot be saved in {self.directory}: {reason(error)}"
            raise QueueError(code, text) from None

    def _append(self, payloads: Sequence[bytes]) -> None:
        """Write records, after those that could not be written before. Raises OSError, and then has written none."""
        if self._log.head.size >= SEGMENT_BYTES:
            self._log.rotate([pack(_Changed(state)) for state in self._states.values()])
            self._contents[self._log.head.number] = _Contents()
        self._credit += _WRITTEN_CREDIT * self._log.append([*self._unwritten, *payloads])
        self._unsynced = True
        if self._unwritten:
            self._unwritten.clear()
            self._unwritten_letters = False
            self.on_trouble(f"Acks and retries are saved in {self.directory} again, including the earlier ones")

    def _add(self, queue: str, messages: Sequence[Entry]) -> None:
        """Count messages as live in the newest segment."""
        number = self._log.head.number
        contents = self._contents[number]
        weight = 0
        for message in messages:
            message.segment = number
            weight += _weight(message)
        self._live_bytes += weight
        contents.live += len(messages)
        if len(messages) <= PIECE:
            contents.pieces.append((queue, messages))
        else:
            contents.pieces.extend((queue, messages[at : at + PIECE]) for at in range(0, len(messages), PIECE))

    def _remove(self, messages: Iterable[Entry]) -> None:
        weight = 0
        for message in messages:
            self._contents[message.segment].live -= 1
            message.segment = NOWHERE
            weight += _weight(message)
        self._live_bytes -= weight
        self._credit += _SETTLED_CREDIT * weight

    def _clean(self) -> None:
        """Delete the oldest segments without live messages and, while the log is too large and credit is left, copy the
        live messages of the oldest one."""
        log = self._log
        while len(log.segments) > 1 and not self._unwritten_letters:
            contents = self._contents[log.segments[0].number]
            try:
                if not contents.live:
                    del self._contents[log.segments[0].number]
                    log.drop_oldest()
                elif log.size <= max(FREE_BYTES, 2 * self._live_bytes):
                    self._credit = 0
                    return
                elif self._credit <= 0:
                    return
                else:
                    self._copy(contents)
            except OSError:
                return  # the next write reports the error, and tries this again

    def _copy(self, contents: _Contents) -> None:
        queue, messages = contents.pieces[0]
        oldest = self._log.segments[0].number
        living = [message for message in messages if message.segment == oldest]
        if living:
            size = self._log.size
            credit = self._credit
            self._append([pack(_Enqueued(queue, [*map(record_of, living)]))])
            self._credit = credit - (self._log.size - size)
            contents.live -= len(living)
            self._live_bytes -= sum(map(_weight, living))
            self._add(queue, living)
        contents.pieces.popleft()

    def _recover(self) -> list[tuple[QueueState, Sequence[Entry]]]:
        """Read the recovered records, and count the live messages."""
        replay = _Replay(self.reports)
        for segment in self._log.segments:
            payloads, segment.payloads = segment.payloads, []
            for payload in payloads:
                replay.record(payload, segment)
        replay.interrupt()
        self._states = replay.states
        recovered: list[tuple[QueueState, Sequence[Entry]]] = []
        for state in replay.states.values():
            messages = [*replay.messages.get(state.name, {}).values()]
            for at in range(0, len(messages), PIECE):
                for number, group in groupby(messages[at : at + PIECE], key=_segment_of):
                    piece = [*group]
                    contents = self._contents[number]
                    contents.live += len(piece)
                    contents.pieces.append((state.name, piece))
                    self._live_bytes += sum(map(_weight, piece))
            recovered.append((state, messages))
        return recovered


class _Replay:
    """The queues and messages in the records, in their order."""

    def __init__(self, reports: list[str]) -> None:
        self.states: dict[str, QueueState] = {}
        self.messages: dict[str, dict[bytes, Entry]] = {}
        self._reports = reports

    def record(self, payload: bytes, segment: Segment) -> None:
        try:
            record = _decode(payload)
        except (msgspec.MsgspecError, ValueError) as error:
            self._reports.append(f"{segment.path} has a record that cannot be read and was skipped: {error}")
            return
        match record:
            case _Enqueued():
                self._put(record.queue, record.messages, segment.number)
            case _Settled():
                self._settle(record, segment.number)
            case _Begun():
                for message in self._of(record.queue, record.ids):
                    _interrupt(message)
                    message.begun_at = record.at
            case _GivenBack():
                for message in self._of(record.queue, record.ids):
                    message.begun_at = 0
            case _Changed():
                self.states[record.state.name] = record.state
            case _Deleted():
                self.states.pop(record.queue, None)
                self.messages.pop(record.queue, None)

    def interrupt(self) -> None:
        """End of the records: deliveries that were in flight have failed."""
        for there in self.messages.values():
            for message in there.values():
                _interrupt(message)

    def _of(self, queue: str, ids: bytes) -> Iterator[Entry]:
        there = self.messages.get(queue, {})
        for at in range(0, len(ids), _ID_BYTES):
            message = there.get(ids[at : at + _ID_BYTES])
            if message is not None:
                yield message

    def _put(self, queue: str, messages: Sequence[MessageRecord], number: int) -> None:
        there = self.messages.setdefault(queue, {})
        for each in messages:
            there[each.id] = restored(each, segment=number)
        if queue not in self.states and messages:
            first = messages[0].enqueued_at or messages[0].timestamp
            self.states[queue] = QueueState(queue, first, first)

    def _settle(self, record: _Settled, number: int) -> None:
        there = self.messages.get(record.queue, {})
        gone = record.gone
        for at in range(0, len(gone), _ID_BYTES):
            there.pop(gone[at : at + _ID_BYTES], None)
        for each in record.retried:
            message = there.get(each.id)
            if message is not None:
                message.ready_at = each.ready_at
                message.attempts = each.attempts
                message.failures += each.failures
                message.begun_at = 0
        if record.letters:
            self._put(record.target, record.letters, number)


def _interrupt(message: Entry) -> None:
    """Count a delivery that has begun and has no other record as failed."""
    if message.begun_at:
        message.attempts += 1
        message.failures += (interrupted(message.attempts, message.begun_at),)
        message.begun_at = 0


def _raw(message: Entry) -> bytes:
    return bytes.fromhex(message.id)


def _ids(messages: Sequence[Entry]) -> bytes:
    return bytes.fromhex("".join([message.id for message in messages]))


def _segment_of(message: Entry) -> int:
    return message.segment


def _weight(message: Entry) -> int:
    """About how many bytes a message takes in the journal; the same while it is in its queue."""
    letter = message.dead_letter
    if letter is None:
        return _RECORD_BYTES + len(message.body)
    told = sum(_RECORD_BYTES + len(each.error) + len(each.traceback) for each in letter.attempts)
    return _RECORD_BYTES + len(message.body) + told
