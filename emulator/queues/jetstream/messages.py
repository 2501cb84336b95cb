"""What a message of a queue looks like in its stream.

Its body is the payload. Two headers say the rest: `Emulator-Message` has fields of fixed length, padded so that all
messages have the same number of bytes besides their body, and the bytes of all bodies can be told from the size of the
stream. `Emulator-More`, in JSON, has the failures of a message and why it died. A message without these headers was
published by another program: it has an id made of its sequence, and its body is bytes. `traceparent` names what sent
it, if that is known.
"""

from __future__ import annotations

from itertools import count
from secrets import token_hex
from typing import Final

import msgspec
from msgspec.structs import replace

from emulator.queues.jetstream.connection import Connection, Outgoing, Stored, epoch, header_size, utc
from emulator.queues.jetstream.streams import Names
from emulator.queues.message import Attempt, DeadLetter, QueueMessage
from emulator.queues.settlement import interrupted
from emulator.wire.codec import ContentType

META: Final = "Emulator-Message"
MORE: Final = "Emulator-More"
TRACEPARENT: Final = "traceparent"
MAX_MORE_BYTES: Final = 200_000
"""How long the history of a message may be; of a longer one, tracebacks are left out, then the oldest failures."""

FOREIGN: Final = "another program"
"""The source of a message that the emulator did not publish."""

_SOURCE_LENGTH: Final = 24
_PADDED_SIZE: Final = 320
_STORED_EXTRA: Final = 22 + 4 + 8
"""What the server's file store adds to subject, headers and payload."""

_ROLLUP_SIZE: Final = len("Nats-Rollup: sub\r\n")
_TYPES: Final[dict[str, ContentType]] = {"j": "json", "t": "text", "b": "bytes", "v": "v8"}


class _More(msgspec.Struct, omit_defaults=True):
    failures: tuple[Attempt, ...] = ()
    dead_letter: DeadLetter | None = None


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A message as it is in its stream. `token` names this copy of it: a retry makes another. `deliveries` counts how
    often the server has delivered it, this time included; 0 where it is not delivered but read."""

    seq: int
    token: str
    message: QueueMessage
    is_delayed: bool = False
    deliveries: int = 0
    reply: str = ""

    def begun(self, interrupted_at: float | None) -> QueueMessage:
        """The message with this delivery counted, and with a failure for each earlier one, which nobody settled; the
        last of them began at `interrupted_at`, if that is known."""
        message = self.message
        if self.deliveries <= 1:
            return replace(message, attempts=message.attempts + 1)
        at = message.ready_at if interrupted_at is None else interrupted_at
        numbers = range(message.attempts + 1, message.attempts + self.deliveries)
        failures = (*message.failures, *(interrupted(number, at) for number in numbers))
        return replace(message, attempts=message.attempts + self.deliveries, failures=failures)


class Tokens:
    """Names for copies of messages and for leases, each of TOKEN_LENGTH characters, that nobody else makes."""

    def __init__(self) -> None:
        self._beginning = token_hex(5)
        self._numbers = count()

    def make(self) -> str:
        """A new one."""
        return f"{self._beginning}{next(self._numbers):012x}"


class Codec:
    """Writes and reads the messages of the queue with these names."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._size = _PADDED_SIZE + len(names.delayed)
        sample = f"{names.delayed}.{Tokens().make()}"
        delayed = header_size({"Nats-Schedule": f"@at {utc(0)}", "Nats-Schedule-Target": names.ready})
        fired = header_size({"Nats-Scheduler": sample, "Nats-Schedule-Next": "purge"})
        self._delayed_size = self._size + delayed - fired
        self.overhead = _STORED_EXTRA + len(names.ready) + self._size
        """How many bytes a ready message takes besides its body."""
        self.delayed_overhead = _STORED_EXTRA + len(sample) + self._delayed_size + _ROLLUP_SIZE
        """How many a delayed one does."""

    def write(self, message: QueueMessage, token: str, *, delay_seconds: float, once: str = "") -> Outgoing:
        """A message to publish, which becomes ready after a delay. With `once`, it is stored once within the duplicate
        window, however often it is published."""
        headers = {META: _meta(message, token)}
        if message.traceparent:
            headers[TRACEPARENT] = message.traceparent
        if message.failures or message.dead_letter is not None:
            headers[MORE] = _history(message)
        if once:
            headers["Nats-Msg-Id"] = once
        if delay_seconds <= 0:
            return Outgoing(self._names.ready, message.body, headers, META, self._size)
        connection = self._connection
        headers["Nats-Schedule"] = f"@at {utc(connection.now() + delay_seconds * connection.pace)}"
        headers["Nats-Schedule-Target"] = self._names.ready
        return Outgoing(f"{self._names.delayed}.{token}", message.body, headers, META, self._delayed_size)

    def read(self, stored: Stored, *, deliveries: int = 0, reply: str = "", at: float | None = None) -> Kept:
        """A message that was read or, at the server's time `at`, delivered."""
        try:
            return self._read(stored, deliveries, reply)
        except (KeyError, ValueError):  # of which those of msgspec are some
            return self._foreign(stored, deliveries, reply, at)

    def _read(self, stored: Stored, deliveries: int, reply: str) -> Kept:
        headers = stored.headers
        meta = headers[META].split(" ")
        message_id, timestamp, enqueued_at, ready_at, kind, attempts, source, token = meta
        more = msgspec.json.decode(headers[MORE], type=_More) if MORE in headers else _More()
        message = QueueMessage(
            message_id,
            stored.payload,
            _TYPES[kind],
            float(timestamp),
            float(enqueued_at),
            float(ready_at),
            int(attempts),
            more.failures,
            more.dead_letter,
            _source(source),
            headers.get(TRACEPARENT) or "",
        )
        return Kept(stored.seq, token.rstrip("."), message, stored.subject != self._names.ready, deliveries, reply)

    def _foreign(self, stored: Stored, deliveries: int, reply: str, at: float | None) -> Kept:
        if at is None:
            at = epoch(stored.headers["Nats-Time-Stamp"])
        message = QueueMessage(f"{stored.seq:032x}", stored.payload, "bytes", at, at, at, source=FOREIGN)
        is_delayed = stored.subject != self._names.ready
        return Kept(stored.seq, f"{FOREIGN}-{stored.seq}", message, is_delayed, deliveries, reply)


def _meta(message: QueueMessage, token: str) -> str:
    source = message.source.replace("%", "%25").replace(" ", "%20")
    return (
        f"{message.id} {message.timestamp:018.7f} {message.enqueued_at:018.7f} {message.ready_at:018.7f} "
        f"{message.content_type[0]} {message.attempts:03} {source:~<{_SOURCE_LENGTH}} {token}"
    )


def _source(text: str) -> str:
    return text.rstrip("~").replace("%20", " ").replace("%25", "%")


def _history(message: QueueMessage) -> str:
    failures, letter = message.failures, message.dead_letter
    text = msgspec.json.encode(_More(failures, letter))
    if len(text) > MAX_MORE_BYTES:
        failures = tuple(replace(each, error=each.error[:500], traceback="") for each in failures)
        if letter is not None:
            letter = replace(
                letter, attempts=tuple(replace(a, error=a.error[:500], traceback="") for a in letter.attempts)
            )
        text = msgspec.json.encode(_More(failures, letter))
    return text.decode()
